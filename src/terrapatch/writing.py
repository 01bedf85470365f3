"""What the system, GDAL and SQLite say of a failed write, as one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError

from terrapatch.errors import OutputError, TerrapatchError, writing


@contextmanager
def gdal_writing(path: Path) -> Iterator[None]:
    """Turn faults of writing a raster or a GeoPackage into one sentence about ``path``.

    Args:
        path: The output a person asked for.

    Raises:
        OutputError: If the disk is full, the place is not writable, or the file could
            not be finished.
    """
    try:
        with writing(path):
            yield
    except TerrapatchError:
        raise
    except (OSError, CPLE_BaseError, sqlite3.OperationalError) as fault:
        raise OutputError(
            f"cannot write {path}: the file could not be finished ({_first_cause(fault)}); "
            "free some space, or choose another output path"
        ) from fault


def _first_cause(fault: BaseException) -> str:
    """Return the words of the error at the bottom; rasterio's own point at it only."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return " ".join(str(fault).split()).rstrip(".") or type(fault).__name__
