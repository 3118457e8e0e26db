"""How well do Structure-CLIP and MosaiCLIP tell sentences of the same words apart, beside simpler ways to learn?

All arms start from the same checkpoint, whose text tower never read an attribute, and see the same drawn pictures with
the same captions for the same number of steps. The suite (training/rendered_suite.py) has exact truth; what an arm is
chosen by is its `valid` split, and `test` is asked once. A seed is one of training: pictures and questions stay.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from kg.encoders.image import ImageEncoder, load_image_encoder
from kg.progress import Reporter, SilentReporter
from kg.settings import Settings
from kg.store import Store
from training.arms import Arms, told_duration
from training.checkpoint import seed_all
from training.configuration import dump_config, merge_config, preset_path
from training.engine import fit
from training.registry import get_recipe
from training.rendered_facts import speaks_of_held_out
from training.rendered_suite import SUITE_VERSION, rendered_suite, rendered_training
from training.structure.captioned import CaptionedImages
from training.structure.measuring import LONG, UNSEEN, errors_removed, retrieval_top1, suite_figures
from training.structure.pictures import drawn_images, tokens_of
from training.structure.recipe import CaptionRecipe
from training.threads import torch_threads

__all__ = ["ARMS", "BASE", "HEADLINE", "CompositionTable", "evaluate_composition"]

BASE = "korvai-small-objects"
ZERO_SHOT, TUNED, NEGCLIP = "the base", "fine-tuned", "NegCLIP"
STRUCTURE, MOSAIC = "Structure-CLIP", "MosaiCLIP"
_COUNTED, _PLAIN_TEXTS = {"true_elsewhere": "counted"}, {"knowledge_weight": 0.0, "negatives_per_text": 0}
ARMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    ZERO_SHOT: ("structureclip", "best", _PLAIN_TEXTS),
    TUNED: ("structureclip", "paper", _PLAIN_TEXTS),
    f"{TUNED} ignoring what is true elsewhere": ("structureclip", "best", _PLAIN_TEXTS),
    NEGCLIP: ("structureclip", "paper", {"knowledge_weight": 0.0, "false_texts": "choices"}),
    STRUCTURE: ("structureclip", "best", {}),
    f"{STRUCTURE} as its paper": ("structureclip", "paper", {}),
    f"{STRUCTURE} as its code": ("structureclip", "code", {}),
    f"{STRUCTURE} without knowledge": ("structureclip", "best", {"knowledge_weight": 0.0}),
    f"{STRUCTURE} without facts of scenes": ("structureclip", "best", {"scene_facts": 0}),
    f"{STRUCTURE} without false texts": ("structureclip", "best", {"negatives_per_text": 0}),
    MOSAIC: ("mosaiclip", "best", {}),
    f"{MOSAIC} as its paper": ("mosaiclip", "paper", {}),
    f"{MOSAIC} without triples": ("mosaiclip", "best", {"knowledge_weight": 0.0}),
    f"{MOSAIC} without false texts": ("mosaiclip", "best", {"negatives_per_text": 0}),
    f"{MOSAIC} without sub-graphs": ("mosaiclip", "best", {"subgraphs": 0}),
    f"{MOSAIC} counting what is true elsewhere": ("mosaiclip", "best", _COUNTED),
}
"""Arm -> recipe, preset and what is changed."""
HEADLINE = (ZERO_SHOT, TUNED, STRUCTURE, MOSAIC)
"""Arms that get all seeds."""
_SHOWN = (
    "attribute_swap", "relation_swap", "count", "negation", "length", LONG, UNSEEN, "held_out_templates", "mean",
    "image_top1", "text_top1",
)  # fmt: skip
_VALID_IMAGES, _FRESH_IMAGES = 300, 500
_LEVEL = 0.95
_PLAIN, _CURVE, _SHARES = "plain/", "curve/", (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass
class CompositionTable:
    """Figures of every arm, one dict a seed, and the records that `make bench` keeps."""

    title: str
    figures: dict[str, list[dict[str, float]]]
    seconds: dict[str, float]
    records: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The table as Markdown: mean over seeds ± half of its 95 % interval; then the goals, seed by seed."""
        names = [name for name in _SHOWN if name in next(iter(self.figures.values()))[0]]
        head = ["arm", "seeds", *(name.replace("_", " ") for name in names), "s"]
        body = [
            [
                arm,
                str(len(found)),
                *(_told([part[name] for part in found]) for name in names),
                f"{self.seconds[arm]:.0f}",
            ]
            for arm, found in self.figures.items()
        ]
        rows = [head, ["---"] * len(head), *body]
        return [*(f"| {' | '.join(cells)} |" for cells in rows), "", *self.goals(), *self._beside()]

    def goals(self) -> list[str]:
        """What the issue asks for, with its interval over seeds; empty where an arm is missing."""
        return [f"- {words}: {_told(values)}" for _, words, values in self.comparisons()]

    def _beside(self) -> Iterator[str]:
        """What the triples of texts are worth, and the curve of mixed weights."""
        if found := self.figures.get(STRUCTURE):
            told = ", ".join(
                f"{name.replace('_', ' ')} {_told([f[_PLAIN + name] for f in found])}" for name in _SHOWN[:2]
            )
            yield f"- {STRUCTURE} asked without the triples of texts: {told}"
        if found := self.figures.get(MOSAIC):
            told = "; ".join(
                f"{share:g}: {_told([f[f'{_CURVE}{share}/preferred'] for f in found])} preferred, "
                f"{_told([f[f'{_CURVE}{share}/found_top1'] for f in found])} found"
                for share in _SHARES
            )
            yield f"- {MOSAIC} mixed with the start, share of the start: valid {told}"

    def comparisons(self) -> Iterator[tuple[str, str, list[float]]]:
        """Record, words, and one value a seed: shares of errors removed, then gains in points."""
        for ours, short in ((STRUCTURE, "structure"), (MOSAIC, "mosaic")):
            for part, name in (("attribute_swap", "attribution"), ("relation_swap", "relation")):
                if pairs := self._pairs(ours, TUNED):
                    words = f"share of {TUNED}'s {part} errors that {ours} removes"
                    removed = [errors_removed(a, b, part) for a, b in pairs]
                    yield f"eval.{short}.{name}_error_removed", words, removed
        for ours, other, part, name in (
            (MOSAIC, STRUCTURE, UNSEEN, "mosaic.systematicity_gain"),
            (MOSAIC, STRUCTURE, LONG, "mosaic.productivity_gain"),
            (STRUCTURE, TUNED, "image_top1", "structure.image_top1_gain"),
            (MOSAIC, TUNED, "image_top1", "mosaic.image_top1_gain"),
        ):
            if pairs := self._pairs(ours, other):
                yield f"eval.{name}", f"{part}, {ours} minus {other}", [a[part] - b[part] for a, b in pairs]

    def _pairs(self, ours: str, other: str) -> list[tuple[dict[str, float], dict[str, float]]]:
        return list(zip(self.figures.get(ours, []), self.figures.get(other, []), strict=False))


def evaluate_composition(
    settings: Settings,
    *,
    base: str = BASE,
    seeds: int = 5,
    arm_seeds: int = 3,
    arms: Sequence[str] = tuple(ARMS),
    images: int = 4000,
    items_per_part: int = 350,
    split: str = "test",
    overrides: Mapping[str, Any] | None = None,
    again: bool = False,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate composition",
) -> CompositionTable:
    """Train and measure every arm; finished ones are read off.

    Headline arms get `seeds` seeds, ablations at most `arm_seeds`. `overrides` are settings of all arms; `again`
    measures anew. Raises: what training and the suite raise.
    """
    bench = _Bench(
        settings, base, images=images, items=items_per_part, split=split, overrides=overrides, reporter=reporter
    )
    wanted = {arm: 1 if arm == ZERO_SHOT else seeds if arm in HEADLINE else min(seeds, arm_seeds) for arm in arms}
    plan = [(arm, seed) for seed in range(seeds) for arm in arms if seed < wanted[arm]]
    figures: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for (arm, _), found in zip(plan, bench.table(plan, again=again), strict=True):
        seconds[arm].append(found.pop("seconds"))
        figures[arm].append(found)
    title = f"Rendered suite {SUITE_VERSION}, {split}: {items_per_part} questions a part, {seeds} seeds, from {base}"
    table = CompositionTable(title, figures, {arm: float(np.mean(found)) for arm, found in seconds.items()})
    table.records += _records(table, command)
    return table


class _Bench:
    """Everything that arms share: the base, pictures, questions."""

    def __init__(
        self, settings: Settings, base: str, *, images: int, items: int, split: str,
        overrides: Mapping[str, Any] | None, reporter: Reporter | None,
    ) -> None:  # fmt: skip
        self.store, self.reporter = Store(settings.store_dir), reporter or SilentReporter()
        self.encoder: ImageEncoder = load_image_encoder(base)
        self._images, self._items, self._split = images, items, split
        self._overrides = dict(overrides or {})
        self.arms = Arms(self.store.runs / "evaluations", graph="rendered/structure")

    def table(self, plan: Sequence[tuple[str, int]], *, again: bool) -> Iterator[dict[str, float]]:
        """What each arm finds, in order; tells first how many are to be done and how long that will take."""
        places = [self._place(*arm) for arm in plan]
        for place in places if again else ():
            self.arms.forget(place)
        todo = [arm for (arm, _), place in zip(plan, places, strict=True) if self.arms.read(place) is None]
        seconds = self.arms.seconds(todo) if todo else 0.0
        span = "how long is not known yet" if seconds is None else f"about {told_duration(seconds)}"
        self.reporter.note(f"structure table: {len(plan)} arms, {len(plan) - len(todo)} finished, {span}")
        with self.reporter.stage("structure table", len(plan), "arms") as advance:
            for arm, place in zip(plan, places, strict=True):
                yield self._found(*arm, place)
                advance()

    def _found(self, arm: str, seed: int, place: Any) -> dict[str, float]:
        if (kept := self.arms.read(place)) is not None:
            return kept
        recipe = self._built(arm, seed)
        started_s = time.process_time()
        if arm != ZERO_SHOT:
            with torch_threads(recipe.config.threads):
                fit(recipe, run_dir=place)
        recipe.module().eval()
        seconds = time.process_time() - started_s
        found = {**self._measured(arm, recipe), "seconds": seconds}
        self.arms.write(place, arm, found, seconds=seconds)
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        self.reporter.note(f"{arm}, seed {seed}: mean {found['mean']:.3f}, {seconds:.0f} s of processor time")
        return found

    def _measured(self, arm: str, recipe: CaptionRecipe) -> dict[str, float]:
        suite, tokens, fresh, fresh_tokens = self._questions
        captions = [texts[0] for texts in fresh.captions]
        found = {**suite_figures(recipe, suite, tokens), **retrieval_top1(recipe, fresh_tokens, captions)}
        if arm == STRUCTURE:
            plain = suite_figures(recipe, suite, tokens, knowledge=False)
            found |= {_PLAIN + name: value for name, value in plain.items() if "/" not in name}
        if arm == MOSAIC:
            curve = recipe.interpolation(_SHARES)
            found |= {f"{_CURVE}{point['keep']}/{name}": v for point in curve for name, v in point.items()}
        return found

    @cached_property
    def _data(self) -> CaptionedImages:
        told = {
            split: rendered_training(self.store, images=count, split=split, reporter=self.reporter)
            for split, count in (("train", self._images), ("valid", _VALID_IMAGES))
        }
        return drawn_images(
            told, {split: self._tokens(part.pictures) for split, part in told.items()}, may_say=_may_say
        )

    @cached_property
    def _questions(self) -> tuple[Any, np.ndarray, Any, np.ndarray]:
        suite = rendered_suite(self.store, items_per_part=self._items, split=self._split, reporter=self.reporter)
        pictures = [suite.pictures[question.images[0]] for question in suite.questions]
        fresh = rendered_training(
            self.store, images=_FRESH_IMAGES, split=self._split, rng_seed=1, reporter=self.reporter
        )
        return suite, self._tokens(pictures), fresh, self._tokens(fresh.pictures)

    def _tokens(self, pictures: Any) -> np.ndarray:
        blocks = self._config(TUNED, 0).trained_blocks
        return tokens_of(pictures, self.encoder, self.store, blocks=blocks, reporter=self.reporter)

    def _built(self, arm: str, seed: int) -> CaptionRecipe:
        config = self._config(arm, seed)
        recipe = get_recipe(ARMS[arm][0]).cls(config)
        seed_all(config.rng_seed)
        recipe.build(self._data, self.encoder)
        return recipe

    def _config(self, arm: str, seed: int) -> Any:
        name, preset, changes = ARMS[arm]
        known = get_recipe(name).config_cls
        own = {key: value for key, value in self._overrides.items() if key in known.model_fields}
        layers = {**own, **changes, "rng_seed": seed}
        return merge_config(known, preset=preset_path(name, preset), overrides=layers)

    def _place(self, arm: str, seed: int) -> Any:
        said = [self._images, self._items, self._split, SUITE_VERSION, self.encoder.fingerprint]
        return self.arms.path(arm, dump_config(self._config(arm, seed)), said)


def _may_say(text: str) -> bool:
    return not speaks_of_held_out(text)


def _records(table: CompositionTable, command: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name, "value": float(np.mean(values)),
            "unit": "share", "baseline": None, "ratio": None, "spread": float(np.std(values)), "n": len(values),
            "command": command,
        }
        for name, _, values in table.comparisons()
    ]  # fmt: skip


def _told(values: Sequence[float]) -> str:
    """Mean and half of its interval by Student's t over seeds."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"
