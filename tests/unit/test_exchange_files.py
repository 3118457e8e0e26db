"""The exchange layout: a round trip changes nothing, the authors' files are read, faults told by file and line."""

import csv
import gzip
import json

import pyarrow as pa
import pytest

from kg.errors import SchemaViolation, StoreError
from kg.exchange.reading import read_exchange
from kg.exchange.writing import exchange_folder, write_exchange
from kg.generation.artgraph import generate_artgraph
from kg.importers.columns import GraphColumns
from kg.progress import SilentReporter
from kg.schema import load_domain

_QUIET = SilentReporter()
_STYLE = ("Artwork", "Style", "Style")


@pytest.fixture
def folder(tmp_path):
    """Two artworks, as the authors' program writes them."""
    return _authors_export(tmp_path / "artgraph")


def _authors_export(folder, *, artworks=("0,a_sea.jpg", "1,b_moon.jpg"), styles=("0,cubism", "1,baroque")):
    _put(folder, "mapping/artwork_entidx2name.csv", *artworks)
    _put(folder, "mapping/style_entidx2name.csv", *styles)
    _put(folder, "mapping/rel_entidx2name.csv", "0,style")
    _put(folder, "raw/triplet-type-list.csv", "artwork,style,style")
    _put(folder, "raw/num-node-dict.csv", "artwork,style", "2,2")
    _put(folder, "raw/relations/artwork___style___style/edge.csv", "0,1", "1,0")
    _put(folder, "raw/relations/artwork___style___style/num-edge-list.csv", "2")
    return folder


def _put(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _rows(exchange):
    return exchange.columns.edges[_STYLE].to_pylist()


def test_a_round_trip_changes_nothing(tmp_path):
    graph = generate_artgraph(scale=0.01, seed=3, reporter=_QUIET)
    write_exchange(graph, tmp_path / "out", reporter=_QUIET)
    again = read_exchange(tmp_path / "out", reporter=_QUIET)
    assert again.problems == []
    assert again.columns.fingerprint() == graph.fingerprint()


def test_keys_with_commas_quotes_breaks_and_other_scripts_survive(tmp_path):
    keys = ['say "sea", twice', "two\nlines", " space", "नीला", "a,b", "chlo%C3%AB.jpg"]
    nodes = {"Artwork": pa.table({"key": keys}), "Style": pa.table({"key": ["cubism"]})}
    edges = {_STYLE: pa.table({"source": keys, "target": ["cubism"] * len(keys)})}
    graph = GraphColumns(load_domain("artgraph"), nodes, edges)
    again = read_exchange(write_exchange(graph, tmp_path / "out", reporter=_QUIET), reporter=_QUIET)
    assert (again.problems, again.columns.fingerprint()) == ([], graph.fingerprint())


def test_the_files_are_those_of_the_authors_layout(tmp_path):
    graph = generate_artgraph(scale=0.01, seed=3, reporter=_QUIET)
    folder = write_exchange(graph, tmp_path / "out", reporter=_QUIET)
    artworks = list(csv.reader((folder / "mapping/artwork_entidx2name.csv").open(encoding="utf-8")))
    assert artworks[7] == ["7", graph.nodes["Artwork"]["key"][7].as_py()]
    styles = dict(csv.reader((folder / "mapping/labelidx2stylename.csv").open(encoding="utf-8")))
    edges = [line.split(",") for line in (folder / "raw/relations/artwork___style___style/edge.csv").open()]
    source, target = (end.strip() for end in edges[7])
    assert [artworks[int(source)][1], styles[target]] == [*graph.edges[_STYLE].slice(7, 1).to_pylist()[0].values()]
    assert (folder / "raw/node-label/artwork/node-label-style.csv").read_text().split()[7] == target
    kinds = (folder / "raw/relations/artwork___style___style/edge_reltype.csv").read_text().split()
    numbers = dict(csv.reader((folder / "mapping/relidx2relname.csv").open()))
    assert (len(kinds), numbers[kinds[0]]) == (len(edges), "style")
    assert (folder / "raw/relations/artwork___style___style/num-edge-list.csv").read_text().strip() == str(len(edges))
    assert "artwork,completedin,city" in (folder / "raw/triplet-type-list.csv").read_text().split("\n")
    names, counts = csv.reader((folder / "raw/num-node-dict.csv").open())
    assert dict(zip(names, counts, strict=True))["tag"] == "54"
    assert json.loads((folder / "korvai/manifest.json").read_text())["domain"] == "artgraph"


def test_an_artwork_without_a_class_does_not_shift_the_labels_of_the_next(tmp_path):
    nodes = {"Artwork": pa.table({"key": ["a", "b", "c"]}), "Style": pa.table({"key": ["cubism", "baroque"]})}
    edges = {_STYLE: pa.table({"source": ["a", "c"], "target": ["baroque", "cubism"]})}
    folder = write_exchange(GraphColumns(load_domain("artgraph"), nodes, edges), tmp_path / "o", reporter=_QUIET)
    assert (folder / "raw/node-label/artwork/node-label-style.csv").read_text().split() == ["1", "nan", "0"]


def test_the_authors_own_files_are_read(folder):
    read = read_exchange(folder, reporter=_QUIET)
    assert read.problems == []
    assert read.columns.nodes["Artwork"]["key"].to_pylist() == ["a_sea.jpg", "b_moon.jpg"]
    assert [tuple(row.values()) for row in _rows(read)] == [("a_sea.jpg", "baroque"), ("b_moon.jpg", "cubism")]


def test_compressed_files_and_numbers_in_another_order_are_read(folder):
    edges = folder / "raw/relations/artwork___style___style/edge.csv"
    edges.with_name("edge.csv.gz").write_bytes(gzip.compress(edges.read_bytes()))
    edges.unlink()
    _put(folder, "mapping/style_entidx2name.csv", "1, baroque", "0, cubism")
    read = read_exchange(folder, reporter=_QUIET)
    assert read.problems == []
    assert [row["target"] for row in _rows(read)] == ["baroque", "cubism"]


@pytest.mark.parametrize(
    ("lines", "told", "kept"),
    [
        (["0,1", "1,7"], (2, "target: there is no Style number 7"), 1),
        (["0,1", "x,0"], (2, "source is 'x', which is not a number"), 1),
        (["0,1", "1", "1,0"], (2, "1 columns instead of 2"), 2),
        (["0,1,5", "1,0"], (1, "3 columns instead of 2"), 1),
        (["0,1", "-1,0"], (2, "source: there is no Artwork number -1"), 1),
        (["0,99999999999999999999"], (1, "too large"), 0),
    ],
)
def test_a_bad_relation_is_told_by_file_and_line_and_the_rest_is_kept(folder, lines, told, kept):
    _put(folder, "raw/relations/artwork___style___style/edge.csv", *lines)
    _put(folder, "raw/relations/artwork___style___style/num-edge-list.csv", len(lines))
    read = read_exchange(folder, reporter=_QUIET)
    ((file, line, reason),) = read.problems
    assert (file, line) == ("raw/relations/artwork___style___style/edge.csv", told[0])
    assert told[1] in reason
    assert len(_rows(read)) == kept
    assert read.columns.check() == []


@pytest.mark.parametrize(
    ("artworks", "line", "word"),
    [
        (["0,a_sea.jpg", "1,b_moon.jpg", "2,a_sea.jpg"], 3, "'a_sea.jpg' was there already"),
        (["0,a_sea.jpg", "1,b_moon.jpg", "1,c.jpg"], 3, "number 1 was there already"),
        (["0,a_sea.jpg", "1,b_moon.jpg", "2,"], 3, "key is empty"),
        (["0,a_sea.jpg", "1,b_moon.jpg", "2,\udcff"], 3, "not UTF-8"),
    ],
)
def test_a_bad_node_is_told_by_file_and_line(folder, artworks, line, word):
    text = "".join(f"{entry}\n" for entry in artworks)
    (folder / "mapping/artwork_entidx2name.csv").write_bytes(text.encode(errors="surrogateescape"))
    read = read_exchange(folder, reporter=_QUIET)
    problem = read.problems[0]
    assert (problem.file, problem.line) == ("mapping/artwork_entidx2name.csv", line)
    assert word in problem.reason
    assert read.columns.check() == []


def test_relations_of_a_repeated_key_go_to_the_first_node(folder):
    _put(folder, "mapping/style_entidx2name.csv", "0,cubism", "1,cubism")
    assert [row["target"] for row in _rows(read_exchange(folder, reporter=_QUIET))] == ["cubism", "cubism"]


def test_what_the_domain_does_not_have_and_wrong_counts_are_told(folder):
    _put(folder, "mapping/auction_entidx2name.csv", "0,Paris 1910")
    _put(folder, "raw/relations/artist___influenced___artist/edge.csv", "0,1")
    _put(folder, "raw/triplet-type-list.csv", "artwork,style,style", "artwork,genre,genre")
    _put(folder, "raw/num-node-dict.csv", "artwork,style", "3,2")
    _put(folder, "raw/relations/artwork___style___style/num-edge-list.csv", "5")
    told = {str(problem) for problem in read_exchange(folder, reporter=_QUIET).problems}
    assert told == {
        "mapping/auction_entidx2name.csv: artgraph has no node type 'auction'; left out",
        "raw/relations/artwork___genre___genre: is in triplet-type-list.csv and not there",
        "raw/relations/artist___influenced___artist: artgraph has no relation 'artist___influenced___artist'; left out",
        "raw/num-node-dict.csv:2: it says 3 nodes of artwork, its file has 2",
        "raw/relations/artwork___style___style/num-edge-list.csv:1: it says 5 relations, edge.csv has 2",
    }


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(SchemaViolation, match="has no folder mapping"):
        read_exchange(tmp_path, reporter=_QUIET)


def test_a_folder_with_something_in_it_is_not_written_over(folder):
    graph = generate_artgraph(scale=0.01, seed=3, reporter=_QUIET)
    with pytest.raises(StoreError, match="new or empty"):
        write_exchange(graph, folder, reporter=_QUIET)


def test_nothing_is_left_of_a_folder_that_was_not_finished(tmp_path):
    with pytest.raises(RuntimeError), exchange_folder(tmp_path / "out") as partial:
        (partial / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="Not a directory; free some space"), exchange_folder(tmp_path / "file" / "o"):
        pytest.fail("there is nothing to write into")


def test_a_graph_that_does_not_hold_together_is_not_written(tmp_path):
    nodes = {"Artwork": pa.table({"key": ["a"]}), "Style": pa.table({"key": ["cubism"]})}
    edges = {_STYLE: pa.table({"source": ["a"], "target": ["baroque"]})}
    with pytest.raises(SchemaViolation, match="there is no Style 'baroque'"):
        write_exchange(GraphColumns(load_domain("artgraph"), nodes, edges), tmp_path / "out", reporter=_QUIET)
    assert list(tmp_path.iterdir()) == []
