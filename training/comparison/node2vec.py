"""What is a node's vector when only the shape of the graph counts?

Second-order random walks over all relations in both directions, then skip-gram with negative samples over them.

Reference: Grover and Leskovec 2016, node2vec, section 3.2; the walk's bias by rejection sampling as in KnightKing (Yang
et al. 2019), so that no table an edge is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

__all__ = ["node_vectors", "random_walks"]

_TRIES = 8
_PAIRS_A_STEP = 4096


def node_vectors(
    snapshot: Any,
    *,
    width: int = 64,
    walks: int = 8,
    length: int = 20,
    window: int = 4,
    negatives: int = 5,
    steps: int = 600,
    return_weight: float = 1.0,
    outward_weight: float = 2.0,
    rng_seed: int = 0,
) -> dict[str, np.ndarray]:
    """Vectors of all nodes; one without a relation keeps its random start. Shapes: label -> (nodes, width).

    `return_weight` and `outward_weight` are the paper's 1/p and 1/q.
    """
    first, edges = _homogeneous(snapshot)
    count = sum(snapshot.count(label) for label in snapshot.node_types)
    rng = np.random.default_rng(rng_seed)
    starts = np.tile(np.unique(edges[0]), walks)
    paths = random_walks(
        edges, starts, count, length=length, return_weight=return_weight, outward_weight=outward_weight, rng=rng
    )
    offsets = range(1, window + 1)
    centre = np.concatenate([paths[:, :-step].ravel() for step in offsets])
    context = np.concatenate([paths[:, step:].ravel() for step in offsets])
    vectors = _skip_gram(centre, context, count, width=width, negatives=negatives, steps=steps, rng_seed=rng_seed)
    return {label: vectors[at : at + snapshot.count(label)] for label, at in first.items()}


def random_walks(
    edges: tuple[np.ndarray, np.ndarray],
    starts: np.ndarray,
    count: int,
    *,
    length: int,
    return_weight: float,
    outward_weight: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Walks of `length` nodes, all at once. `edges` hold both directions, ordered by source; every start has one.

    A candidate neighbour is taken with a chance in proportion to its weight: back to where the walk came from, to a
    neighbour of that (weight 1), or further out.
    Shapes: edges two of (edges,), starts (walks,) -> (walks, length).
    """
    source, target = edges
    begin = np.searchsorted(source, np.arange(count))
    degree = np.searchsorted(source, np.arange(count), side="right") - begin
    known = source.astype(np.int64) * count + target
    highest = max(return_weight, 1.0, outward_weight)
    paths = np.empty((len(starts), length), np.int64)
    paths[:, 0] = starts
    for step in range(1, length):
        here, before = paths[:, step - 1], paths[:, max(step - 2, 0)]
        open_rows = np.arange(len(starts))
        for attempt in range(_TRIES):
            at = here[open_rows]
            drawn = target[begin[at] + rng.integers(0, degree[at])]
            paths[open_rows, step] = drawn
            if step == 1 or attempt == _TRIES - 1:
                break
            asked = before[open_rows] * count + drawn
            near = known[np.minimum(np.searchsorted(known, asked), len(known) - 1)] == asked
            weight = np.where(drawn == before[open_rows], return_weight, np.where(near, 1.0, outward_weight))
            open_rows = open_rows[rng.random(len(drawn)) * highest >= weight]
            if not len(open_rows):
                break
    return paths


def _homogeneous(snapshot: Any) -> tuple[dict[str, int], tuple[np.ndarray, np.ndarray]]:
    """Where each label's nodes begin in one numbering, and all edges in both directions, ordered, each once."""
    counts = [snapshot.count(label) for label in snapshot.node_types]
    first = dict(zip(snapshot.node_types, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))
    pairs = [np.zeros((2, 0), np.int64)]
    for edge_type in snapshot.edge_types:
        source, target = (np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type))
        there = np.stack([source + first[edge_type[0]], target + first[edge_type[2]]])
        pairs += [there, there[::-1]]
    found = np.unique(np.concatenate(pairs, 1), axis=1)
    return first, (found[0], found[1])


def _skip_gram(
    centre: np.ndarray, context: np.ndarray, count: int, *, width: int, negatives: int, steps: int, rng_seed: int
) -> np.ndarray:
    """Reference: Mikolov et al. 2013, equation 4; negatives are drawn by frequency to the power 3/4."""
    generator = torch.Generator().manual_seed(rng_seed)
    inside = torch.nn.Parameter(torch.randn(count, width, generator=generator) / width**0.5)
    outside = torch.nn.Parameter(torch.zeros(count, width))
    optimizer = torch.optim.Adam([inside, outside], lr=0.02)
    often = torch.bincount(torch.as_tensor(context), minlength=count).double().pow(0.75)
    pairs = torch.stack([torch.as_tensor(centre), torch.as_tensor(context)])
    for _ in range(steps):
        one, two = pairs[:, torch.randint(pairs.shape[1], (_PAIRS_A_STEP,), generator=generator)]
        wrong = torch.multinomial(often, len(one) * negatives, replacement=True, generator=generator)
        near = (inside[one] * outside[two]).sum(1)
        far = torch.einsum("nd,nkd->nk", inside[one], outside[wrong].view(len(one), negatives, width))
        loss = -F.logsigmoid(near).mean() - F.logsigmoid(-far).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return inside.detach().numpy()
