"""A live graph leaves as exchange files and comes back the same; what is only Korvai's stays behind unless asked."""

import json
from contextlib import contextmanager

import pyarrow as pa
import pytest

from kg.errors import SchemaViolation
from kg.exchange.export import export_graph
from kg.exchange.importing import How, import_columns, import_exchange
from kg.exchange.reading import read_exchange
from kg.generation.artgraph import generate_artgraph
from kg.importers.columns import GraphColumns, column_of
from kg.progress import SilentReporter
from kg.schema import load_domain

_STYLE = ("Artwork", "Style", "Style")


@pytest.fixture
def artgraph():
    return load_domain("artgraph")


def _sorted(columns):
    """By keys and without columns that say nothing, as a graph has neither order nor nulls."""
    nodes = {label: table.sort_by("key") for label, table in columns.nodes.items()}
    edges = {e: t.sort_by([("source", "ascending"), ("target", "ascending")]) for e, t in columns.edges.items()}
    told = {
        name: [n for n in sorted(t.column_names) if t[n].null_count < len(t)] for name, t in (nodes | edges).items()
    }
    domain = columns.domain
    return GraphColumns(
        domain,
        {label: nodes[label].select(told[label]) for label in domain.node_types if label in nodes},
        {edge_type: edges[edge_type].select(told[edge_type]) for edge_type in domain.edge_types if edge_type in edges},
    )


def test_a_graph_comes_back_from_its_export_as_it_was(graph, settings, reporter, tmp_path, artgraph):
    made = generate_artgraph(scale=0.01, seed=5, reporter=reporter)
    first = import_columns(settings, made, kind="generated", source="seed 5", reporter=reporter)
    assert (first.total_created, first.problems) == (made.node_count + made.edge_count, [])
    exported = export_graph(graph, artgraph, tmp_path / "out", reporter=reporter)
    assert _sorted(exported).fingerprint() == _sorted(made).fingerprint()
    read = read_exchange(tmp_path / "out", reporter=reporter)
    assert (read.problems, read.columns.fingerprint()) == ([], exported.fingerprint())
    again = import_exchange(settings, tmp_path / "out", reporter=reporter)
    assert (again.total_created, again.total_updated, again.problems) == (0, 0, [])


def test_properties_of_relations_called_source_and_values_of_all_kinds_survive(
    graph, settings, reporter, tmp_path, artgraph
):
    nodes = {
        "Artist": pa.table({
            "key": ["ada", "bo"],
            "museums": pa.array([["A", "B, C"], None], pa.list_(pa.string())),
            "birth": pa.array([None, 1850], pa.int64()),
        }),
        "Movement": pa.table({"key": ["school\nof two lines"]}),
    }  # fmt: skip
    movement = pa.table({"source": ["ada"], "target": ["school\nof two lines"], column_of("source"): ["a book"]})
    made = GraphColumns(artgraph, nodes, {("Artist", "Movement", "Movement"): movement})
    import_columns(settings, made, kind="test", source="", reporter=reporter)
    exported = export_graph(graph, artgraph, tmp_path / "out", reporter=reporter)
    assert _sorted(exported).fingerprint() == _sorted(made).fingerprint()
    _, rows = graph.user_query("MATCH (:Artist)-[r:Movement]->() RETURN properties(r)")
    assert rows == [[{"source": "a book"}]]


def test_the_overlay_and_vectors_stay_behind_unless_asked_for(graph, settings, reporter, tmp_path, artgraph):
    made = generate_artgraph(scale=0.01, seed=5, reporter=reporter)
    import_columns(settings, made, kind="generated", source="", reporter=reporter)
    artwork = made.nodes["Artwork"]["key"][0].as_py()
    with graph.transaction("test") as tx:
        tx._tx.run(
            "MATCH (a:Artwork {name: $artwork}), (s:Style {name: 'cubism'}) SET s.embedding_v1 = [0.5, 0.5] "
            "CREATE (a)-[:HAS_IMAGE]->(:Image {sha256: 'ab', uri: 'images/ab'})-[:HAS_VECTOR]->"
            "(:ImageVector {sha256: 'ab', embedding_v1: [1.0, 0.0]}) "
            "CREATE (s)-[:BROADER {facet: 'movement'}]->(:Class:Concept {key: 'artgraph/movement/modern', name: 'm'}), "
            "(a)<-[:OF]-(:Prediction {id: 'p', score: 0.5, state: 'proposed'})-[:SAYS]->(s)",
            artwork=artwork,
        )
    plain = export_graph(graph, artgraph, tmp_path / "plain", reporter=reporter)
    assert _sorted(plain).fingerprint() == _sorted(made).fingerprint()
    assert not (tmp_path / "plain" / "korvai" / "overlay").exists()
    export_graph(graph, artgraph, tmp_path / "all", reporter=reporter, with_overlay=True)
    overlay = {p.stem: [json.loads(line) for line in p.open()] for p in (tmp_path / "all/korvai/overlay").iterdir()}
    assert set(overlay) == {"Image", "Concept", "HAS_IMAGE", "BROADER", "Prediction", "OF", "SAYS"}
    assert overlay["SAYS"] == [{"source": ["Prediction", "p"], "target": ["Style", "cubism"]}]
    assert overlay["HAS_IMAGE"] == [{"source": ["Artwork", artwork], "target": ["Image", "ab"]}]
    assert overlay["BROADER"] == [
        {
            "source": ["Style", "cubism"],
            "target": ["Concept", "artgraph/movement/modern"],
            "properties": {"facet": "movement"},
        }
    ]
    assert "embedding" not in "".join(p.read_text() for p in (tmp_path / "all").rglob("*.jsonl"))


def test_a_dry_run_writes_nothing_and_says_what_is_missing(graph, settings, reporter, tmp_path, artgraph):
    made = generate_artgraph(scale=0.01, seed=5, reporter=reporter)
    report = import_columns(settings, made, kind="g", source="", reporter=reporter, how=How(dry_run=True))
    assert report.created["Artwork"] == 1_165
    with pytest.raises(SchemaViolation, match="the graph is empty"):
        export_graph(graph, artgraph, tmp_path / "out", reporter=reporter)
    assert list(tmp_path.glob("*out*")) == []


def test_bad_rows_of_the_files_are_in_the_import_report(graph, settings, reporter, tmp_path):
    folder = tmp_path / "out"
    made = generate_artgraph(scale=0.01, seed=5, reporter=reporter)
    import_columns(settings, made, kind="g", source="", reporter=reporter)
    export_graph(graph, load_domain("artgraph"), folder, reporter=reporter)
    edges = folder / "raw/relations/artwork___style___style/edge.csv"
    edges.write_text(edges.read_text() + "5,99\n")
    report = import_exchange(settings, folder, reporter=reporter)
    told = {str(problem) for problem in report.problems}
    assert "raw/relations/artwork___style___style/edge.csv:1166: target: there is no Style number 99" in told
    assert report.total_created == 0


def test_what_somebody_writes_during_an_export_is_in_it(graph, settings, tmp_path, artgraph):
    made = generate_artgraph(scale=0.01, seed=5, reporter=SilentReporter())
    import_columns(settings, made, kind="g", source="", reporter=SilentReporter())
    writing = _WritingOnce(graph)
    exported = export_graph(graph, artgraph, tmp_path / "out", reporter=writing)
    assert writing.wrote
    assert "written meanwhile" in exported.nodes["Tag"]["key"].to_pylist()
    assert exported.edge_count == made.edge_count + 1
    assert exported.check() == []


class _WritingOnce(SilentReporter):
    """Adds a tag to an artwork as soon as the first page has been read."""

    def __init__(self, graph):
        self.graph, self.wrote = graph, False

    @contextmanager
    def stage(self, name, total=None, unit=""):
        def advance(n=1, **metrics):
            if not self.wrote:
                with self.graph._session("write") as session:
                    session.run(
                        "MATCH (a:Artwork) WITH a LIMIT 1 CREATE (a)-[:About]->(:Tag {name: 'written meanwhile'})"
                    ).consume()
                self.wrote = True

        yield advance
