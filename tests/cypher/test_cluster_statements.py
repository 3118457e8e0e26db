"""Does a class that a curator adds by hand weigh its relations as it was told, up to the snapshot?"""

from __future__ import annotations

import pytest

from kg.graph import Graph
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from kg.statements import browser_text, parse_values, statement_for
from tests.support.published import column, craft, write


@pytest.fixture
def colours(graph: Graph) -> Graph:
    craft(graph, classes=1)
    write(graph, "UNWIND ['red', 'gold', 'blue'] AS name CREATE (:Colour {name: name})")
    write(graph, "CREATE (:Zari {name: 'gold zari'})")
    return graph


def test_shares_given_to_a_new_class_arrive_in_the_snapshot(colours: Graph, store, reporter) -> None:
    statement = statement_for(None, "clusters/add", "saree")
    given = {
        "name": "Newest",
        "description": "new",
        "body_colours": '["red", "gold", "nobody knows it", "blue"]',
        "border_colours": '["red", "blue"]',
        "zari": '["gold zari"]',
        "shares": '{"BODY_COLOUR": [0.6, 0.3, 0.5, 0.1]}',
    }
    values = parse_values(statement, given)
    assert colours.run(statement, **values) == [{"cluster": "Newest", "relations": 6}]
    snapshot = pull(colours, load_domain("saree"), store, reporter=reporter)
    assert _shares(snapshot, "BODY_COLOUR") == pytest.approx({"red": 0.6, "gold": 0.3, "blue": 0.1})
    assert _shares(snapshot, "BORDER_COLOUR") == pytest.approx({"red": 0.5, "blue": 0.5}), "not given: alike"


def test_adding_again_keeps_what_was_said_and_the_pasted_text_does_the_same(colours: Graph) -> None:
    statement = statement_for(None, "clusters/add", "saree")
    given = {"name": "Newest", "description": "new", "body_colours": '["red"]'}
    values = parse_values(statement, {**given, "shares": '{"BODY_COLOUR": [0.7]}'})
    write(colours, browser_text(statement, values, inline=True).rstrip(";"))
    shares = "MATCH (:Cluster {name: 'Newest'})-[r:BODY_COLOUR]->() RETURN r.share"
    assert column(colours, shares) == [0.7]
    colours.run(statement, **parse_values(statement, given))
    assert column(colours, shares) == [0.7]


def _shares(snapshot, relation: str) -> dict[str, float]:
    edge_type = ("Cluster", relation, "Colour")
    source, target = snapshot.edges(edge_type)
    keys, own = snapshot.keys("Colour"), list(snapshot.keys("Cluster")).index("Newest")
    shares = snapshot.shares(edge_type)
    return {str(keys[t]): float(share) for s, t, share in zip(source, target, shares, strict=True) if s == own}
