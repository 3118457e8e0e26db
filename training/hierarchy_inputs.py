"""What do the nodes of a hierarchy bring before any training: words from the graph or a prompt, and prototypes?

Every vector is of unit length in the images' space. A class's words are what its relations say of it (the phrases of
GraphCLIP) or its name in a prompt; a parent's are the mean of its classes', or its own name. A prototype is the mean of
training images; a node without any takes its nearest parent's, and at last its own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kg.errors import RecipeConfigError
from training.class_inputs import Gatherer
from training.message_passing import open_graph
from training.models.hierarchy_graph import HierarchyNodes

__all__ = ["PatchFeatures", "class_means", "name_texts", "phrase_vectors", "prototypes", "text_vectors"]

_SMALLEST_SHARE = 1e-6


class PatchFeatures:
    """Features whose images are packed with their patches: (images, 1 + tokens, width), the whole picture first."""

    def __init__(self, features: Any) -> None:
        self._features = features

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """The picture's vector, then those of its patches. Shapes: (images, 1 + tokens, width), (images,) bool."""
        feat, readable = self._features.images(snapshot)
        patches, with_patches = self._features.patches(snapshot)
        packed = np.concatenate([np.asarray(feat, np.float32)[:, None], np.asarray(patches, np.float32)], 1)
        return packed, np.asarray(readable) & np.asarray(with_patches)

    def __getattr__(self, name: str) -> Any:
        """All else is that of the features below."""
        return getattr(self._features, name)


def phrase_vectors(snapshot: Any, gatherer: Gatherer, *, drop: Any, reads: bool) -> Tensor:
    """What each relation with a phrase says of each class, in the order of their names; zero where it says nothing.

    Shapes: -> (relations, classes, width).
    Raises: RecipeConfigError where no relation with a phrase says anything of any class.
    """
    label = gatherer.item_edge[2]
    graph = open_graph(snapshot, drop=drop, weights=gatherer.edge_weights(snapshot))
    near = graph.blocks({label: torch.arange(snapshot.count(label))}, 1)[-1]
    said = gatherer.said(snapshot, near)
    if not said:
        raise RecipeConfigError("hgclip: no relation with a phrase leads to a class; set words=names, or give phrases")
    names = sorted(gatherer.phrases)
    found = torch.zeros(len(names), snapshot.count(label), gatherer.features.image_width())
    for (_, relation, _), (mean, has) in said.items():
        root = (mean.clamp_min(0) + _SMALLEST_SHARE).sqrt() if reads else mean
        found[names.index(relation.removeprefix("rev_"))] += has * root
    return found


def name_texts(nodes: HierarchyNodes, *, prompt: str) -> list[str]:
    """Every node's own name in a prompt."""
    names = list(nodes.trees[0].names[0])
    names += [name for tree in nodes.trees for level in tree.names[1:] for name in level]
    return [prompt.format(name=name.replace("_", " ")) for name in names]


def text_vectors(features: Any, texts: Sequence[str]) -> Tensor:
    """Unit vectors of texts in the images' space. Shapes: -> (texts, width)."""
    readings = getattr(features, "readings", None)
    base = features if readings is None else features.unread
    vectors = torch.as_tensor(np.array(base.phrases("", texts), np.float32))
    return F.normalize(vectors, dim=-1) if readings is None else readings.vectors(vectors)


def class_means(feat: Tensor, targets: Tensor, *, n_classes: int) -> Tensor:
    """Unit mean of each class's training images, zero for a class without one. Shapes: (n, width), (n,) -> (classes,
    width)."""
    return F.normalize(F.one_hot(targets, n_classes).float().T @ feat, dim=-1)


def prototypes(means: Tensor, nodes: HierarchyNodes, *, words: Tensor) -> Tensor:
    """Prototypes of every node from its classes' means; see the module's first lines for nodes without one.

    Shapes: means (classes, width), zero where there is none; words (nodes, width) -> (nodes, width).
    """
    found = F.normalize(nodes.members().float() @ means, dim=-1)
    child, parent = nodes.child_parent()
    empty = found.abs().sum(1) == 0
    while (fillable := empty[child] & ~empty[parent]).any():  # a parent may have been as empty a round ago
        found[child[fillable]] = found[parent[fillable]]
        empty = empty.index_fill(0, child[fillable], False)
    return torch.where(empty[:, None], words, found)
