"""What the C library does with freed memory: keep it while embedding, hand it back after."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Parameters of glibc's mallopt(3), the values used while embedding, and its own defaults.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
# New threads share the heaps that are there: each would keep the largest it ever held.
_KEEPING = {_TRIM_THRESHOLD: -1, _TOP_PAD: 64 << 20, _MMAP_MAX: 0, _ARENA_MAX: 1}
_USUAL = {_TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10, _MMAP_MAX: 65_536, _ARENA_MAX: 0}

_lock = threading.Lock()
_inside = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory for the next tensor of its size, instead of asking the system anew.

    A network makes and frees a map of many megabytes at every layer. Left alone, glibc
    gives each back and asks for fresh pages again, and clearing and mapping these takes
    up to half of the time of a small network. Where the C library is another one,
    nothing changes.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(_KEEPING)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_USUAL)
                trim()


def trim() -> None:
    """Hand freed memory back, where the C library can (glibc's ``malloc_trim``).

    Many threads each free blocks of many sizes; what the allocator keeps of them for
    later would otherwise grow with the length of a run.
    """
    release = _glibc("malloc_trim")
    if release is not None:
        release(0)


def resident() -> int:
    """Return the bytes of memory that the process has."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _set(values: dict[int, int]) -> None:
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for parameter, value in values.items():
            mallopt(parameter, value)


def _glibc(name: str) -> Any:
    """Return a function of glibc, or ``None`` where there is no glibc."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None  # musl knows mallopt by name alone
    return getattr(library, name, None)
