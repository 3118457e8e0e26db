"""Would `docker compose` take compose.yaml, and does it start what `korvai up` starts?"""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kg.server import services
from kg.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OWN = ("worker", "beat", "api")


def test_the_compose_specification_takes_it() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):  # the schema does refuse things
        jsonschema.validators.validator_for(schema)(schema).validate({"services": {"api": {"restart": 3}}})


def test_it_has_the_services_of_korvai_up() -> None:
    assert set(SERVICES) == {*services.NAMES, "flower"}
    assert SERVICES["flower"]["profiles"] == ["watch"]  # beside them, for whoever wants to look


@pytest.mark.parametrize("name", services.NAMES)
def test_every_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL") and len(check["test"]) > 1
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize("name", OWN)
def test_our_services_wait_for_healthy_servers(name: str) -> None:
    conditions = {on: what["condition"] for on, what in SERVICES[name]["depends_on"].items()}
    assert conditions == {"neo4j": "service_healthy", "redis": "service_healthy"}


def test_a_missing_secret_stops_compose() -> None:
    secrets = re.findall(r"\$\{((?:NEO4J|REDIS)_PASSWORD)(.*?)\}", TEXT)
    assert {name for name, _ in secrets} == {"NEO4J_PASSWORD", "REDIS_PASSWORD"}
    assert all(rest == f":?set {name}" for name, rest in secrets), secrets


def test_every_variable_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used == set(re.findall(r"^#?([A-Z0-9_]+)=", example, flags=re.MULTILINE))


def test_the_example_holds_no_password() -> None:
    assert re.findall(r"^\w+PASSWORD=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE) == ["", ""]


def test_ports_are_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_volume_is_declared_and_the_store_is_shared() -> None:
    mounted = {name: [v.split(":")[0] for v in s.get("volumes", [])] for name, s in SERVICES.items()}
    assert {volume for volumes in mounted.values() for volume in volumes} == set(COMPOSE["volumes"])
    assert all("store" in mounted[name] for name in OWN)


def test_korvai_takes_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(name, _filled(value))
    settings = load_settings()
    assert settings.environment == "production"
    assert (settings.neo4j_uri, settings.redis_url) == ("bolt://neo4j:7687", "redis://:s3cret-0@redis:6379/0")
    mounts = [volume.partition(":")[2] for volume in SERVICES["worker"]["volumes"]]
    assert str(settings.store_dir) in mounts


def test_neo4j_gets_only_settings_it_knows() -> None:
    # The image turns every other NEO4J_ variable into a setting, and an unknown setting keeps the server from starting.
    known = r"NEO4J_(AUTH|PLUGINS|(server|dbms|db|client|apoc)_.+)"
    assert all(re.fullmatch(known, name) for name in SERVICES["neo4j"]["environment"])


@pytest.mark.parametrize("name", OWN)
def test_commands_are_those_of_korvai_up(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    natively = _native_command(name, monkeypatch, load_settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0"))
    assert _without_places(natively) == _without_places(SERVICES[name]["command"])


def test_the_dockerfile_copies_what_is_there_and_names_no_registry() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)
    assert set(images) == {"python:3.11-slim"}
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)", text, flags=re.MULTILINE)
        for word in shlex.split(line)[:-1]
    ]
    assert sources and all((ROOT / source).exists() for source in sources)
    assert "USER korvai" in text


def _native_command(name: str, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[str]:
    started: list[Any] = []
    monkeypatch.setattr(services, "_start_own", lambda settings, reporter, what: started.append(what))
    services._starter(name)(settings, None)  # type: ignore[arg-type]
    return list(started[0].argv)


def _without_places(argv: list[str]) -> list[str]:
    """A command without what must differ: the interpreter's path, folders, host and port."""
    words = ["python", *argv[1:]]
    words = [word.split("=")[0] if word.startswith("--schedule=") else word for word in words]
    return [word for before, word in zip(["", *words], words, strict=False) if before not in ("--host", "--port")]


def _filled(value: str) -> str:
    """What compose makes of ${NAME:?…} and ${NAME:-default}."""
    value = re.sub(r"\$\{\w+:\?[^}]*\}", "s3cret-0", value)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
