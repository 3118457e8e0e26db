"""Does the server take every saved statement, for every domain, and is it what its header says?"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cypher import Statement, load, names
from kg.graph import Graph, connect
from kg.schema import Domain, domain_names, load_domain
from kg.settings import Settings
from kg.statements import parse_values, statement_for

TYPES = {"STRING", "INTEGER", "FLOAT", "BOOLEAN", "MAP", "ANY", "DATETIME", "NODE", "RELATIONSHIP", "PATH"}
QUERY_TYPES = {"read": {"r"}, "write": {"w", "rw"}, "schema": {"s"}}
FILLED_BY_DOMAIN = {"item", "item_key", "relation", "class", "class_key"}
CASES = [(name, domain) for name in names() for domain in (domain_names() if load(name).slots else ["saree"])]


@pytest.fixture(scope="module")
def opened(server: Settings) -> Iterator[Graph]:
    """The test server as it is: EXPLAIN needs no data."""
    with connect(server) as graph:
        yield graph


def fillings(name: str, domain: Domain) -> list[Statement]:
    """The statement as it would run, once for each of the domain's tasks."""
    relation = domain.relations[0]
    examples = {
        "node_type": relation.source,
        "relation": relation.type,
        "property": domain.node_type(relation.source).key,
        "index": "an index",
        "label_list": [relation.source, relation.target],
    }
    slots = {slot.name: examples[slot.type] for slot in load(name).slots if slot.name not in FILLED_BY_DOMAIN}
    return [statement_for(None, name, domain, task, slots=slots) for task in domain.tasks]


@pytest.mark.parametrize(("name", "domain"), CASES)
def test_the_server_agrees_with_the_header(opened: Graph, name: str, domain: str):
    for statement in fillings(name, load_domain(domain)):
        explained = opened.explain(statement)
        assert explained.columns == tuple(field.name for field in statement.returns)
        # The server calls every question to its own dbms procedures a schema query.
        asks_the_server = statement.access == "read" and statement.text.startswith("CALL dbms.")
        assert explained.query_type in ({"s"} if asks_the_server else QUERY_TYPES[statement.access])


@pytest.mark.parametrize("name", names())
def test_types_ranges_and_defaults_of_the_header_make_sense(name: str):
    statement = load(name)
    for field in (*statement.params, *statement.returns):
        inner = field.type.replace("LIST<", "").rstrip(">")
        assert inner in TYPES, f"{name}: {field.name} is {field.type}"
    values = parse_values(statement, {p.name: _example(p.type) for p in statement.params if p.default is None})
    assert set(values) == {param.name for param in statement.params}


def test_the_check_can_fail(opened: Graph):
    good = load("versions/active")
    columns = tuple(field.name for field in good.returns)
    renamed = Statement(good.name, "", good.text.replace("AS graph", "AS kind"), "read", (), (), good.returns)
    assert opened.explain(renamed).columns != columns == opened.explain(good).columns
    assert opened.explain(load("tasks/take_token")).query_type not in QUERY_TYPES["read"]


def _example(type_name: str) -> str:
    plain = {"STRING": "x", "INTEGER": "1", "FLOAT": "0.5", "BOOLEAN": "true", "MAP": "{}"}
    return json.dumps([]) if type_name.startswith("LIST") else plain.get(type_name, '"x"')
