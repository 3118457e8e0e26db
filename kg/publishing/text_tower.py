"""How does an image-text model become a task `text` of the graph, without any training?

Its image vectors go into the graph, its text tower into the store; then a search by text compares the two.
"""

from __future__ import annotations

from kg.encoders.features import encode_images, open_cache
from kg.encoders.image import load_image_encoder
from kg.encoders.tower import ImageTower, is_whole
from kg.errors import EncoderError
from kg.graph import Graph
from kg.progress import Reporter
from kg.publishing.publication import Publication
from kg.publishing.publish import publish
from kg.schema import TEXT_TASK, Domain
from kg.snapshots.snapshot import pull
from kg.store import Store

__all__ = ["publish_text_tower"]

_SCALE = 100.0
"""Of cosines, where somebody wants probabilities: CLIP's usual one."""


def publish_text_tower(graph: Graph, store: Store, spec: str, *, domain: Domain, reporter: Reporter) -> str:
    """Publish an encoder that has a text side (`korvai-small`, `open_clip:NAME:TAG`, a folder) for searches by text.

    A second run adds the vectors of images that came since. Returns the set's id.
    Raises: EncoderError (unknown, or no text side), and what `publish` raises.
    """
    tower = ImageTower(load_image_encoder(spec))
    if not tower.has_text:
        raise EncoderError(f"publish-text {spec!r}: the encoder has no text side; take an open_clip model")
    snapshot = pull(graph, domain, store, reporter=reporter)
    encoder = tower.encoder
    folder = store.folder / "towers" / encoder.fingerprint[:12]
    if not is_whole(folder / "tower"):
        tower.save(folder / "tower")
    vectors, readable = encode_images(snapshot, encoder, open_cache(store, encoder), store, reporter)
    publication = Publication(
        domain=domain,
        task=TEXT_TASK,
        recipe=encoder.name.partition(":")[0],
        run_dir=folder,
        snapshot_hash="",  # nothing was learnt from it: one encoder is one version, whatever the graph holds
        config={"encoder": encoder.name},
        dim=tower.dim,
        scale=_SCALE,
        image_ids=[sha256 for sha256, fine in zip(snapshot.images.sha256, readable, strict=True) if fine],
        image_vectors=vectors[readable],
        tower_dir=folder / "tower",
    )
    return publish(graph, store, publication, reporter=reporter)
