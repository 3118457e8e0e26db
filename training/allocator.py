"""How is a step spared from asking the system for the same gigabyte again and again?"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["freed_memory_kept"]

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""glibc's names for what `mallopt` sets (malloc.h)."""
_NEVER, _AS_BEFORE = 2**31 - 1, (128 * 1024, 65_536)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside the block, memory that is freed stays with the process for the next step; afterwards it goes back.

    glibc gives large arrays back at once, and the system zeroes their pages each time they are asked for again: a
    good part of a graph step's time. Elsewhere than on glibc this does nothing.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _AS_BEFORE[0])
        libc.mallopt(_MMAP_MAX, _AS_BEFORE[1])
        libc.malloc_trim(0)
