"""What all exports share: files that appear whole or not at all, and walks over the cells."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from terrapatch.errors import OutputError, StoreError
from terrapatch.features._files import make_folder
from terrapatch.features.engine import Progress
from terrapatch.features.raster import FeatureBlock, FeatureRaster
from terrapatch.writing import gdal_writing

DTYPES = ("float32", "float16")


@contextmanager
def staged(path: Path, suffixes: tuple[str, ...], overwrite: bool) -> Iterator[Path]:
    """Give a name to write to, and move what was written to ``path`` when all went well.

    Args:
        path: The file a person asked for.
        suffixes: What its name may end in.
        overwrite: Whether an older file gives way.

    Yields:
        A name in a temporary folder beside ``path``; companions that GDAL writes
        beside it (``NAME.aux.xml``) are moved too.

    Raises:
        OutputError: If the name does not fit, the file exists, or the place is full
            or not writable.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {path}: give it a name that ends in {suffixes[0]}")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; choose another output path")
    with gdal_writing(path):
        sidecar = path.with_name(path.name + ".aux.xml")
        there = [file for file in (path, sidecar) if file.exists()]
        if there and not overwrite:
            raise OutputError(f"{there[0]} exists already; choose another name, or pass overwrite")
        make_folder(path.parent, path)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        try:
            yield folder / path.name
            sidecar.unlink(missing_ok=True)
            for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
                file.replace(path.with_name(file.name))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def lost(path: Path) -> OutputError:
    """Return the error of a file that reads back differently: GDAL may only log a full disk."""
    return OutputError(
        f"cannot write {path}: what came to the disk is not what was written; free some space, "
        "or write to another disk"
    )


@contextmanager
def ungeoreferenced() -> Iterator[None]:
    """Say nothing of rasters without a georeference: they are meant to have none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def recipe_json(features: FeatureRaster) -> str:
    """Return the recipe as one line of JSON, keys in alphabetical order."""
    return json.dumps(features.recipe.as_dict(), sort_keys=True, ensure_ascii=False)


def layers_json(features: FeatureRaster) -> str:
    """Return which numbers belong to which layer as one line of JSON."""
    return json.dumps([{"layer": n, "start": a, "stop": b} for n, a, b in features.groups])


def raster_crs(features: FeatureRaster) -> CRS | None:
    """Return the CRS as rasterio wants it; None where the scene has none."""
    crs = features.geobox.crs
    return None if crs is None else CRS.from_wkt(crs.to_wkt())


def blocks(
    features: FeatureRaster, stage: str, progress: Progress | None = None
) -> Iterator[tuple[FeatureBlock, npt.NDArray[np.bool_]]]:
    """Go through the blocks together with which of their cells hold features.

    Args:
        features: The feature raster.
        stage: What to call this pass in ``progress``.
        progress: Told after each block how many cells are done.

    Raises:
        StoreError: If a cell that is not empty holds NaN or infinite features.
    """
    done, total = 0, features.shape[0] * features.shape[1]
    for block in features.blocks():
        held = block.valid > 0
        bad = held & ~np.isfinite(block.values).all(axis=2)
        if bad.any():
            row, col = (int(i) for i in np.argwhere(bad)[0])
            raise StoreError(
                f"{features.path} holds features that are not finite in the cell of row "
                f"{block.rows.start + row}, column {block.cols.start + col}; embed the scene again"
            )
        yield block, held
        done += held.size
        if progress is not None:
            progress(stage, done, total)


def cast(
    values: npt.NDArray[np.float32], dtype: str, features: FeatureRaster
) -> npt.NDArray[np.floating]:
    """Bring features to the type they are written in.

    Raises:
        OutputError: If the type is unknown, or a number does not fit it.
    """
    check_dtype(dtype)
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if np.isinf(stored).any():
        raise OutputError(
            f"features of {features.path.name} are too large for {dtype}; export them as float32"
        )
    return stored


def check_dtype(dtype: str) -> None:
    """Refuse a type that exports are not written in.

    Raises:
        OutputError: If it is neither float32 nor float16.
    """
    if dtype not in DTYPES:
        raise OutputError(f"type {dtype!r} is not known; choose {' or '.join(DTYPES)}")
