"""How does a test use Neo4j Browser as a person does, though Browser loses what comes while it is still opening?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from kg.server.connection import neo4j_address
from kg.settings import Settings

__all__ = ["again", "chromium_page", "sign_in", "submit", "until"]

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
_PATIENCE_S, _ONE_TRY_S = 120, 30


@contextmanager
def chromium_page() -> Iterator:
    """A page of a real, headless Chromium; the test skips where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine; install Debian's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1100})
        opened.set_default_timeout(_PATIENCE_S * 1000)
        yield opened
        browser.close()


def sign_in(page, server: Settings) -> None:
    """Open Browser and connect to the server."""
    address = neo4j_address(server)
    page.goto(address.browser_url)
    page.fill("[data-testid=username]", address.user)
    page.fill("[data-testid=password]", address.password.get_secret_value())
    page.click("[data-testid=connect]")
    page.wait_for_selector("text=You are connected")


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
            return until(page, ask, within_s=_ONE_TRY_S)
    return until(page, ask)


def until(page, ask: Callable[[], object], *, within_s: float = _PATIENCE_S) -> None:
    """Ask until it is so: Browser redraws its frames, and a locator's own waiting may watch an old one."""
    end = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < end, "Browser does not show it"
        page.wait_for_timeout(500)
