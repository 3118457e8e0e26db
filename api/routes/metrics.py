"""What does Prometheus scrape: how many jobs are in which state, and how many messages wait?"""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import GraphDep, SettingsDep
from kg.errors import QueueUnavailable
from kg.graph import Graph
from kg.settings import Settings
from workers.queue import waiting_messages

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def metrics(graph: GraphDep, settings: SettingsDep) -> Response:
    """In Prometheus' text form, read from graph and broker at each scrape: every replica of the API says the same."""
    return Response(generate_latest(_collected(graph, settings)), media_type=CONTENT_TYPE_LATEST)


def _collected(graph: Graph, settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    jobs = Gauge("korvai_jobs", "Jobs by kind and state.", ["kind", "state"], registry=registry)
    for row in graph.run("jobs/count"):
        jobs.labels(row["kind"] or "", row["state"] or "").set(row["jobs"])
    running = Gauge(
        "korvai_job_step_done_ratio", "Running jobs: share of the stage.", ["job", "stage"], registry=registry
    )
    for row in graph.run("jobs/list", state="running", kind="", graph="", most=100):
        said = row["job"]
        if said.get("total"):
            running.labels(said["id"], said.get("stage") or "").set(said.get("done", 0) / said["total"])
    broker = Gauge("korvai_broker_up", "Whether Redis answers.", registry=registry)
    waiting = Gauge("korvai_waiting_messages", "Messages nobody has taken.", ["queue"], registry=registry)
    try:
        for queue, count in waiting_messages(settings).items():
            waiting.labels(queue).set(count)
        broker.set(1)
    except QueueUnavailable:
        broker.set(0)
    return registry
