"""How much of a class's vector comes from each thing around it: an exact sum, not an approximation?

A GraphCLIP class vector v of `training.models.class_encoder` is a sum of three parts, scaled to length one:

    v = unit( a T + b M + N )       T  unit mean of phrases, centred          a, b  learned weights
                                    M  unit mean of linked images, centred    N     what the graph network adds

and T, M and N (its last layer) are weighted sums over the class's neighbours themselves. With the lengths as they are,
v is therefore a sum of one vector a neighbour and a rest, and a score  <image, v>  the sum of as many numbers: what
each neighbour contributes. Where the sum is not the vector, the model has another form, and there is no closed form
(None).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kg.schema import EdgeType
from training.explain.neighbourhood import Neighbourhood
from training.models.sage import parameter_name

__all__ = ["Decomposition", "decompose"]

_LARGEST_RESIDUAL = 1e-3


@dataclass(frozen=True)
class Decomposition:
    """The class vector as a sum:  vector = units.sum(0) + rest.

    Shapes: units (units, width) in the order of `Neighbourhood.units`, items (linked items, width), rest (width,).
    """

    units: Tensor
    items: Tensor
    """Each linked item's part by itself; together they are part of what their unit or units say."""
    rest: Tensor
    """What no neighbour says: the class's own text, what is common to all classes."""


@dataclass(frozen=True)
class _Part:
    """One summand of the class vector and what each neighbour adds to it. Shapes: (width,), (neighbours, width)."""

    whole: Tensor
    by_neighbour: dict[EdgeType, Tensor]


@torch.no_grad()
def decompose(around: Neighbourhood) -> Decomposition | None:
    """The class vector as a sum over its neighbours, or None where the model is no such sum."""
    vector, parts = around.vector(), [part for part in (_said(around), _seen(around), _passed(around)) if part]
    if not parts:
        return None
    total = sum(part.whole for part in parts)
    length = total.norm().clamp_min(1e-12)
    if float((total / length - vector).norm()) > _LARGEST_RESIDUAL:
        return None
    said: dict[EdgeType, Tensor] = {}
    for part in parts:
        for edge_type, rows in part.by_neighbour.items():
            said[edge_type] = said.get(edge_type, 0) + rows / length
    nobody = vector.new_zeros(0, len(vector))
    units = torch.stack([said[u.edge_type][list(u.places)].sum(0) for u in around.units]) if around.units else nobody
    return Decomposition(units, said.get(around.item_edge, nobody), vector - units.sum(0))


def _said(around: Neighbourhood) -> _Part | None:
    """The phrases: each relation with its weight, each neighbour with its share."""
    start, projection = around.network.classes.start, around.network.images
    if start is None or not around.phrases:
        return None
    centred = {}
    for edge_type, (_, part) in around.phrases.items():
        share = around.shares[edge_type][:, None]
        # A root is no sum, but  sqrt(m) = sum of each one's part of m, divided by sqrt(m).
        mean = (share * part).sum(0)
        said = (
            part * (start.said(mean, projection) / mean.clamp_min(1e-12))
            if start.reads
            else (start.said(part, projection))
        )
        centred[edge_type] = start.weight(edge_type) * share * (said - start.centre(edge_type))
    return _unit(centred, start.text_weight)


def _seen(around: Neighbourhood) -> _Part | None:
    """The linked images: each item with its share."""
    start = around.network.classes.start
    if start is None or not len(around.item_feat):
        return None
    centred = around.network.images(around.item_feat) - start.image_centre
    return _unit({around.item_edge: around.shares[around.item_edge][:, None] * centred}, start.image_weight)


def _passed(around: Neighbourhood) -> _Part | None:
    """The network's last layer, which is linear: each neighbour's hidden state by its relation's matrix."""
    feats = around.hidden()
    if feats is None:
        return None
    layer, label = around.network.classes.sage.layers[-1], around.item_edge[2]
    messages = {
        t: around.shares[t][:, None] * layer.message(t, feats[t[0]][: len(around.shares[t])])
        for t in around.shares
        if parameter_name(t) in layer.neighbours and t[0] in feats
    }
    own = layer.own[label](feats[label][0])
    return _Part(own + sum((rows.sum(0) for rows in messages.values()), torch.zeros_like(own)), messages)


def _unit(rows: dict[EdgeType, Tensor], weight: Tensor) -> _Part:
    """The parts' sum at the length `weight`."""
    whole = sum(part.sum(0) for part in rows.values())
    factor = weight / whole.norm().clamp_min(1e-12)
    return _Part(factor * whole, {t: factor * part for t, part in rows.items()})
