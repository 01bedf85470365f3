"""Arrays of a whole scene: in memory while small, else in a file that vanishes with them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from terrapatch.errors import OutputError, writing

IN_MEMORY = 1 << 26
"""Bytes of an array that memory holds at most."""


def scratch_array(
    shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None = None
) -> NDArray[Any]:
    """Return an array of zeros.

    Args:
        shape: Its shape.
        dtype: Its type.
        folder: Where its file lies if it is large; the system's place for temporary files if
            ``None``. The file has no name and is gone when the array is.

    Raises:
        OutputError: If the folder is missing, full or not writable.
    """
    kind = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if n_bytes <= IN_MEMORY:
        return np.zeros(shape, kind)
    place = Path(tempfile.gettempdir()) if folder is None else folder
    if not place.is_dir():
        raise OutputError(f"there is no scratch folder {place}; make it, or name another")
    with writing(place), tempfile.TemporaryFile(dir=place) as file:
        file.truncate(n_bytes)
        return np.memmap(file, kind, "r+", shape=shape)
