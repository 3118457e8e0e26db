"""Does the loader of saved statements refuse what is wrong, and does nothing that is filled in escape its place?"""

from __future__ import annotations

from pathlib import Path

import pytest

import cypher
from cypher import StatementFileError, escape, literal

GOOD = """// things/find: the things of a kind
// access: read
// slot   label node_type  label of the things
// param  k     INTEGER    1..9, default 3
// return name  STRING
MATCH (n:«label») // a comment about $nothing and «nothing»
WHERE n.note <> 'costs $5' RETURN n.name AS name LIMIT $k
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of statements of the test's own."""
    monkeypatch.setattr(cypher, "_ROOT", tmp_path)
    cypher.load.cache_clear()
    (tmp_path / "things").mkdir()
    yield tmp_path
    cypher.load.cache_clear()


def put(folder: Path, text: str, name: str = "things/find") -> None:
    (folder / f"{name}.cypher").write_text(text, encoding="utf-8")


def test_every_statement_of_the_repository_loads():
    assert len(cypher.names()) > 30
    for name in cypher.names():
        assert cypher.load(name).summary


def test_a_header_is_read(folder: Path):
    put(folder, GOOD.replace(" and «nothing»", ""))
    statement = cypher.load("things/find")
    assert (statement.access, statement.summary) == ("read", "the things of a kind")
    assert [(p.name, p.type, p.default) for p in statement.params] == [("k", "INTEGER", "3")]
    assert [r.name for r in statement.returns] == ["name"]
    assert statement.text.startswith("MATCH")
    assert "a comment" in statement.text


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("things/find:", "things/seek:", "header must begin"),
        ("access: read", "access: all", "must be read, write or schema"),
        ("// param  k     INTEGER    1..9, default 3\n", "", "declares the parameters"),
        ("LIMIT $k", "LIMIT 3", "declares the parameters"),
        ("«label»", "Thing", "declares the slots"),
        ("node_type ", "kind", "kinds:"),
        ("// param  k     INTEGER", "// param  k", "cannot read"),
    ],
)
def test_a_header_that_contradicts_its_text_is_refused(folder: Path, old: str, new: str, complaint: str):
    text = GOOD.replace(" and «nothing»", "")
    assert old in text
    changed = text.replace(old, new).replace("// param  k    1..9, default 3", "// param  k")
    put(folder, changed)
    with pytest.raises(StatementFileError, match=complaint):
        cypher.load("things/find")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(StatementFileError, match="images/classify"):
        cypher.load("images/clasify")


def test_slots_must_be_given_exactly(folder: Path):
    put(folder, GOOD.replace(" and «nothing»", ""))
    statement = cypher.load("things/find")
    assert "MATCH (n:`Odd ``label`)" in statement.fill(label="Odd `label").text
    assert "(n:`A`|`B`)" in statement.fill(label=["A", "B"]).text
    for wrong in ({}, {"label": "A", "other": "B"}):
        with pytest.raises(StatementFileError, match="has the slots"):
            statement.fill(**wrong)


@pytest.mark.parametrize("name", ["", "a\x00b", "a\\u0060b", "\\\\u0060"])
def test_names_that_could_leave_their_backticks_are_refused(name: str):
    with pytest.raises(StatementFileError, match="cannot be a name"):
        escape(name)


def test_values_are_put_in_place_outside_texts_and_comments_only(folder: Path):
    put(folder, GOOD.replace(" and «nothing»", ""))
    text = cypher.load("things/find").fill(label="A`$k").with_values({"k": 7})
    assert text.endswith("LIMIT 7")
    assert "'costs $5'" in text and "about $nothing" in text and "`A``$k`" in text
    with pytest.raises(StatementFileError, match="no value"):
        cypher.load("things/find").with_values({})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        ("it's", r"'it\'s'"),
        ("a\\b\n", r"'a\\b\n'"),
        ([1, "x"], "[1, 'x']"),
        ({"a b": [None]}, "{`a b`: [null]}"),
    ],
)
def test_literals(value: object, text: str):
    assert literal(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_values_without_a_literal_are_refused(value: object):
    with pytest.raises(StatementFileError, match="cannot be written"):
        literal(value)
