"""Do `korvai up`, `status`, `logs` and `down` say what is there? Starting it all is in integration/test_services."""

from __future__ import annotations

from pathlib import Path

from tests.support.services import korvai, refused

NOTHING_RUNS = ["neo4j", "redis", "worker", "beat", "api"]


def test_help_teaches(tmp_path: Path) -> None:
    shown = korvai("up", "--help", home=tmp_path)
    assert shown.returncode == 0
    assert "NEO4J_URI" in shown.stdout
    assert "--only" in shown.stdout


def test_status_of_an_empty_home_writes_nothing(tmp_path: Path) -> None:
    shown = korvai("status", home=tmp_path / "home")
    assert shown.returncode == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()[1:6]] == [[n, "stopped"] for n in NOTHING_RUNS]
    assert korvai("down", home=tmp_path / "home").stdout == "nothing was running\n"
    assert not (tmp_path / "home").exists()


def test_unknown_service_and_missing_log(tmp_path: Path) -> None:
    assert "no service is called flower; there are neo4j, redis" in refused(korvai("logs", "flower", home=tmp_path))
    assert "redis has no log yet" in refused(korvai("logs", "redis", home=tmp_path))
