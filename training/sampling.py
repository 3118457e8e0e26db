"""How is a class's neighbourhood drawn anew in every step, where the whole of it does not fit?

Only the network is sampled: what relations say of a class and the mean of its linked images are exact, they are one hop
away and computed once. Drawn with replacement by weight, each mean is in expectation the exact one; through the ReLU
between layers that holds approximately. Metrics and published vectors are always exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kg.errors import RecipeConfigError
from kg.schema import EdgeType
from training.class_inputs import Gatherer
from training.message_passing import Block, MessageGraph
from training.models.class_encoder import ClassInputs

__all__ = ["Sampler", "check_fan_outs", "sampler_of"]


@dataclass(frozen=True)
class Sampler:
    """The graph in memory as edges and features, and what is exact of the classes' inputs."""

    graph: MessageGraph
    exact: ClassInputs
    seeds: Mapping[str, Tensor]
    texts: Mapping[str, Tensor]
    visual: Tensor
    item: str
    fan_outs: tuple[int, ...]

    def draw(self, rng_seed: int) -> ClassInputs:
        """Inputs with neighbourhoods drawn by this seed: the same seed, the same draw."""
        blocks = self.blocks(rng_seed)
        rows = blocks[0].src_rows
        return replace(
            self.exact,
            blocks=blocks,
            texts={label: self.texts[label][at] for label, at in rows.items() if label in self.texts},
            visual=self.visual[rows.get(self.item, torch.zeros(0, dtype=torch.long))],
        )

    def blocks(self, rng_seed: int) -> list[Block]:
        """The blocks of such a draw."""
        generator = torch.Generator().manual_seed(rng_seed)
        return self.graph.sampled_blocks(self.seeds, self.fan_outs, generator)


def sampler_of(
    gatherer: Gatherer,
    snapshot: Any,
    *,
    fan_outs: Sequence[int],
    drop: dict[EdgeType, np.ndarray] | None = None,
    also: Sequence[str] = (),
) -> Sampler:
    """Read edges and features once, for any number of draws."""
    graph, label = gatherer.open(snapshot, drop=drop), gatherer.item_edge[2]
    near = replace(gatherer, n_layers=0).gather(snapshot, drop=drop, graph=graph)
    seeds = {name: torch.arange(snapshot.count(name)) for name in dict.fromkeys([label, *also])}
    texts, visual = gatherer.tables(snapshot)
    return Sampler(graph, near, seeds, texts, visual, gatherer.item_edge[0], tuple(fan_outs))


def check_fan_outs(config: Any) -> None:
    """Raises: RecipeConfigError for fan-outs that are not one a layer, or that nobody can draw."""
    fan_outs = config.fan_outs
    if not fan_outs:
        return
    if len(fan_outs) != config.layers or min(fan_outs) < 1:
        raise RecipeConfigError(
            f"fan_outs={list(fan_outs)} with layers={config.layers}: give one number above 0 a layer, outermost first"
        )
    if config.message_passing != "torch":
        raise RecipeConfigError(f"fan_outs with message_passing={config.message_passing}: set message_passing=torch")
    if "visual" in config.node_features.values():
        raise RecipeConfigError("fan_outs with visual node_features: these need every linked image; take clip")
