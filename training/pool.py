"""Where do the rendered sarees that the checkpoint learns from come from, when drawing them costs time too?

They are drawn once, in shards of 2,048, into a cache folder that may grow while training runs. A shard is three arrays
and the captions, complete or absent: it is written beside its place and renamed.
"""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from kg.errors import EmptySplit
from kg.progress import Reporter, SilentReporter
from kg.rendering import SLOTS, Rendering, caption, render, rng_for, sample_open_look
from kg.rendering.scene import side_of
from kg.rendering.slots import MOTIFS

__all__ = ["PLACES", "SHARD_IMAGES", "STORED_PX", "UNKNOWN", "Pool", "Shard", "render_shard"]

SHARD_IMAGES = 2048
STORED_PX = 128
_DRAWN_PX = (128, 176, 224, 224, 224)
"""Pictures are drawn at these, most at the importer's: a weave looks different at each once it is made smaller."""
_WAYS_DOWN = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)
_DIRECTIONS = ("above", "below", "left of", "right of")
_ANOTHER = "another motif"
PLACES = (
    *((a, side, b) for a, b in (("border", "body"), ("pallu", "body"), ("border", "pallu")) for side in _DIRECTIONS),
    *((motif, side, _ANOTHER) for motif in MOTIFS for side in _DIRECTIONS),
)
"""How things may stand to each other: each pair of regions, and each motif to one of another kind."""
UNKNOWN = -1
_PLACES_FILE = "places.npy"
_CAPTION_KINDS = ("attributes", "attributes", "scene")
_OBJECT_CAPTION_KINDS = ("objects", "objects")


@dataclass(frozen=True)
class Shard:
    """2,048 rendered sarees.

    Shapes: images (n, 128, 128, 3) uint8 RGB, memory-mapped; labels (n, slots) int64; visible (n, slots) bool; places
    (n, PLACES) int8, 1 where it is so, 0 where not, UNKNOWN where not both are in sight;
    captions and object_captions: n lists each, true sentences about everything, and about the names of things alone.
    """

    path: Path

    @cached_property
    def images(self) -> np.ndarray:
        return np.load(self.path / "images.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        return np.load(self.path / "labels.npy").astype(np.int64)

    @cached_property
    def visible(self) -> np.ndarray:
        return np.load(self.path / "visible.npy")

    @cached_property
    def places(self) -> np.ndarray:
        if not (self.path / _PLACES_FILE).is_file():
            raise EmptySplit(f"{self.path} was rendered without places; render into an empty --cache folder")
        return np.load(self.path / _PLACES_FILE)

    @cached_property
    def captions(self) -> list[list[str]]:
        return json.loads((self.path / "captions.json").read_text(encoding="utf-8"))

    @cached_property
    def object_captions(self) -> list[list[str]]:
        return json.loads((self.path / "object_captions.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Pool:
    """A folder of shards of one purpose ("checkpoint" or "checkpoint_valid")."""

    path: Path

    def shards(self) -> list[Shard]:
        """The complete shards, in order, without a gap.

        Raises: EmptySplit where there is none.
        """
        found = []
        while (self.path / f"{len(found):05d}").is_dir():
            found.append(Shard(self.path / f"{len(found):05d}"))
        if not found:
            raise EmptySplit(f"{self.path} holds no rendered shard; run `python -m training.pretrain render` first")
        return found

    def shards_of_epoch(self, epoch: int) -> list[Shard]:
        """The shards that were there when `epoch` first began; written down, so that a resume uses the same."""
        ledger = self.path / "epochs.json"
        known: dict[str, int] = json.loads(ledger.read_text()) if ledger.is_file() else {}
        shards = self.shards()
        if str(epoch) not in known:
            known[str(epoch)] = len(shards)
            temporary = self.path / ".epochs.json.tmp"
            temporary.write_text(json.dumps(known))
            temporary.replace(ledger)
        return shards[: known[str(epoch)]]


def render_shard(
    pool: Pool, number: int, *, purpose: str, images: int = SHARD_IMAGES, reporter: Reporter | None = None
) -> Shard:
    """Draw shard `number`: open looks (of no cluster) from the purpose's own seeds; kept where it exists."""
    place = pool.path / f"{number:05d}"
    if place.is_dir():
        return Shard(place)
    drawn = _Drawn(images)
    with (reporter or SilentReporter()).stage(f"rendering shard {number}", total=images, unit="images") as advance:
        for i in range(images):
            drawn.draw(i, rng_for(purpose, number * SHARD_IMAGES + i))
            advance(1)
    return drawn.write(place)


def _reduced(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture at the stored size, by one of the ways in which libraries make pictures smaller."""
    if picture.shape[0] == STORED_PX:
        return picture
    way = _WAYS_DOWN[int(rng.integers(len(_WAYS_DOWN)))]
    return np.asarray(Image.fromarray(picture).resize((STORED_PX, STORED_PX), way, reducing_gap=None))


def _places(rendering: Rendering) -> list[int]:
    """Which of PLACES are so."""
    things = rendering.scene.objects
    names = {thing.name for thing in things}
    pairs = ((one, other) for one in things for other in things if one.name != other.name)
    stand = {(one.name, side_of(one, other), other.name) for one, other in pairs}
    motifs, said = sorted(names & set(MOTIFS)), []
    for one, side, other in PLACES:
        others = [name for name in (motifs if other == _ANOTHER else [other]) if name in names and name != one]
        known = one in names and others
        said.append(any((one, side, name) in stand for name in others) if known else UNKNOWN)
    return said


class _Drawn:
    """A shard in memory."""

    def __init__(self, images: int) -> None:
        self.pictures = np.empty((images, STORED_PX, STORED_PX, 3), np.uint8)
        self.labels, self.visible = np.zeros((images, len(SLOTS)), np.int8), np.zeros((images, len(SLOTS)), bool)
        self.places = np.zeros((images, len(PLACES)), np.int8)
        self.captions: list[list[str]] = []
        self.object_captions: list[list[str]] = []

    def draw(self, i: int, rng: np.random.Generator) -> None:
        rendering = render(sample_open_look(rng), rng, size_px=int(rng.choice(_DRAWN_PX)))
        self.pictures[i] = _reduced(rendering.image, rng)
        self.labels[i] = [values.index(rendering.look[slot]) for slot, values in SLOTS.items()]
        self.visible[i] = [slot in rendering.visible for slot in SLOTS]
        self.places[i] = _places(rendering)
        self.captions.append([caption(rendering, rng, kind=kind) for kind in _CAPTION_KINDS])
        self.object_captions.append([caption(rendering, rng, kind=kind) for kind in _OBJECT_CAPTION_KINDS])

    def write(self, place: Path) -> Shard:
        temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        temporary.mkdir(parents=True, exist_ok=True)
        np.save(temporary / "images.npy", self.pictures)
        np.save(temporary / "labels.npy", self.labels)
        np.save(temporary / "visible.npy", self.visible)
        np.save(temporary / _PLACES_FILE, self.places)
        (temporary / "captions.json").write_text(json.dumps(self.captions), encoding="utf-8")
        (temporary / "object_captions.json").write_text(json.dumps(self.object_captions), encoding="utf-8")
        if place.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.rename(place)
        return Shard(place)
