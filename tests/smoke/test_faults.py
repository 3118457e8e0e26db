"""Does the pipeline survive a kill -9 where it matters most? `make faults` does it at random and everywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from kg.graph import connect
from kg.settings import Settings
from tests.support.faults import World, kill_round, point_round
from tests.support.published import write

POINTS = (
    ("refresh", "refresh.after_class_vectors"),
    ("refresh", "publish.inside_activation"),
    ("refresh", "job.before_settle"),
    ("classify", "after publish/write_image_vectors"),
    ("classify", "job.after_settle"),
)


@pytest.fixture(scope="module")
def world(server: Settings, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The session's servers with a worker of their own, and a first model."""
    world = World(server, tmp_path_factory.mktemp("faults"))
    world.up("worker")
    try:
        world.begin()
        yield world
    finally:
        world.down("worker")


@pytest.mark.parametrize(("kind", "name"), POINTS)
def test_killed_at_a_failpoint(world: World, kind: str, name: str) -> None:
    said = point_round(world, name, kind, services=("worker",))
    assert said["reached"] and not said["violations"], said


@pytest.mark.parametrize("target", ["child", "worker"])
def test_killed_at_any_moment(world: World, target: str) -> None:
    said = kill_round(world, random.Random(target), target=target, kind="refresh", services=("worker",))
    assert not said["violations"], said


def test_the_checks_can_fail(world: World) -> None:
    assert world.violations([]) == []
    world.acknowledged.add("motif that nobody wrote")
    with connect(world.settings) as graph:
        write(
            graph,
            """MATCH (:Task)-[:ACTIVE]->(s) MATCH (c:Cluster {name: 'Red'})
               SET c[s.class_property] = [x IN c[s.class_property] | -x]""",
        )
        write(graph, "MATCH (:Task)-[:ACTIVE]->(s), (i:Saree) WITH s, i LIMIT 1 "
              "CREATE (:Prediction {id: 'a'})-[:OF]->(i), (:Prediction {id: 'b'})-[:OF]->(i)")  # fmt: skip
    found = " | ".join(world.violations([]))
    assert "a mixed set" in found and "1 acknowledged writes are lost" in found and "prediction a" in found
