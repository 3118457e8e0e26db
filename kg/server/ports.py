"""Which port on this machine is free?"""

import socket

from kg.errors import ServiceError

__all__ = ["LOOPBACK", "free_port", "is_free"]

LOOPBACK = "127.0.0.1"
_TRIES = 64


def free_port(first: int, *, avoid: tuple[int, ...] = ()) -> int:
    """The first free loopback port from `first` upwards, or any free one when the next 64 are taken.

    Raises: ServiceError when the machine has no free port at all.
    """
    for port in range(first, min(first + _TRIES, 65536)):
        if port not in avoid and is_free(port):
            return port
    return _any_port(first)


def is_free(port: int) -> bool:
    """Whether a server may listen on that loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still closing down does not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _any_port(first: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, 0))
        except OSError as error:
            raise ServiceError(f"no free port on {LOOPBACK} from {first} on: {error}; close some servers") from error
        return probe.getsockname()[1]
