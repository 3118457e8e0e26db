"""A database that holds the published labels and nothing of ours works as it is: only constraints are added."""

import pytest

from kg.errors import SchemaViolation
from kg.exchange.live import read_graph
from kg.generation.artgraph import generate_artgraph
from kg.importers.columns import KEY
from kg.schema import ensure_schema, load_domain
from kg.snapshots.snapshot import pull


@pytest.fixture
def published(graph, reporter):
    """A small published-like graph, made by plain statements in a database without any constraint of ours."""
    columns = generate_artgraph(scale=0.01, seed=11, reporter=reporter)
    with graph._session("write") as session:
        for row in session.run("SHOW CONSTRAINTS YIELD name").data():
            session.run(f"DROP CONSTRAINT `{row['name']}`").consume()
        ids = {label: _create_nodes(session, label, table) for label, table in columns.nodes.items()}
        for (source, kind, target), table in columns.edges.items():
            pairs = zip(*table.select(["source", "target"]).to_pydict().values(), strict=True)
            session.run(
                f"UNWIND $pairs AS pair MATCH (a) WHERE id(a) = pair[0] MATCH (b) WHERE id(b) = pair[1] "
                f"CREATE (a)-[:`{kind}`]->(b)",
                pairs=[[ids[source][a], ids[target][b]] for a, b in pairs],
            ).consume()
    yield columns
    ensure_schema(graph, load_domain("artgraph"), load_domain("saree"))


def _create_nodes(session, label, table):
    """As in the published database: a name, and nothing of ours."""
    names = table[KEY].to_pylist()
    rows = session.run(f"UNWIND $names AS name CREATE (n:`{label}` {{name: name}}) RETURN id(n) AS id", names=names)
    return dict(zip(names, (row["id"] for row in rows), strict=True))


def _everything(graph):
    _, rows = graph.user_query(
        "MATCH (n) RETURN labels(n) AS labels, keys(n) AS keys, count(*) AS nodes ORDER BY labels, keys"
    )
    return rows


def test_constraints_are_added_and_nothing_else_is_touched(graph, published, reporter, store):
    domain = load_domain("artgraph")
    before, content = _everything(graph), read_graph(graph, domain, reporter=reporter)
    assert {tuple(row[0]) for row in before} == {(label,) for label in domain.node_types}
    ensure_schema(graph, domain)
    snapshot = pull(graph, domain, store, reporter=reporter)
    assert {label: snapshot.count(label) for label in snapshot.node_types} == {
        label: table.num_rows for label, table in published.nodes.items()
    }
    assert {e: len(snapshot.edges(e)[0]) for e in snapshot.edge_types} == {
        e: table.num_rows for e, table in published.edges.items()
    }
    assert _everything(graph) == before
    assert read_graph(graph, domain, reporter=reporter).fingerprint() == content.fingerprint()
    _, constraints = graph.user_query("SHOW CONSTRAINTS YIELD labelsOrTypes, properties")
    assert [["Artwork"], ["name"]] in constraints


def test_it_lacks_images_only_to_be_learnt_from(graph, published, reporter, store):
    domain = load_domain("artgraph")
    ensure_schema(graph, domain)
    with pytest.raises(SchemaViolation, match="image"):
        pull(graph, domain, store, reporter=reporter, task="style")
    names = published.nodes["Artwork"][KEY].to_pylist()[:20]
    with graph._session("write") as session:
        session.run(
            "UNWIND range(0, size($names) - 1) AS n MATCH (a:Artwork {name: $names[n]}) "
            "CREATE (a)-[:HAS_IMAGE]->(:Image {sha256: toString(n), uri: 'images/' + n, width: 8, height: 8})",
            names=names,
        ).consume()
    snapshot = pull(graph, domain, store, reporter=reporter, task="style")
    assert (len(snapshot.images), snapshot.count("Style")) == (20, 32)
