"""Which way to compare pictures with classes, and which use of a hierarchy, is right most often before the test?

    python -m benchmarks.hierarchy_choices [SNAPSHOT]

The saree graph's newest snapshot in the store, its images of train, valid and gate. Nothing is trained: each row is one
way to answer, beside cosines of readings. Shrunk prototypes count what the graph says of a class as so many images, and
what the images of its parent show as so many more; they are judged on the images that were not drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.records import Record, write
from kg.settings import load_settings
from kg.snapshots.snapshot import Snapshot
from kg.store import Store
from training.choosing import choose_config
from training.features import StoredFeatures
from training.recipes.hgclip import HgClip

__all__ = ["measure"]

_COMMAND = "python -m benchmarks.hierarchy_choices"
_FLOOR, _LINEAR_FLOOR = 0.01, 0.03
_SEEDS = 3

Rows = dict[str, float]


def measure(path: Path | None = None) -> list[Record]:
    """Share of images whose class is named, by each way."""
    recipe = _recipe(path)
    network, examples = recipe.network(), recipe.examples
    rows = np.flatnonzero(np.isin(examples.split, ("train", "valid", "gate")))
    targets = torch.as_tensor(examples.class_row[rows])
    with torch.no_grad():
        cosines = recipe.image_feat[examples.image_row[rows]] @ network.phrases.T
        words = network(recipe.inputs)
    readings = {scale: _shares(scale * cosines, network.sizes) for scale in (25.0, 50.0)}

    def right(scores: Tensor, where: Tensor | slice = slice(None)) -> float:
        return float((scores.argmax(1) == targets[where]).float().mean())

    classes = words[: len(examples.class_keys)]
    found: Rows = {
        "cosine of roots": right(readings[50.0].sqrt() @ classes.sqrt().T),
        "shares with log words": right(readings[25.0] @ (classes + _LINEAR_FLOOR).log().T),
        "log-likelihood": right(_likelihood(readings[25.0], classes, network.sizes)),
    }
    found |= dict(_by_path(recipe, _likelihood(readings[25.0], words, network.sizes), right))
    found |= dict(_by_prototypes(recipe, readings[25.0], classes, targets, right))
    baseline = found["cosine of roots"]
    return [
        Record(f"hierarchy.choices.{name}", value, "share", _COMMAND, baseline=baseline, ratio=value / baseline)
        for name, value in found.items()
    ]


def _recipe(path: Path | None) -> HgClip:
    settings = load_settings()
    store = Store(settings.store_dir)
    newest = max(store.snapshots.glob("*/manifest.json"), key=lambda file: file.stat().st_mtime).parent
    snapshot = Snapshot.open(path or newest)
    recipe = HgClip(choose_config("hgclip", snapshot.domain, overrides={"layers": 0}))
    recipe.build(snapshot, StoredFeatures(store, image_spec=settings.vision_encoder))
    return recipe


def _shares(logits: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return torch.cat([part.softmax(-1) for part in logits.split(sizes, -1)], -1)


def _likelihood(readings: Tensor, words: Tensor, sizes: tuple[int, ...]) -> Tensor:
    pairs = zip(readings.split(sizes, -1), words.split(sizes, -1), strict=True)
    return sum(((1 - _FLOOR) * shown @ said.T + _FLOOR).log() for shown, said in pairs)


def _by_path(recipe: HgClip, logits: Tensor, right: Callable[..., float]) -> Iterator[tuple[str, float]]:
    """Ancestors' log-probabilities beside the class's own, with growing weight."""
    for weight in (0.1, 0.3, 1.0):
        total = logits[:, recipe.nodes.slices[0][0]].log_softmax(1)
        for tree, parts in zip(recipe.trees, recipe.nodes.slices, strict=True):
            for level in range(1, tree.depth):
                total = (
                    total + weight * logits[:, parts[level]].log_softmax(1)[:, torch.as_tensor(tree.ancestors[level])]
                )
        yield f"log-likelihood, ancestors weigh {weight}", right(total)


def _by_prototypes(
    recipe: HgClip, readings: Tensor, classes: Tensor, targets: Tensor, right: Callable[..., float]
) -> Iterator[tuple[str, float]]:
    """Words of the graph and of few images together, with and without the parent's images."""
    sizes = recipe.network().sizes
    for shots in (1, 4, 16):
        draws = [_drawn(targets, shots, seed) for seed in range(_SEEDS)]
        told = [right(_likelihood(readings[~drawn], classes, sizes), ~drawn) for drawn in draws]
        yield f"log-likelihood, the same images as {shots} shots", float(np.mean(told))
        for graph, parent in ((8, 0), (32, 0), (128, 0), (32, 2), (128, 2)):
            told = []
            for drawn in draws:
                shrunk = _shrunk(recipe, readings[drawn], classes, targets[drawn], graph=graph, parent=parent)
                told.append(right(_likelihood(readings[~drawn], shrunk, sizes), ~drawn))
            name = f"{shots} shots, graph counts {graph} images, parents {parent}"
            yield name, float(np.mean(told))


def _drawn(targets: Tensor, shots: int, seed: int) -> Tensor:
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    drawn = torch.zeros(len(targets), dtype=torch.bool)
    for row in targets.unique():
        drawn[order[targets[order] == row][:shots]] = True
    return drawn


def _shrunk(recipe: HgClip, readings: Tensor, classes: Tensor, targets: Tensor, *, graph: int, parent: int) -> Tensor:
    """Mean of what the graph says, the class's images and its parents' images, by their numbers."""
    own = torch.zeros_like(classes).index_add_(0, targets, readings)
    count = torch.bincount(targets, minlength=len(classes)).float()[:, None]
    total, weight = graph * classes + own, graph + count
    for tree in recipe.trees if parent else ():
        members = torch.as_tensor(tree.members(1)).float()
        mean = (members @ own) / (members @ count).clamp_min(1)
        total, weight = total + parent * mean[torch.as_tensor(tree.ancestors[1])], weight + parent
    return total / weight


if __name__ == "__main__":
    records = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    for record in records:
        print(f"{record.name.removeprefix('hierarchy.choices.'):58} {record.value:.3f}")
    print(write("hierarchy_choices", records))
