"""How well are classes recognised that were never trained on, with none, one, five or all of their images linked?

    protocol A  an unseen class is its node, with metadata and relations, and nothing else
    protocol B  `k` of its training items are linked to it besides; the published code links all of them

Both are asked in two ways: the class may be announced (its node and relations are in the training graph, its items are
not), or arrive later (the training graph holds neither). Nothing is trained again after that. Seen classes are
asked by their test images, unseen ones by their images outside train, always among all classes. `k` items are drawn
several times. A bias against seen classes is chosen on pseudo-unseen classes, a quarter of the trained ones, by a model
that was not trained on those either.

Reference: Chao et al. 2016, An Empirical Study and Analysis of Generalized Zero-Shot Learning, equation 3 (the bias).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.baselines import class_mean_scores
from training.changed_graph import ChangedGraph, without, without_items
from training.checkpoint import seed_all
from training.comparison.measuring import Bench, Job, examples_of, trained
from training.configuration import dump_config
from training.labelled_images import HELD_OUT, LabelledImages, leaking_edges
from training.metrics.classification import harmonic_mean
from training.recipes.graphclip import GraphClip

__all__ = [
    "ALL",
    "ANNOUNCED",
    "ARRIVALS",
    "LATER",
    "LINKED",
    "METHODS",
    "Asked",
    "linked_items",
    "quarter",
    "unseen_job",
    "without_classes",
]

ALL = "all"
LINKED: tuple[int | str, ...] = (0, 1, 5, ALL)
"""Linked items of each unseen class."""
_DRAWS = 3
GRAPHCLIP, NO_LAYERS, ATTRIBUTES, MEANS = "GraphCLIP", "0 layers", "attribute matching", "class means"
ANNOUNCED, LATER = ARRIVALS = ("announced", "later")
METHODS = (GRAPHCLIP, NO_LAYERS, ATTRIBUTES, MEANS)
_NOT_SEEN = ("valid", "gate", "test")


@dataclass(frozen=True)
class Asked:
    """Who is asked about: example numbers, and which classes are held out."""

    whole: LabelledImages
    """Splits as if nothing were held out."""
    held_out: np.ndarray

    @property
    def of_held_out(self) -> np.ndarray:
        """Which examples are of held-out classes. Shapes: (examples,) bool."""
        return np.isin(self.whole.class_row, self.held_out)

    def seen(self, splits: Sequence[str] = ("test",)) -> np.ndarray:
        """Examples of trained classes in some splits."""
        return np.flatnonzero(np.isin(self.whole.split, splits) & ~self.of_held_out)

    def unseen(self) -> np.ndarray:
        """Examples of held-out classes outside train."""
        return np.flatnonzero(np.isin(self.whole.split, _NOT_SEEN) & self.of_held_out)


def quarter(count: int) -> int:
    """How many of `count` classes are held out: a quarter, one at least."""
    return max(1, round(count / 4))


def linked_items(asked: Asked, k: int | str, *, rng_seed: int) -> np.ndarray:
    """`k` items of each held-out class all of whose images are in train; fewer where there are fewer, all for `ALL`.

    Fewer are among more of the same seed. Shapes: -> (items,) rows.
    """
    whole, rng = asked.whole, np.random.default_rng(rng_seed)
    elsewhere = np.unique(whole.item_row[whole.split != "train"])
    found = [np.zeros(0, np.int64)]
    for row in sorted(asked.held_out.tolist()):
        mine = np.setdiff1d(whole.item_row[(whole.class_row == row) & (whole.split == "train")], elsewhere)
        order = rng.permutation(mine)
        found.append(order if k == ALL else order[: int(k)])
    return np.concatenate(found)


def without_classes(snapshot: Any, label: str, rows: np.ndarray) -> ChangedGraph:
    """The snapshot whose nodes of a label are related to nothing, as if they were not there yet."""
    gone = np.zeros(snapshot.count(label), bool)
    gone[rows] = True
    masks = {}
    for edge_type in snapshot.edge_types:
        ends = zip((edge_type[0], edge_type[2]), snapshot.edges(edge_type), strict=True)
        if touched := [gone[at] for side, at in ends if side == label]:
            masks[edge_type] = np.logical_or.reduce(touched)
    return without(snapshot, masks)


def unseen_job(bench: Bench, method: str, arrival: str, hold_out: Sequence[str], number: int) -> Job:
    """A method on one hold-out, all numbers of linked items."""
    config = bench.config.model_copy(update={"rng_seed": number, "split_seed": number})
    named = (method, arrival, dump_config(config), list(hold_out), list(map(str, LINKED)), _DRAWS)
    return Job("unseen", named, lambda place: _HoldOut(bench, config, arrival, hold_out).measure(method, place))


class _HoldOut:
    """One group of classes that nobody is trained on."""

    def __init__(self, bench: Bench, config: Any, arrival: str, hold_out: Sequence[str]) -> None:
        self.bench, self.arrival, self.hold_out = bench, arrival, tuple(hold_out)
        self.config, self.snapshot = config, bench.snapshot
        self.asked = Asked(whole := examples_of(self.snapshot, config, bench.features), _rows(whole, hold_out))

    def measure(self, method: str, place: Path) -> dict[str, Any]:
        """Linked items -> seen and unseen top-1 and their harmonic mean, plain and with the bias where there is one."""
        if method == MEANS:
            return self._found({"plain": self._of_means()})
        recipe = self._recipe(self.hold_out, layers=0 if method == NO_LAYERS else None)
        if method != ATTRIBUTES:
            trained(recipe, place)
        plain = self._by_links(self.asked, lambda links: self._scores(recipe, method, self.asked, links))
        if method != GRAPHCLIP:
            return self._found({"plain": plain})
        bias = self._biases(place)
        biased = {k: _biased(draws, bias[k], self.asked) for k, draws in plain.items()}
        return self._found({"plain": plain, "bias": biased}) | {"biases": {str(k): value for k, value in bias.items()}}

    def _found(self, ways: Mapping[str, Mapping[int | str, Any]]) -> dict[str, Any]:
        """Shares, and image by image how often the answer was right over the draws."""
        rows = {"seen": self.asked.seen(), "unseen": self.asked.unseen()}
        shares = {way: {str(k): _shares(draws) for k, draws in part.items()} for way, part in ways.items()}
        right = {way: {str(k): _right(draws) for k, draws in part.items()} for way, part in ways.items()}
        classes = {name: self.asked.whole.class_row[at].tolist() for name, at in rows.items()}
        return {"shares": shares, "right": right, "classes": classes}

    def _recipe(self, hold_out: Sequence[str], *, layers: int | None = None) -> GraphClip:
        config = self.config.model_copy(update={"hold_out": tuple(hold_out)})
        if layers is not None:
            config = config.model_copy(update={"layers": layers})
        snapshot = self.snapshot
        if self.arrival == LATER:
            snapshot = self._before(_rows(self.asked.whole, hold_out))
            config = config.model_copy(update={"hold_out": ()})
        recipe = GraphClip(config)
        seed_all(config.rng_seed)
        recipe.build(snapshot, self.bench.features)
        return recipe

    def _before(self, class_rows: np.ndarray) -> Any:
        """The graph before these classes and their items came; as it is where they were announced."""
        if self.arrival == ANNOUNCED:
            return self.snapshot
        whole = self.asked.whole
        items = without_items(self.snapshot, whole.item_row[np.isin(whole.class_row, class_rows)])
        return without_classes(items, whole.class_label, class_rows)

    def _by_links(
        self, asked: Asked, score: Callable[[np.ndarray], Any], *, linked: Sequence[int | str] = LINKED
    ) -> dict[int | str, list[Any]]:
        """Scores of every draw of `k` linked items."""
        found = {}
        for k in linked:
            draws = _DRAWS if k not in (0, ALL) else 1
            found[k] = [score(linked_items(asked, k, rng_seed=draw)) for draw in range(draws)]
        return found

    def _scores(self, recipe: GraphClip, method: str, asked: Asked, links: np.ndarray) -> dict[str, Any]:
        """Logits and targets of seen test images and unseen images, class vectors with these items linked."""
        graph = _with_links(self.snapshot, asked, links)
        vectors = recipe.encode_classes(graph)
        if method == ATTRIBUTES:
            inputs = recipe.gatherer.gather(graph)
            with torch.no_grad():
                vectors = recipe.module().classes.start.text_mean(inputs, recipe.module().images)
        return {
            name: _logits(recipe, asked.whole, rows, vectors)
            for name, rows in (("seen", asked.seen()), ("unseen", asked.unseen()))
        }

    def _biases(self, place: Path) -> dict[int | str, float]:
        """Linked items -> the bias that is best for pseudo-unseen classes; no test or held-out image is looked at."""
        whole, rng = self.asked.whole, np.random.default_rng(self.config.rng_seed)
        trained_rows = np.setdiff1d(np.unique(whole.class_row[whole.split == "train"]), self.asked.held_out)
        pseudo = np.sort(rng.choice(trained_rows, quarter(len(trained_rows)), replace=False))
        names = [whole.class_keys[row] for row in pseudo]
        recipe = trained(self._recipe((*self.hold_out, *names)), place / "pseudo")
        inner = _only(whole, ~self.asked.of_held_out)
        asked, chosen, graph = Asked(inner, pseudo), {}, self._before(self.asked.held_out)
        for k in LINKED:
            links = linked_items(asked, k, rng_seed=0)
            vectors = recipe.encode_classes(_with_links(graph, self.asked, links, also=pseudo))
            pair = {
                "seen": _logits(recipe, inner, asked.seen(("valid",)), vectors),
                "unseen": _logits(recipe, inner, _valid_of(asked), vectors),
            }
            for scores, _ in pair.values():
                scores[:, self.asked.held_out] = -np.inf
            chosen[k] = _best_bias(pair, pseudo)
        return chosen

    def _of_means(self) -> dict[int | str, list[Any]]:
        """Class means of plain features, of training images and the linked ones; no image, no answer."""
        whole = self.asked.whole
        feat = np.asarray(self.bench.features.images(self.snapshot)[0])[whole.image_row]
        train = np.flatnonzero((whole.split == "train") & ~self.asked.of_held_out)

        def scores(links: np.ndarray) -> dict[str, Any]:
            rows = np.concatenate([train, np.flatnonzero(np.isin(whole.item_row, links))])
            return {
                name: (
                    class_mean_scores(feat[rows], whole.class_row[rows], feat[asked], n_classes=len(whole.class_keys)),
                    whole.class_row[asked],
                )
                for name, asked in (("seen", self.asked.seen()), ("unseen", self.asked.unseen()))
            }

        return self._by_links(self.asked, scores, linked=LINKED[1:])


def _with_links(
    snapshot: Any, asked: Asked, links: np.ndarray, *, also: Sequence[int] | np.ndarray = ()
) -> ChangedGraph:
    """The graph after training: trained classes' items in train, linked ones of held-out classes and of `also`."""
    held_out = np.union1d(asked.held_out, np.asarray(also, np.int64))
    split = asked.whole.split.copy()
    split[np.isin(asked.whole.class_row, held_out)] = HELD_OUT
    examples = replace(asked.whole, split=split, held_out=held_out)
    return without(snapshot, leaking_edges(snapshot, examples, linked=links))


def _logits(recipe: GraphClip, whole: LabelledImages, rows: np.ndarray, vectors: Any) -> tuple[np.ndarray, np.ndarray]:
    images = recipe.encode_images(recipe.features_of(whole.image_row[rows]))
    return (recipe.scale() * images @ vectors.T).numpy(), whole.class_row[rows]


def _shares(draws: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seen and unseen top-1, mean over draws; the harmonic mean of each draw, averaged."""
    seen, unseen = ([_top1(*draw[name]) for draw in draws] for name in ("seen", "unseen"))
    harmonic = [harmonic_mean(one, two) for one, two in zip(seen, unseen, strict=True)]
    return {"seen": float(np.mean(seen)), "unseen": float(np.mean(unseen)), "harmonic": float(np.mean(harmonic))}


def _right(draws: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """How often each image was right, over the draws."""
    return {
        name: np.mean([draw[name][0].argmax(1) == draw[name][1] for draw in draws], axis=0).round(4).tolist()
        for name in ("seen", "unseen")
    }


def _top1(scores: np.ndarray, targets: np.ndarray) -> float:
    return float((scores.argmax(1) == targets).mean()) if len(targets) else float("nan")


def _biased(draws: Sequence[Mapping[str, Any]], bias: float, asked: Asked) -> list[dict[str, Any]]:
    return [{name: (_raised(scores, asked.held_out, bias), t) for name, (scores, t) in draw.items()} for draw in draws]


def _raised(scores: np.ndarray, unseen: np.ndarray, bias: float) -> np.ndarray:
    found = scores.copy()
    found[:, unseen] += bias
    return found


def _best_bias(pair: Mapping[str, tuple[np.ndarray, np.ndarray]], unseen: np.ndarray) -> float:
    """What to add to unseen classes' logits for the highest harmonic mean; the smallest of those that are equal."""
    gaps = np.concatenate([_gap(scores, unseen) for scores, _ in pair.values()])
    candidates = sorted({0.0, *np.quantile(gaps, np.linspace(0.02, 0.98, 49)).tolist()}, key=abs)
    found = [
        _shares([{n: (_raised(s, unseen, bias), t) for n, (s, t) in pair.items()}])["harmonic"] for bias in candidates
    ]
    return float(candidates[int(np.nanargmax(found))]) if np.isfinite(found).any() else 0.0


def _gap(scores: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """How far the best seen class is ahead of the best unseen one. Shapes: -> (images,)."""
    rest = np.delete(scores, unseen, axis=1)
    return rest.max(1) - scores[:, unseen].max(1)


def _valid_of(asked: Asked) -> np.ndarray:
    return np.flatnonzero(np.isin(asked.whole.split, ("valid", "gate")) & asked.of_held_out)


def _rows(whole: LabelledImages, keys: Sequence[str]) -> np.ndarray:
    return np.array([whole.class_keys.index(key) for key in keys], np.int64)


def _only(whole: LabelledImages, rows: np.ndarray) -> LabelledImages:
    columns = {name: getattr(whole, name)[rows] for name in ("image_row", "item_row", "class_row", "split")}
    return replace(whole, **columns)
