"""Does one bad table after another cost its own rows only, on the way from the file to the real graph and back?"""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.graph import Graph
from kg.importers.csv_tables import import_csv
from kg.importers.report import ImportReport
from kg.importers.undo import undo_import
from kg.progress import SilentReporter
from kg.schema import Domain
from kg.store import Store

ODD = Domain.model_validate(
    {"domain": "odd", "item": "A`\"'b", "node_types": {"A`\"'b": {"properties": {"said": "STRING"}}}, "tasks": {},
     "relations": [{"source": "A`\"'b", "type": "is `of\"", "target": "A`\"'b"}]}
)  # fmt: skip
LONG = "x" * 100_000
NODES = (
    "\ufeffname,said\r\n"  # 1: a byte order mark
    'one,"over\r\ntwo lines"\r\n'  # 2, 3
    f"two,{LONG}\r\n"  # 4: a field of 100 kB
    "three,too,many,cells\r\n"  # 5
    "one,again\r\n"  # 6
    ",no key\r\n"  # 7
    "`]->() DETACH DELETE n //,x\r\n"  # 8
)
RELATIONS = "source,target\none,two\n two , one\none,nobody\n"


@pytest.fixture
def bring(graph: Graph, store: Store, tmp_path: Path):
    def run(**options: object) -> ImportReport:
        nodes, relations = tmp_path / "nodes.csv", tmp_path / "relations.csv"
        nodes.write_bytes(NODES.encode() + b"fo\xffur,wrong bytes\r\nfive,good\r\n")  # 9, 10
        relations.write_text(RELATIONS)
        files = {"nodes": {ODD.item: nodes}, "relations": {'is `of"': relations}}
        return import_csv(graph, store, ODD, **files, reporter=SilentReporter(), **options)

    return run


def test_all_of_it_at_once(graph: Graph, store: Store, bring) -> None:
    report = bring()
    told = {(Path(p.file).name, p.line) for p in report.problems}
    assert told == {*(("nodes.csv", line) for line in (5, 6, 7, 9)), ("relations.csv", 4)}
    names = "MATCH (n) WHERE NOT n:Batch RETURN n.name, labels(n), size(n.said) ORDER BY n.name"
    label = [ODD.item]
    assert graph.user_query(names)[1] == [
        ["`]->() DETACH DELETE n //", label, 1],
        ["five", label, 4],
        ["one", label, len("over\r\ntwo lines")],
        ["two", label, len(LONG)],
    ]
    pairs = "MATCH (a)-[r]->(b) RETURN a.name, type(r), b.name ORDER BY a.name"
    assert graph.user_query(pairs)[1] == [["one", 'is `of"', "two"], ["two", 'is `of"', "one"]]
    assert bring().total_created == 0
    undo_import(graph, store, report.batch, reporter=SilentReporter())
    assert graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1] == [[0]]


def test_all_or_nothing_is_nothing(graph: Graph, bring) -> None:
    report = bring(all_or_nothing=True)
    assert report.rolled_back
    assert graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1] == [[0]]
