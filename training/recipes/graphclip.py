"""GraphCLIP: can a graph network name the classes that an image encoder then recognises?

logits = scale * E_I E_C^T with unit vectors, cross-entropy over all classes of one task. E_I is the (frozen) image
encoder with an optional linear projection, E_C comes from `training.models.class_encoder` over the snapshot without the
labels of valid, gate and test. A class that arrives later needs its node and relations only (`encode_classes`).

Reference: GraphCLIP (class embeddings from a heterogeneous GraphSAGE beside a CLIP image tower); what is copied from
the paper and its code, and what is not, stands in `training/presets/graphclip/paper.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.encoders.readings import Readings
from kg.errors import RecipeConfigError
from kg.schema import Domain, EdgeType
from training.class_inputs import Gatherer, check_phrases
from training.graphclip_config import Config
from training.labelled_images import HELD_OUT, LabelledImages, label_images, leaking_edges
from training.memory_plan import free_bytes, plan_memory
from training.message_passing import Block, reverse_of
from training.metrics.calibration import calibration_of, expected_calibration_error, fit_temperature
from training.metrics.classification import Report, classification_report, harmonic_mean
from training.models.class_encoder import ClassEncoder, ClassInputs, ImageProjection
from training.models.graphclip_network import GraphClipNetwork
from training.node_features import check_sources
from training.readings import ReadFeatures, with_words
from training.registry import Batch, recipe
from training.sampling import check_fan_outs, sampler_of
from training.side_tasks import check_side_tasks, merged_masks, prepare_side_task, with_side_tasks
from training.unlocking import Schedule, Seen, UnlockedTower

__all__ = ["Config", "GraphClip"]


@recipe("graphclip", Config)
class GraphClip:
    """The recipe; see `training.registry.Recipe` for what each member must do."""

    data_keys = ("image_feat", "targets", "keep_items", "image_row", "draw")
    primary_metric = "cross_entropy"  # at its best temperature; top-1 of a hundred images is too coarse to choose by
    greater_is_better = False
    images_depend_on_classes = False
    levels: tuple[str, ...] = ()

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tasks: tuple[str, ...] = ()
        self.temperature = 1.0
        self._entered: tuple[int, Any] | None = None

    def build(self, snapshot: Any, encoders: Any) -> None:
        """Split, mask, gather features, create the networks."""
        self.snapshot = snapshot
        self.config = with_words(self.config, snapshot)
        self.create(snapshot, encoders)
        image_feat, readable = self.encoders.images(snapshot)
        self.image_feat = torch.as_tensor(np.array(image_feat, np.float32))
        if self._network.tower is not None:
            self.encoders.check_room(snapshot, self._network.tower.schedule.blocks)
        self.examples = self._label(readable, self.config.task)
        beside = [self._label(readable, name) for name in self.config.side_tasks]
        drop = merged_masks([leaking_edges(snapshot, examples) for examples in (self.examples, *beside)])
        items, also = self.examples.items_of("train", snapshot), [examples.class_label for examples in beside]
        self._whole = partial(self.gatherer.gather, snapshot, drop=drop, also=also, items=items)
        self.sampler = None
        if self.config.fan_outs:
            form = {"fan_outs": self.config.fan_outs, "drop": drop, "also": also}
            self.sampler = sampler_of(self.gatherer, snapshot, **form)
            self._check_memory(self.sampler.blocks(0))
        self.inputs = self.sampler.exact if self.sampler else self._whole(approve=self._check_memory)
        self.sides = {e.task: prepare_side_task(snapshot, self.gatherer, e, drop=drop) for e in beside}
        train = self.examples.of("train")
        self._trained_classes = np.unique(self.examples.class_row[train])
        network = self._network
        network.images.standardise(self.image_feat[self.examples.image_row[train]])
        if network.classes.start is not None:
            network.classes.start.prepare(self.inputs, network.images, classes=torch.as_tensor(self._trained_classes))
            for name, side in self.sides.items():
                network.sides[name].start.prepare(side.inputs, network.images, classes=side.trained_classes())

    def create(self, snapshot: Any, encoders: Any) -> None:
        """Create the network alone, for weights that were trained before; then images and classes can be encoded."""
        self.config = config = with_side_tasks(self.config, snapshot.domain)
        task, _ = snapshot.domain.task(config.task)
        self.tasks, self.item_edge = (task,), tuple(snapshot.domain.task_edge_type(task))
        check_phrases(config.phrases, snapshot.domain)
        check_side_tasks(config.side_tasks, snapshot.domain, task=task, layers=config.layers)
        check_sources(config.node_features, snapshot.domain, layers=config.layers)
        check_fan_outs(config)
        words = config.readings if isinstance(config.readings, dict) else {}
        self.encoders = ReadFeatures(encoders, config.phrases, words, scale=config.reading_scale) if words else encoders
        self.gatherer = Gatherer(
            features=self.encoders,
            item_edge=self.item_edge,
            text_features=config.text_features,
            phrases=config.phrases,
            share_power=config.share_power,
            n_layers=config.layers,
            library=config.message_passing,
            sources=config.node_features,
        )
        self._network = network = self._create(snapshot.domain)
        if config.unlock_blocks:
            tail = self.encoders.tail(config.unlock_blocks)
            schedule = Schedule(tail.blocks, config.unlock_from_epoch, config.unlock_every)
            network.tower = UnlockedTower(tail, schedule, rate_share=config.unlock_rate)
            self.seen = Seen(self.encoders, network.tower)
        else:
            self.seen = self.encoders

    def module(self) -> nn.Module:
        """Class encoder, image projection, scale."""
        return self._network

    def network(self) -> nn.Module:
        """What is published: the same."""
        return self._network

    def batches_per_epoch(self) -> int:
        """Whole and partial steps over the training images."""
        return -(-len(self.examples.of("train")) // self._images_per_step)

    def start_epoch(self, epoch: int) -> None:
        """Unlock the tower's blocks whose turn it is."""
        if self._network.tower is not None:
            self._network.tower.start_epoch(epoch)

    def train_batches(self, epoch: int, generator: torch.Generator, start: int) -> Iterator[Batch]:  # noqa: ARG002
        """Shuffled training images; each step draws the classes that lose their linked images.

        Images are cached features, so the batches of one graph step lie in one tensor: their losses' gradients meet in
        the class vectors, and the graph network is paid for once.
        """
        rows = torch.as_tensor(self.examples.of("train"))
        order = rows[torch.randperm(len(rows), generator=generator)]
        n_classes = len(self.examples.class_keys)
        hidden = torch.rand(self.batches_per_epoch(), n_classes, 1, generator=generator) < self.config.hide_items
        draws = torch.randint(2**31, (self.batches_per_epoch(),), generator=generator)
        for number, chosen in enumerate(order.split(self._images_per_step)):
            if number >= start:
                targets = torch.as_tensor(self.examples.class_row[chosen.numpy()])
                yield {
                    "image_feat": self._entering(self.examples.image_row[chosen.numpy()]),
                    "targets": targets,
                    "keep_items": (~hidden[number]).float(),
                    "image_row": torch.as_tensor(self.examples.image_row[chosen.numpy()]),
                    "draw": draws[number],
                }

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Cross-entropy over all classes that are trained on."""
        feat, asked = batch["image_feat"], batch.get("image_row")
        feat = self.seen.read(self._network.tower(feat)) if self._unlocked else feat
        feat = F.dropout(feat, self.config.image_dropout, training=self._network.training)
        inputs = self.sampler.draw(int(batch["draw"])) if self.sampler else self.inputs
        states = self._network.classes.states(inputs, keep_items=batch["keep_items"], without=asked)
        logits = self._training_logits(states, feat, batch["keep_items"], batch["targets"])
        hit = (logits.argmax(1) == batch["targets"]).float().mean()
        report = {"batch_top1": float(hit), "scale": float(self._network.scale().detach())}
        losses = {"class_loss": self._loss(logits, batch["targets"])}
        for name, side in self.sides.items():
            part = self._side_logits(name, states, self._network.images(feat))
            losses[f"{name}_loss"] = self.config.side_tasks[name] * side.loss(part, batch["image_row"])
        return losses, report

    def evaluate(self, split: str) -> dict[str, float]:
        """Top-k, macro figures, cross-entropy (at the split's best temperature) and calibration on the masked graph.

        With held-out classes, `test` also tells seen, unseen and harmonic top-1, all among all classes.
        """
        scores, targets = self.scores(split)
        report = classification_report(scores.numpy(), targets.numpy(), class_keys=self.examples.class_keys)
        loss = float(F.cross_entropy(scores / fit_temperature(scores, targets), targets))
        ece = expected_calibration_error((scores / self.temperature).softmax(1), targets)
        figures = {**report.figures(), "cross_entropy": loss, "ece": ece, **self._side_figures(split)}
        return figures | (self._unseen(report.top1) if split == "test" and len(self.examples.held_out) else {})

    def report(self, split: str) -> Report:
        """Everything measured on a split, class by class."""
        scores, targets = self.scores(split)
        return classification_report(scores.numpy(), targets.numpy(), class_keys=self.examples.class_keys)

    def scores(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits before temperature over all classes, and targets. Shapes: (examples, classes), (examples,)."""
        rows = self.examples.of(split)
        images = self.encode_images(self.features_of(self.examples.image_row[rows]))
        return self.scale() * images @ self.masked_class_vectors().T, torch.as_tensor(self.examples.class_row[rows])

    @torch.no_grad()
    def masked_class_vectors(self) -> Tensor:
        """Class vectors on the graph that metrics are measured on. Shapes: (classes, width)."""
        self._network.eval()
        return self._network.classes(self._exact_inputs(), self._network.images)

    @torch.no_grad()
    def calibrate(self) -> dict[str, float]:
        """Fit the temperature on valid; tell it, and the calibration before and after."""
        found = calibration_of(*self.scores("valid"))
        self.temperature = found["temperature"]
        return found

    def scale(self) -> float:
        """The factor before the softmax; unnormalised training is published with the scale that fits cosines."""
        return float(self._network.scale().detach()) if self.config.normalise else self.config.scale

    @torch.no_grad()
    def encode_images(self, images: Any) -> Tensor:
        """Unit-length vectors of encoder features. Shapes: (images, image width) -> (images, width)."""
        self._network.eval()
        return F.normalize(self._network.images(torch.as_tensor(images, dtype=torch.float32)), dim=-1)

    @torch.no_grad()
    def encode_classes(self, snapshot: Any, classes: Sequence[str] | None = None) -> Tensor:
        """Unit-length class vectors on any snapshot of the domain with all its edges; a new class needs no training."""
        label = self.item_edge[2]
        keys = [str(key) for key in snapshot.keys(label)]
        if missing := sorted(set(classes or ()) - set(keys)):
            raise RecipeConfigError(f"encode_classes: no {label} {missing[0]!r} in the snapshot; pull it again")
        rows = None if classes is None else np.array([keys.index(key) for key in classes], dtype=np.int64)
        self._network.eval()
        return self._network.classes(self.gatherer.gather(snapshot, class_rows=rows), self._network.images)

    @torch.no_grad()
    def attribute_vectors(self) -> Tensor:
        """Attribute matching, the baseline: unit means of the classes' phrases. Shapes: (classes, width)."""
        if self._network.classes.start is None:
            raise RecipeConfigError(
                "attribute_vectors: this run has no phrases; set start: attributes and layers above 0"
            )
        return self._network.classes.start.text_mean(self.inputs, self._network.images)

    def class_keys(self, snapshot: Any) -> list[str]:
        """Keys of the classes that `encode_classes` returns, in its order."""
        return [str(key) for key in snapshot.keys(self.item_edge[2])]

    def image_matrix(self) -> Tensor | None:
        """The map from encoder features to the joint space, None for the identity. Shapes: (width, image width)."""
        return self._network.images.matrix()

    def readings(self) -> Readings | None:
        """What reads the encoder's features before `image_matrix`; None where they are taken as they are."""
        return getattr(self.encoders, "readings", None)

    def frozen_splits(self) -> dict[str, list[str]]:
        """Split -> sorted image ids, as a run keeps them."""
        return self.examples.frozen(self.snapshot.images.sha256)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """GraphCLIP has no text side of its own."""
        raise NotImplementedError("graphclip encodes classes from their graph; it has no text tower")

    def features_of(self, image_rows: np.ndarray) -> Tensor:
        """Features of images as `encode_images` takes them, by the tower as it is now. Shapes: (n,) -> (n, width)."""
        if not self._unlocked or not len(image_rows):
            return self.image_feat[image_rows]
        return self.seen.read(self._network.tower.features(self._tokens(), np.asarray(image_rows)))

    def _exact_inputs(self) -> ClassInputs:
        """Whole neighbourhoods; where training samples them they are gathered for the moment and not kept."""
        return self._whole() if self.sampler else self.inputs

    def _check_memory(self, blocks: Sequence[Block]) -> None:
        """Raises: RecipeConfigError where a step does not fit into memory."""
        config, width = self.config, self.encoders.image_width()
        plan = plan_memory(
            blocks if config.layers else [],
            feature_widths=self.gatherer.feature_widths(self.snapshot),
            hidden=config.hidden,
            width=config.width or width,
            form=config.network,
            images=self._images_per_step,
            classes=len(self.examples.class_keys),
            parameters=sum(p.numel() for p in self._network.parameters()),
        )
        plan.check(free_bytes() if config.memory_gib is None else int(config.memory_gib * 2**30))

    @property
    def _unlocked(self) -> int:
        return 0 if self._network.tower is None else self._network.tower.stage

    def _entering(self, image_rows: np.ndarray) -> Tensor:
        """What a training step begins with: features, or what enters the blocks that learn."""
        return self._tokens().rows(image_rows) if self._unlocked else self.image_feat[image_rows]

    def _tokens(self) -> Any:
        if self._entered is None or self._entered[0] != self._unlocked:
            self._entered = self._unlocked, self.encoders.entering(self.snapshot, self._unlocked)
        return self._entered[1]

    def _side_logits(self, name: str, states: dict[str, Tensor], images: Tensor) -> Tensor:
        vectors = self.sides[name].vectors(self._network.sides[name], states, self._network.images)
        return self._network.scale() * F.normalize(images, dim=-1) @ vectors.T

    @torch.no_grad()
    def _side_figures(self, split: str) -> dict[str, float]:
        """Top-1 of the side tasks on their own images of a split."""
        figures, states = {}, self._network.classes.states(self._exact_inputs()) if self.sides else {}
        for name, side in self.sides.items():
            rows = side.examples.of(split)
            images = self.encode_images(self.features_of(side.examples.image_row[rows]))
            logits = self._side_logits(name, states, images)
            hit = logits.argmax(1) == torch.as_tensor(side.examples.class_row[rows])
            figures[f"{name}_top1"] = float(hit.float().mean()) if len(rows) else float("nan")
        return figures

    def _label(self, readable: np.ndarray, task: str | None) -> LabelledImages:
        config = self.config
        return label_images(
            self.snapshot,
            task,
            readable=np.asarray(readable),
            hold_out=config.hold_out if task == config.task else (),
            split_name=config.split_name,
            rng_seed=config.split_seed,
            fractions=config.fractions,
        )

    def _create(self, domain: Domain) -> GraphClipNetwork:
        """A network; it follows from configuration, domain and widths alone, so that it fits any snapshot."""
        config, image_width = self.config, self.encoders.image_width()
        width = config.width or image_width
        types = [tuple(edge_type) for edge_type in domain.edge_types]
        both_ways = list(dict.fromkeys(types + [reverse_of(edge_type) for edge_type in types]))
        sides = {name: tuple(domain.task_edge_type(name)) for name in config.side_tasks}
        form = {
            "width": width,
            "text_width": sum(self.encoders.text_width(name) for name in config.text_features),
            "image_width": image_width,
            "hidden": config.hidden,
            "n_layers": config.layers,
            "form": config.network,
            "heads": config.heads,
            "dropout": config.dropout,
            "start": config.start == "attributes",
            "image_weight": config.image_weight,
            "reads": self.readings() is not None,
            "sources": config.node_features,
            "source_widths": self.gatherer.widths(),
        }

        def encoder(item_edge: EdgeType, **shared: Any) -> ClassEncoder:
            gatherer = replace(self.gatherer, item_edge=item_edge)
            described_by = [t for t in both_ways if gatherer.phrase(t)]
            return ClassEncoder(both_ways, item_edge, described_by=described_by, **form, **shared)

        classes = encoder(self.item_edge, beside=[edge[2] for edge in sides.values()])
        images = ImageProjection(image_width, width, learned=config.image_projection == "learned")
        network = GraphClipNetwork(classes, images, scale=config.scale, normalise=config.normalise)
        network.sides.update({name: encoder(edge, trunk=classes) for name, edge in sides.items()})
        return network

    def _training_logits(self, states: dict[str, Tensor], feat: Tensor, keep_items: Tensor, targets: Tensor) -> Tensor:
        """Logits over all classes, minus infinity for those that do not compete. Shapes: (examples, classes)."""
        network = self._network
        images, total = network.images(feat), states[self.item_edge[2]]
        classes = network.classes.combined(total, self.inputs, network.images, keep_items=keep_items)
        if self.config.normalise:
            images, classes = F.normalize(images, dim=-1), F.normalize(classes, dim=-1)
        logits = network.scale() * images @ classes.T
        batches = targets.split(self.config.batch_size)
        competing = torch.cat([self._competing(batch).expand(len(batch), -1) for batch in batches])
        return logits.masked_fill(~competing, float("-inf"))

    @property
    def _images_per_step(self) -> int:
        return self.config.batch_size * self.config.batches_per_graph_step

    def _competing(self, targets: Tensor) -> Tensor:
        """Classes in a batch's cross-entropy: never held-out ones, which would only be pushed away.

        Shapes: (classes,).
        """
        competing = torch.zeros(len(self.examples.class_keys), dtype=torch.bool, device=targets.device)
        competing[targets if self.config.classes == "batch" else torch.as_tensor(self._trained_classes)] = True
        return competing

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with label smoothing over the classes that compete. Shapes: (examples, classes) -> ()."""
        if not self.config.label_smoothing:
            return F.cross_entropy(logits, targets)
        log_p = logits.log_softmax(1)
        own = log_p.gather(1, targets[:, None]).squeeze(1)
        competing = torch.isfinite(logits)
        spread = log_p.masked_fill(~competing, 0.0).sum(1) / competing.sum(1)
        return -((1 - self.config.label_smoothing) * own + self.config.label_smoothing * spread).mean()

    def _unseen(self, seen_top1: float) -> dict[str, float]:
        scores, targets = self.scores(HELD_OUT)
        unseen = float((scores.argmax(1) == targets).float().mean()) if len(targets) else float("nan")
        return {"seen_top1": seen_top1, "unseen_top1": unseen, "harmonic_top1": harmonic_mean(seen_top1, unseen)}
