"""How is one step shared out to several workers, and when does its job go on?

Each part is a Job of its own, with a lease of its own, whose `parent` is the job. The job gives its lease back; it is
taken again when none of its parts is open, and the step is done once more, `shared` then, with what they left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kg.graph import Graph
from kg.jobs import Lease, create_job
from workers.contracts import PAYLOAD_VERSION, Payload, step_name

__all__ = ["Parts", "share_out", "tell_parent"]


@dataclass(frozen=True)
class Parts:
    """What a step returns that wants to be shared out: its parts by a name that is the same when it is done again."""

    payloads: Mapping[str, Payload]


def share_out(lease: Lease, parts: Parts) -> None:
    """Write the parts down, then give the job back. Killed in between, it is found waiting for those that are there.

    Raises: StaleToken, GraphUnavailable.
    """
    said = lease.said
    common = {name: said.get(name) for name in ("graph", "task", "who") if said.get(name) is not None}
    for name, payload in parts.payloads.items():
        plan = [{"step": step_name(payload), "args": payload.model_dump(mode="json", exclude={"version"})}]
        properties = {**common, "kind": "part", "parent": lease.job, "plan": json.dumps(plan)}
        part = f"{lease.job}.{lease.step}.{name}"
        create_job(lease.graph, part, {**properties, "version": PAYLOAD_VERSION})
    lease.settle(state="running", shared=lease.step, message=f"shared out in {len(parts.payloads)} parts")


def tell_parent(graph: Graph, lease: Lease) -> None:
    """A part has ended, however it did: its job goes on after the last one. Raises: GraphUnavailable."""
    if parent := lease.said.get("parent"):
        graph.run("jobs/wake", id=parent)
