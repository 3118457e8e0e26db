"""Does the validator find each thing that Community lets pass, only that, and does what it says mend it?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from cli import context
from cli.main import app
from kg.errors import SchemaViolation
from kg.graph import Graph, connect
from kg.schema import Domain, ensure_schema, load_domain
from kg.settings import Settings
from kg.store import Store
from kg.validation import Finding, require_valid, validate
from kg.validation.checks import CHECKS
from kg.validation.judging import find_cycles
from tests.support.cleaning import empty
from tests.support.published import rows, write

TOY = """
domain: toy
item: ToyWork
node_types:
  ToyWork: {properties: {size: FLOAT, tags: LIST<STRING>, made: INTEGER}, required: [medium], dates: [made]}
  ToyMaker: {}
  ToyKind: {}
  ToyPlace: {}
relations:
  - {source: ToyWork, type: MADE_BY, target: ToyMaker, cardinality: {targets: 1..2, sources: 1..*}}
  - {source: ToyWork, type: OF_KIND, target: ToyKind, cardinality: {targets: 0..1}}
  - {source: ToyKind, type: FROM_PLACE, target: ToyPlace, properties: {share: FLOAT}}
  - {source: ToyPlace, type: INSIDE, target: ToyPlace, acyclic: true}
tasks:
  kind: {relation: OF_KIND, target: ToyKind}
hierarchies:
  make: {task: kind, levels: {kind: ToyKind, sort: ToyPlace, world: Concept}}
  unused: {task: kind, levels: {kind: ToyKind, sort: Concept}}
"""
SOUND = """
CREATE (p:ToyPlace {name: 'p'})-[:INSIDE]->(q:ToyPlace {name: 'q'}), (m:ToyMaker {name: 'm'}), (n:ToyMaker {name: 'n'}),
       (k:ToyKind:Class {name: 'k'})-[:FROM_PLACE {share: 1}]->(p),
       (k)-[:BROADER]->(:Class:Concept {key: 'toy/x/y', name: 'y'}),
       (k)-[:BROADER {facet: 'make'}]->(p)-[:BROADER {facet: 'make'}]->(:Class:Concept {key: 'toy/make/a', name: 'a'}),
       (j:ToyKind:Class {name: 'j'})-[:FROM_PLACE {share: 1}]->(q),
       (j)-[:BROADER {facet: 'make'}]->(q)-[:BROADER {facet: 'make'}]->(b:Class:Concept {key: 'toy/make/b', name: 'b'})
WITH k, j, m, n
UNWIND $images AS image
WITH CASE image.item WHEN 'w11' THEN j ELSE k END AS kind, m, n, image
CREATE (w:ToyWork {name: image.item, size: 1.5, tags: ['a'], made: 1590, medium: 'oil'})-[:OF_KIND]->(kind),
       (w)-[:MADE_BY]->(m), (w)-[:MADE_BY]->(n),
       (w)-[:HAS_IMAGE]->(i:Image {sha256: image.sha256, uri: image.uri}),
       (i)-[:HAS_VECTOR]->(:ImageVector {sha256: image.sha256})
"""
BREAKING = """
DROP CONSTRAINT `toy_ToyWork_name` IF EXISTS;
MATCH (w:ToyWork {name: 'w06'}) SET w.name = 'W07 ', w.made = 'c.1590';
MATCH (w:ToyWork {name: 'w08'}) SET w.made = '1927 ; United States';
MATCH (w:ToyWork {name: 'w05'}) SET w.name = 'w04';
MATCH (w:ToyWork {name: 'w08'}) SET w.medium = null, w.size = '1.5', w.tags = 'a';
MATCH (k:ToyKind {name: 'k'}) CREATE (k)-[:FROM_PLACE {share: '0.5'}]->(:ToyPlace {name: 's'});
MATCH (w:ToyWork {name: 'w09'}), (p:ToyPlace {name: 'p'})
SET w.made = 'before the war'
CREATE (w)-[:OF_KIND]->(k:ToyKind {name: 'k2'}), (k)-[:FROM_PLACE]->(p), (k)-[:FROM_PLACE]->(p);
MATCH (w:ToyWork {name: 'w10'})-[r:MADE_BY]->() DELETE r;
CREATE (:ToyMaker {name: 'idle'});
MATCH (w:ToyWork {name: 'w10'}) SET w:Saree;
MATCH (p:ToyPlace {name: 'p'}), (q:ToyPlace {name: 'q'}) CREATE (q)-[:INSIDE]->(p)
CREATE (r:ToyPlace {name: 'r'})-[:INSIDE]->(r);
MATCH (y:Concept {name: 'y'}), (k:ToyKind {name: 'k'}) CREATE (y)-[:BROADER]->(k);
MATCH (k:ToyKind {name: 'k'}), (q:ToyPlace {name: 'q'}) CREATE (k)-[:BROADER {facet: 'make'}]->(q);
MATCH (q:ToyPlace {name: 'q'})-[r:BROADER]->(), (a:Concept {name: 'a'})
DELETE r CREATE (q)-[:BROADER {facet: 'make'}]->(a);
MATCH (w:ToyWork {name: 'w11'}), (v:ToyWork {name: 'w12'})
CREATE (w)-[:FROM_PLACE]->(:Elsewhere {name: 'e'}), (w)-[:LIKES]->(v);
MATCH (w:ToyWork {name: 'w12'})-[:HAS_IMAGE]->(i)-->(v) DETACH DELETE i, v;
MATCH (p:ToyPlace {name: 'p'}) CREATE (:ToyKind {name: 'k3'})-[:FROM_PLACE]->(p), (:ToyKind {name: 'k4'});
CREATE (:Image {sha256: 'x'}), (:ImageVector {sha256: 'x'});
MATCH (w:ToyWork {name: 'w01'}) REMOVE w.name;
MATCH (w:ToyWork {name: 'w02'}) SET w.name = '  ';
MATCH (w:ToyWork {name: 'w03'}) SET w.name = 7
"""
EXPECTED = {
    ("missing_key", "ToyWork", "nodes without a key", 3),
    ("duplicate_key", "ToyWork", "keys that several nodes have", 1),
    ("similar_keys", "ToyWork", "keys that differ from another one in capitals and blanks only", 1),
    ("missing_constraint", "toy", "labels whose keys no constraint keeps unique", 1),
    ("missing_property", "ToyWork", "nodes without medium, which the domain requires", 1),
    ("property_type", "ToyWork.size", "values of size that are not FLOAT", 1),
    ("property_type", "ToyWork.tags", "values of tags that are not LIST<STRING>", 1),
    ("relation_property_type", "(ToyKind)-[FROM_PLACE]->(ToyPlace).share", "values of share that are not FLOAT", 1),
    ("targets_per_source", "(ToyWork)-[OF_KIND]->(ToyKind)", "sources with too many targets", 1),
    ("targets_per_source", "(ToyWork)-[MADE_BY]->(ToyMaker)", "sources with too few targets", 1),
    ("sources_per_target", "(ToyWork)-[MADE_BY]->(ToyMaker)", "targets with too few sources", 1),
    ("cycles", "[INSIDE]", "cycles", 2),
    ("cycles", "[BROADER]", "cycles", 1),
    ("two_parents", "[BROADER make]", "classes under two parents of one hierarchy", 1),
    ("hierarchy_paths", "[BROADER make]", "classes that stand outside the levels of their hierarchy", 3),
    ("lonely_levels", "[BROADER make]", "levels with one class, where there is nothing to tell apart: world", 1),
    ("foreign_labels", "ToyWork", "nodes that are also Saree", 1),
    ("wrong_ends", "[FROM_PLACE]", "relations between (:ToyWork)->(:Elsewhere)", 1),
    ("unknown_relations", "ToyWork", "relations LIKES, which the domain does not have; training ignores them", 1),
    ("parallel_relations", "(ToyKind)-[FROM_PLACE]->(ToyPlace)", "relations that say again what another one says", 1),
    ("items_without_image", "ToyWork", "items without an image", 1),
    ("classes_without_image", "ToyKind", "classes without an image", 2),
    ("classes_without_context", "ToyKind", "classes without context", 1),
    ("image_files", "ToyWork", "image files missing in the store", 1),
    ("image_files", "ToyWork", "image files changed in the store", 1),
    ("dates", "ToyWork.made", "dates in words that mean years", 2),
    ("dates", "ToyWork.made", "dates that cannot be read", 1),
    ("orphans", "Image", "nodes that hang on nothing", 1),
    ("orphans", "ImageVector", "nodes that hang on nothing", 1),
}
BY_HAND = {"items_without_image", "classes_without_image", "classes_without_context"}
BY_HAND |= {"hierarchy_paths", "lonely_levels"}


class Toy(NamedTuple):
    """A graph of a domain that declares all that a domain can declare, and what was found in its two states."""

    graph: Graph
    domain: Domain
    store: Store
    sound: list[Finding]
    broken: list[Finding]
    file: Path


@pytest.fixture(scope="module")
def toy(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """Sound first, then broken in every way; both validated once."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.yaml").write_text(TOY)
    domain, store = load_domain(folder / "toy.yaml"), Store(folder / "store")
    with connect(server) as graph:
        empty(graph, server)
        ensure_schema(graph, domain)
        images = [_image(folder, store, number) for number in range(1, 13)]
        write(graph, SOUND, images=images)
        sound = list(validate(graph, domain, store).findings)
        require_valid(graph, domain)
        for text in BREAKING.strip().split(";\n"):
            write(graph, text)
        store.path(images[9]["uri"]).unlink()
        store.path(images[10]["uri"]).write_bytes(b"not what it was")
        yield Toy(graph, domain, store, sound, list(validate(graph, domain, store).findings), folder / "toy.yaml")
        empty(graph, server)
        for label, node_type in domain.node_types.items():
            write(graph, f"DROP CONSTRAINT `toy_{label}_{node_type.key}` IF EXISTS")


def _image(folder: Path, store: Store, number: int) -> dict[str, str]:
    Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "image.png")
    stored = store.put_image(folder / "image.png")
    return {"item": f"w{number:02}", "sha256": stored.sha256, "uri": stored.uri}


def test_a_sound_graph_has_no_findings(toy: Toy):
    assert toy.sound == []


@pytest.mark.parametrize("expected", sorted(EXPECTED), ids=lambda e: f"{e[0]}-{e[1]}-{e[3]}")
def test_what_is_broken_is_found(toy: Toy, expected: tuple[str, str, str, int]):
    assert expected in {(f.check, f.where, f.problem, f.count) for f in toy.broken}


def test_nothing_else_is_found_and_errors_come_first(toy: Toy):
    assert len(toy.broken) == len(EXPECTED)
    assert [f.severity for f in toy.broken] == sorted(f.severity for f in toy.broken)
    assert all(f.examples and f.fix and str(f.count) in f.line() for f in toy.broken)


def test_every_check_is_tested_here():
    assert {check.name for check in CHECKS} == {name for name, *_ in EXPECTED}


def test_dates_come_with_their_reading_or_the_reason(toy: Toy):
    good, bad = (f.examples for f in toy.broken if f.check == "dates")
    assert {(e["found"], e["first"]) for e in good} == {("c.1590", 1590), ("1927 ; United States", 1927)}
    assert (bad[0]["found"], bad[0]["why"], bad[0]["key"]) == ("before the war", "there is no number in it", "w09")


def test_a_cycle_is_named(toy: Toy):
    paths = {e["path"] for f in toy.broken if f.check == "cycles" for e in f.examples}
    assert paths & {"k -> y -> k", "y -> k -> y"}
    assert paths & {"p -> q -> p", "q -> p -> q"}
    assert "r -> r" in paths


def test_training_is_refused_with_the_first_errors(toy: Toy):
    with pytest.raises(SchemaViolation, match=r"3 nodes without a key.*more.*korvai validate --graph toy"):
        require_valid(toy.graph, toy.domain)


def test_an_unknown_check_is_refused_with_the_known_ones(toy: Toy):
    with pytest.raises(SchemaViolation, match=r"no check 'keys'.*missing_key"):
        validate(toy.graph, "saree", only=["keys"])


def test_the_command_tells_errors_by_its_exit_code(toy: Toy, server: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "settings", lambda: server.model_copy(update={"store": toy.store.folder}))
    asked = ["validate", "--graph", str(toy.file)]
    grave = CliRunner().invoke(app, [*asked, "--json", "--check", "missing_key"])
    assert (grave.exit_code, json.loads(grave.output)["findings"][0]["count"]) == (1, 3)
    light = CliRunner().invoke(app, [*asked, "--check", "similar_keys"])
    assert (light.exit_code, "0 errors, 1 warnings" in light.output, "DETACH DELETE drop" in light.output) == (
        0,
        True,
        True,
    )
    assert CliRunner().invoke(app, [*asked, "--check", "similar_keys", "--strict"]).exit_code == 1


def test_what_the_report_says_mends_the_graph(toy: Toy):
    """Last of the module: it changes the graph. Each fix is for one example, so it takes a round for each of three."""
    findings, answers = toy.broken, iter(f"new {n}" for n in range(100))
    for _ in range(3):
        for finding in findings:
            if finding.check not in BY_HAND:
                write(toy.graph, _answered(finding.fix, next(answers)))
        findings = list(validate(toy.graph, toy.domain, toy.store, files="present").findings)
    assert {f.check for f in findings} == BY_HAND
    require_valid(toy.graph, toy.domain)
    assert rows(toy.graph, "MATCH (w:ToyWork {made: 1927}) RETURN count(w)") == [[1]]


def _answered(fix: str, key: str) -> str:
    for blank, answer in (("NEW KEY", key), ("THE VALUE", "oil"), ("'YEAR'", "1939"), ("KEY OF A SOURCE", "w04")):
        fix = fix.replace(blank, answer)
    return fix.replace("KEY OF A TARGET", "m").removesuffix(";")


def test_cycles_are_found_whole():
    assert list(find_cycles([], [])) == []
    assert list(find_cycles([1, 2, 3], [2, 3, 4])) == []
    cycles = find_cycles([9, 1, 2, 3, 5, 7], [1, 2, 3, 1, 5, 8])
    assert sorted(sorted(cycle) for cycle in cycles) == [[1, 2, 3], [4]]


@pytest.mark.parametrize("text", ["targets: 2..1", "targets: many", "target: 0..1"])
def test_a_cardinality_that_means_nothing_is_refused(tmp_path: Path, text: str):
    broken = yaml.safe_load(TOY)
    broken["relations"][0]["cardinality"] = yaml.safe_load(text)
    (tmp_path / "toy.yaml").write_text(json.dumps(broken))
    with pytest.raises(SchemaViolation, match="mend that domain file"):
        load_domain(tmp_path / "toy.yaml")
