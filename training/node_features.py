"""What are a node's features: its text by one encoder or another, or what the pictures linked with it look like?

    text      its text by all of `text_features`, one beside the other: every node type's default but the items'
    clip      its text by the image encoder's own text tower
    sentence  its text by the sentence encoder alone
    visual    the mean of the images of linked items: the items' default, and for a type that one sees, such as a motif

A type with visual features sees the images of training items alone, and in a training step none of the images that are
being classified: its feature would tell of the very picture that is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kg.errors import RecipeConfigError
from kg.schema import Domain
from kg.settings import DEFAULT_TEXT_ENCODER
from training.features import CLIP

__all__ = ["Source", "VisualNodes", "check_sources", "encoders_of", "source_of", "visual_nodes"]

Source = Literal["text", "clip", "sentence", "visual"]


def source_of(label: str, sources: Mapping[str, Source], *, item: str) -> Source:
    """Where a node type's features come from."""
    return sources.get(label, "visual" if label == item else "text")


def encoders_of(source: Source, text_features: Sequence[str]) -> tuple[str, ...]:
    """The text encoders of a source."""
    sentence = tuple(name for name in text_features if name != CLIP) or (DEFAULT_TEXT_ENCODER,)
    return {"clip": (CLIP,), "sentence": sentence}.get(source, tuple(text_features))


def check_sources(sources: Mapping[str, Source], domain: Domain, *, layers: int) -> None:
    """Raises: RecipeConfigError for a node type that the domain does not have, or one that no item is linked with."""
    if sources and not layers:
        raise RecipeConfigError("node_features with layers=0: there are no nodes but the classes; set layers above 0")
    for label, source in sources.items():
        if label not in domain.node_types:
            known = ", ".join(domain.node_types)
            raise RecipeConfigError(f"node_features: {domain.domain} has no node type {label!r}; it has {known}")
        linked = any({domain.item, label} == {s, t} for s, _, t in domain.edge_types)
        if source == "visual" and label != domain.item and not linked:
            raise RecipeConfigError(
                f"node_features: {label}=visual, and no relation links {label} with {domain.item}; use clip or sentence"
            )


@dataclass(frozen=True)
class VisualNodes:
    """Nodes of one type with the images of the items that are linked with them, ready for means."""

    feat: Tensor
    """Features of all images, (images, width)."""
    node: Tensor
    """Of each pair of a node and one of its images: the node's place, (pairs,)."""
    image: Tensor
    """And the image's row, (pairs,)."""
    count: int

    def mean(self, without: Tensor | None = None) -> Tensor:
        """Mean feature of each node's images but those `without`; zero for a node that has none.

        Shapes: without (n,) of image rows -> (count, width).
        """
        node, image = self.node, self.image
        if without is not None:
            kept = ~torch.isin(image, without)
            node, image = node[kept], image[kept]
        total = self.feat.new_zeros(self.count, self.feat.shape[1]).index_add_(0, node, self.feat[image])
        number = self.feat.new_zeros(self.count).index_add_(0, node, self.feat.new_ones(len(node)))
        return total / number.clamp_min(1.0)[:, None]


def visual_nodes(
    snapshot: Any,
    label: str,
    rows: Tensor,
    *,
    feat: Tensor,
    readable: np.ndarray,
    drop: Mapping[Any, np.ndarray],
    items: np.ndarray | None,
) -> VisualNodes:
    """Nodes `rows` of a type with the readable images of linked items, of those in `items` where it is given.

    Shapes: rows (n,), feat (images, width), readable (images,), items (items,) bool.
    """
    item = snapshot.domain.item
    item_row, image_row = (np.asarray(part, np.int64) for part in snapshot.item_images)
    fine = np.asarray(readable, bool)[image_row] & (True if items is None else np.asarray(items, bool)[item_row])
    item_row, image_row = item_row[fine], image_row[fine]
    order = np.argsort(item_row, kind="stable")
    item_row, image_row = item_row[order], image_row[order]
    pairs = _linked(snapshot, label, item, drop)
    first = np.searchsorted(item_row, pairs[:, 1])
    number = np.searchsorted(item_row, pairs[:, 1], side="right") - first
    starts = np.repeat(first - np.cumsum(number) + number, number)
    place = np.full(snapshot.count(label), -1, np.int64)
    place[rows.numpy()] = np.arange(len(rows))
    node, image = place[np.repeat(pairs[:, 0], number)], image_row[starts + np.arange(number.sum())]
    met = np.unique(np.stack([node, image], 1)[node >= 0], axis=0)
    return VisualNodes(feat, torch.from_numpy(met[:, 0].copy()), torch.from_numpy(met[:, 1].copy()), len(rows))


def _linked(snapshot: Any, label: str, item: str, drop: Mapping[Any, np.ndarray]) -> np.ndarray:
    """Pairs of a node and an item by any relation that is left. Shapes: (pairs, 2)."""
    found = [np.zeros((0, 2), np.int64)]
    for edge_type in snapshot.edge_types:
        source, _, target = edge_type
        if {source, target} != {label, item}:
            continue
        ends = np.stack([np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type)], 1)
        ends = ends if edge_type not in drop else ends[~np.asarray(drop[edge_type], bool)]
        found.append(ends if source == label else ends[:, ::-1])
    return np.unique(np.concatenate(found), axis=0)
