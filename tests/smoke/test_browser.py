"""Does the query that the demo prints give the printed answer when a curator pastes it into Neo4j Browser?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from kg.graph import Graph
from kg.publishing.publish import publish
from kg.server.connection import neo4j_address
from kg.settings import Settings
from kg.statements import browser_text, statement_for
from kg.store import Store
from tests.support.published import craft, publication

# Chromium must not look for its maker's servers; as root it has no sandbox of its own.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 90_000


@pytest.fixture
def page() -> Iterator:
    """A page of a real, headless Chromium."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine; install Debian's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.set_default_timeout(_PATIENCE_MS)
        yield opened
        browser.close()


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
    shown = _paste(page, server, browser_text(statement, values, inline=True), until=printed[0]["embedding_set"])
    assert len(printed) == 3
    for row in printed:
        line = next(line for line in shown if row["class"] in line)
        assert str(row["probability"]) in line
        assert str(row["score"]) in line


def _paste(page, server: Settings, text: str, *, until: str) -> list[str]:
    """Log in, paste, run, and return the lines of the answer's table."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    address = neo4j_address(server)
    page.goto(address.browser_url)
    page.fill("[data-testid=username]", address.user)
    page.fill("[data-testid=password]", address.password.get_secret_value())
    page.click("[data-testid=connect]")
    page.wait_for_selector("text=You are connected")
    answer = page.locator("[data-testid=frame]").first
    for last in (False, False, True):  # what is typed while Browser is still opening may be lost
        page.click(".monaco-editor")
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(text)
        page.click("[data-testid=editor-Run]")
        with nullcontext() if last else suppress(PlaywrightTimeout):
            answer.locator(f"text={until}").first.wait_for(timeout=_PATIENCE_MS if last else 30_000)
            break
    return answer.inner_text().splitlines()
