"""What do the nodes of a hierarchy bring before any training: words from the graph or a prompt, and prototypes?

Every vector is of unit length in the images' space. A class's words are what its relations say of it (the phrases of
GraphCLIP) or its name in a prompt; a parent's are the mean of its classes', or its own name. A prototype is the mean of
training images; a node without any takes its nearest parent's, and at last its own words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kg.errors import RecipeConfigError
from training.class_inputs import Gatherer
from training.message_passing.dgl_graph import open_graph
from training.models.hierarchy_graph import HierarchyNodes

__all__ = ["PatchFeatures", "name_vectors", "phrase_vectors", "prototypes"]

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


def phrase_vectors(snapshot: Any, gatherer: Gatherer, nodes: HierarchyNodes, *, drop: Any, reads: bool) -> Tensor:
    """Words of every node from what the graph says of its classes. Shapes: -> (nodes, width).

    Raises: RecipeConfigError where no relation with a phrase says anything of any class.
    """
    label = gatherer.item_edge[2]
    graph = open_graph(snapshot, drop=drop, weights=gatherer.edge_weights(snapshot))
    near = graph.blocks({label: torch.arange(snapshot.count(label))}, 1)[-1]
    said = gatherer.said(snapshot, near)
    if not said:
        raise RecipeConfigError("hgclip: no relation with a phrase leads to a class; set words=names, or give phrases")
    roots = ((mean.clamp_min(0) + _SMALLEST_SHARE).sqrt() if reads else mean for mean, _ in said.values())
    total = sum(has * root for root, (_, has) in zip(roots, said.values(), strict=True))
    return F.normalize(nodes.members().float() @ F.normalize(total, dim=-1), dim=-1)


def name_vectors(features: Any, nodes: HierarchyNodes, *, prompt: str) -> Tensor:
    """Words of every node by its own name in a prompt. Shapes: -> (nodes, width)."""
    names = list(nodes.trees[0].names[0])
    names += [name for tree in nodes.trees for level in tree.names[1:] for name in level]
    texts = [prompt.format(name=name.replace("_", " ")) for name in names]
    readings = getattr(features, "readings", None)
    base = features if readings is None else features.unread
    vectors = torch.as_tensor(np.array(base.phrases("", texts), np.float32))
    return F.normalize(vectors, dim=-1) if readings is None else readings.vectors(vectors)


def prototypes(feat: Tensor, targets: Tensor, nodes: HierarchyNodes, *, words: Tensor) -> Tensor:
    """Mean training image of every node; see the module's first lines for nodes without one.

    Shapes: feat (n, width) of training images, targets (n,) class rows, words (nodes, width) -> (nodes, width).
    """
    members = nodes.members().float()
    hot = F.one_hot(targets, members.shape[1]).float()
    sums, counts = hot.T @ feat, hot.sum(0)
    means = F.normalize(F.normalize(sums, dim=-1), dim=-1)
    total, number = members @ means, members @ (counts > 0).float()
    found = F.normalize(total, dim=-1)
    child, parent = nodes.child_parent()
    empty = number == 0
    for _ in range(nodes.count):  # upwards, a level at a time: a parent may be as empty as its child
        fillable = empty[child] & ~empty[parent]
        if not fillable.any():
            break
        found[child[fillable]] = found[parent[fillable]]
        empty = empty.index_fill(0, child[fillable], False)
    return torch.where(empty[:, None], words, found)
