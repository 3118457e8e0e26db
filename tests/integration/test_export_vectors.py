"""Does an export of image vectors give what the graph holds, wherever the numbers come from?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.errors import NodeNotFound
from kg.graph import Graph
from kg.progress import SilentReporter
from kg.publishing.exporting import export_image_vectors, vectors_folder
from kg.publishing.publish import add_image_vectors, publish, version_id
from kg.store import Store
from tests.support.published import craft, image_id, publication, unit, write


class Listening(SilentReporter):
    """Remembers warnings and stages."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warn(self, message: str) -> None:
        self.heard.append(message)

    def stage(self, name: str, total: int | None = None, unit: str = ""):
        self.heard.append(f"{name} {total}")
        return super().stage(name, total, unit)


def test_an_export_is_what_the_graph_holds(graph: Graph, store: Store, tmp_path: Path):
    craft(graph, items=8)
    made = publication(tmp_path, items=6)
    publish(graph, store, made, reporter=SilentReporter())
    version, ids = version_id(made), [image_id(n) for n in range(8)]
    reporter = Listening()

    exported = export_image_vectors(graph, store, version, reporter=reporter)
    assert exported[0] == ids[:6]
    assert np.array_equal(exported[1], made.image_vectors)
    assert reporter.heard == []  # nothing but a sample was read number by number

    later = unit(2, 8, seed=7)
    add_image_vectors(graph, version, ids[6:], later)  # without the store: only the graph has them
    exported = export_image_vectors(graph, store, version, reporter=reporter)
    assert (exported[0], reporter.heard) == (ids, ["reading image vectors 2"])
    assert np.array_equal(exported[1], np.concatenate([made.image_vectors, later]))

    write(
        graph,
        f"MATCH (x:ImageVector {{sha256: $id}}) SET x.`embedding_{version}` = $vector",
        id=ids[0],
        vector=[1.0] + [0.0] * 7,
    )
    write(graph, "MATCH (i:Image {sha256: $id})-->(x) DETACH DELETE i, x", id=ids[1])
    exported = export_image_vectors(graph, store, version, reporter=reporter)
    assert exported[0] == [ids[0], *ids[2:]]
    assert exported[1][0].tolist() == [1.0] + [0.0] * 7
    assert "are not those of the graph" in " ".join(reporter.heard)

    with pytest.raises(NodeNotFound, match="has no vectors"):
        export_image_vectors(graph, store, "graphclip_nobody")
    assert vectors_folder(store, version).is_dir()
