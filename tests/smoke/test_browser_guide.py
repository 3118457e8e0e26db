"""Does Korvai's guide open inside Neo4j Browser, and does a click run a query there?"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from api.main import create_app
from kg.graph import Graph
from kg.settings import Settings
from tests.support.neo4j_browser import again, sign_in, submit, until
from tests.support.published import craft


@pytest.fixture
def api_url(server: Settings) -> Iterator[str]:
    """The real API on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(create_app(server), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not running.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(timeout=30)


@pytest.mark.browser
@pytest.mark.slow
def test_the_guide_opens_and_a_click_runs_its_query(graph: Graph, server: Settings, api_url: str, page) -> None:
    craft(graph)
    sign_in(page, server)
    first = page.locator("pre.runnable").first
    again(page, lambda: submit(page, f":play {api_url}/guide?graph=saree"), lambda: first.locator("i").count())
    # The answer is a frame of its own; the guide stays.
    answer = page.locator("[data-testid=frame]", has_text="items ORDER BY").locator("text=c00")
    again(page, first.locator("i").click, answer.count)
    page.locator("[data-exec]").first.click()
    until(page, lambda: styled_labels(page) == 1)


def styled_labels(page) -> int:
    """How often Browser has taken over the style of Cluster nodes."""
    text = page.evaluate("() => JSON.stringify(Object.values(localStorage))")
    return text.count("node.Cluster")
