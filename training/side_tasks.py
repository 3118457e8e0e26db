"""How do further tasks of a domain train the same trunk, each with class label, start and loss of its own?

The graph network runs once for all tasks: its hidden layers are shared, its last one has maps for each class label. A
side task shapes the trunk; what is published is the main task's, and another run makes it a side task of this one.

Reference: GraphCLIP's multi-task loss, a weighted sum over style and genre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kg.errors import RecipeConfigError
from kg.schema import Domain, EdgeType
from training.class_inputs import Gatherer
from training.labelled_images import LabelledImages
from training.models.class_encoder import ClassEncoder, ClassInputs, ImageProjection

__all__ = ["SideTask", "check_side_tasks", "merged_masks", "prepare_side_task", "with_side_tasks"]


@dataclass(frozen=True)
class SideTask:
    """One task beside the main one, ready for training."""

    examples: LabelledImages
    inputs: ClassInputs
    class_of_image: Tensor
    """Class row of each training image, -1 for all others. Shapes: (images,)."""

    def trained_classes(self) -> Tensor:
        """Rows of the classes that have training images."""
        return torch.as_tensor(np.unique(self.examples.class_row[self.examples.of("train")]))

    def vectors(self, encoder: ClassEncoder, states: Mapping[str, Tensor], projection: ImageProjection) -> Tensor:
        """Unit class vectors from what the shared network says. Shapes: (classes, width)."""
        total = states[self.examples.class_label]
        return F.normalize(encoder.combined(total, self.inputs, projection), dim=-1)

    def loss(self, logits: Tensor, image_row: Tensor) -> Tensor:
        """Cross-entropy over the images that have a class of this task; zero where none has one."""
        targets = self.class_of_image[image_row]
        return F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum") / (targets >= 0).sum().clamp_min(1)


def prepare_side_task(
    snapshot: Any, gatherer: Gatherer, examples: LabelledImages, *, drop: dict[EdgeType, np.ndarray]
) -> SideTask:
    """Inputs of the task's own class vectors on the graph without any task's labels outside train."""
    edge = tuple(snapshot.domain.task_edge_type(examples.task))
    class_of_image = torch.full((len(snapshot.images.sha256),), -1)
    train = examples.of("train")
    class_of_image[examples.image_row[train]] = torch.as_tensor(examples.class_row[train])
    inputs = replace(gatherer, item_edge=edge, n_layers=0).gather(snapshot, drop=drop)
    return SideTask(examples, inputs, class_of_image)


def merged_masks(parts: Sequence[Mapping[EdgeType, np.ndarray]]) -> dict[EdgeType, np.ndarray]:
    """Edges that leak a label of any task."""
    merged: dict[EdgeType, np.ndarray] = {}
    for part in parts:
        for edge_type, mask in part.items():
            merged[edge_type] = merged[edge_type] | mask if edge_type in merged else mask
    return merged


def with_side_tasks(config: Any, domain: Domain) -> Any:
    """The configuration with the domain's other tasks by name where it says `all`."""
    if config.side_tasks != "all":
        return config
    main = domain.task(config.task)[0]
    return config.model_copy(update={"side_tasks": {name: 1.0 for name in domain.tasks if name != main}})


def check_side_tasks(side_tasks: Mapping[str, float], domain: Domain, *, task: str, layers: int) -> None:
    """Raises: RecipeConfigError for a task that is not there, is the main one, or has no network to share."""
    if wrong := [name for name in side_tasks if name == task or name not in domain.tasks]:
        others = ", ".join(name for name in domain.tasks if name != task) or "none"
        raise RecipeConfigError(f"side_tasks: {wrong[0]!r} beside {task!r}; {domain.domain} has others: {others}")
    if side_tasks and not layers:
        raise RecipeConfigError("side_tasks with layers=0: there is no network to share; set layers to 1 or more")
