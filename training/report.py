"""How did a run go, on one page that can be mailed: curves, confusion, every class, examples, the map of classes?

`report.html` holds its pictures inside; the same PNGs lie beside it under `figures/`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from kg.errors import UnreadableMedia
from kg.store import Store, atomic_write
from training.pages import inline_image, page_template
from training.report_figures import class_map, confusion, curves, reliability
from training.run_folder import RunFolder

__all__ = ["write_report"]

_EXAMPLES, _THUMBNAIL_PX, _SHOWN_CLASSES = 18, 132, 3
_PACKAGES = ("torch", "dgl", "lightning", "open_clip_torch", "timm", "scikit-learn", "numpy")


@dataclass(frozen=True)
class _Guess:
    key: str
    probability: float


@dataclass(frozen=True)
class _Example:
    picture: str
    item: str
    truth: str
    guesses: tuple[_Guess, ...]
    right: bool
    unseen: bool


def write_report(folder: RunFolder, recipe: Any, metrics: Mapping[str, Any], *, store: Store, title: str) -> Path:
    """Write report.html and figures/*.png into the run's folder; returns the page's path.

    Raises: StoreError.
    """
    tested = next(iter(metrics["classes"]))
    figures = _figures(folder, recipe, metrics, tested)
    for name, picture in figures.items():
        with atomic_write(folder.path / "figures" / f"{name}.png") as file:
            file.write(picture)
    page = page_template("report.html", percent=_percent, shown=_shown).render(
        title=title,
        run=folder.name,
        recipe=folder.snapshot()["recipe"],
        task=recipe.tasks[0],
        made_at=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        metrics=metrics,
        tested=tested,
        report=metrics["classes"][tested],
        figures={name: inline_image(picture, "png") for name, picture in figures.items()},
        examples=_examples(recipe, tested, store),
        held_out=[recipe.examples.class_keys[row] for row in recipe.examples.held_out],
        splits={split: len(ids) for split, ids in folder.snapshot()["splits"].items() if ids},
        config=recipe.config.model_dump(mode="json"),
        snapshot=folder.snapshot(),
        versions=_versions(),
    )
    with atomic_write(folder.report_file) as file:
        file.write(page.encode())
    return folder.report_file


def _figures(folder: RunFolder, recipe: Any, metrics: Mapping[str, Any], tested: str) -> dict[str, bytes]:
    scores, targets = recipe.scores(tested)
    probabilities = (scores / recipe.temperature).softmax(1).numpy()
    keys = recipe.examples.class_keys
    return {
        "curves": curves(folder.history(), best_step=metrics["run"]["best_step"]),
        "confusion": confusion(np.array(metrics["classes"][tested]["confusion"]), keys),
        "class_map": class_map(
            recipe.masked_class_vectors().numpy(),
            keys,
            images=recipe.encode_images(_features_of(recipe, tested)).numpy(),
            targets=targets.numpy(),
            held_out=set(recipe.examples.held_out.tolist()),
        ),
        "reliability": reliability(probabilities, targets.numpy()),
    }


def _features_of(recipe: Any, split: str) -> Any:
    rows = recipe.examples.image_row[recipe.examples.of(split)]
    return recipe.features_of(rows) if hasattr(recipe, "features_of") else recipe.image_feat[rows]


def _examples(recipe: Any, tested: str, store: Store) -> list[_Example]:
    """Half right, half wrong where there are as many, spread over the classes; then some of the held-out classes."""
    chosen = _spread(recipe, tested, _EXAMPLES)
    if len(recipe.examples.held_out):
        chosen += _spread(recipe, "held_out", _EXAMPLES // 2)
    return [made for made in (_example(recipe, store, *row) for row in chosen) if made is not None]


def _spread(recipe: Any, split: str, count: int) -> list[tuple[int, np.ndarray, bool]]:
    scores, targets = recipe.scores(split)
    probabilities = (scores / recipe.temperature).softmax(1).numpy()
    right = probabilities.argmax(1) == targets.numpy()
    order = np.random.default_rng(0).permutation(len(right))
    wanted = [order[right[order]][: count // 2], order[~right[order]][: count - count // 2]]
    rows = recipe.examples.of(split)
    return [(int(rows[i]), probabilities[i], split == "held_out") for part in wanted for i in part]


def _example(recipe: Any, store: Store, row: int, probabilities: np.ndarray, unseen: bool) -> _Example | None:
    examples, snapshot = recipe.examples, recipe.snapshot
    picture = _thumbnail(store, snapshot.images.uri[examples.image_row[row]])
    if picture is None:
        return None
    best = np.argsort(-probabilities, kind="stable")[:_SHOWN_CLASSES]
    truth = int(examples.class_row[row])
    return _Example(
        picture=picture,
        item=str(snapshot.keys(examples.item_label)[examples.item_row[row]]),
        truth=examples.class_keys[truth],
        guesses=tuple(_Guess(examples.class_keys[i], float(probabilities[i])) for i in best),
        right=int(best[0]) == truth,
        unseen=unseen,
    )


def _thumbnail(store: Store, uri: str) -> str | None:
    """A small JPEG as a data address; None where the picture is gone meanwhile."""
    from kg.store import open_image

    try:
        image = open_image(store.path(uri)).convert("RGB")
    except UnreadableMedia:
        return None
    image.thumbnail((2 * _THUMBNAIL_PX, 2 * _THUMBNAIL_PX))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return inline_image(data.getvalue(), "jpeg")


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\u2009%"


def _shown(value: Any) -> str:
    """A configuration value in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {inner}" for key, inner in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
