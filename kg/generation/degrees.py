"""How do relations fall on nodes: few with very many, many with few, no pair twice, exactly as many as asked?"""

from __future__ import annotations

import numpy as np

__all__ = ["assign_one_each", "distinct_pairs", "hub_degrees", "proportional", "scattered_degrees"]

_ROUNDS = 60
"""Each round of shuffling leaves a fraction of the repeated pairs; what is left after so many is moved one by one."""


def hub_degrees(total: int, nodes: int, *, head: float, cap: int) -> np.ndarray:
    """Zipf-like degrees that add up to `total`: node k gets about 1 / (k + head), one at least where there are enough.

    Shapes: (nodes,) int64, falling. Each is at most `cap`.
    """
    weights = 1.0 / (np.arange(nodes) + 1.0 + head)
    floor = 1 if total >= nodes else 0
    return _capped(floor + proportional(weights, total - floor * nodes), cap)


def scattered_degrees(rng: np.random.Generator, total: int, nodes: int, *, cap: int) -> np.ndarray:
    """Degrees around total / nodes, without hubs; one at least where there are enough. Shapes: (nodes,) int64."""
    weights = rng.gamma(2.0, size=nodes)
    floor = 1 if total >= nodes else 0
    return _capped(floor + rng.multinomial(total - floor * nodes, weights / weights.sum()), cap)


def proportional(weights: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers in proportion to `weights` that add up to `total`. Shapes: (nodes,) int64."""
    shares = weights * (total / weights.sum())
    degrees = np.floor(shares).astype(np.int64)
    largest_rests = np.argsort(degrees - shares, kind="stable")[: total - int(degrees.sum())]
    degrees[largest_rests] += 1
    return degrees


def assign_one_each(
    rng: np.random.Generator, degrees: np.ndarray, *, groups: np.ndarray | None = None, strays: float = 1.0
) -> np.ndarray:
    """A target for each of `degrees.sum()` sources. With `groups`, sources of one group mostly share their target,
    and a share of `strays` does not.

    Shapes: (sources,) int64.
    """
    count = int(degrees.sum())
    blocks = rng.permutation(len(degrees))
    in_blocks = np.repeat(blocks, degrees[blocks])
    stray = np.flatnonzero(rng.random(count) < strays)
    in_blocks[stray] = in_blocks[rng.permutation(stray)]
    if groups is None:
        return in_blocks
    order = np.argsort(rng.permutation(int(groups.max()) + 1)[groups], kind="stable")
    targets = np.empty(count, np.int64)
    targets[order] = in_blocks
    return targets


def distinct_pairs(
    rng: np.random.Generator, out_degrees: np.ndarray, in_degrees: np.ndarray, *, within: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with these degrees, none twice, by source and target. `within`: both ends are of one kind, so that nobody
    is paired with itself, nor two with each other in both directions.

    Shapes: two of (pairs,) int64.
    """
    sources = np.repeat(np.arange(len(out_degrees)), out_degrees)
    targets = rng.permutation(np.repeat(np.arange(len(in_degrees)), in_degrees))
    for _ in range(_ROUNDS):
        clashing = _clashing(sources, targets, within=within)
        if not len(clashing):
            break
        others = rng.integers(0, len(targets), size=len(clashing) + 8)
        moved = np.unique(np.concatenate([clashing, others]))
        targets[moved] = targets[rng.permutation(moved)]
    for pair in _clashing(sources, targets, within=within):
        targets[pair] = rng.choice(_free_targets(sources, targets, sources[pair], len(in_degrees), within=within))
    order = np.lexsort((targets, sources))
    return sources[order], targets[order]


def _clashing(sources: np.ndarray, targets: np.ndarray, *, within: bool) -> np.ndarray:
    """Places of pairs that stand before already, or may not be at all."""
    wide = int(max(sources.max(initial=0), targets.max(initial=0))) + 1
    first, second = (np.minimum(sources, targets), np.maximum(sources, targets)) if within else (sources, targets)
    codes = first * wide + second
    order = np.argsort(codes, kind="stable")
    repeated = order[1:][codes[order[1:]] == codes[order[:-1]]]
    return np.union1d(repeated, np.flatnonzero(sources == targets)) if within else repeated


def _free_targets(sources: np.ndarray, targets: np.ndarray, source: int, count: int, *, within: bool) -> np.ndarray:
    taken = targets[sources == source]
    if within:
        taken = np.concatenate([taken, sources[targets == source], [source]])
    return np.setdiff1d(np.arange(count), taken)


def _capped(degrees: np.ndarray, cap: int) -> np.ndarray:
    """The same sum with no degree above `cap`: the excess goes to the next ones that have room."""
    while (excess := int(np.maximum(degrees - cap, 0).sum())) > 0:
        degrees = np.minimum(degrees, cap)
        room = np.flatnonzero(degrees < cap)
        degrees[room[: excess % len(room)]] += 1
        degrees[room] += excess // len(room)
    return degrees
