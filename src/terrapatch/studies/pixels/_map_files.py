"""A map and its companions, put in place together: a killed run never mixes old and new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from terrapatch.errors import OutputError
from terrapatch.maps.bundle import BundleNames, make_folder
from terrapatch.writing import gdal_writing


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[Path]:
    """Give a folder to save maps into, and move them into place when all are whole.

    Older maps of these names go, also those of which there is no new one: a companion of an
    older map would belie the new map.

    Args:
        paths: The rasters that can be written, all in one folder, the map first.

    Yields:
        A folder beside the place; save each raster in it under its own name.

    Raises:
        OutputError: If a name is that of a folder, or the place is full or not writable.
    """
    first = paths[0]
    for path in paths:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; choose another output path")
    with gdal_writing(first):
        make_folder(first)
        stage = Path(tempfile.mkdtemp(prefix=f".{first.name}.", suffix=".part", dir=first.parent))
        try:
            with _named(stage, first.parent):
                yield stage
            _publish(stage, paths)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def _named(stage: Path, place: Path) -> Iterator[None]:
    """Let a fault speak of the file a person asked for, not of the one behind it."""
    try:
        yield
    except OutputError as fault:
        raise OutputError(str(fault).replace(str(stage), str(place))) from fault


def _publish(stage: Path, paths: Sequence[Path]) -> None:
    """Move the companions, then the map; on any fault take back what was moved."""
    moved: list[Path] = []
    try:
        for path in paths:
            for old in BundleNames(path).present():
                old.unlink()
        for path in reversed(paths):
            for final in reversed(BundleNames(path).all()):
                new = stage / final.name
                if new.exists():
                    moved.append(final)
                    new.replace(final)
    except BaseException:
        for final in moved:
            final.unlink(missing_ok=True)
        raise
