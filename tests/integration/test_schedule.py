"""Does the schedule start what it should once, say why where it starts nothing, and do edits bring new vectors?"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import pytest
from celery.schedules import crontab

from kg.changes import capture
from kg.errors import SettingsError
from kg.graph import Graph
from kg.jobs import Lease, find_job
from kg.publishing.publish import publish
from kg.settings import Settings, load_settings
from kg.store import Store
from tests.support.published import column, craft, publication, write
from workers.reasons import EditWatch
from workers.schedule import beat_schedule, entries, run_entry

NOW = dt.datetime(2026, 5, 4, 3, 0)


@pytest.fixture
def published(graph: Graph, settings: Settings, store: Store, redis_server: str, tmp_path: Path, reporter) -> Settings:
    """A graph with an active set, and settings whose schedule has one entry of each kind."""
    craft(graph)
    publish(graph, store, publication(tmp_path), reporter=reporter)
    path = tmp_path / "schedule.yaml"
    path.write_text(
        "nightly: {kind: retrain, at: retrain_hour}\n"
        "by_change: {kind: retrain, every_minutes: 5, if_changed: {edits: 2, stale_classes: 0.5, score_drop: 0.1}}\n"
    )
    return settings.model_copy(update={"schedule": path})


def ended(graph: Graph, job: str) -> None:
    lease = Lease(graph, job, 0, ttl_s=5)
    lease.settle(state="done")


def test_a_tick_that_comes_twice_makes_one_job_and_none_beside_an_open_one(published: Settings, graph: Graph) -> None:
    (job,) = run_entry(published, graph, "nightly", now=NOW)
    assert (find_job(graph, job).kind, find_job(graph, job).who) == ("retrain", "schedule nightly: its time")
    (skipped,) = run_entry(published, graph, "nightly", now=NOW + dt.timedelta(days=1))
    said = find_job(graph, skipped)
    assert said.state == "skipped" and said.message == f"skipped: {job} has not ended"
    ended(graph, job)
    assert run_entry(published, graph, "nightly", now=NOW) == [job]  # the message came again
    assert find_job(graph, job).state == "done"
    assert len(column(graph, "MATCH (j:Job {kind: 'retrain'}) WHERE j.state <> 'skipped' RETURN j.id")) == 1
    with pytest.raises(SettingsError, match="no entry 'yearly'"):
        run_entry(published, graph, "yearly")


def test_by_change_says_why_not_until_there_is_a_reason(published: Settings, graph: Graph) -> None:
    (skipped,) = run_entry(published, graph, "by_change", now=NOW)
    said = find_job(graph, skipped).message
    assert "edits 0 of 2" in said and "only 0 predictions" in said and "stale_classes None of 0.5" in said
    edit = "CREATE (:Edit {id: $id, at: datetime(), target_type: 'Cluster', target_key: 'c00', kind: 'set_property'})"
    for name in ("one", "two"):
        write(graph, edit, id=name)
    (job,) = run_entry(published, graph, "by_change", now=NOW)
    assert find_job(graph, job).who == "schedule by_change: edits 2 of 2"


def test_a_drop_in_scores_is_a_reason(published: Settings, graph: Graph) -> None:
    text = """MATCH (:Task)-[:ACTIVE]->(s) UNWIND range(1, 400) AS n
              CREATE (:Prediction {id: 'p' + n, at: datetime() + duration({seconds: n}),
                                   score: CASE WHEN n > 200 THEN 0.6 ELSE 0.9 END})-[:FROM]->(s)"""
    write(graph, text)
    (job,) = run_entry(published, graph, "by_change", now=NOW)
    assert "score_drop 0.3 of 0.1" in find_job(graph, job).who


def test_an_edit_typed_in_browser_queues_one_refresh(published: Settings, graph: Graph) -> None:
    watches = [EditWatch(published) for _ in range(2)]
    capture.install(graph)
    try:
        assert [watch(graph) for watch in watches] == [[], []]
        write(graph, "MATCH (c:Cluster {name: 'c00'}) SET c.description = 'new words'")
        (job,) = watches[0](graph)
        assert find_job(graph, job).kind == "refresh" and watches[1](graph) == []  # it has not ended
        ended(graph, job)
        assert watches[0](graph) == []
        assert watches[1](graph) in ([], [job])  # another worker's look makes no second one
        assert column(graph, "MATCH (j:Job) RETURN j.id") == [job]
        time.sleep(0.01)
        write(graph, "MATCH (c:Cluster {name: 'c01'}) SET c.description = 'other words'")
        assert watches[0](graph) not in ([], [job])
    finally:
        capture.remove(graph)


def test_what_ships_is_read_and_beat_takes_it() -> None:
    settings = load_settings(retrain_hour=4)
    found = beat_schedule(settings)
    assert set(found) == {"nightly", "weekly", "by_change"}
    assert found["nightly"]["schedule"] == crontab(hour="4", minute="0")
    assert found["weekly"]["schedule"] == crontab(hour="5", minute="0", day_of_week="0")
    assert all(set(entry["options"]) == {"queue"} for entry in found.values())  # nothing that compares two clocks
    assert found["by_change"]["schedule"].run_every == dt.timedelta(minutes=15)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nightly: {kind: paint, at: '03:00'}", "kind"),
        ("nightly: {kind: retrain}", "either at or every_minutes"),
        ("nightly: {kind: retrain, at: '25:00'}", "at"),
        ("nightly: [", "schedule"),
    ],
)
def test_a_malformed_schedule_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(SettingsError, match=says) as raised:
        entries(load_settings(schedule=tmp_path / "own.yaml"))
    assert "\n" not in str(raised.value)
