"""Which nodes does chance pick, so that the same seed picks the same ones from a database and from a snapshot?

Chance here is a number for every node made of its label, its key, the random seed and the hop: nothing of it depends on
internal ids, on the order in which a server keeps relations, or on what else is asked for.
Reference: the number belongs to the node and not to the edge, as in layer-neighbour sampling (Balin, Catalyurek: LABOR,
NeurIPS 2023, section 3.2); each node's sample stays uniform, and the samples of a hop share nodes.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pyarrow as pa

from kg.snapshots.ordering import order_by_two

__all__ = ["chances", "few_of", "first_by_chance", "key_hashes"]

_KEYS_AT_ONCE = 8_192
_AMPLE = 3.0
"""So many times the nodes that are wanted are looked at, on average; where they do not suffice, all are."""

_ALL = np.uint64(2**64 - 1)


def key_hashes(label: str, keys: pa.Array) -> np.ndarray:
    """64 bits for each key of a label. Shapes: n large strings -> (n,) uint64"""
    hashes = np.empty(len(keys), np.uint64)
    name = np.uint64(int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little"))
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        piece = keys.slice(start, _KEYS_AT_ONCE)
        hashes[start : start + len(piece)] = _mixed(_weighted_sums(piece) ^ name)
    return hashes


def chances(hashes: np.ndarray, *, rng_seed: int, hop: int) -> np.ndarray:
    """The numbers of nodes in one hop; the lowest are picked first. Shapes: (n,) uint64 -> (n,) uint64"""
    salt = hashlib.sha256(f"{rng_seed}/{hop}".encode()).digest()[:8]
    return _mixed(hashes ^ np.uint64(int.from_bytes(salt, "little")))


def few_of(chance: np.ndarray, *, wanted: int, degree: int) -> np.ndarray:
    """The nodes among which those with `degree` neighbours or more find `wanted` first ones, almost surely.

    They are the first of all nodes, so who finds enough of them has found the very first. Shapes: (n,) -> (few,) places
    """
    return np.flatnonzero(chance <= _share(_AMPLE * wanted / degree))


def first_by_chance(near: np.ndarray, far: np.ndarray, chance: np.ndarray, wanted: int) -> np.ndarray:
    """Places of each near node's `wanted` first pairs, ordered by near and chance; a pair counts once.

    Shapes: near, far (n,) small integers, chance by far node -> (picked,) places
    """
    place = _ample(near, chance[far], wanted)
    place = place[order_by_two(near[place], chance[far[place]])]
    near, far = near[place], far[place]
    fresh = np.ones(len(place), bool)
    fresh[1:] = (near[1:] != near[:-1]) | (far[1:] != far[:-1])
    place, near = place[fresh], near[fresh]
    # Near nodes stand together, so a node has more than it wants where so many pairs before is the same node.
    within = np.ones(len(near), bool)
    np.not_equal(near[wanted:], near[: max(len(near) - wanted, 0)], out=within[wanted:])
    return place[within]


def _ample(near: np.ndarray, chance: np.ndarray, wanted: int) -> np.ndarray:
    """Places of pairs that hold every node's first ones: sorting all pairs of a hub would take longest."""
    if not len(near):
        return np.zeros(0, np.int64)
    degrees = np.bincount(near)
    limits = _share(_AMPLE * wanted / np.maximum(degrees, 1))
    kept = chance <= limits[near]
    # Pairs may come twice, and chance may be unkind: nodes with less than two for one keep all they have.
    scarce = np.bincount(near[kept], minlength=len(degrees)) < 2 * wanted
    return np.flatnonzero(kept | scarce[near])


def _share(share: np.ndarray | float) -> np.ndarray:
    """The number below which such a share of all numbers lies."""
    share = np.minimum(np.asarray(share, np.float64), 1.0)
    return np.where(share >= 1.0, _ALL, (np.minimum(share, 0.999999) * 2.0**64).astype(np.uint64))


def _weighted_sums(keys: pa.Array) -> np.ndarray:
    """Sum over a key's bytes, each with a weight of its place; and the length."""
    _, offsets, data = keys.buffers()
    ends = np.frombuffer(offsets, np.int64)[keys.offset : keys.offset + len(keys) + 1]
    lengths = np.diff(ends)
    held = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.zeros(0, np.uint8)
    starts = ends[:-1] - ends[0]
    places = np.arange(len(held)) - np.repeat(starts, lengths)
    terms = (held.astype(np.uint64) + np.uint64(1)) * _weights(1 << int(lengths.max(initial=1)).bit_length())[places]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return sums[starts + lengths] - sums[starts] + lengths.astype(np.uint64)


@cache
def _weights(count: int) -> np.ndarray:
    return _mixed(np.arange(1, count + 1, dtype=np.uint64)) | np.uint64(1)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Reference: the finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable generators, OOPSLA 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
