"""Does Korvai's guide open inside Neo4j Browser, and does a click run a query there?"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import uvicorn

from api.main import create_app
from kg.graph import Graph
from kg.server.connection import neo4j_address
from kg.settings import Settings
from tests.support.published import craft

# Chromium must not look for its maker's servers; as root it has no sandbox of its own.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_PATIENCE_MS = 120_000


@pytest.fixture
def page() -> Iterator:
    """A page of a real, headless Chromium."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine; install Debian's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1100})
        opened.set_default_timeout(_PATIENCE_MS)
        yield opened
        browser.close()


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
    address = neo4j_address(server)
    page.goto(address.browser_url)
    page.fill("[data-testid=username]", address.user)
    page.fill("[data-testid=password]", address.password.get_secret_value())
    page.click("[data-testid=connect]")
    page.wait_for_selector("text=You are connected")
    first = page.locator("pre.runnable").first
    again(page, lambda: submit(page, f":play {api_url}/guide?graph=saree"), lambda: first.locator("i").count())
    # The answer is a frame of its own; the guide stays.
    answer = page.locator("[data-testid=frame]", has_text="items ORDER BY").locator("text=c00")
    again(page, first.locator("i").click, answer.count)
    page.locator("[data-exec]").first.click()
    until(page, lambda: styled_labels(page) == 1)


def submit(page, text: str) -> None:
    """Type into the editor in place of what stands there, and run it."""
    page.click(".monaco-editor")
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)
    page.click("[data-testid=editor-Run]")


def again(page, do: Callable[[], object], ask: Callable[[], object]) -> None:
    """Do it until it shows: what comes while Browser is still opening, or drawing its frames anew, may be lost."""
    for _ in range(3):
        do()
        with suppress(AssertionError):
            return until(page, ask, within_s=30)
    return until(page, ask)


def until(page, ask: Callable[[], object], *, within_s: float = _PATIENCE_MS / 1000) -> None:
    """Ask until it is so: Browser redraws its frames, and a locator's own waiting may watch an old one."""
    end = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < end, "Browser does not show it"
        page.wait_for_timeout(500)


def styled_labels(page) -> int:
    """How often Browser has taken over the style of Cluster nodes."""
    text = page.evaluate("() => JSON.stringify(Object.values(localStorage))")
    return text.count("node.Cluster")
