"""Are there always k similar items that meet a condition, and are they the right ones?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import context
from cli.main import app
from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph, connect
from kg.progress import SilentReporter
from kg.publishing.publish import publish
from kg.schema import ensure_schema, load_domain
from kg.search import century_years, find_similar
from kg.settings import Settings
from kg.store import Store
from tests.support.cleaning import empty
from tests.support.published import image_id, publication, unit, write

ITEMS, DIM = 240, 16
HUNG = """
MATCH (i:Artwork)-[:HAS_IMAGE]->()
WITH i, toInteger(substring(i.name, 1)) AS n
SET i.year = CASE WHEN n % 3 = 0 THEN 1601 + n % 100 WHEN n % 3 = 1 THEN 'c.1650' ELSE 1888 END
MERGE (small:Gallery {name: 'small'})
MERGE (large:Gallery {name: 'large'})
FOREACH (_ IN CASE WHEN n % 60 = 7 THEN [1] ELSE [] END | MERGE (i)-[:LocatedIn]->(small))
FOREACH (_ IN CASE WHEN n % 5 <> 0 THEN [1] ELSE [] END | MERGE (i)-[:LocatedIn]->(large))
"""


class Collection(NamedTuple):
    """A published collection: item n is of style c<n modulo 4>, a few hang in `small`, most in `large`."""

    graph: Graph
    vectors: np.ndarray


@pytest.fixture(scope="module")
def collection(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Published once for all tests of this module."""
    folder = tmp_path_factory.mktemp("collection")
    domain, vectors = load_domain("artgraph"), unit(ITEMS, DIM)
    with connect(server) as graph:
        empty(graph, server)
        ensure_schema(graph, domain)
        _hang(graph)
        made = publication(
            folder, classes=4, items=ITEMS, dim=DIM, domain="artgraph", task="style", image_vectors=vectors
        )
        publish(graph, Store(folder / "store"), made, reporter=SilentReporter())
        yield Collection(graph, vectors)
        empty(graph, server)


def _hang(graph: Graph) -> None:
    write(
        graph,
        """UNWIND range(0, 3) AS c CREATE (:Style {name: 'c0' + c})
        WITH count(*) AS _ UNWIND $images AS image
        MATCH (s:Style {name: 'c0' + image.n % 4})
        CREATE (:Artwork {name: 'i' + right('00' + image.n, 3)})-[:HAS_IMAGE]->(:Image {sha256: image.id})
        WITH s, image MATCH (i:Artwork {name: 'i' + right('00' + image.n, 3)}) CREATE (i)-[:Style]->(s)""",
        images=[{"n": n, "id": image_id(n)} for n in range(ITEMS)],
    )
    write(graph, HUNG)


def nearest(collection: Collection, item: int, matching: np.ndarray, k: int) -> list[str]:
    """By brute force."""
    rows = matching[matching != item]
    scores = collection.vectors[rows].astype(np.float64) @ collection.vectors[item].astype(np.float64)
    return [f"i{row:03}" for row in rows[np.argsort(-scores, kind="stable")][:k]]


ALL = np.arange(ITEMS)
SMALL, LARGE, BAROQUE = ALL[ALL % 60 == 7], ALL[ALL % 5 != 0], ALL[ALL % 3 == 0]
CONDITIONS = {
    "style": ({"Style": "c01"}, None, ALL[ALL % 4 == 1]),
    "museum of four": ({"Gallery": "small"}, None, SMALL),
    "large museum": ({"Gallery": "large"}, None, LARGE),
    "century": ({}, (1601, 1700), BAROQUE),
    "style and century": ({"Style": "c01"}, (1601, 1700), BAROQUE[BAROQUE % 4 == 1]),
    "style and museum": ({"Style": "c03", "Gallery": "large"}, None, LARGE[LARGE % 4 == 3]),
    "all three": ({"Gallery": "large", "Style": "c01"}, (1650, 1660), ALL),
}


@pytest.mark.parametrize("name", sorted(CONDITIONS))
@pytest.mark.parametrize("exact_most", [20_000, 0], ids=["compared", "index"])
@pytest.mark.parametrize("k", [1, 10])
def test_always_k_and_the_same_as_exact_search(collection: Collection, name: str, exact_most: int, k: int):
    related, years, matching = CONDITIONS[name]
    if name == "all three":
        year = np.where(ALL % 3 == 0, 1601 + ALL % 100, 0)
        matching = ALL[(ALL % 5 != 0) & (ALL % 4 == 1) & (year >= 1650) & (year <= 1660)]
    found = find_similar(
        collection.graph, "artgraph", "style", "i007", k=k, related=related, years=years, exact_most=exact_most
    )
    assert [row.item for row in found] == nearest(collection, 7, matching, k)
    best = collection.vectors[int(found[0].item[1:])].astype(np.float64) @ collection.vectors[7].astype(np.float64)
    assert found[0].score == pytest.approx(best, abs=1e-12)


def test_more_than_there_are_gives_all_there_are(collection: Collection):
    found = find_similar(collection.graph, "artgraph", "style", "i007", k=100, related={"Gallery": "small"})
    assert {row.item for row in found} == {f"i{n:03}" for n in SMALL if n != 7}


def test_without_conditions_it_is_the_plain_search(collection: Collection):
    found = find_similar(collection.graph, "artgraph", "style", "i007", k=5)
    assert [row.item for row in found] == nearest(collection, 7, ALL, 5)


@pytest.mark.parametrize(
    ("item", "related", "years", "error", "says"),
    [
        ("nobody", {"Style": "c01"}, None, NodeNotFound, "'nobody'.*not in the graph"),
        ("i007", {"Style": "cubism"}, None, NodeNotFound, "Style 'cubism'.*not in the graph"),
        ("i007", {"Movement": "x"}, None, SchemaViolation, "no relation to 'Movement'.*Gallery"),
    ],
)
def test_what_is_not_there_is_named(
    collection: Collection, item: str, related: dict, years: None, error: type, says: str
):
    with pytest.raises(error, match=says):
        find_similar(collection.graph, "artgraph", "style", item, related=related, years=years)


def test_a_condition_that_nothing_meets_has_no_answer(collection: Collection):
    assert find_similar(collection.graph, "artgraph", "style", "i007", years=(1200, 1300)) == []


def test_the_command_takes_conditions(collection: Collection, server: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "settings", lambda: server)
    asked = ["similar", "i007", "--graph", "artgraph", "--task", "style", "--museum", "large", "-k", "3", "--json"]
    result = CliRunner().invoke(app, [*asked, "--style", "c01", "--century", "17"])
    assert result.exit_code == 0, result.output
    matching = ALL[(ALL % 5 != 0) & (ALL % 4 == 1) & (ALL % 3 == 0)]
    found = [json.loads(line)["item"] for line in result.output.splitlines()]
    assert found == nearest(collection, 7, matching, 3)


def test_centuries():
    assert century_years(17) == (1601, 1700)
    with pytest.raises(SchemaViolation, match="write 17"):
        century_years(99)
