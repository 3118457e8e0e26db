"""When two servers reach for one port at once: does the slower one take the next, and is nobody's answer mistaken?"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from kg.server.embedded import on_free_ports, owns_port
from kg.server.home import run_dir
from kg.server.process import Launch, StartFailed, launch, stop, tail
from kg.settings import load_settings

LISTEN = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('port', s.getsockname()[1], flush=True); "
    "time.sleep(60)"
)


def choose(avoid: tuple[int, ...]) -> tuple[int]:
    return (next(port for port in range(10, 99) if port not in avoid),)


def test_a_port_that_was_taken_meanwhile_is_left_to_the_other() -> None:
    def start(port: int) -> str:
        if port < 13:
            raise StartFailed("neo4j ended", f"Address localhost:{port} is already in use, cannot bind to it.")
        return f"listening on {port}"

    assert on_free_ports(choose, start) == "listening on 13"


def test_two_starts_at_once_do_not_reach_for_one_port() -> None:
    """The second looks while the first has not begun to listen yet: nothing has failed, and it goes elsewhere."""

    def first(port: int) -> list[int]:
        return [port, on_free_ports(choose, lambda other: other)]

    assert on_free_ports(choose, first) == [10, 11]
    assert on_free_ports(choose, lambda port: port) == 10, "given back when it has started"


def test_another_failure_is_not_tried_again() -> None:
    asked = []

    def start(port: int) -> str:
        asked.append(port)
        raise StartFailed("neo4j ended", "Invalid memory configuration")

    with pytest.raises(StartFailed, match="neo4j ended"):
        on_free_ports(choose, start)
    assert asked == [10]


def test_ports_that_are_always_taken_end_with_what_the_server_said() -> None:
    def start(port: int) -> str:
        raise StartFailed(f"redis ended: port {port} already in use", "already in use")

    with pytest.raises(StartFailed, match="already in use"):
        on_free_ports(choose, start)


def test_only_the_port_of_our_own_process_is_ours(tmp_path: Path) -> None:
    settings, log = load_settings(home=tmp_path), tmp_path / "child.log"
    argv = [sys.executable, "-c", LISTEN]
    launch(Launch("neo4j", argv, run_dir(settings), log, ready=lambda: "port" in tail(log), timeout_s=20))
    try:
        port = int(tail(log).split()[1])
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            assert owns_port(settings, "neo4j", port)
            assert not owns_port(settings, "neo4j", stranger.getsockname()[1])
            assert not owns_port(settings, "redis", port), "no redis runs in this home"
    finally:
        assert stop(run_dir(settings), "neo4j")
    assert not owns_port(settings, "neo4j", port)
