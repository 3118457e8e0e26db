"""How much memory and time will a job take, and has this machine that much?

Time is the median of the last jobs of the same kind and graph. Memory is an upper bound from the graph's size: a job
that is larger than the machine ends at once with a message; one that does not fit beside what runs now waits.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import psutil

from kg.errors import JobTooLarge, MemoryTaken
from kg.graph import Graph
from kg.settings import Settings

__all__ = ["Estimate", "estimate", "refuse_unless_it_fits"]

_MIB = 2**20
_BASE_MIB = 1000
"""A worker with torch and both encoders that ship, measured: 975 MiB."""
_BYTES_A_NODE = 7_000  # text, its vector of 384 numbers three times: cache, feature matrix, network
_BYTES_A_RELATION = 100
_BYTES_AN_IMAGE = 7_000  # a vector of 512 numbers three times, hash and path
_READS_ALL = {"retrain", "encode", "refresh", "evaluate", "publish", "explain"}
"""The others go page by page, whatever the size of the graph."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to take; no seconds where none of its kind was done before."""

    needs_mib: int
    expected_s: float | None

    def line(self) -> str:
        """For a person."""
        time = "for the first time" if self.expected_s is None else f"about {self.expected_s:,.0f} s as before"
        return f"{time}, memory up to {self.needs_mib:,} MiB"


def estimate(graph: Graph, kind: str, domain: str, encoder: str = "") -> Estimate:
    """Of a job of that kind; `encoder` may name a file of weights. Raises: GraphUnavailable."""
    row = graph.one("jobs/sizes", kind=kind, graph=domain)
    assert row is not None, "counts are one row"
    needed = _encoder_bytes(encoder)
    if kind in _READS_ALL:
        needed += row["nodes"] * _BYTES_A_NODE + row["relations"] * _BYTES_A_RELATION + row["images"] * _BYTES_AN_IMAGE
    expected_s = round(statistics.median(row["took_s"]), 1) if row["took_s"] else None
    return Estimate(_BASE_MIB + needed // _MIB, expected_s)


def refuse_unless_it_fits(expected: Estimate, settings: Settings, what: str) -> None:
    """Return when this machine has the memory now.

    Raises: JobTooLarge (it never will), MemoryTaken (others have it now).
    """
    limit_mib = _limit_mib(settings)
    if expected.needs_mib > limit_mib:
        raise JobTooLarge(
            f"{what}: needs up to {expected.needs_mib:,} MiB of memory, this worker may have {limit_mib:,} MiB; run a "
            "worker on a larger machine, or raise KORVAI_WORKER_MEMORY_MIB"
        )
    mine_mib, free_mib = psutil.Process().memory_info().rss // _MIB, psutil.virtual_memory().available // _MIB
    if expected.needs_mib - mine_mib > free_mib:
        raise MemoryTaken(f"{what}: needs up to {expected.needs_mib:,} MiB of memory, {free_mib:,} MiB are free now")


def _limit_mib(settings: Settings) -> int:
    limits = [psutil.virtual_memory().total, *map(_cgroup_bytes, _CGROUPS)]
    return min([*(limit // _MIB for limit in limits), settings.worker_memory_mib or limits[0] // _MIB])


def _cgroup_bytes(path: str) -> int:
    """What a container may have; very much where nobody says."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return 2**62


def _encoder_bytes(spec: str) -> int:
    """Weights in a file of one's own, as they are read and as they are used."""
    place = Path(spec.rpartition(":")[2])
    return 2 * place.stat().st_size if spec and place.is_file() else 0
