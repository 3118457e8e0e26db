"""Which nodes and relations lie around some nodes, at most so many of each relation, picked by chance that repeats?

The same for a database and for a snapshot: a source tells who is whose neighbour, all choosing is done here and in
`kg.snapshots.picking`. What a cap leaves out is the end of one order, so the caps too cut the same from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from kg.errors import SettingsError
from kg.progress import Reporter
from kg.schema import Domain, EdgeType
from kg.snapshots.chance import chances
from kg.snapshots.ordering import distinct, first_places, is_among
from kg.snapshots.picking import picked
from kg.snapshots.sources import Asked, Direction, Source, directions

__all__ = ["ALL", "Caps", "Plan", "Sample", "sample"]

ALL = -1
"""A fan-out that takes every neighbour."""

_BYTES_AN_EDGE = 16
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Caps:
    """What a sample must not exceed. `bytes` counts 16 a relation, and 16 and key and text a node."""

    nodes: int = 100_000
    edges: int = 1_000_000
    bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """How far, and how many neighbours a node and direction, hop by hop; `relations` wins where it names a direction.

    Names are relation types: `About` for the way to the target, `rev_About` for the way back. 0 leaves one out, ALL
    takes every neighbour.
    """

    fan_outs: tuple[int, ...]
    relations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def check(self, domain: Domain) -> None:
        """Raises: SettingsError for no hop, a fan-out below -1, an unknown relation or another number of hops."""
        known = {direction.name for direction in directions(domain)}
        for name, fan_outs in (("fan-outs", self.fan_outs), *self.relations.items()):
            if not fan_outs or min(fan_outs) < ALL or len(fan_outs) != len(self.fan_outs):
                raise SettingsError(
                    f"neighbourhood: {name} {list(fan_outs)}: give one number a hop, as in 10,10; -1 takes all, 0 none"
                )
        if unknown := sorted(set(self.relations) - known):
            raise SettingsError(
                f"neighbourhood: {domain.domain} has no {unknown[0]!r}; known: {', '.join(sorted(known))}"
            )

    def fan_out(self, direction: Direction, hop: int) -> int:
        """How many neighbours a node gets in one hop."""
        return self.relations.get(direction.name, self.fan_outs)[hop]


@dataclass
class Sample:
    """What was picked, by the source's numbers: nodes in the order they were reached, relations source to target.

    `ranks` orders the nodes of all labels as they were reached. `cut` says what was left out and why.
    Shapes: nodes, hops, ranks (n,) a label; edges two of (E,) an edge type
    """

    nodes: dict[str, np.ndarray]
    hops: dict[str, np.ndarray]
    ranks: dict[str, np.ndarray]
    edges: dict[EdgeType, Pairs]
    cut: dict[str, str]


def sample(
    source: Source, label: str, seeds: np.ndarray, plan: Plan, *, caps: Caps, rng_seed: int, reporter: Reporter
) -> Sample:
    """Walk out from the seeds, `len(plan.fan_outs)` hops.

    Where a cap is reached, the nodes and relations of that hop with the lowest numbers stay, and the walk ends.
    """
    walk = _Walk(source.domain, {name: len(source.hashes(name)) for name in source.domain.node_types}, caps)
    walk.begin(label, seeds)
    with reporter.stage("walking out", len(plan.fan_outs), "hops") as advance:
        for hop in range(len(plan.fan_outs)):
            chance = _Chances(source, rng_seed, hop)
            asked = {
                Asked(direction, walk.frontier[direction.near]): _bounded(plan.fan_out(direction, hop), caps.edges)
                for direction in directions(source.domain)
                if len(walk.frontier.get(direction.near, ())) and plan.fan_out(direction, hop)
            }
            walk.take(hop + 1, list(asked), picked(source, asked, chance), chance)
            advance(1)
            if walk.cut:
                break
    return walk.sample()


class _Chances(dict[str, np.ndarray]):
    """The numbers of one hop, by label; made for labels that it comes to."""

    def __init__(self, source: Source, rng_seed: int, hop: int) -> None:
        self._of = partial(chances, rng_seed=rng_seed, hop=hop)
        self._source = source

    def __missing__(self, label: str) -> np.ndarray:
        self[label] = numbers = self._of(self._source.hashes(label))
        return numbers


def _bounded(fan_out: int, edges: int) -> int:
    return edges if fan_out == ALL else min(fan_out, edges)


class _Walk:
    """Nodes and relations so far, within the caps."""

    def __init__(self, domain: Domain, sizes: Mapping[str, int], caps: Caps) -> None:
        self._caps = caps
        self.labels = list(sizes)
        self._known = {label: np.zeros(size, bool) for label, size in sizes.items()}
        self.frontier: dict[str, np.ndarray] = {}
        self.cut: dict[str, str] = {}
        self._nodes: dict[str, list[np.ndarray]] = {label: [] for label in self.labels}
        self._hops: dict[str, list[np.ndarray]] = {label: [] for label in self.labels}
        self._ranks: dict[str, list[np.ndarray]] = {label: [] for label in self.labels}
        self._edges: dict[EdgeType, list[np.ndarray]] = {edge_type: [] for edge_type in domain.edge_types}
        self._node_count = self._edge_count = self._rank = 0
        self._edges_at_most = min(caps.edges, caps.bytes // _BYTES_AN_EDGE)

    def begin(self, label: str, seeds: np.ndarray) -> None:
        """Start at the seeds."""
        if len(seeds) > self._caps.nodes:
            self.cut["nodes"] = (
                f"{len(seeds):,} seeds, cap {self._caps.nodes:,}: the first ones stay, nothing around them"
            )
            seeds = seeds[: self._caps.nodes]
        self._reach({label: seeds}, {label: np.arange(len(seeds))}, 0)

    def take(self, hop: int, asked: Sequence[Asked], picked: Sequence[Pairs], chance: Mapping[str, np.ndarray]) -> None:
        """Add one hop's pairs, lowest numbers first, as far as the caps allow."""
        pairs = [self._fresh(a.direction, *ends) for a, ends in zip(asked, picked, strict=True)]
        kind = np.repeat(np.arange(len(pairs)), [p.shape[1] for p in pairs])
        far = _concatenated([p[1] for p in pairs])
        labels = np.array([self.labels.index(a.direction.far) for a in asked], int)[kind]
        far_chance = _numbers(chance[a.direction.far][p[1]] for a, p in zip(asked, pairs, strict=True))
        if self._all_fit(len(far)):
            order = np.argsort(far_chance)  # of a node's own relations any may come first: all stay
        else:
            near_chance = _numbers(chance[a.direction.near][p[0]] for a, p in zip(asked, pairs, strict=True))
            order = np.lexsort((near_chance, kind, labels, far_chance))
            order = order[self._within_caps(labels[order], far[order])]
            pairs = [p[:, kept] for p, kept in zip(pairs, _split(order, pairs), strict=True)]
        for a, (near, ends) in zip(asked, pairs, strict=True):
            self._edges[a.direction.edge_type].append(_packed(*((ends, near) if a.direction.back else (near, ends))))
            self._edge_count += len(near)
        self._reach(*self._unknown(labels[order], far[order]), hop)

    def sample(self) -> Sample:
        """All that was reached; relations found from both ends stand once."""
        nodes = {label: _concatenated(parts) for label, parts in self._nodes.items()}
        hops = {label: _concatenated(parts).astype(np.int8) for label, parts in self._hops.items()}
        edges = {edge_type: _unpacked(distinct(_concatenated(parts))) for edge_type, parts in self._edges.items()}
        ranks = {label: _concatenated(parts) for label, parts in self._ranks.items()}
        return Sample(nodes, hops, ranks, edges, self.cut)

    def _unknown(self, labels: np.ndarray, far: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """By label the nodes that were not reached before, and their places."""
        first = first_places(_packed(labels, far))
        fresh, ranks = {}, {}
        for i, label in enumerate(self.labels):
            place = first[labels[first] == i]
            place = place[~self._known[label][far[place]]]
            fresh[label], ranks[label] = far[place], place
        return fresh, ranks

    def _reach(self, fresh: Mapping[str, np.ndarray], ranks: Mapping[str, np.ndarray], hop: int) -> None:
        self.frontier = dict(fresh)
        for label, nodes in fresh.items():
            self._nodes[label].append(nodes)
            self._ranks[label].append(ranks[label] + self._rank)
            self._hops[label].append(np.full(len(nodes), hop))
            self._known[label][nodes] = True
            self._node_count += len(nodes)
        self._rank = 1 + max((int(r.max(initial=0)) + self._rank for r in ranks.values()), default=self._rank)

    def _fresh(self, direction: Direction, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Pairs that were not taken in an earlier hop from their other end."""
        pairs = np.stack([near, far])
        maybe = np.flatnonzero(self._known[direction.far][far])
        if not len(maybe):
            return pairs
        taken = _concatenated(self._edges[direction.edge_type])
        ends = (far[maybe], near[maybe]) if direction.back else (near[maybe], far[maybe])
        return np.delete(pairs, maybe[is_among(_packed(*ends), taken)], axis=1)

    def _all_fit(self, count: int) -> bool:
        """Whether so many pairs stay below all caps."""
        return self._node_count + count <= self._caps.nodes and self._edge_count + count <= self._edges_at_most

    def _within_caps(self, labels: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Which of the hop's pairs stay, in their order."""
        kept = np.ones(len(far), bool)
        if self._edge_count + len(far) > self._edges_at_most:
            kept[self._edges_at_most - self._edge_count :] = False
            name = "edges" if self._edges_at_most == self._caps.edges else "bytes"
            self.cut[name] = f"{self._edge_count + len(far):,} relations, {self._edges_at_most:,} stay"
        ends = _packed(labels, far)
        known = np.zeros(len(far), bool)
        for i, label in enumerate(self.labels):
            mine = labels == i
            known[mine] = self._known[label][far[mine]]
        first = np.zeros(len(far), bool)
        first[first_places(ends)] = True
        count = self._node_count + np.cumsum(first & ~known & kept)
        if len(far) and count[-1] > self._caps.nodes:
            self.cut["nodes"] = f"{count[-1]:,} nodes, {self._caps.nodes:,} stay"
            kept &= known | is_among(ends, ends[first & (count <= self._caps.nodes)])
        return np.flatnonzero(kept)


def _split(order: np.ndarray, pairs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Which of each question's pairs are in an order of all."""
    kept = np.zeros(sum(p.shape[1] for p in pairs), bool)
    kept[order] = True
    return np.split(kept, np.cumsum([p.shape[1] for p in pairs])[:-1])


def _numbers(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def _packed(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return (source.astype(np.int64) << 32) | target.astype(np.int64)


def _unpacked(pairs: np.ndarray) -> Pairs:
    return pairs >> 32, pairs & 0xFFFFFFFF


def _concatenated(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *parts])
