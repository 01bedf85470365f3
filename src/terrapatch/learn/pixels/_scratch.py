"""Arrays of a whole scene: in memory while small, else in a file that vanishes with them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from terrapatch.errors import OutputError, writing

IN_MEMORY = 1 << 26
"""Bytes of an array that memory holds at most."""


def scratch_array(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    folder: Path | None = None,
    *,
    reserve: bool = True,
) -> NDArray[Any]:
    """Return an array of zeros.

    A file that is mapped into memory and finds the disk full when it is written ends the
    program without a word. Its room is therefore taken beforehand.

    Args:
        shape: Its shape.
        dtype: Its type.
        folder: Where its file lies if it is large; the system's place for temporary files if
            ``None``. The file has no name and is gone when the array is.
        reserve: Whether to take all of its room at once; if not, ``check_room`` has to be
            asked before each part is written.

    Raises:
        OutputError: If the folder is missing, full or not writable.
    """
    kind = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if n_bytes <= IN_MEMORY:
        return np.zeros(shape, kind)
    place = scratch_folder(folder)
    if not place.is_dir():
        raise OutputError(f"there is no scratch folder {place}; make it, or name another")
    if reserve:
        check_room(place, n_bytes)
    with writing(place), tempfile.TemporaryFile(dir=place) as file:
        file.truncate(n_bytes)
        if reserve and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(file, kind, "r+", shape=shape)


def scratch_folder(folder: Path | None) -> Path:
    """Return where files of large arrays lie."""
    return Path(tempfile.gettempdir()) if folder is None else folder


def check_room(place: Path, n_bytes: int) -> None:
    """Refuse to write more than a disk has room for.

    Raises:
        OutputError: If there is not enough room.
    """
    free = shutil.disk_usage(place).free
    if free < n_bytes:
        raise OutputError(
            f"the scratch folder {place} has {free / 2**30:,.1f} GiB of room and "
            f"{n_bytes / 2**30:,.1f} GiB are needed; make room, or write to another disk (TMPDIR "
            "names the one for temporary files)"
        )
