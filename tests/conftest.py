"""Which real servers and folders do the tests get, and how is each test kept apart from the next?"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.errors import ServiceError
from kg.progress import SilentReporter
from kg.settings import Settings, load_settings

# One thread a process: on two busy cores, two threads that wait for each other are many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
_FOREIGN = ("NEO4J_URI", "NEO4J_USER", "NEO4J_PASSWORD", "NEO4J_DATABASE", "REDIS_URL")


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> None:
    """No test ever sees a server or home of the person who runs it."""
    for name in [n for n in os.environ if n in _FOREIGN or (n.startswith("KORVAI_") and n != "KORVAI_TEST_HOME")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def test_home() -> Iterator[Path]:
    """A home of the session's own; KORVAI_TEST_HOME keeps one between runs. Short, since socket paths are limited."""
    kept = os.environ.get("KORVAI_TEST_HOME")
    home = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="korvai-test-"))
    home.mkdir(parents=True, exist_ok=True)
    yield home
    if not kept:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def server(test_home: Path) -> Iterator[Settings]:
    """Settings of one embedded Neo4j, marked as a test one, started once a session."""
    from kg.server import neo4j

    settings = load_settings(
        home=test_home,
        environment="test",
        neo4j_http_port=17474,
        neo4j_bolt_port=17687,
        redis_port=16379,
        api_port=18000,
    )
    try:
        neo4j.start(settings, SilentReporter())
    except ServiceError as error:
        _missing(f"Neo4j: {error}")
    yield settings
    neo4j.stop(settings)


@pytest.fixture(scope="session")
def redis_server(server: Settings) -> Iterator[str]:
    """URL of one embedded Redis, started once a session."""
    from kg.server import connection, redis

    try:
        redis.start(server, SilentReporter())
    except ServiceError as error:
        _missing(f"Redis: {error}")
    yield connection.redis_url(server)
    redis.stop(server)


@pytest.fixture
def settings(server: Settings, tmp_path: Path) -> Settings:
    """The session's server with a store of the test's own."""
    return server.model_copy(update={"store": tmp_path / "store"})


@pytest.fixture
def graph(server: Settings) -> Iterator:
    """An empty graph with the overlay's and both domains' constraints."""
    from kg.graph import connect
    from kg.schema import ensure_schema, load_domain
    from tests.support.cleaning import empty

    with connect(server) as opened:
        empty(opened, server)
        ensure_schema(opened, load_domain("artgraph"), load_domain("saree"))
        yield opened


@pytest.fixture
def store(settings: Settings):
    """A store of the test's own."""
    from kg.store import Store

    return Store(settings.store_dir)


@pytest.fixture
def reporter() -> SilentReporter:
    """Tells nobody."""
    return SilentReporter()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is absent: no real paintings or records to test with")
    return SHARED_DATA


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Two threads of torch that wait for a busy core take a hundred times as long as one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
