"""How is a test's graph emptied without ever touching a real one?"""

from kg.graph import Graph
from kg.settings import Settings

__all__ = ["empty"]


def empty(graph: Graph, settings: Settings) -> None:
    """Remove every node, relation and vector index of a graph that is marked as a test one."""
    if settings.environment != "test" or settings.neo4j_uri is not None:
        raise RuntimeError(f"{graph.address.uri} is not marked as a test graph; nothing was removed")
    with graph._session("write") as session:  # the one place that may reach around the saved statements
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 20000 ROWS").consume()
        names = [r["name"] for r in session.run("SHOW VECTOR INDEXES YIELD name")]
        for name in names:
            session.run(f"DROP INDEX `{name}` IF EXISTS").consume()
