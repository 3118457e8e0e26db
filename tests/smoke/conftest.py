"""What do smoke tests share?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.neo4j_browser import chromium_page


@pytest.fixture
def page() -> Iterator:
    """A page of a real browser."""
    with chromium_page() as opened:
        yield opened
