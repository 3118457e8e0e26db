"""Does a model understand what is put together how: our own suite, from rendered sarees with exact truth?

Every question is one picture with a true and a false sentence, and has a mate: another picture of which the same two
sentences are false and true. So whatever looks at the sentences alone is right in exactly half of them. Parts are in
training/rendered_sentences.py, what is held out of training in training/rendered_facts.py.

    suite = rendered_suite(store, items_per_part=350, rng_seed=0, reporter=reporter)
    learn = rendered_training(store, images=8000, rng_seed=0, reporter=reporter)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kg.errors import SettingsError
from kg.progress import Reporter
from kg.rendering import RENDERER_VERSION, Rendering, render, rng_for
from kg.scenes.scene import Scene, Thing
from kg.store import Store, disk_guard
from training.rendered_facts import look_with
from training.rendered_sentences import PARTS, Contrast, contrast_of, true_sentences
from training.suites import Question, Suite

__all__ = ["PICTURE_PX", "SUITE_VERSION", "Drawn", "RenderedTraining", "draw", "rendered_suite", "rendered_training"]

SUITE_VERSION = "1"
"""Raised whenever sentences, pictures or what is held out change; results name the version they were measured with."""

PICTURE_PX = 128
_PURPOSES = {"train": "suite_train", "valid": "suite_valid", "test": "suite"}
_A_SEED = 1_000_000
_A_PART = 50_000
_TRAINING_FROM = 500_000
"""Where the indices of captioned pictures begin among a seed's own; before them, each part has its stretch."""
_VIEWS_TRIED = 24


class Drawn(NamedTuple):
    """A contrast, a picture of which `contrast.one` is true and `other` false, and one of which it is the reverse."""

    contrast: Contrast
    of_one: Rendering
    of_other: Rendering


class RenderedTraining(NamedTuple):
    """Pictures with true sentences, none of which shows or names what the suite holds out.

    Shapes: pictures (images, 128, 128, 3) uint8 RGB, memory-mapped; scenes: one a picture, exact, with boxes; captions:
    four a picture.
    """

    pictures: np.ndarray
    scenes: list[Scene]
    captions: list[list[str]]


def rendered_suite(
    store: Store, *, items_per_part: int = 350, rng_seed: int = 0, split: str = "test", reporter: Reporter
) -> Suite:
    """The questions of all parts, two a contrast; drawn once and kept in the store.

    `Question.category` is the part, `kind` what within it; `Suite.pictures` holds the pictures by name.
    Raises: SettingsError (unknown split, seed or number out of range), StoreError.
    """
    _check(split, rng_seed, items_per_part, _A_PART // 8)
    wanted = {"suite": SUITE_VERSION, "items": items_per_part, "seed": rng_seed, "split": split}
    folder = _kept(store, wanted, lambda place: _write_suite(place, reporter=reporter, **wanted))
    said, pictures = _read(folder)
    questions = [Question(*row[:1], (row[1],), tuple(row[2]), row[3]) for row in said]
    return Suite(
        "rendered", questions, Counter(), {row[1]: picture for row, picture in zip(said, pictures, strict=True)}
    )


def rendered_training(
    store: Store, *, images: int, rng_seed: int = 0, split: str = "train", reporter: Reporter
) -> RenderedTraining:
    """Pictures, their scenes and four true sentences each; of another split for early stopping or for retrieval.

    Raises: SettingsError (unknown split, seed or number out of range), StoreError.
    """
    _check(split, rng_seed, images, _A_SEED - _TRAINING_FROM)
    wanted = {"training": SUITE_VERSION, "images": images, "seed": rng_seed, "split": split}
    folder = _kept(store, wanted, lambda place: _write_training(place, reporter=reporter, **wanted))
    said, pictures = _read(folder)
    return RenderedTraining(pictures, [_scene(row["scene"]) for row in said], [row["captions"] for row in said])


def draw(part: str, contrasts: int, *, rng_seed: int = 0, split: str = "test") -> Iterator[Drawn]:
    """So many contrasts of a part with both their pictures; a contrast that no view shows is replaced by another."""
    first, made = rng_seed * _A_SEED + PARTS.index(part) * _A_PART, 0
    for index in range(first, first + _A_PART):
        if made == contrasts:
            return
        rng = rng_for(_PURPOSES[split], index)
        contrast = contrast_of(part, rng)
        of_one = _view(contrast, rng)
        of_other = of_one and _view(_turned(contrast), rng)
        if of_one and of_other:
            made += 1
            yield Drawn(contrast, of_one, of_other)


def _view(contrast: Contrast, rng: np.random.Generator) -> Rendering | None:
    """A picture of which `one` is true and `other` false."""
    for _ in range(_VIEWS_TRIED):
        rendering = render(look_with(contrast.slots_of_one, rng), rng, size_px=PICTURE_PX)
        if contrast.one.verdict(rendering) is True and contrast.other.verdict(rendering) is False:
            return rendering
    return None


def _turned(contrast: Contrast) -> Contrast:
    return Contrast(contrast.kind, contrast.other, contrast.one, contrast.slots_of_other, contrast.slots_of_one)


# ---- in the store ----------------------------------------------------------------------------------------------------


def _kept(store: Store, wanted: dict[str, Any], write: Callable[[Path], None]) -> Path:
    """The folder that holds this, complete or not there at all."""
    marks = {**wanted, "renderer": RENDERER_VERSION, "px": PICTURE_PX}
    digest = hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:12]
    place = store.folder / "rendered" / f"{next(iter(wanted))}-{wanted['split']}-{digest}"
    if not place.is_dir():
        partial = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        with disk_guard(place):
            partial.mkdir(parents=True, exist_ok=True)
            try:
                write(partial)
                if not place.is_dir():
                    partial.rename(place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return place


def _write_suite(place: Path, *, items: int, seed: int, split: str, reporter: Reporter, **_: Any) -> None:
    said: list[tuple[str, str, tuple[str, str], str]] = []
    pictures = _Pictures(place, 2 * (items // 2) * len(PARTS))
    with reporter.stage(f"drawing the {split} suite", total=len(pictures.array), unit="pictures") as advance:
        for part in PARTS:
            for n, (contrast, *renderings) in enumerate(draw(part, items // 2, rng_seed=seed, split=split)):
                texts = (contrast.one.text, contrast.other.text)
                for side, rendering in enumerate(renderings):
                    name = f"{part}-{n:04}-{'ab'[side]}"
                    said.append((part, name, texts[:: 1 - 2 * side], contrast.kind))
                    pictures.add(rendering)
                advance(2)
    pictures.close(said)


def _write_training(place: Path, *, images: int, seed: int, split: str, reporter: Reporter, **_: Any) -> None:
    said: list[dict[str, Any]] = []
    pictures = _Pictures(place, images)
    with reporter.stage(f"drawing {split} pictures", total=images, unit="pictures") as advance:
        for n in range(images):
            rng = rng_for(_PURPOSES[split], seed * _A_SEED + _TRAINING_FROM + n)
            rendering = _captionable(rng)
            captions = [sentence.text for sentence in true_sentences(rendering, rng)]
            scene = {"objects": [asdict(o) for o in rendering.scene.objects], "relations": rendering.scene.relations}
            said.append({"captions": captions, "scene": scene})
            pictures.add(rendering)
            advance(1)
    pictures.close(said)


def _captionable(rng: np.random.Generator) -> Rendering:
    """A picture with at least two parts of the saree in sight."""
    while True:
        rendering = render(look_with({}, rng), rng, size_px=PICTURE_PX)
        if len({"body", "border", "pallu"} & rendering.visible) >= 2:
            return rendering


class _Pictures:
    """An array on disk that is filled row by row."""

    def __init__(self, place: Path, count: int) -> None:
        self._place, self._next = place, 0
        shape = (count, PICTURE_PX, PICTURE_PX, 3)
        self.array = np.lib.format.open_memmap(place / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape)

    def add(self, rendering: Rendering) -> None:
        self.array[self._next] = rendering.image
        self._next += 1

    def close(self, said: list[Any]) -> None:
        if self._next != len(self.array):
            raise SettingsError(
                f"rendered suite: {self._next} of {len(self.array)} pictures drawn; ask for fewer items"
            )
        self.array.flush()
        (self._place / "said.json").write_text(json.dumps(said), encoding="utf-8")


def _read(folder: Path) -> tuple[list[Any], np.ndarray]:
    said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    return said, np.load(folder / "pictures.npy", mmap_mode="r")


def _scene(row: dict[str, Any]) -> Scene:
    things = tuple(Thing(**{**thing, "attributes": tuple(thing["attributes"])}) for thing in row["objects"])
    return Scene(things, tuple(tuple(relation) for relation in row["relations"]))


def _check(split: str, rng_seed: int, number: int, most: int) -> None:
    if split not in _PURPOSES:
        raise SettingsError(f"rendered suite: no split {split!r}; choose {', '.join(_PURPOSES)}")
    if not 0 <= rng_seed < 100 or not 1 < number <= most:
        raise SettingsError(f"rendered suite: seed {rng_seed} and {number} items; choose 0..99 and 2..{most}")
