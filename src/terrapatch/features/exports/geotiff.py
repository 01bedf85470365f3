"""Features as the bands of a GeoTIFF, written block by block."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from terrapatch.bands import BandChoice, split_choice
from terrapatch.errors import BandError, OutputError
from terrapatch.features.engine import Progress
from terrapatch.features.exports import _common as common
from terrapatch.features.raster import FeatureRaster

MOST_BANDS = 65_535
"""TIFF counts the samples of a pixel in 16 bits."""


def to_geotiff(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    *,
    bands: BandChoice | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write features as bands: float32, NaN in empty cells, one pixel a cell.

    Band descriptions are the names of the features. Bands lie one after the
    other, in deflated tiles as large as the blocks of the store. The data set's
    tag ``TERRAPATCH`` holds the recipe as JSON.

    Args:
        features: A finished feature raster.
        path: The file; must end in ``.tif`` or ``.tiff``.
        bands: Names of features (``stage3.mean.17``) or beginnings of them
            (``stage3`` or ``stage3.mean``: the whole layer or pooling), numbers from
            1, ranges (``1-32``), or several of these; None is all of them. Bands
            come in the order asked for, each once.
        overwrite: Whether an older file gives way.
        progress: Told how many cells are done.

    Returns:
        The path of the file.

    Raises:
        BandError: If a feature asked for does not exist.
        OutputError: If there are more bands than TIFF allows, the file exists, or
            the place is full or not writable.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    chosen = choose_features(features, bands)
    if len(chosen) > MOST_BANDS:
        raise OutputError(
            f"cannot write {len(chosen)} bands to {path}: a TIFF holds {MOST_BANDS} at most; "
            "choose some with bands, or export to .parquet"
        )
    side = 16 * -(-features.side // 16)  # TIFF tiles are multiples of 16 pixels
    with common.staged(path, (".tif", ".tiff"), overwrite) as part, common.ungeoreferenced():
        sums: list[int] = []
        with rasterio.open(part, "w", **_profile(features, len(chosen), side)) as file:
            file.update_tags(TERRAPATCH=common.recipe_json(features))
            for number, index in enumerate(chosen, 1):
                file.set_band_description(number, features.names[index])
            done, total = 0, features.shape[0] * features.shape[1]
            for window in _windows(features.shape, side):
                values = np.moveaxis(features.read(*window.toslices())[..., chosen], -1, 0)
                values = np.ascontiguousarray(values)
                file.write(values, window=window)
                sums.append(zlib.crc32(values.data))
                done += window.width * window.height
                if progress is not None:
                    progress("export", done, total)
        _verify(part, path, side, sums)
    return path


def choose_features(features: FeatureRaster, bands: BandChoice | None) -> list[int]:
    """Find the features a person asked for, as indices from 0 (see ``to_geotiff``).

    Raises:
        BandError: If one does not exist, or none is asked for.
    """
    if bands is None:
        return list(range(features.n_features))
    found: list[int] = []
    for word in split_choice(bands):
        found += _matching(features, word)
    if not found:
        raise BandError(
            f"no feature of {features.path} is chosen; choose from {_listing(features)}"
        )
    return list(dict.fromkeys(found))


def _matching(features: FeatureRaster, word: str) -> list[int]:
    names = features.names
    hits = [i for i, name in enumerate(names) if name == word or name.startswith(f"{word}.")]
    span = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", word)
    if not hits and span:
        first, last = int(span[1]), int(span[2] or span[1])
        if 1 <= first <= last <= len(names):
            hits = list(range(first - 1, last))
    if not hits:
        raise BandError(
            f"{features.path} has no feature {word!r}; choose from {_listing(features)}"
        )
    return hits


def _listing(features: FeatureRaster) -> str:
    layers = ", ".join(name for name, _, _ in features.groups)
    return f"the layers {layers}, or by name ({features.names[0]} …) or number 1 to " + str(
        features.n_features
    )


def _profile(features: FeatureRaster, count: int, side: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": features.shape[0],
        "width": features.shape[1],
        "count": count,
        "dtype": "float32",
        "nodata": float("nan"),
        "crs": common.raster_crs(features),
        "transform": features.geobox.affine,
        "tiled": True,
        "blockxsize": side,
        "blockysize": side,
        "interleave": "band",
        "compress": "deflate",
        "predictor": 3,
        "bigtiff": "IF_SAFER",
    }


def _windows(shape: tuple[int, int], side: int) -> Iterator[Window]:
    """Walk over the tiles, row by row; each of them holds whole chunks of the store."""
    for row in range(0, shape[0], side):
        for col in range(0, shape[1], side):
            yield Window(col, row, min(side, shape[1] - col), min(side, shape[0] - row))


def _verify(part: Path, path: Path, side: int, sums: list[int]) -> None:
    """Read the file once more, since GDAL may report a full disk only in its log."""
    with rasterio.open(part) as file:
        for window, wanted in zip(_windows(file.shape, side), sums, strict=True):
            if zlib.crc32(np.ascontiguousarray(file.read(window=window)).data) != wanted:
                raise common.lost(path)
