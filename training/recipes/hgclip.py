"""HGCLIP: do classes that know their hierarchy, and patches that ask class prototypes, name pictures at every level?

    T = graph_t(words of the nodes),  P = graph_v(prototypes of the nodes)        nodes: all classes of all facets
    logits = scale * (v T^t + patch_weight * a T^t),   a = mean + max over patches of softmax(k p P^t) P
    loss = sum over levels of weight * cross-entropy among that level's classes

v is the picture, p its patches, of the frozen encoder, or read in the graph's words (`readings`). What differs from
the paper: prompts are not learned, since the encoder is frozen; words may come from the graph (`words: phrases`); a
residual graph encoder that starts at nothing. Presets `paper` and `code` switch our additions off.

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

from kg.encoders.readings import Readings
from kg.errors import RecipeConfigError
from kg.hierarchy import Tree, task_trees
from kg.publishing.publication import LevelVectors
from kg.schema import CONCEPT
from kg.splits import DEFAULT
from training.class_inputs import Gatherer, check_phrases
from training.hierarchy_inputs import PatchFeatures, class_means, name_vectors, phrase_vectors, prototypes
from training.labelled_images import LabelledImages, keep_shots, label_images, leaking_edges
from training.metrics.calibration import calibration_of, expected_calibration_error, fit_temperature
from training.metrics.classification import Report, classification_report
from training.metrics.hierarchy import hierarchy_figures
from training.models.class_encoder import ImageProjection
from training.models.hierarchy_graph import GraphEncoder, HierarchyNodes, attended_patches, edge_mask
from training.models.hierarchy_network import HierarchyInputs, HierarchyNetwork, spoken_words
from training.readings import ReadFeatures, with_words
from training.registry import Batch, RecipeConfig, recipe

__all__ = ["Config", "HgClip"]


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

    data_keys = ("image_feat", "targets")
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
        feat, readable = self.encoders.images(snapshot)
        self.image_feat = torch.as_tensor(np.array(feat, np.float32))
        self.examples = self._label(np.asarray(readable))
        rows = self.examples.of("train")
        self._trained = torch.as_tensor(np.unique(self.examples.class_row[rows]))
        whole, targets = self._whole(self.image_feat[self.examples.image_row[rows]]), self.examples.class_row[rows]
        self._network.images.standardise(whole)
        keys = self.examples.class_keys
        means = class_means(whole, torch.as_tensor(targets), n_classes=len(keys))
        self._network.means = {key: mean for key, mean in zip(keys, means, strict=True) if mean.any()}
        self.inputs = self._inputs(snapshot, self.nodes, keys, drop=leaking_edges(snapshot, self.examples))

    def create(self, snapshot: Any, encoders: Any) -> None:
        """Networks and hierarchy alone."""
        config, (task, _) = self.config, snapshot.domain.task(self.config.task)
        self.tasks, self.item_edge = (task,), tuple(snapshot.domain.task_edge_type(task))
        self.trees: list[Tree] = task_trees(snapshot, task)
        self.levels = tuple(tree.facet for tree in self.trees)
        self.nodes = HierarchyNodes(self.trees)
        check_phrases(config.phrases, snapshot.domain)
        words = config.readings if isinstance(config.readings, dict) else {}
        read = ReadFeatures(encoders, config.phrases, words, scale=config.reading_scale) if words else encoders
        self.encoders = PatchFeatures(read) if config.patch_weight else read
        self._network = self._create(read.image_width())

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
        for number, chosen in enumerate(order.split(self.config.batch_size)):
            if number >= start:
                targets = torch.as_tensor(self.examples.class_row[chosen.numpy()])
                yield {"image_feat": self.image_feat[self.examples.image_row[chosen.numpy()]], "targets": targets}

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Cross-entropy at every level of every facet, the classes' own once."""
        feat = F.dropout(batch["image_feat"], self.config.image_dropout, training=self._network.training)
        logits, losses = self._logits(feat), {}
        for tree, parts in zip(self.trees, self.nodes.slices, strict=True):
            for level in range(0 if tree is self.trees[0] else 1, tree.depth):
                name = f"{tree.facet}_{tree.levels[level]}" if level else "class"
                weight = self.config.level_weight if level else 1.0
                own = torch.as_tensor(tree.ancestors[level]).to(batch["targets"].device)
                competing = torch.zeros(tree.count(level), dtype=torch.bool).index_fill(0, own[self._trained], True)
                shown = logits[:, parts[level]].masked_fill(~competing, float("-inf"))
                losses[f"{name}_loss"] = weight * F.cross_entropy(shown, own[batch["targets"]])
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
        logits = self._split_logits(split)
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
        return self._doubled(self._network(self.inputs)[0])

    @torch.no_grad()
    def calibrate(self) -> dict[str, float]:
        """Fit the temperature on valid; tell it, and the calibration before and after."""
        found = calibration_of(*self.scores("valid"))
        self.temperature = found["temperature"]
        return found

    def scale(self) -> float:
        """The factor before the softmax of cosines of `encode_images` and class vectors."""
        return float(self._network.scale().detach()) * (1 + self.config.patch_weight)

    @torch.no_grad()
    def encode_images(self, images: Any) -> Tensor:
        """Unit vectors: the picture, and beside it what its patches attend to, each scaled by the root of its weight.

        Shapes: (n, 1 + tokens, width), or (n, width) without patches -> (n, 2 width or width).
        """
        self._network.eval()
        feat = torch.as_tensor(images, dtype=torch.float32)
        if feat.ndim == 2:
            return self._parts(feat, None)[0]
        whole, attended = self._parts(feat, self._network(self.inputs)[1])
        root = self.config.patch_weight**0.5
        return F.normalize(torch.cat([whole, root * attended], 1), dim=-1)

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
        inputs = self._inputs(snapshot, nodes, self.class_keys(snapshot), drop=None)
        return nodes, self._doubled(self._network(inputs)[0])

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

        Raises: RecipeConfigError with patches: a published tower pools a picture and knows no prototypes.
        """
        if self.config.patch_weight:
            raise RecipeConfigError("hgclip: with patches a run is evaluated and not published; set patch_weight=0")
        return self._network.images.matrix()

    def readings(self) -> Readings | None:
        """What reads the encoder's features; None where they are taken as they are."""
        return getattr(self.encoders, "readings", None)

    def frozen_splits(self) -> dict[str, list[str]]:
        """Split -> sorted image ids, as a run keeps them."""
        return self.examples.frozen(self.snapshot.images.sha256)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """HGCLIP has no text side of its own."""
        raise NotImplementedError("hgclip encodes classes from their hierarchy; it has no text tower of its own")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _create(self, width: int) -> HierarchyNetwork:
        config = self.config
        form = {"hidden": config.hidden, "layers": config.layers, "heads": config.heads, "kind": config.graph}
        form |= {"heads_used": config.heads_used, "residual": config.residual, "dropout": config.dropout}
        return HierarchyNetwork(
            GraphEncoder(width, **form),
            GraphEncoder(width, **form),
            ImageProjection(width, width, learned=config.image_projection == "learned"),
            relations=len(config.phrases) if config.words == "phrases" else 0,
            prototype_weight=config.prototype_weight,
            log_scale=float(np.log(config.scale)),
        )

    def _inputs(self, snapshot: Any, nodes: HierarchyNodes, keys: Sequence[str], *, drop: Any) -> HierarchyInputs:
        members, width = nodes.members().float(), self._network.images.mean.shape[0]
        means = torch.stack([self._network.means.get(key, torch.zeros(width)) for key in keys])
        if self.config.words == "prototypes":
            words = seen = prototypes(means, nodes, words=torch.zeros(nodes.count, width))
        else:
            words = self._words(snapshot, nodes, drop=drop)
            seen = prototypes(means, nodes, words=spoken_words(words, members))
        return HierarchyInputs(words, seen, edge_mask(nodes, direction=self.config.edges), members)

    def _words(self, snapshot: Any, nodes: HierarchyNodes, *, drop: Any) -> Tensor:
        config = self.config
        if config.words == "names":
            return name_vectors(self.encoders, nodes, prompt=config.prompt)
        form = {"item_edge": self.item_edge, "text_features": (), "phrases": config.phrases}
        gatherer = Gatherer(features=self.encoders, **form, share_power=1.0, n_layers=0)
        return phrase_vectors(snapshot, gatherer, drop=drop, reads=self.readings() is not None)

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

    def _parts(self, feat: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The picture's unit vector and what its patches attend to, None without patches."""
        whole = F.normalize(self._network.images(self._whole(feat)), dim=-1)
        if feat.ndim == 2 or seen is None:
            return whole, None
        patches = F.normalize(self._network.images(feat[:, 1:].flatten(0, 1)), dim=-1)
        patches = patches.view(len(feat), -1, patches.shape[-1])
        return whole, attended_patches(patches, seen, sharpness=self.config.sharpness)

    def _logits(self, feat: Tensor) -> Tensor:
        """Logits over all nodes. Shapes: (n, 1 + tokens, width) or (n, width) -> (n, nodes)."""
        classes, seen = self._network(self.inputs.to(feat.device))
        whole, attended = self._parts(feat, seen)
        total = whole if attended is None else whole + self.config.patch_weight * attended
        return self._network.scale() * total @ classes.T

    @torch.no_grad()
    def _split_logits(self, split: str) -> Tensor:
        self._network.eval()
        rows = self.examples.of(split)
        return self._logits(self.image_feat[self.examples.image_row[rows]])

    def _doubled(self, vectors: Tensor) -> Tensor:
        """Class vectors beside images that carry a second part."""
        if not self.config.patch_weight:
            return vectors
        root = self.config.patch_weight**0.5
        return F.normalize(torch.cat([vectors, root * vectors], 1), dim=-1)
