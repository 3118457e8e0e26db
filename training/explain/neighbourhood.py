"""What surrounds a class in the graph, and which vector would the class have without some of it?

A `Unit` is one thing that may speak for a class: a node at the other end of one relation, or all items linked to the
class together. A mask has a number in 0..1 for every unit. 1 everywhere gives the class vector as it is published, and
0 gives the vector of a graph without that relation, exactly: means are taken over what is left, and the reverse of a
relation goes with it. Numbers between are for optimisers: a unit's weight in every mean is multiplied by its mask, and
a relation is as loud as it is likely that something of it is left,  1 - prod(1 - m_u).

Units are one hop from the class. What lies further off reaches the class through them and is hidden with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.errors import NodeNotFound, RecipeConfigError
from kg.schema import EdgeType
from training.message_passing import Block, reverse_of

__all__ = ["Neighbourhood", "Unit"]

_FEWEST_CONTEXTS = 2
"""With fewer context nodes than this, the linked items stand for themselves, one by one."""


@dataclass(frozen=True)
class Unit:
    """One thing that may speak for a class."""

    edge_type: EdgeType
    """Into the class; the relation as the graph has it where it points there, else `rev_` and its name."""
    keys: tuple[str, ...]
    """Keys of its nodes: one, or those of all linked items."""
    places: tuple[int, ...]
    """Where its nodes stand among the class's neighbours of their label."""
    is_items: bool = False

    @property
    def label(self) -> str:
        """Label of its nodes."""
        return self.edge_type[0]

    @property
    def relation(self) -> str:
        """The relation's type in the graph, whichever way it points."""
        return self.edge_type[1].removeprefix("rev_")


class Neighbourhood:
    """One class of one snapshot, as a trained recipe sees it.

    Raises: NodeNotFound for a class that the snapshot does not have, RecipeConfigError for a recipe that encodes
    classes from something else than their neighbours.
    """

    def __init__(
        self, recipe: Any, snapshot: Any, class_key: str, *, drop: Mapping[EdgeType, np.ndarray] | None = None
    ) -> None:
        self.recipe, self.snapshot, self.class_key = recipe, snapshot, class_key
        self.item_edge: EdgeType = recipe.item_edge
        self.network, self.gatherer = recipe.network().eval(), _gatherer_of(recipe)
        row = _row_of(snapshot, self.item_edge[2], class_key)
        with torch.no_grad():
            self.inputs = self.gatherer.gather(snapshot, drop=dict(drop or {}), class_rows=np.array([row]))
        self.shares: dict[EdgeType, Tensor] = {}
        """Edge type into the class -> weight of each neighbour of that label in the class's mean, (neighbours,)."""
        for edge_type in self._near.edge_types if self._near else ():
            if edge_type[2] == self.item_edge[2]:
                self.shares[edge_type] = _row_of_weights(self._near, edge_type)
        self.units = self._units()

    @property
    def _near(self) -> Block | None:
        return self.inputs.blocks[-1] if self.inputs.blocks else None

    @torch.no_grad()
    def vector(self) -> Tensor:
        """The class's vector with everything there. Shapes: (width,)."""
        return self.network.classes(self.inputs, self.network.images)[0]

    def masked(self, mask: Tensor, *, quick: bool = False) -> Tensor:
        """The class's vector under a mask, with gradients. Shapes: (units,) -> (width,), unit length.

        `quick` leaves the neighbours themselves as they are: only what they tell the class is masked, not what the
        class had told them before. It costs a tenth and is near enough to learn a mask by.
        """
        items = [number for number, unit in enumerate(self.units) if unit.is_items]
        left = 1 - (1 - mask[items]).prod() if items else mask.new_zeros(())
        parts = []
        if items and float(left.detach()) > 0:
            parts.append(left * self._vector(mask, quick))
        if not items or float(left.detach()) < 1:
            hidden = mask.clone()
            hidden[items] = 0
            parts.append((1 - left) * self._vector(hidden, quick))
        return F.normalize(sum(parts), dim=-1)

    @cached_property
    def phrases(self) -> dict[EdgeType, tuple[list[str], Tensor]]:
        """Edge type -> what its relation says of each neighbour, and the vectors of that, (neighbours, width)."""
        return {t: self.gatherer.spoken(t, self._keys(t[0])) for t in self.inputs.phrase_means}

    @cached_property
    def item_feat(self) -> Tensor:
        """Image features of the linked items. Shapes: (linked items, image width)."""
        count = len(self._near.src_rows[self.item_edge[0]]) if self._has_items else 0
        return self.inputs.visual[:count]  # a block's destinations are the first of its sources

    def hidden(self) -> dict[str, Tensor] | None:
        """What the network's last layer takes in, with everything there; None without a network.

        Shapes: label -> (sources of the last block, width).
        """
        classes = self.network.classes
        if classes.sage is None:
            return None
        feats = classes.first_states(self.inputs)
        for layer, block in zip(classes.sage.layers[:-1], self.inputs.blocks[:-1], strict=True):
            feats = {label: torch.relu(feat) for label, feat in layer(block, feats).items()}
        return feats

    @property
    def _has_items(self) -> bool:
        return self.item_edge in self.shares

    def _keys(self, label: str) -> np.ndarray:
        return self.snapshot.keys(label)[self._near.src_rows[label].numpy()]

    def _units(self) -> list[Unit]:
        found = []
        for edge_type, share in sorted(self.shares.items()):
            keys = self._keys(edge_type[0])
            places = [int(place) for place in torch.nonzero(share).flatten()]
            found += [
                Unit(edge_type, (str(keys[place]),), (place,), is_items=edge_type == self.item_edge) for place in places
            ]
        items = [unit for unit in found if unit.is_items]
        if len(found) - len(items) < _FEWEST_CONTEXTS or not items:
            return found
        whole = Unit(self.item_edge, *(tuple(sum(part, ())) for part in _columns(items)), is_items=True)
        return [unit for unit in found if not unit.is_items] + [whole]

    def _vector(self, mask: Tensor, quick: bool) -> Tensor:
        quick = quick and self._last_step is not None
        encoder, inputs = self._last_step if quick else (self.network.classes, self.inputs)
        return encoder(self._masked_inputs(inputs, mask), self.network.images)[0]

    @cached_property
    def _last_step(self) -> tuple[Any, Any] | None:
        """The class encoder with its network's last layer alone, and inputs that begin there; None without network."""
        with torch.no_grad():
            feats = self.hidden()
        if feats is None:
            return None
        encoder, item = _own_modules(self.network.classes), self.item_edge[0]
        encoder.text_map, encoder.visual_map, encoder.sources = nn.Identity(), nn.Identity(), {}
        encoder.sage = _own_modules(encoder.sage)
        encoder.sage.layers = nn.ModuleList(encoder.sage.layers[-1:])
        texts = {label: feat for label, feat in feats.items() if label != item}
        visual = feats.get(item, self.inputs.visual[:0])
        blocks = self.inputs.blocks[-1:]
        return encoder, replace(self.inputs, blocks=blocks, texts=texts, visual=visual, visual_nodes={})

    def _masked_inputs(self, inputs: Any, mask: Tensor) -> Any:
        """A class's inputs as the model takes them, on the graph that the mask leaves."""
        masks = self._by_edge_type(mask)
        near = _MaskedBlock(self._near, self.shares, masks) if self._near else None
        said = {t: (near.mean(t, part), near.has_neighbours(t)) for t, (_, part) in self.phrases.items()}
        changed: dict[str, Any] = {"phrase_means": {t: part for t, part in said.items() if float(part[1].detach()) > 0}}
        if self._has_items:
            changed["item_mean"] = near.mean(self.item_edge, self.item_feat)
            changed["linked"] = (near.has_neighbours(self.item_edge) > 0).float()
        blocks = [_MaskedBlock(block, self.shares, masks) for block in inputs.blocks]
        return replace(inputs, blocks=blocks, **changed)

    def _by_edge_type(self, mask: Tensor) -> dict[EdgeType, Tensor]:
        """A mask for each neighbour by each edge type. Shapes: edge type -> (neighbours,)."""
        whole = torch.cat([mask, mask.new_ones(1)])
        return {edge_type: whole[unit_of] for edge_type, unit_of in self._unit_of.items()}

    @cached_property
    def _unit_of(self) -> dict[EdgeType, Tensor]:
        """Which unit each neighbour belongs to; one after the last where it belongs to none. Shapes: (neighbours,)."""
        found = {t: torch.full((len(share),), len(self.units)) for t, share in self.shares.items()}
        for number, unit in enumerate(self.units):
            found[unit.edge_type][list(unit.places)] = number
        return found


class _MaskedBlock(Block):
    """A `Block` with less around its first seed; the seed's neighbours stand first among their label's sources."""

    def __init__(self, block: Block, shares: Mapping[EdgeType, Tensor], masks: Mapping[EdgeType, Tensor]) -> None:
        self._block, self._shares, self._masks = block, shares, masks
        self.edge_types: Sequence[EdgeType] = block.edge_types
        self.src_rows, self.dst_counts = block.src_rows, block.dst_counts

    def has_neighbours(self, edge_type: EdgeType) -> Tensor:
        has = self._block.has_neighbours(edge_type)
        return has if edge_type not in self._shares else torch.cat([self._left(edge_type)[None, None], has[1:]])

    def mean(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        if edge_type in self._shares and self.dst_counts[edge_type[2]] == 1:
            out = self._of_the_seed(edge_type, feat)
        elif edge_type in self._shares:
            out = torch.cat([self._of_the_seed(edge_type, feat), self._block.mean(edge_type, feat)[1:]])
        else:
            out = self._block.mean(edge_type, feat)
        return self._without_the_seed(edge_type, feat, out) if reverse_of(edge_type) in self._shares else out

    def _left(self, edge_type: EdgeType) -> Tensor:
        there = self._shares[edge_type] > 0
        return 1 - (1 - self._masks[edge_type][there]).prod()

    def _of_the_seed(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """The seed's mean over what is left of its neighbours. Shapes: (sources, width) -> (1, width)."""
        weight = self._shares[edge_type] * self._masks[edge_type]
        mean = weight @ feat[: len(weight)] / weight.sum().clamp_min(1e-12)
        return (self._left(edge_type) * mean)[None]

    def _without_the_seed(self, edge_type: EdgeType, feat: Tensor, out: Tensor) -> Tensor:
        """Means of the seed's neighbours, which lose the seed as it loses them. Shapes: (destinations, width)."""
        ones = feat.new_zeros(len(feat), 1)
        ones[0] = 1
        share = self._block.mean(edge_type, ones)
        mask = self._masks[reverse_of(edge_type)][: len(out)]
        lost = share * (1 - F.pad(mask, (0, len(out) - len(mask)), value=1.0))[:, None]
        whole = self._block.mean(edge_type, torch.ones_like(ones)).clamp_max(1.0)
        kept = (whole - lost).clamp_min(0.0)
        rest = (out - lost * feat[:1]) / kept.clamp_min(1e-6)
        return torch.where(kept > 1e-6, rest, torch.zeros_like(rest))


def _own_modules(module: nn.Module) -> Any:
    """A copy that shares all weights and has parts of its own to exchange."""
    copied = copy(module)
    copied.__dict__["_modules"] = dict(module._modules)
    return copied


def _gatherer_of(recipe: Any) -> Any:
    gatherer = getattr(recipe, "gatherer", None)
    if gatherer is None:
        raise RecipeConfigError(
            f"explaining: {type(recipe).__name__} does not build class vectors from neighbours in the graph; "
            "publish a graphclip run to have evidence from the graph"
        )
    if recipe.config.network == "gatv2":
        raise RecipeConfigError(
            "explaining network=gatv2: attention moves when a neighbour is hidden, so its share is not one number; "
            "train with network=sage to have evidence from the graph"
        )
    return gatherer


def _row_of(snapshot: Any, label: str, key: str) -> int:
    keys = [str(known) for known in snapshot.keys(label)]
    if key not in keys:
        raise NodeNotFound(
            f"explaining {label} {key!r}: the model's snapshot has none; it knows {', '.join(keys[:40])}"
        )
    return keys.index(key)


def _row_of_weights(block: Block, edge_type: EdgeType) -> Tensor:
    """Weights with which the first destination's mean takes its sources, from any implementation of `Block`.

    A mean is linear, so the weights are its gradient. Shapes: -> (sources,).
    """
    feat = torch.zeros(len(block.src_rows[edge_type[0]]), 1, requires_grad=True)
    with torch.enable_grad():
        (weights,) = torch.autograd.grad(block.mean(edge_type, feat)[0].sum(), feat)
    return weights[:, 0]


def _columns(units: Sequence[Unit]) -> tuple[list[tuple[str, ...]], list[tuple[int, ...]]]:
    return [unit.keys for unit in units], [unit.places for unit in units]
