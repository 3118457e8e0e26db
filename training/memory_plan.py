"""How much memory will a step through the graph take, and does that fit, before anything is computed?

An estimate from the blocks' counts alone: features and states of every node that a class's vector comes from, what
each edge type sends, sparse matrices by row and by column, gradients of all of it, the optimiser's copies of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from kg.errors import RecipeConfigError
from training.message_passing import Block
from training.models.hetero import Form

__all__ = ["MemoryPlan", "free_bytes", "plan_memory"]

_NUMBER = 4
_BYTES_AN_EDGE = 2 * (8 + 8 + 4)
"""A matrix entry by row and by column: place, order, weight."""
_WITH_GRADIENT = 2
_OPTIMISER_COPIES = 4
"""Weights, their gradients and the two moments of Adam."""
_ATTENTION_COPIES = 6
"""Vectors of an edge's width that one head of one edge type holds at once."""
_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by what they are for."""

    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts.values())

    def check(self, free: int) -> None:
        """Raises: RecipeConfigError with the numbers where it does not fit."""
        if self.total <= free:
            return
        told = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in self.parts.items())
        raise RecipeConfigError(
            f"a step needs about {self.total / 2**30:.3g} GiB ({told}), {free / 2**30:.3g} GiB are free; set fan_outs "
            "to sample neighbours, lower hidden or batch_size, or set memory_gib if you know better"
        )


def plan_memory(
    blocks: Sequence[Block],
    *,
    feature_widths: Mapping[str, int],
    hidden: int,
    width: int,
    form: Form,
    images: int,
    classes: int,
    parameters: int,
) -> MemoryPlan:
    """Bytes of one training step.

    `feature_widths`: label -> length of its nodes' features; `images`, `classes`: of one step's logits.
    """
    rows = {label: len(at) for label, at in blocks[0].src_rows.items()} if blocks else {}
    features = sum(count * feature_widths.get(label, hidden) for label, count in rows.items())
    states, sent, attention, edges = sum(rows.values()) * hidden, 0, 0, 0
    for number, block in enumerate(blocks):
        out = width if number == len(blocks) - 1 else hidden
        states += sum(block.dst_counts.values()) * out
        for edge_type in block.edge_types:
            source, target = edge_type[0], edge_type[2]
            places, count = block.senders(edge_type), len(block.edges(edge_type)[0])
            senders = len(block.src_rows[source]) if places is None else len(places)
            sent += senders * (hidden if form == "sage-project" else 0)
            sent += min(senders, block.dst_counts[target]) * out + (senders * hidden if places is not None else 0)
            edges += count
            attention = max(attention, count * out * _ATTENTION_COPIES) if form == "gatv2" else 0
    return MemoryPlan(
        {
            "features": features * _NUMBER,
            "states": states * _NUMBER * _WITH_GRADIENT,
            "messages": sent * _NUMBER * _WITH_GRADIENT,
            "attention": attention * _NUMBER,
            "edges": edges * _BYTES_AN_EDGE,
            "logits": images * classes * _NUMBER * _WITH_GRADIENT * 2,
            "weights": parameters * _NUMBER * _OPTIMISER_COPIES,
        }
    )


def free_bytes() -> int:
    """Memory that a process may still ask for: the machine's, or less where a container is held to less."""
    free = psutil.virtual_memory().available
    for path in _CGROUP:
        try:
            limit = int(path.read_text().strip())
        except (OSError, ValueError):
            continue
        free = min(free, max(0, limit - psutil.Process().memory_info().rss))
    return free
