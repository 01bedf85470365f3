"""Giving freed memory back to the system."""

from __future__ import annotations

import ctypes
import sys


def trim() -> None:
    """Hand freed memory back, where the C library can (glibc's ``malloc_trim``).

    Many threads each free blocks of many sizes; what the allocator keeps of them for
    later would otherwise grow with the length of a run.
    """
    if sys.platform == "linux":
        release = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if release is not None:
            release(0)
