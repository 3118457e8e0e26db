"""Do the curators' commands edit, show, refuse in one line and undo?"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from cli import context
from cli.main import app
from kg.errors import KorvaiError
from kg.graph import Graph
from kg.settings import Settings
from tests.support.published import column, write

_WORLD = """
CREATE (:Style:Class {name: 'realism'}), (:Artwork {name: 'a.jpg'})-[:Style]->(:Style:Class {name: 'impressionism'}),
       (:Artist {name: 'monet', birth: 1840})-[:Movement]->(:Movement {name: 'Cubism'}), (:Artist {name: 'c-monet'})
"""

REFUSALS = [
    (["edit", "set", "Artist", "monet", "birth=long ago"], "not INTEGER"),
    (["edit", "set", "Artist", "monet", "birth"], "NAME=VALUE"),
    (["edits", "--since", "yesterday"], "12h, 7d"),
    (["undo"], "korvai edits"),
    (["undo", "x", "--batch", "y"], "korvai edits"),
    (["predictions", "reject"], "say which"),
    (["predict", "--graph", "saree", "--at-least", "2"], "between 0 and 1"),
    (["predict", "--graph", "saree"], "korvai retrain"),
]


@pytest.fixture
def korvai(graph: Graph, server: Settings, monkeypatch) -> Callable[..., str]:
    """Run a command line; what it printed."""
    write(graph, _WORLD)
    monkeypatch.setattr(context, "settings", lambda: server)

    def run(*args: str) -> str:
        result = CliRunner().invoke(app, list(args), catch_exceptions=True)
        if isinstance(result.exception, KorvaiError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_a_day_of_a_curator(graph: Graph, korvai: Callable[..., str]) -> None:
    asked = ("--graph", "artgraph", "--who", "meera", "--batch", "day")
    assert "1 edit would be written" in korvai("edit", "set", "Artist", "monet", "birth=1841", *asked, "--dry-run")
    assert column(graph, "MATCH (e:Edit) RETURN e") == []
    said = korvai("edit", "set", "Artist", "monet", "birth=1841", "worked_in=Paris; Nice", *asked, "--reason", "book")
    assert "birth of Artist 'monet': 1840 => 1841" in said
    korvai("edit", "move", "a.jpg", "--to", "realism", "--task", "style", *asked)
    korvai("edit", "wrong", "Artist", "monet", "Movement", "Cubism", *asked, "--reason", "never")
    korvai("edit", "merge", "Artist", "monet", "c-monet", *asked)
    rows = [json.loads(line) for line in korvai("edits", "--who", "meera", "--since", "1h", "--json").splitlines()]
    assert {row["reason"] for row in rows} == {"book", "", "wrong: never"}
    assert {row["batch"] for row in rows} == {"day"}
    assert "birth: 1840 => 1841" in korvai("edits", "--target", "monet")

    one = next(row["id"] for row in rows if "birth" in row["change"])
    assert "birth of Artist 'monet': 1841 => 1840" in korvai("undo", one, "--dry-run")
    korvai("undo", one)
    korvai("undo", "--batch", "day")
    assert column(graph, "MATCH (n:Artist {name: 'monet'}) RETURN n {.*}") == [{"name": "monet", "birth": 1840}]
    assert column(graph, "MATCH (:Artwork)-[:Style]->(s) RETURN s.name") == ["impressionism"]
    with pytest.raises(KorvaiError, match="taken back already"):
        korvai("undo", "--batch", "day")


def test_refusals_are_one_line_with_the_way_out(korvai: Callable[..., str]) -> None:
    for line, said in REFUSALS:
        with pytest.raises(KorvaiError, match=said) as refused:
            korvai(*line)
        assert "\n" not in str(refused.value)
