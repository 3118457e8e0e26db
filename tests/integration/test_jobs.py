"""Is a job's effect there once, whoever dies, comes twice or comes late?"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from redis import Redis

from kg.errors import GraphBusy, JobCancelled, MemoryTaken, NodeNotFound, SchemaViolation, StaleToken
from kg.graph import Graph, connect
from kg.jobs import Lease, cancel_job, create_job, find_job, list_jobs
from kg.settings import Settings
from tests.support.published import column, rows, write
from workers import queue, running
from workers.contracts import EncodePart, Validate
from workers.estimating import Estimate, estimate, refuse_unless_it_fits
from workers.parts import Parts, share_out, tell_parent
from workers.watching import send_due, warn_of_forgetful_broker

PLAN = json.dumps([{"step": "validate", "args": {"domain": "saree"}}, {"step": "pull", "args": {"domain": "saree"}}])


@pytest.fixture
def job(graph: Graph) -> Callable[..., str]:
    """Writes a job of two steps."""

    def make(name: str = "job-1", **more: object) -> str:
        return create_job(graph, name, {"kind": "encode", "graph": "saree", "plan": PLAN, "version": 2, **more})

    return make


def taken(graph: Graph, job: str, step: int = 0, *, ttl_s: float = 60.0) -> Lease:
    lease = Lease(graph, job, step, ttl_s=ttl_s)
    assert lease.verdict == "taken", lease.verdict
    return lease


def expire(graph: Graph, job: str) -> None:
    """As time does."""
    write(graph, "MATCH (j:Job {id: $id}) SET j.lease_until = datetime.realtime() - duration('PT1S')", id=job)


def test_of_many_workers_with_one_message_one_gets_the_job(server: Settings, graph: Graph, job) -> None:
    name, verdicts, start = job(), [], threading.Barrier(6)

    def attempt() -> None:
        with connect(server) as own:
            start.wait()
            verdicts.append(Lease(own, name, 0, ttl_s=60).verdict)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == ["held"] * 5 + ["taken"]


def test_a_message_of_a_step_that_is_done_or_a_job_that_has_ended_does_nothing(graph: Graph, job) -> None:
    name = job()
    taken(graph, name).settle(state="running", step=1)
    assert Lease(graph, name, 0, ttl_s=60).verdict == "done before"
    taken(graph, name, 1).settle(state="done", step=2)
    assert Lease(graph, name, 1, ttl_s=60).verdict == "ended"
    assert Lease(graph, "nobody-knows-it", 0, ttl_s=60).verdict == "unknown"
    assert find_job(graph, name).ended_at is not None


def test_who_has_lost_the_job_writes_nothing_more(graph: Graph, job) -> None:
    name = job()
    former = taken(graph, name)
    former.graph.run("jobs/create", id="through-the-lease", properties={})
    expire(graph, name)
    newer = taken(graph, name)
    assert newer.token == former.token + 1

    with pytest.raises(StaleToken, match="somebody else has taken"):
        former.graph.run("jobs/create", id="too-late", properties={})
    with pytest.raises(StaleToken), former.graph.transaction("two statements") as tx:
        tx.run("jobs/create", id="too-late-as-well", properties={})
    with pytest.raises(StaleToken):
        former.graph.run("schema/005_job_key")
    with pytest.raises(StaleToken):
        former.settle(state="done")
    newer.graph.run("jobs/create", id="in-time", properties={})
    found = set(column(graph, "MATCH (j:Job) RETURN j.id"))
    assert found == {name, "through-the-lease", "in-time"}
    assert find_job(graph, name).state == "running"


def test_a_lease_that_ran_out_is_good_as_long_as_nobody_takes_it(graph: Graph, job) -> None:
    name = job()
    lease = taken(graph, name)
    expire(graph, name)
    lease.graph.run("jobs/create", id="after-a-nap", properties={})
    lease.settle(state="done", step=2)
    assert find_job(graph, name).state == "done"


def test_signs_of_life_keep_others_away_and_tell_progress(graph: Graph, job) -> None:
    name = job()
    with taken(graph, name, ttl_s=1.0) as lease:
        with lease.progress.stage("reading", 10, "rows") as advance:
            time.sleep(0.2)
            advance(4)
            time.sleep(1.6)
            assert Lease(graph, name, 0, ttl_s=1).verdict == "held"
        said = find_job(graph, name)
        assert (said.stage, said.done, said.total, said.unit) == ("reading", 4, 10, "rows")
        assert said.rate_per_s > 0 and said.remaining_s > 0 and said.progress == pytest.approx(0.2)
        lease.settle(state="done", step=2)
    said = find_job(graph, name)
    assert said.state == "done" and said.stage is None and said.progress == 1.0


def test_cancelling_interrupts_whoever_works_within_seconds(graph: Graph, job) -> None:
    name = job()
    started = time.monotonic()
    threading.Timer(0.3, lambda: cancel_job(graph, name)).start()
    with pytest.raises(JobCancelled), taken(graph, name):
        time.sleep(20)
    assert time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGUSR2) is not signal.SIG_DFL
    os.kill(os.getpid(), signal.SIGUSR2)  # one that comes late harms nobody


def test_a_job_that_nobody_works_at_is_cancelled_at_once(graph: Graph, job) -> None:
    assert cancel_job(graph, job()) == "cancelled"
    assert Lease(graph, "job-1", 0, ttl_s=60).verdict == "ended"
    with pytest.raises(NodeNotFound, match="korvai jobs"):
        cancel_job(graph, "nobody-knows-it")


def test_a_job_whose_worker_died_before_it_heard_is_cancelled_by_the_next(graph: Graph, job) -> None:
    name = job(excludes="retrain/saree")
    taken(graph, name)
    assert cancel_job(graph, name) == "running"
    expire(graph, name)
    assert Lease(graph, name, 0, ttl_s=60).verdict == "cancelled"
    assert find_job(graph, name).state == "cancelled"
    taken(graph, job("job-2", excludes="retrain/saree"))


def test_two_retrainings_of_one_graph_never_run_at_once(graph: Graph, job) -> None:
    names = [job(f"job-{n}", excludes="retrain/saree") for n in range(4)]
    verdicts, start = {}, threading.Barrier(4)

    def attempt(name: str) -> None:
        start.wait()
        verdicts[name] = Lease(graph, name, 0, ttl_s=60)

    threads = [threading.Thread(target=attempt, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [lease for lease in verdicts.values() if lease.verdict == "taken"]
    assert {lease.verdict for lease in verdicts.values()} == {"taken", "waits"}
    waiting = next(name for name in names if name != winner.job)
    winner.settle(state="running", step=1)  # between two steps it is still at it
    assert Lease(graph, waiting, 0, ttl_s=60).verdict == "waits"
    assert winner.job in find_job(graph, waiting).message
    assert taken(graph, job("other", excludes="retrain/artgraph"))
    taken(graph, winner.job, 1).settle(state="done", step=2)
    taken(graph, waiting)


def test_due_is_what_was_never_sent_what_got_lost_and_what_lost_its_worker(graph: Graph, job) -> None:
    def due() -> list[str]:
        return [row["id"] for row in graph.run("jobs/due", most=10)]

    name = job()
    assert due() == [name]
    assert graph.run("jobs/mark_sent", id=name, step=0, again_s=60.0)[0]["sent"]
    assert due() == []  # its message is on its way …
    graph.run("jobs/make_due")
    assert due() == [name]  # … or was lost with its broker
    graph.run("jobs/mark_sent", id=name, step=0, again_s=60.0)
    lease = taken(graph, name)
    graph.run("jobs/make_due")
    assert due() == [] and not graph.run("jobs/mark_sent", id=name, step=0, again_s=60.0)[0]["sent"]
    expire(graph, name)
    assert due() == [name]
    lease = taken(graph, name)
    assert find_job(graph, name).crashes == 1
    lease.settle(state="running", due_s=30)
    assert due() == []  # later
    taken(graph, name).settle(state="failed")
    assert due() == []


def test_no_clock_but_the_database_s_counts(graph: Graph, job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose clock is a day fast takes nothing early, one that is a day slow gives nothing up late."""
    real = time.time

    def due() -> list[str]:
        return [row["id"] for row in graph.run("jobs/due", most=10)]

    for skew_s in (86_400.0, -86_400.0):
        monkeypatch.setattr(time, "time", lambda skew_s=skew_s: real() + skew_s)
        name = job(f"skewed-{skew_s}")
        lease = taken(graph, name)
        assert Lease(graph, name, 0, ttl_s=60).verdict == "held" and due() == []
        lease.settle(state="running", due_s=30)
        assert due() == []
        lease = taken(graph, name)
        lease.settle(state="done")
        age = "RETURN abs(duration.inSeconds(j.ended_at, datetime.realtime()).seconds)"
        assert column(graph, f"MATCH (j:Job {{id: $id}}) {age}", id=name)[0] < 60


def test_a_step_that_is_shared_out_goes_on_after_its_last_part(graph: Graph, job) -> None:
    name, payload = job(), EncodePart(snapshot="s", vision_encoder="korvai-small", start=0, stop=8)
    parts = Parts({"0": payload, "8": payload.model_copy(update={"start": 8, "stop": 16})})
    share_out(taken(graph, name), parts)
    assert [one.id for one in list_jobs(graph)] == [name]
    assert Lease(graph, name, 0, ttl_s=60).verdict == "waits" and "its parts" in find_job(graph, name).message
    for number, part in enumerate(("job-1.0.0", "job-1.0.8")):
        lease = taken(graph, part)
        lease.settle(state="done" if number else "failed", step=1)
        tell_parent(graph, lease)
        assert (find_job(graph, name).done, find_job(graph, name).total) == (number + 1, 2)
        assert Lease(graph, part, 0, ttl_s=60).verdict == "ended"
    assert [row["id"] for row in graph.run("jobs/due", most=10)] == [name]
    assert taken(graph, name).said["shared"] == 0


def test_the_parts_of_a_cancelled_job_stop(graph: Graph, job) -> None:
    name, payload = job(), EncodePart(snapshot="s", vision_encoder="korvai-small", start=0, stop=8)
    share_out(taken(graph, name), Parts({"0": payload, "8": payload}))
    running = taken(graph, f"{name}.0.0")
    assert cancel_job(graph, name) == "cancelled"
    assert Lease(graph, f"{name}.0.8", 0, ttl_s=60).verdict == "cancelled"
    assert graph.one("jobs/look", id=running.job)["cancel"]


def test_a_job_says_what_it_will_take_and_one_too_large_is_refused(
    settings: Settings, graph: Graph, job, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = estimate(graph, "retrain", "saree")
    assert before.expected_s is None and "for the first time" in before.line()
    write(graph, "UNWIND range(1, 1000) AS n CREATE (:Motif {name: 'm' + n})")
    for n, seconds in enumerate((10, 12, 90)):
        write(graph, "CREATE (:Job {id: $id, kind: 'retrain', graph: 'saree', state: 'done', started_at: datetime(), "
              "ended_at: datetime() + duration({seconds: $s})})", id=f"old-{n}", s=seconds)  # fmt: skip
    after = estimate(graph, "retrain", "saree")
    assert after.needs_mib > before.needs_mib and after.expected_s == 12
    assert estimate(graph, "classify", "saree").needs_mib <= before.needs_mib  # page by page, however many

    small = settings.model_copy(update={"worker_memory_mib": 100})
    monkeypatch.setattr(running, "settings", lambda: small)
    name = job("too-large", **{"kind": "retrain"})
    running._under_lease(taken(graph, name), Validate, lambda work, args: pytest.fail("it began"))
    said = find_job(graph, name)
    assert said.state == "refused" and "this worker may have 100 MiB" in said.message
    assert (said.needs_mib, said.expected_s) == (after.needs_mib, 12)
    refuse_unless_it_fits(after, settings, "fits")
    total_mib = psutil.virtual_memory().total // 2**20
    with pytest.raises(MemoryTaken, match="are free now") as raised:
        refuse_unless_it_fits(Estimate(total_mib - 1, None), settings, "nearly all")
    assert raised.value.retryable


def test_a_graph_that_is_written_to_all_the_time_is_pulled_later(settings: Settings, graph: Graph, job, monkeypatch):
    def pull(*_: object) -> dict[str, object]:
        raise GraphBusy("pulling the graph: nodes:Motif kept changing during 6 reads")

    monkeypatch.setattr(running, "settings", lambda: settings)
    lease = taken(graph, job())
    running._under_lease(lease, Validate, pull)
    said = find_job(graph, lease.job)
    assert said.state == "running" and "trying again: pulling the graph" in said.message


def test_a_queue_that_is_not_worked_off_gets_no_more_messages(
    settings: Settings, graph: Graph, job, redis_server
) -> None:
    with Redis.from_url(redis_server) as client:
        client.flushdb()
        for n in range(5):
            job(f"job-{n}")
        assert send_due(settings, graph, most_waiting=2) == 2
        assert send_due(settings, graph, most_waiting=2) == 0
        assert queue.waiting_messages(settings)["io"] == 2
        client.flushdb()
    assert send_due(settings, graph, most_waiting=2) == 2
    assert len(graph.run("jobs/due", most=10)) == 1  # nothing is lost by waiting


def test_a_redis_that_keeps_nothing_is_warned_of(settings: Settings, redis_server: str) -> None:
    assert warn_of_forgetful_broker(settings) is None
    with Redis.from_url(redis_server) as client:
        kept = {**client.config_get("appendonly"), **client.config_get("save")}
        try:
            client.config_set("appendonly", "no")
            client.config_set("save", "")
            assert "restart loses queued messages" in warn_of_forgetful_broker(settings)
        finally:
            for name, value in kept.items():
                client.config_set(name, value)


def test_jobs_are_listed_and_what_curators_write_there_is_only_shown(graph: Graph, job) -> None:
    job()
    write(graph, "CREATE (:Job {id: 'odd', kind: 7, state: 'done', plan: '{', result: '[1]', created_at: 'today'})")
    assert [one.id for one in list_jobs(graph, state="queued")] == ["job-1"]
    odd = find_job(graph, "odd")
    assert (odd.kind, odd.steps, odd.result, odd.created_at) == ("7", (), {}, None)
    with pytest.raises(SchemaViolation, match="no state 'gone'"):
        list_jobs(graph, state="gone")
    assert rows(graph, "MATCH (j:Job) RETURN count(j)") == [[2]]
