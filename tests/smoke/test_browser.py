"""Does the query that the demo prints give the printed answer when a curator pastes it into Neo4j Browser?"""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.graph import Graph
from kg.publishing.publish import publish
from kg.settings import Settings
from kg.statements import browser_text, statement_for
from kg.store import Store
from tests.support.neo4j_browser import again, sign_in, submit
from tests.support.published import craft, publication


@pytest.mark.browser
@pytest.mark.slow
def test_a_pasted_query_gives_the_printed_answer(
    graph: Graph, server: Settings, store: Store, tmp_path: Path, reporter, page
) -> None:
    domain = craft(graph)
    publish(graph, store, publication(tmp_path), reporter=reporter)
    statement = statement_for(graph, "items/classify", domain)
    values = {"item": "i00", "domain": "saree", "task": "cluster", "k": 3}
    printed = graph.run(statement, **values)
    sign_in(page, server)
    answer = page.locator("[data-testid=frame]", has_text=printed[0]["embedding_set"])
    again(page, lambda: submit(page, browser_text(statement, values, inline=True)), answer.count)
    shown = answer.first.inner_text().splitlines()
    assert len(printed) == 3
    for row in printed:
        line = next(line for line in shown if row["class"] in line)
        assert str(row["probability"]) in line
        assert str(row["score"]) in line
