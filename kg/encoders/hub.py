"""Can weights be fetched from the model hub, and what is said when they cannot?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from kg.errors import EncoderError

__all__ = ["fetching"]

_PROBE_TIMEOUT_S = 5.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@contextmanager
def fetching(encoder: str, *, instead: str) -> Iterator[None]:
    """Fetch a model's files inside the block. What was fetched before is used without a network; without both, the
    hub's own five retries (a minute of silence) are spared.

    Raises: EncoderError that ends in `instead`, the way out.
    """
    from huggingface_hub import constants

    was_offline = constants.HF_HUB_OFFLINE
    reachable = not was_offline and _reachable(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = not reachable
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:  # hub, url and file readers have no common root
        reason = (
            " ".join(str(error).split())[:160] if reachable else "the model hub cannot be reached, and no copy is here"
        )
        raise EncoderError(f"encoder {encoder}: its weights cannot be fetched ({reason}); {instead}") from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _reachable(endpoint: str) -> bool:
    """Whether the hub's host takes a connection; behind a proxy only the proxy knows, so yes."""
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return True
    url = urlsplit(endpoint)
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        socket.create_connection((url.hostname or "", port), timeout=_PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True
