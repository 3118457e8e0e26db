"""Which images of a snapshot have which class, and who of them is train, valid, gate, test or held out?

The unit of a split is the image; an item without one goes by its key. A class that is held out keeps its node and its
relations, but its items leave the graph: nothing that was seen of them can help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kg.errors import EmptySplit, RecipeConfigError
from kg.schema import EdgeType
from kg.splits import DEFAULT, EXACT_BELOW_UNITS, SPLITS, assign

__all__ = ["HELD_OUT", "LabelledImages", "first_classes", "keep_shots", "label_images", "leaking_edges"]

HELD_OUT = "held_out"
_SPARE = "spare"
"""Training examples beyond the few that a run may see."""


@dataclass(frozen=True)
class LabelledImages:
    """Examples of one classification task, column by column."""

    task: str
    class_keys: list[str]
    item_label: str
    class_label: str
    image_row: np.ndarray
    item_row: np.ndarray
    class_row: np.ndarray
    split: np.ndarray
    """train | valid | gate | test | held_out, one for each example."""
    held_out: np.ndarray
    """Class rows that were never trained on."""

    def of(self, split: str) -> np.ndarray:
        """Example numbers of a split."""
        return np.flatnonzero(self.split == split)

    def items_of(self, split: str, snapshot: Any) -> np.ndarray:
        """Which items are in a split with all of their images. Shapes: (items,) bool."""
        found = np.zeros(snapshot.count(self.item_label), dtype=bool)
        found[self.item_row[self.of(split)]] = True
        found[self.item_row[self.split != split]] = False
        return found

    def units(self, split: str, image_ids: Sequence[str]) -> list[str]:
        """Image ids of a split, sorted; runs freeze their split as these lists."""
        return sorted({image_ids[row] for row in self.image_row[self.of(split)]})

    def frozen(self, image_ids: Sequence[str]) -> dict[str, list[str]]:
        """Split -> sorted image ids, as a run keeps them."""
        return {split: self.units(split, image_ids) for split in ("train", "valid", "gate", "test", HELD_OUT)}


def label_images(
    snapshot: Any,
    task: str | None,
    *,
    readable: np.ndarray | None = None,
    hold_out: Sequence[str] = (),
    split_name: str = "random",
    rng_seed: int = 0,
    fractions: Sequence[float] = DEFAULT,
) -> LabelledImages:
    """All (image, item, class) of a task, each with its split. An item with several classes counts for its first.

    Raises: EmptySplit where train or valid has no example; RecipeConfigError for a held-out class that does not exist.
    """
    name, chosen = snapshot.domain.task(task)
    item_label, _, class_label = edge_type = snapshot.domain.task_edge_type(name)
    class_keys = [str(key) for key in snapshot.keys(class_label)]
    class_of_item = first_classes(snapshot, edge_type)
    item_row, image_row = (np.array(rows, np.int64) for rows in snapshot.item_images)
    known = class_of_item[item_row] >= 0
    if readable is not None:
        known &= readable[image_row]
    item_row, image_row = item_row[known], image_row[known]
    class_row = class_of_item[item_row]
    held_out = _rows_of(class_keys, hold_out, chosen.target)
    split = _splits(snapshot, image_row, split_name=split_name, rng_seed=rng_seed, fractions=fractions)
    split = np.where(np.isin(class_row, held_out), HELD_OUT, split)
    examples = LabelledImages(
        name, class_keys, item_label, class_label, image_row, item_row, class_row, split, held_out
    )
    _check(examples)
    return examples


def keep_shots(examples: LabelledImages, shots: int | None, *, rng_seed: int) -> LabelledImages:
    """The same examples with at most `shots` of each class left in train; the others are in no split.

    A class's draws for fewer shots are among those for more.
    """
    if shots is None:
        return examples
    split, rng = examples.split.copy(), np.random.default_rng(rng_seed)
    order = rng.permutation(len(split))
    for row in np.unique(examples.class_row):
        mine = order[(examples.split[order] == "train") & (examples.class_row[order] == row)]
        split[mine[shots:]] = _SPARE
    return replace(examples, split=split)


def leaking_edges(
    snapshot: Any, examples: LabelledImages, *, linked: Sequence[int] | np.ndarray = ()
) -> dict[EdgeType, np.ndarray]:
    """Mask of edges to drop, so that no label outside train can reach a class embedding.

    Every relation between items and classes, whatever its name, loses its non-train items; held-out items lose all. An
    item counts as train only when all of its images are: a class embedding takes in every image of a linked item.
    Items in `linked`, of held-out classes, keep theirs: a class of which a few images have come.
    Shapes: linked (items,) of rows; edge type -> bool (edges,).
    """
    kept, gone = examples.items_of("train", snapshot), np.zeros(snapshot.count(examples.item_label), dtype=bool)
    gone[_items_of_classes(snapshot, examples)] = True
    linked = np.asarray(linked, np.int64)
    kept[linked], gone[linked] = True, False
    masks = {}
    for edge_type in snapshot.edge_types:
        mask = _leaks(snapshot, edge_type, examples, kept, gone)
        if mask is not None and mask.any():
            masks[edge_type] = mask
    return masks


def _leaks(
    snapshot: Any, edge_type: EdgeType, examples: LabelledImages, kept: np.ndarray, gone: np.ndarray
) -> np.ndarray | None:
    source, _, target = edge_type
    if examples.item_label not in (source, target):
        return None
    ends = [np.array(rows, np.int64) for rows in snapshot.edges(edge_type)]
    items = [rows for label, rows in zip((source, target), ends, strict=True) if label == examples.item_label]
    if examples.class_label in (source, target):
        return ~kept[items[0]]
    return np.logical_or.reduce([gone[rows] for rows in items])


def _items_of_classes(snapshot: Any, examples: LabelledImages) -> np.ndarray:
    """Items of held-out classes, those without an image too."""
    item, classes = (np.array(rows, np.int64) for rows in snapshot.edges(snapshot.domain.task_edge_type(examples.task)))
    return item[np.isin(classes, examples.held_out)]


def first_classes(snapshot: Any, edge_type: EdgeType) -> np.ndarray:
    """Each item's class, the first of several, -1 without one. Shapes: -> (items,)."""
    item, classes = (np.array(rows, np.int64) for rows in snapshot.edges(edge_type))
    first = np.full(snapshot.count(edge_type[0]), -1, dtype=np.int64)
    first[item[::-1]] = classes[::-1]
    return first


def _rows_of(class_keys: list[str], wanted: Sequence[str], label: str) -> np.ndarray:
    if missing := sorted(set(wanted) - set(class_keys)):
        raise RecipeConfigError(f"hold_out: no {label} {missing[0]!r}; known: {', '.join(class_keys[:40])}")
    return np.array([class_keys.index(key) for key in wanted], dtype=np.int64)


def _splits(
    snapshot: Any, image_row: np.ndarray, *, split_name: str, rng_seed: int, fractions: Sequence[float]
) -> np.ndarray:
    """Split names of the examples; a split that came with the images wins.

    Few examples are divided by themselves: else images without a class could take all the places in valid.
    """
    sha256, few = list(snapshot.images.sha256), np.unique(image_row)
    rows = few if len(few) < EXACT_BELOW_UNITS else np.arange(len(sha256))
    supplied = [snapshot.images.split[row] or None for row in rows]
    codes = np.zeros(len(sha256), np.int8)
    codes[rows] = assign(
        [sha256[row] for row in rows],
        name=split_name,
        seed=rng_seed,
        fractions=fractions,
        supplied=supplied if any(supplied) else None,
    )
    return np.asarray(SPLITS, dtype=object)[codes[image_row]]


def _check(examples: LabelledImages) -> None:
    for split in ("train", "valid"):
        if not len(examples.of(split)):
            raise EmptySplit(
                f"task {examples.task}: no {split} example among {len(examples.split)} images that have a "
                f"{examples.class_label}; import more images with a class, or choose other fractions"
            )
