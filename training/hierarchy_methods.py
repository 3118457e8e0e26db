"""How does each method of the hierarchy table answer: HGCLIP and its forms, its rivals, what each costs?

All methods see the same training, valid and test rows of a seed and the same frozen encoder. A flat method is rolled
up: what it says of the class decides every level above.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from kg.hierarchy import Tree
from kg.snapshots.snapshot import Snapshot
from training.baselines import class_mean_scores, linear_probe_scores
from training.checkpoint import seed_all
from training.choosing import choose_config
from training.engine import fit
from training.labelled_images import HELD_OUT, LabelledImages, keep_shots
from training.metrics.classification import harmonic_mean
from training.metrics.hierarchy import hierarchy_figures
from training.recipes.graphclip import Config as GraphConfig
from training.recipes.graphclip import GraphClip
from training.recipes.hgclip import Config, HgClip
from training.shifted import ShiftedImages
from training.threads import torch_threads

__all__ = ["HGCLIP", "HIERARCHICAL", "METHODS", "WITHOUT_TEXTS", "Arm", "Measuring", "can_be_few", "can_be_new"]

HGCLIP, BOTH = "HGCLIP", "HGCLIP with GraphCLIP's context graph"
NO_GRAPH, PROMPTS = "HGCLIP without graph layers", "HGCLIP with learned prompts"
COSINE, PATCHES = "HGCLIP by cosines", "HGCLIP by cosines, with patches"
PAPER = "HGCLIP as in the paper"
GRAPHCLIP = "GraphCLIP, rolled up"
PROMPTS_ALONE, BOTH_TOWERS = "learned prompts without the graph", "learned prompts in both towers, without the graph"
PROBE, READ_PROBE = "linear probe, rolled up", "linear probe on readings, rolled up"
HEADS, READ_HEADS = "linear probe a level", "linear probe on readings a level"
MEANS = "class means on readings, rolled up"
ASKED, PHRASES, NAMES = "zero-shot, likelihoods", "zero-shot, cosines with phrases", "zero-shot, names in a prompt"
HIERARCHICAL = (HGCLIP, BOTH, NO_GRAPH, PROMPTS, COSINE, PATCHES, PAPER)
_LINEAR, _ZERO_SHOT = (READ_PROBE, PROBE, READ_HEADS, HEADS, MEANS), (ASKED, PHRASES, NAMES)
METHODS = (*HIERARCHICAL, GRAPHCLIP, PROMPTS_ALONE, BOTH_TOWERS, *_LINEAR, *_ZERO_SHOT)
_WITH_ALL_IMAGES = (PROMPTS, PATCHES, PAPER, BOTH_TOWERS, READ_HEADS, MEANS, *_ZERO_SHOT)
"""What does not learn, costs minutes, or is a variant of what stands beside it."""
WITHOUT_TEXTS = (HGCLIP, NO_GRAPH, GRAPHCLIP, PROBE, HEADS)
"""What an encoder without a text tower leaves: prototypes and a linear map."""
_BY_COSINES = {"match": "cosine", "path_weight": 0.3}
_PLAIN = {"match": "cosine", "patch_weight": 0.0, "layers": 0, "prototype_weight": 0.0, "image_projection": "none"}
_NAMES = {"words": "names", "readings": "none", "decode": "levels"}
_PROMPTS = {"text_prompts": 4}
_CHANGES: dict[str, dict[str, Any]] = {
    HGCLIP: {},
    BOTH: {"context": "graph"},
    NO_GRAPH: {"layers": 0},
    PROMPTS: _PROMPTS,
    COSINE: _BY_COSINES,
    PATCHES: _BY_COSINES | {"patch_weight": 0.2},
    PAPER: {"match": "cosine"} | _PROMPTS,
    PROMPTS_ALONE: _PLAIN | _NAMES | _PROMPTS,
    BOTH_TOWERS: _PLAIN | _NAMES | _PROMPTS | {"image_prompts": 2},
    READ_PROBE: _PLAIN,
    PROBE: _PLAIN | {"readings": "none"},
    READ_HEADS: _PLAIN,
    HEADS: _PLAIN | {"readings": "none"},
    MEANS: _PLAIN,
    ASKED: {"layers": 0},
    PHRASES: _PLAIN | _BY_COSINES,
    NAMES: _PLAIN | _NAMES,
}
_OWN_WORDS = ("phrases", "prompt")
"""What the paper's form takes from the domain's preset."""


class Arm(NamedTuple):
    """One thing to measure; `shots` 0: every training image."""

    method: str
    shots: int
    seed: int
    hold_out: tuple[str, ...] = ()


def can_be_few(method: str) -> bool:
    """Whether a method is measured with few images."""
    return method not in _WITH_ALL_IMAGES


def can_be_new(method: str) -> bool:
    """Whether a method knows classes of which it never saw an image."""
    return method not in (*_LINEAR, BOTH_TOWERS)


@dataclass(frozen=True)
class _Answering:
    """A method that is ready: how pictures become its input, what it says of them at every level."""

    recipe: Any
    take: Callable[[Any], Any]
    """Images of a snapshot, or shifted ones, to its input."""
    say: Callable[[Any], list[np.ndarray]]

    def of(self, split: str) -> tuple[list[np.ndarray], np.ndarray]:
        """What is said of a split, and what is true."""
        examples = self.recipe.examples
        rows = examples.of(split)
        return self.say(self.recipe.image_feat[examples.image_row[rows]]), examples.class_row[rows]


class Measuring:
    """Measures arms on one snapshot."""

    def __init__(self, snapshot: Snapshot, features: Any, config: Config, graph_config: GraphConfig) -> None:
        self.snapshot, self.features, self.config, self.graph_config = snapshot, features, config, graph_config
        paper = choose_config("hgclip", snapshot.domain, preset="paper")
        self._paper = {name: getattr(paper, name) for name in paper.model_fields_set - set(_OWN_WORDS)}
        self.shifted: Mapping[str, ShiftedImages] = {}
        self.trees: list[Tree] = self._built(HgClip(self.config_of(Arm(MEANS, 0, 0)))).trees

    def config_of(self, arm: Arm) -> Config | GraphConfig:
        """The configuration of an arm's recipe; for a simple method, of the one that brings its features."""
        changes: dict[str, Any] = {"rng_seed": arm.seed, "split_seed": arm.seed, "hold_out": arm.hold_out}
        if arm.method == GRAPHCLIP:
            return self.graph_config.model_copy(update=changes)
        paper = self._paper if arm.method == PAPER else {}
        texts = {} if self.config.words != "prototypes" else {"words": "prototypes"}
        return self.config.model_copy(
            update=changes | {"shots": arm.shots or None} | paper | _CHANGES[arm.method] | texts
        )

    def measure(self, arm: Arm, place: Path) -> dict[str, float]:
        """Figures of an arm: levels, severity, costs and shifts; with classes held out, seen and unseen ones."""
        recipe = self._recipe(arm)
        started_s = time.process_time()
        answering = self._answering(arm.method, recipe, place)
        train_s = time.process_time() - started_s
        started_s = time.process_time()
        said, targets = answering.of("test")
        infer_s = time.process_time() - started_s
        if arm.hold_out:
            (new, new_targets), seen = answering.of(HELD_OUT), float((said[0][0] == targets).mean())
            unseen = float((new[0][0] == new_targets).mean())
            return {"seen": seen, "unseen": unseen, "harmonic": harmonic_mean(seen, unseen)}
        figures = hierarchy_figures(self.trees, said, targets)
        if not arm.shots:
            for name, images in self.shifted.items():
                fine = answering.say(answering.take(images))[0][0]
                figures[name] = float((fine == images.targets).mean())
        return figures | {"train CPU s": train_s, "CPU ms for 1,000 images": 1e6 * infer_s / len(targets)}

    def _recipe(self, arm: Arm) -> Any:
        config = self.config_of(arm)
        return self._built(_FewShotGraphClip(config, arm.shots) if arm.method == GRAPHCLIP else HgClip(config))

    def _built(self, recipe: Any) -> Any:
        seed_all(recipe.config.rng_seed)
        recipe.build(self.snapshot, self.features)
        return recipe

    def _answering(self, method: str, recipe: Any, place: Path) -> _Answering:
        """Train what is to be trained."""
        if method not in (*_LINEAR, *_ZERO_SHOT):
            with torch_threads(recipe.config.threads):
                fit(recipe, run_dir=place)
        if method == GRAPHCLIP:
            vectors = recipe.masked_class_vectors()
            return _Answering(
                recipe,
                lambda images: torch.as_tensor(np.array(recipe.encoders.images(images)[0], np.float32)),
                lambda feat: self._rolled_up((recipe.encode_images(feat) @ vectors.T).numpy()),
            )
        say = self._simple(method, recipe) if method in _LINEAR else lambda feat: recipe.said(recipe.logits(feat))
        return _Answering(recipe, lambda images: recipe.take(images)[0], say)

    def _simple(self, method: str, recipe: HgClip) -> Callable[[Any], list[np.ndarray]]:
        train, valid = (_rows(recipe, split) for split in ("train", "valid"))
        count = self.trees[0].count(0)
        if method == MEANS:
            return lambda feat: self._rolled_up(class_mean_scores(*train, np.asarray(feat), n_classes=count))
        if method in (PROBE, READ_PROBE):
            probe = linear_probe_scores(train, valid, n_classes=count)
            return lambda feat: self._rolled_up(probe(np.asarray(feat)))
        heads = [[_head(tree, level, train, valid) for level in range(tree.depth)] for tree in self.trees]
        return lambda feat: [np.stack([head(np.asarray(feat)).argmax(1) for head in part]) for part in heads]

    def _rolled_up(self, scores: np.ndarray) -> list[np.ndarray]:
        return [tree.ancestors[:, scores.argmax(1)] for tree in self.trees]


class _FewShotGraphClip(GraphClip):
    """GraphCLIP that sees at most some training images of each class."""

    def __init__(self, config: GraphConfig, shots: int) -> None:
        super().__init__(config)
        self._shots = shots or None

    def _label(self, readable: np.ndarray, task: str | None) -> LabelledImages:
        return keep_shots(super()._label(readable, task), self._shots, rng_seed=self.config.rng_seed)


_Rows = tuple[np.ndarray, np.ndarray]


def _rows(recipe: HgClip, split: str) -> _Rows:
    rows = recipe.examples.of(split)
    return recipe.image_feat[recipe.examples.image_row[rows]].numpy(), recipe.examples.class_row[rows]


def _head(tree: Tree, level: int, train: _Rows, valid: _Rows) -> Callable[[np.ndarray], np.ndarray]:
    """A probe of one level."""
    own = [(part, tree.ancestors[level][targets]) for part, targets in (train, valid)]
    return linear_probe_scores(*own, n_classes=tree.count(level))
