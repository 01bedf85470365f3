"""All files of a map, or none: staged in a folder beside the target and moved, the raster last.

Nobody who looks for ``map.tif`` finds it before everything that belongs to it is in place.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from terrapatch.errors import MapError, OutputError
from terrapatch.writing import gdal_writing

__all__ = ["BundleNames", "SavedMap", "check_grid", "make_folder", "provenance_json", "staged"]


@dataclass(frozen=True)
class SavedMap:
    """What a ``save`` wrote.

    Attributes:
        path: The GeoTIFF.
        files: Every file of the bundle, the GeoTIFF first.
        notes: What a reader should know: a missing CRS, polygons left out, a placeholder date.
    """

    path: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleNames:
    """Where the files of the map ``stem.tif`` stand in one folder.

    Attributes:
        raster: The GeoTIFF.
    """

    raster: Path

    @property
    def sidecar(self) -> Path:
        """``stem.tif.aux.xml``: category names and attribute table."""
        return self.raster.with_name(self.raster.name + ".aux.xml")

    @property
    def style(self) -> Path:
        """``stem.qml``: the style QGIS applies by itself."""
        return self.raster.with_suffix(".qml")

    @property
    def polygons(self) -> Path:
        """``stem_polygons.gpkg``: another stem, since two layers of one stem share one style."""
        return self.raster.with_name(self.raster.stem + "_polygons.gpkg")

    @property
    def item(self) -> Path:
        """``stem.json``: the STAC item."""
        return self.raster.with_suffix(".json")

    def all(self) -> tuple[Path, ...]:
        """Return every file a bundle can have, the raster first."""
        return (self.raster, self.sidecar, self.style, self.polygons, self.item)

    def present(self) -> tuple[Path, ...]:
        """Return those that exist."""
        return tuple(path for path in self.all() if path.exists())


@contextmanager
def staged(path: Path, overwrite: bool) -> Iterator[BundleNames]:
    """Give a folder to write a bundle into, and move it into place when all went well.

    Args:
        path: The map a person asked for; must end in ``.tif``.
        overwrite: Whether an older bundle of that name gives way.

    Yields:
        The names to write to, inside a temporary folder beside ``path``.

    Raises:
        OutputError: If a file of the bundle exists and ``overwrite`` is false, the name does not
            end in ``.tif``, or the place is full or not writable.
    """
    target = BundleNames(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"cannot write a map to {path}: give it a name that ends in .tif")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; choose another output path")
    with gdal_writing(path):
        if not overwrite and (there := target.present()):
            listed = ", ".join(file.name for file in there)
            raise OutputError(
                f"{path} is not written, since {listed} exists already in that folder;"
                " choose another name, or pass overwrite"
            )
        make_folder(path)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        try:
            yield BundleNames(folder / path.name)
            _publish(BundleNames(folder / path.name), target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make the folder an output stands in.

    Raises:
        OutputError: If a part of that path is a file.
        OSError: If the place is not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as fault:
        raise OutputError(
            f"cannot write {path}: a part of that path is a file; choose another output path"
        ) from fault


def _publish(source: BundleNames, target: BundleNames) -> None:
    """Move the companions, then the raster; on any fault take back what was moved."""
    pairs = [(a, b) for a, b in zip(source.all(), target.all(), strict=True) if a.exists()]
    moved: list[Path] = []
    try:
        for old in target.present():
            old.unlink()
        for staged_file, final in reversed(pairs):
            moved.append(final)
            staged_file.replace(final)
    except BaseException:
        for final in moved:
            final.unlink(missing_ok=True)
        raise


def check_grid(shape: tuple[int, ...], geobox: object) -> None:
    """Check that an array fits on a grid.

    Args:
        shape: Shape of the array.
        geobox: The grid.

    Raises:
        MapError: If the array is not two-dimensional, is empty, or is not of the grid's shape.
    """
    if len(shape) != 2:
        raise MapError(f"a map has two dimensions (rows, cols), not shape {shape}; take one band")
    if 0 in shape:
        raise MapError(f"a map of shape {shape} has no cells; give it at least one")
    if not isinstance(geobox, GeoBox):
        raise MapError(f"the grid is a {type(geobox).__name__}; pass an odc.geo GeoBox")
    if tuple(geobox.shape) != tuple(shape):
        raise MapError(
            f"values have {shape[0]} x {shape[1]} cells, the grid {geobox.shape[0]} x"
            f" {geobox.shape[1]}; pass the grid the values were made on"
        )


def provenance_json(provenance: Mapping[str, Any]) -> str:
    """Return how a map was made as one line of JSON, keys in alphabetical order.

    Raises:
        MapError: If a value is not JSON: say a NumPy number, a path, a date, NaN.
    """
    try:
        return json.dumps(provenance, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise MapError(
            f"the provenance cannot be written as JSON ({fault}); use text, numbers, lists and"
            " dictionaries only"
        ) from fault
