"""Do the embedded Neo4j and Redis start once, serve this machine only, and come back with their data after anything?"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from pydantic import SecretStr

from kg.errors import ServiceError, SettingsError
from kg.graph import connect
from kg.progress import SilentReporter
from kg.server import connection, neo4j, redis, services
from kg.server.home import run_dir
from kg.server.ports import LOOPBACK
from kg.server.process import find
from kg.settings import Settings
from tests.support.services import REPOSITORY, korvai, own_settings, start_test_redis

WRITE = "CREATE (:Kept {at: 1})"
COUNT = "MATCH (k:Kept) RETURN count(k) AS kept"


def test_running_server_is_found_not_started_again(server: Settings) -> None:
    before = find(run_dir(server), "neo4j")
    started = time.monotonic()
    address = neo4j.start(server, SilentReporter())
    assert time.monotonic() - started < 1
    assert find(run_dir(server), "neo4j") == before
    assert address == connection.neo4j_address(server)
    assert address.embedded


def test_server_listens_on_loopback_only(server: Settings) -> None:
    record = find(run_dir(server), "neo4j")
    assert record is not None
    listening = [c for c in psutil.Process(record.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {LOOPBACK}


def test_nothing_connects_to_the_outside(server: Settings) -> None:
    record = find(run_dir(server), "neo4j")
    assert record is not None
    remote = {c.raddr.ip.removeprefix("::ffff:") for c in psutil.Process(record.pid).net_connections() if c.raddr}
    assert remote <= {LOOPBACK}


def test_browser_answers_and_a_stranger_is_refused(server: Settings) -> None:
    address = connection.neo4j_address(server)
    assert address.browser_url is not None
    host = address.browser_url.split("/")[2]
    assert _get(host, "/browser/")[0] == http.client.OK
    assert b"neo4j" in _get(host, "/browser/")[1].lower()
    assert _get(host, "/db/neo4j/tx")[0] in (http.client.UNAUTHORIZED, http.client.METHOD_NOT_ALLOWED)


def test_password_is_private_and_not_on_a_command_line(server: Settings) -> None:
    address = connection.neo4j_address(server)
    path = connection.neo4j_password_file(server)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() == address.password.get_secret_value()
    record = find(run_dir(server), "neo4j")
    assert record is not None
    assert address.password.get_secret_value() not in " ".join(psutil.Process(record.pid).cmdline())
    assert address.password.get_secret_value() not in repr(services.status(server))


def test_apoc_triggers_may_be_installed(server: Settings) -> None:
    with _session(server) as session:
        names = session.run("SHOW PROCEDURES YIELD name WHERE name STARTS WITH 'apoc.trigger' RETURN name").value()
    assert {"apoc.trigger.install", "apoc.trigger.drop", "apoc.trigger.show"} <= set(names)


def test_wrong_password_is_refused_by_the_graph(server: Settings) -> None:
    uri = connection.neo4j_address(server).uri
    wrong = server.model_copy(update={"neo4j_uri": uri, "neo4j_password": SecretStr("not the password")})
    with pytest.raises(SettingsError, match="refused user and password; set NEO4J_USER and NEO4J_PASSWORD"):
        connect(wrong)


@pytest.mark.slow
def test_life_of_a_server(tmp_path: Path) -> None:
    """Two starts at once give one server; kill -9, a wrong password and taken ports leave the data where it was.

    Its dump is taken to another home, where `korvai up` brings everything and compose.yaml's health checks agree.
    """
    settings = own_settings(tmp_path / "home with space")
    with _listening(settings.neo4j_bolt_port), _listening(settings.neo4j_http_port):
        first, second = _start_in_process(settings), _start_in_process(settings)
        outcomes = {_result(first), _result(second)}
    try:
        assert len(outcomes) == 1, "two starts at once made two servers"
        address = connection.neo4j_address(settings)
        assert not address.uri.endswith(str(settings.neo4j_bolt_port))
        _run(settings, WRITE)
        _kill(settings, "neo4j")
        with pytest.raises(ServiceError, match="no Neo4j is running"):
            connection.neo4j_address(settings)
        assert _state(settings, "neo4j") == "crashed"

        password_file = connection.neo4j_password_file(settings)
        password = password_file.read_text()
        password_file.write_text("something else\n")
        with pytest.raises(ServiceError, match=r"refuses the password in .*password: .*write the current one"):
            neo4j.start(settings, SilentReporter())
        assert _state(settings, "neo4j") == "stopped"

        password_file.write_text(password)
        assert neo4j.start(settings, SilentReporter()).uri.endswith(str(settings.neo4j_bolt_port))
        assert _run(settings, COUNT) == [1]
        with pytest.raises(ServiceError, match="needs the server stopped"):
            neo4j.admin(settings, ["database", "check", "neo4j"], SilentReporter())
    finally:
        assert services.down(settings) == ["neo4j"]
    assert services.down(settings) == []
    home = tmp_path / "other"
    _dump_moves_to_another_home(settings, tmp_path / "dumps", home)
    _everything_starts_there_and_stops(home)


def _dump_moves_to_another_home(settings: Settings, dumps: Path, home: Path) -> None:
    dumps.mkdir()
    neo4j.admin(settings, ["database", "dump", "neo4j", f"--to-path={dumps}"], SilentReporter())
    other = own_settings(home)
    neo4j.admin(other, ["database", "load", "neo4j", f"--from-path={dumps}"], SilentReporter())
    with pytest.raises(ServiceError, match=r"neo4j-admin database dump ended with exit code \d+: .*nosuch"):
        neo4j.admin(other, ["database", "dump", "nosuch", f"--to-path={dumps}"], SilentReporter())


def _everything_starts_there_and_stops(home: Path) -> None:
    """`up` brings all five, once; a killed worker is reported and brought back; `down` leaves no process behind."""
    settings = own_settings(home)
    try:
        _assert_ok(korvai("up", home=home))
        assert _running(settings) == list(services.NAMES)
        assert _run(settings, COUNT) == [1]
        assert [name for name in services.NAMES if not _healthy(settings, name)] == []
        _kill(settings, "worker")
        assert "worker   crashed" in korvai("status", home=home).stdout
        again = korvai("up", home=home)
        _assert_ok(again)
        assert set(re.findall(r"starting (\w+)", again.stdout + again.stderr)) == {"worker"}
        assert _running(settings) == list(services.NAMES)
        assert "ready" in korvai("logs", "worker", "-n", "50", home=home).stdout
    finally:
        _assert_ok(korvai("down", home=home))
    assert _running(settings) == []
    assert not _healthy(settings, "beat", within_min=0) and not _healthy(settings, "api")
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(home) not in found


def _healthy(settings: Settings, name: str, *, within_min: int = 10) -> bool:
    """What compose.yaml's health check of the service says, with the places of this home instead of the containers'."""
    if name == "neo4j":  # cypher-shell is in the image only: the same statement
        return _run(settings, "RETURN 1") == [1]
    if name == "redis":  # so is redis-cli
        from redis import Redis

        with Redis.from_url(connection.redis_url(settings)) as client:
            return bool(client.ping())
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    kind, *words = compose["services"][name]["healthcheck"]["test"]
    places = {
        "/var/lib/korvai/home": str(run_dir(settings)),
        "-mmin -10": f"-mmin -{within_min}",
        "http://127.0.0.1:8000": connection.api_address(settings) or "http://127.0.0.1:1",
    }
    for place, here in places.items():
        words = [word.replace(place, here) for word in words]
    argv = ["sh", "-c", *words] if kind == "CMD-SHELL" else [sys.executable, *words[1:]]
    environment = services.child_environment(settings)
    done = subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def _running(settings: Settings) -> list[str]:
    return [one.name for one in services.status(settings) if one.state == "running"]


def _assert_ok(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def test_redis_keeps_its_data_after_kill(tmp_path: Path) -> None:
    from redis import Redis

    settings = own_settings(tmp_path)
    with _listening(settings.redis_port):
        url = redis.start(settings, SilentReporter())
    try:
        assert redis.start(settings, SilentReporter()) == url == connection.redis_url(settings)
        assert not url.endswith(f":{settings.redis_port}/0")
        with Redis.from_url(url) as client:
            client.set("korvai", "kept")
            client.execute_command("WAITAOF", 1, 0, 5000)
        _kill(settings, "redis")
        with Redis.from_url(redis.start(settings, SilentReporter())) as client:
            assert client.get("korvai") == b"kept"
    finally:
        assert redis.stop(settings)


def test_redis_wants_its_password_and_stays_on_loopback(tmp_path: Path) -> None:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError
    from redis.retry import Retry

    with start_test_redis(tmp_path) as settings:
        url = connection.redis_url(settings)
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        once = Retry(NoBackoff(), 0)
        with Redis(host=LOOPBACK, port=port, retry=once) as client, pytest.raises(AuthenticationError):
            client.ping()
        record = find(run_dir(settings), "redis")
        assert record is not None
        listening = psutil.Process(record.pid).net_connections("tcp")
        assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {LOOPBACK}
        status = {s.name: s for s in services.status(settings)}["redis"]
        assert (status.state, status.pid) == ("running", record.pid)
        assert status.address == f"redis://{LOOPBACK}:{port}/0"


def _get(host: str, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection(host, timeout=10)
    try:
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def _session(settings: Settings):
    import contextlib

    from neo4j import GraphDatabase

    @contextlib.contextmanager
    def opened():
        address = connection.neo4j_address(settings)
        login = (address.user, address.password.get_secret_value())
        with GraphDatabase.driver(address.uri, auth=login) as driver, driver.session(database="neo4j") as session:
            yield session

    return opened()


def _run(settings: Settings, text: str) -> list[object]:
    with _session(settings) as session:
        return session.run(text).value()


def _state(settings: Settings, name: str) -> str:
    return {s.name: s.state for s in services.status(settings)}[name]


def _kill(settings: Settings, name: str) -> None:
    record = find(run_dir(settings), name)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while find(run_dir(settings), name) is not None:
        assert time.monotonic() < deadline, f"{name} survived SIGKILL"
        time.sleep(0.02)


def _listening(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((LOOPBACK, port))
    taken.listen()
    return taken


def _start_in_process(settings: Settings) -> subprocess.Popen[str]:
    code = (
        "from kg.progress import SilentReporter; from kg.server import neo4j; from kg.settings import load_settings\n"
        "print(neo4j.start(load_settings(), SilentReporter()).uri)"
    )
    environment = services.child_environment(settings)
    argv = [sys.executable, "-c", code]
    return subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    return output.strip()
