"""Graphs in columns: what is counted, what is refused, what the fingerprint sees."""

import pyarrow as pa
import pytest

from kg.importers.columns import GraphColumns, column_of, property_of
from kg.importers.values import clean_key
from kg.schema import load_domain

_STYLE = ("Artwork", "Style", "Style")


@pytest.fixture
def graph_columns() -> GraphColumns:
    return _graph()


def _graph(styles=("cubism", "baroque"), sources=("a.jpg", "b.jpg"), targets=("cubism", "baroque"), **more):
    nodes = {
        "Artwork": pa.table({"key": ["a.jpg", "b.jpg"], "title": ["A", None], "year": pa.array([1900, None])}),
        "Style": pa.table({"key": pa.array(styles, pa.string())}),
    }
    edges = {_STYLE: pa.table({"source": pa.array(sources, pa.string()), "target": pa.array(targets, pa.string())})}
    return GraphColumns(load_domain("artgraph"), nodes | more.get("nodes", {}), edges | more.get("edges", {}))


def test_a_sound_graph_has_no_problems_and_counts_by_label_and_relation(graph_columns):
    assert graph_columns.check() == []
    assert graph_columns.counts() == {"Artwork": 2, "Style": 2, "Artwork-Style-Style": 2}
    assert (graph_columns.node_count, graph_columns.edge_count) == (4, 2)
    assert [rows.tolist() for rows in graph_columns.end_rows(_STYLE)] == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("broken", "file", "word"),
    [
        (_graph(styles=["cubism", "baroque", "cubism"]), "Style", "'cubism' stands 2 times"),
        (_graph(styles=["cubism", "baroque", None]), "Style", "1 nodes have no key"),
        (_graph(styles=["cubism", "baroque", ""]), "Style", "empty key"),
        (_graph(sources=["a.jpg", "c.jpg"]), "Artwork-Style-Style", "there is no Artwork 'c.jpg'"),
        (_graph(targets=["cubism", None]), "Artwork-Style-Style", "there is no Style None"),
        (_graph(nodes={"Loom": pa.table({"key": ["pit"]})}), "Loom", "no such label"),
        (_graph(nodes={"Tag": pa.table({"name": ["sea"]})}), "Tag", "no column 'key'"),
        (_graph(nodes={"Tag": pa.table({"key": [1]})}), "Tag", "keys are strings"),
        (_graph(edges={("Tag", "Is", "Tag"): pa.table({"source": ["sea"]})}), "Tag-Is-Tag", "no such relation"),
    ],
)
def test_what_a_loader_could_not_take_is_named_by_label_and_key(broken, file, word):
    (problem,) = broken.check()
    assert problem.file == file
    assert word in problem.reason


def test_many_problems_of_one_kind_are_counted():
    sources = [f"lost{n}.jpg" for n in range(50)]
    problems = _graph(sources=sources, targets=["cubism"] * 50).check()
    assert len(problems) == 21
    assert problems[-1].reason == "30 more relations whose source is not there"


def test_the_fingerprint_sees_values_and_nulls_and_not_the_chunks():
    chunked = _graph()
    chunked.nodes["Artwork"] = pa.concat_tables(chunked.nodes["Artwork"].slice(n, 1) for n in (0, 1))
    assert chunked.fingerprint() == _graph().fingerprint()
    for other in (_graph(styles=["cubismb", "aroque"]), _graph(targets=["cubism", "cubism"])):
        assert other.fingerprint() != _graph().fingerprint()
    zero = _graph()
    zero.nodes["Artwork"] = zero.nodes["Artwork"].set_column(2, "year", pa.array([1900, 0]))
    assert zero.fingerprint() != _graph().fingerprint()


def test_a_property_called_source_has_a_column_of_its_own():
    for name in ("source", "source_", "key", "title", "title_", "target"):
        assert property_of(column_of(name)) == name
    table = pa.table({"source": ["a"], "target": ["b"], column_of("source"): ["a book"], "share": [0.5]})
    assert GraphColumns.properties(table) == {"source_": "source", "share": "share"}


def test_keys_and_ends_are_trimmed_as_those_of_rows_are():
    spaced = [" a", "a\u00a0", "\ta\n", "\u3000a\u2003", "\x1ca", "b c", None]
    columns = GraphColumns(
        load_domain("artgraph"),
        {"Artist": pa.table({"key": pa.array(spaced)})},
        {("Artist", "Teacher", "Artist"): pa.table({"source": spaced, "target": spaced[::-1]})},
    ).trimmed()
    wanted = [value and clean_key(value)[0] for value in spaced]
    assert columns.nodes["Artist"]["key"].to_pylist() == wanted
    edges = columns.edges["Artist", "Teacher", "Artist"]
    assert [edges["source"].to_pylist(), edges["target"].to_pylist()] == [wanted, wanted[::-1]]
