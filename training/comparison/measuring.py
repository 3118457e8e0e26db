"""What does one arm answer on one division of the images, and which arms are finished?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from kg.errors import EncoderError
from kg.progress import Reporter, SilentReporter
from kg.settings import Settings
from kg.splits import SPLITS, assign
from kg.store import Store
from training.arms import Arms, told_duration
from training.baselines import class_mean_scores, linear_probe_scores
from training.changed_graph import with_splits, without
from training.checkpoint import seed_all
from training.choosing import fit_to_encoders
from training.comparison.answers import Answers, judge
from training.comparison.fine_tuned import fine_tuned_scores
from training.comparison.rivals import head_scores, look_up_scores, node2vec_scores
from training.comparison.variants import Variant
from training.comparison.varied import KeptFeatures, Varied
from training.configuration import dump_config
from training.engine import fit
from training.features import CLIP, Features, StoredFeatures
from training.fusion.kinship import only_neighbour
from training.labelled_images import LabelledImages, label_images, leaking_edges
from training.recipes.graphclip import Config, GraphClip
from training.threads import torch_threads

__all__ = ["FOLDS", "Bench", "Job", "examples_of", "trained"]

FOLDS = 5
"""Of the division by artists: every image is tested once."""
_REST_OF_FOLD = (0.85, 0.10, 0.05, 0.0)
_LOWEST = -1e4
"""A class without a finite score gets the lowest one that still has a softmax."""
_GUESS_S = {
    "graphclip": 6.0, "own edges": 30.0, "probe": 3.0, "head": 20.0, "fine-tuned": 40.0, "node2vec": 25.0,
    "unseen": 25.0,
}  # fmt: skip
"""An arm for a thousand images on one core, said before any arm of its kind is finished."""

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Job:
    """One arm to be measured: its kind (for the estimate), what names it, and how it is done."""

    kind: str
    named: tuple[Any, ...]
    measure: Callable[[Path], dict[str, Any]]


class Bench:
    """All arms on one snapshot, with the same examples for the same seed."""

    def __init__(
        self,
        snapshot: Any,
        settings: Settings,
        config: Config,
        *,
        features: Features | None = None,
        apart_by: str | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        """`apart_by`: the relation of items whose other ends no two splits may share, in the second division."""
        self.snapshot, self.reporter, self.apart_by = snapshot, reporter or SilentReporter(), apart_by
        store = Store(settings.store_dir)
        stored = features or StoredFeatures(store, image_spec=settings.vision_encoder, reporter=self.reporter)
        self.config = fit_to_encoders(config, stored, self.reporter) if isinstance(stored, StoredFeatures) else config
        self.features = KeptFeatures(stored)
        self._stored = stored
        self.arms = Arms(store.runs / "evaluations", graph=f"{snapshot.domain.domain}/graphclip")
        self._encoders = self._fingerprints()
        self.images = len(snapshot.images.sha256)

    def run(self, name: str, jobs: Sequence[Job], *, again: bool = False) -> Iterator[dict[str, Any]]:
        """What each job finds, in order; tells first how many are to be done and how long that will take."""
        places = [self.arms.path(job.kind, *job.named, self.snapshot.content_hash, self._encoders) for job in jobs]
        for place in set(places) if again else ():
            self.arms.forget(place)
        self._tell(name, jobs, places)
        with self.reporter.stage(name, len(jobs), "arms") as advance:
            for job, place in zip(jobs, places, strict=True):
                yield self._found(job, place)
                advance()

    def can_be_done(self, variant: Variant) -> bool:
        """Whether there is what the variant needs: to fine-tune, an image tower whose last block can be trained."""
        if not variant.cuts_tower:
            return True
        if not isinstance(self._stored, StoredFeatures):
            return False
        try:
            self._stored.tail(1)
        except EncoderError as error:
            self.reporter.note(f"no {variant.name}: {error}")
            return False
        return True

    def job(self, variant: Variant, seed: int, *, apart: bool) -> Job:
        """A variant on the division of one seed, or of one fold of artists."""
        config = self.config_of(variant, seed)
        kind = "own edges" if variant.drop_own_edges else variant.method
        named = (dump_config(config), variant.label, self.apart_by if apart else "")
        return Job(kind, named, lambda place: self._answers(variant, seed, apart, place).as_dict())

    def config_of(self, variant: Variant, seed: int) -> Config:
        """The preset with what the variant changes."""
        return self.config.model_copy(update={"rng_seed": seed, "split_seed": seed, **variant.config})

    def _found(self, job: Job, place: Path) -> dict[str, Any]:
        if (kept := self.arms.read(place)) is not None:
            return kept
        started_s = time.monotonic()
        found = job.measure(place)
        self.arms.write(place, job.kind, found, seconds=time.monotonic() - started_s)
        for folder in list(place.rglob("checkpoints")):  # a table has hundreds of arms, and nobody asks again
            shutil.rmtree(folder, ignore_errors=True)
        return found

    def _tell(self, name: str, jobs: Sequence[Job], places: Sequence[Path]) -> None:
        todo = {place: job.kind for job, place in zip(jobs, places, strict=True) if self.arms.read(place) is None}
        done = len(set(places)) - len(todo)
        known = {kind: self.arms.seconds([kind]) for kind in set(todo.values())}
        guess = {kind: _GUESS_S.get(kind, 1.0) * self.images / 1000 for kind in known}
        seconds = sum(guess[kind] if known[kind] is None else known[kind] for kind in todo.values())
        span = f"{'very roughly' if None in known.values() else 'about'} {told_duration(seconds)}"
        self.reporter.note(
            f"{name}: {len(set(places))} arms, {done} finished, "
            + (f"{len(todo)} to do, {span}" if todo else "nothing to do")
        )

    def _fingerprints(self) -> dict[str, str]:
        self.features.image_width()
        for name in {*self.config.text_features, *([CLIP] if self.config.phrases else [])}:
            self.features.text_width(name)
        return {name: entry["fingerprint"] for name, entry in sorted(self.features.record().items())}

    def _answers(self, variant: Variant, seed: int, apart: bool, place: Path) -> Answers:
        snapshot = self._apart(seed) if apart else self.snapshot
        config = self.config_of(variant, seed)
        recipe = Varied(config, change=variant.change, drop_own_edges=variant.drop_own_edges)
        seed_all(config.rng_seed)
        recipe.build(snapshot, self.features)
        scores = self._scores(variant, recipe, snapshot, place)
        examples, tested = recipe.examples, recipe.examples.of("test")
        groups = self._groups(examples.item_row[tested]) if apart else examples.image_row[tested]
        return judge(
            scores("valid"),
            scores("test"),
            images=examples.image_row[tested],
            groups=groups,
            train=len(examples.of("train")),
        )

    def _scores(self, variant: Variant, recipe: Varied, snapshot: Any, place: Path) -> Callable[[str], Pair]:
        """Scores and targets of a split, by the variant's method."""
        if variant.method == "graphclip":
            return trained(recipe, place).scores
        examples, feat = recipe.examples, recipe.image_feat[recipe.examples.image_row].numpy()
        score = self._rival(variant, recipe, snapshot, feat)
        asked = {"look-up": examples.item_row, "fine-tuned": examples.image_row}.get(variant.method, feat)

        def scores(split: str) -> Pair:
            rows = examples.of(split)
            found = score(asked[rows])
            finite = np.maximum(np.nan_to_num(found, neginf=_LOWEST), _LOWEST)
            return torch.as_tensor(finite, dtype=torch.float64), torch.as_tensor(examples.class_row[rows])

        return scores

    def _rival(
        self, variant: Variant, recipe: Varied, snapshot: Any, feat: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        examples, config = recipe.examples, recipe.config
        count = len(examples.class_keys)
        train, valid = ((feat[rows], examples.class_row[rows]) for rows in map(examples.of, ("train", "valid")))
        if variant.method == "look-up":
            return look_up_scores(snapshot, examples)
        if variant.method == "probe":
            return linear_probe_scores(train, valid, n_classes=count)
        if variant.method == "head":
            return head_scores(train, valid, n_classes=count, rng_seed=config.rng_seed)
        if variant.method == "fine-tuned":
            with torch_threads(config.threads):
                return fine_tuned_scores(self.features, snapshot, examples, rng_seed=config.rng_seed)
        if variant.method == "means":
            return lambda asked: config.scale * class_mean_scores(*train, asked, n_classes=count)
        if variant.method == "attributes":
            vectors = recipe.attribute_vectors().numpy()
            return lambda asked: config.scale * asked @ vectors.T
        graph = without(snapshot, leaking_edges(snapshot, examples))
        return node2vec_scores(graph, examples, feat, rng_seed=config.rng_seed)

    def _apart(self, fold: int) -> Any:
        """The snapshot divided so that no artist is in two splits; the fold's artists are test."""
        examples = label_images(self.snapshot, self.config.task)
        groups = self._groups(examples.item_row)
        folds = list(GroupKFold(FOLDS, shuffle=True, random_state=0).split(groups, groups=groups))
        known, tested = folds[fold % FOLDS]
        splits = np.full(self.images, "train", dtype=object)
        codes = assign([str(group) for group in groups[known]], name="apart", seed=fold, fractions=_REST_OF_FOLD)
        splits[examples.image_row[known]] = np.asarray(SPLITS, object)[codes]
        splits[examples.image_row[tested]] = "test"
        return with_splits(self.snapshot, splits.tolist())

    def _groups(self, item_row: np.ndarray) -> np.ndarray:
        return only_neighbour(self.snapshot, self.snapshot.domain.item, str(self.apart_by), item_row)


def trained(recipe: GraphClip, place: Path) -> GraphClip:
    """A built recipe with its best weights."""
    with torch_threads(recipe.config.threads):
        fit(recipe, run_dir=place)
    return recipe


def examples_of(snapshot: Any, config: Config, features: Features) -> LabelledImages:
    """The examples of a configuration as if no class were held out."""
    _, readable = features.images(snapshot)
    return label_images(
        snapshot,
        config.task,
        readable=np.asarray(readable),
        split_name=config.split_name,
        rng_seed=config.split_seed,
        fractions=config.fractions,
    )
