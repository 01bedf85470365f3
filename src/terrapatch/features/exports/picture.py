"""A look at the features: their first three principal components as red, green and blue."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from threadpoolctl import threadpool_limits

from terrapatch.features.engine import Progress
from terrapatch.features.exports import _common as common
from terrapatch.features.exports._components import Components, fit
from terrapatch.features.raster import FeatureRaster

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

STRETCH = (2.0, 98.0)
"""Percentiles of a component's scores that become the darkest and the brightest value."""

_MIDDLE = 128


def to_pca_picture(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a picture in which cells with like features have like colours.

    Features are standardised one by one, projected on their first three principal
    components, and each component is stretched from its 2nd to its 98th percentile
    to 1 … 255. Empty cells are transparent: 0, the nodata value, in a ``.tif`` of
    three bands; an alpha band in a ``.png`` (whose place GDAL writes beside it, in
    ``NAME.png.aux.xml``). A component that the features do not have is grey.

    Args:
        features: A finished feature raster.
        path: The file; must end in ``.tif``, ``.tiff`` or ``.png``.
        seed: Of the random start of the component search.
        overwrite: Whether an older file gives way.
        progress: Told how far each walk over the store is.

    Returns:
        The path of the file.

    Raises:
        OutputError: If the file exists, or the place is full or not writable.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    with common.staged(path, (".tif", ".tiff", ".png"), overwrite) as part:
        with threadpool_limits(limits=1):  # more threads add in another order each time
            components = fit(features, seed=seed, progress=progress)
            scores = _scores(features, components, progress)
        colours = stretch(scores, features.valid() > 0)
        if path.suffix.lower() == ".png":
            alpha = np.where(features.valid() > 0, 255, 0).astype(np.uint8)
            colours = np.concatenate([colours, alpha[None]])
            profile: dict[str, Any] = {"driver": "PNG"}
        else:
            profile = {"driver": "GTiff", "nodata": 0, "photometric": "RGB"}
            profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
            profile |= {"compress": "deflate", "bigtiff": "IF_SAFER"}
        _write(part, path, colours, profile, features, components)
    return path


def stretch(scores: Floats, held: npt.NDArray[np.bool_]) -> Bytes:
    """Bring scores to colours.

    Args:
        scores: ``(components, rows, cols)``, at most three.
        held: ``(rows, cols)``, which cells are not empty.

    Returns:
        ``(3, rows, cols)``: 1 … 255, and 0 in empty cells.
    """
    colours = np.where(held, _MIDDLE, 0).astype(np.uint8)[None].repeat(3, axis=0)
    for colour, score in zip(colours, scores, strict=False):
        low, high = np.percentile(score[held].astype(np.float64), STRETCH)
        if high > low:
            share = np.clip((score[held] - low) / (high - low), 0, 1)
            colour[held] = np.round(1 + 254 * share).astype(np.uint8)
    return colours


def _scores(features: FeatureRaster, components: Components, progress: Progress | None) -> Floats:
    """Project every cell; NaN in empty ones. Three numbers a cell fit in memory."""
    scores = np.full((len(components.axes), *features.shape), np.nan, np.float32)
    for block, held in common.blocks(features, "export", progress):
        for row in np.flatnonzero(held.any(axis=1)):
            line = scores[:, block.rows.start + row, block.cols]
            line[:, held[row]] = components.scores(block.values[row, held[row]]).T
    return scores


def _write(
    part: Path,
    path: Path,
    colours: Bytes,
    profile: dict[str, Any],
    features: FeatureRaster,
    components: Components,
) -> None:
    count, rows, cols = colours.shape
    how = {
        "picture": "principal components of standardised features",
        "variance": [round(float(share), 4) for share in components.shares],
        "stretch": list(STRETCH),
    }
    profile |= {"count": count, "height": rows, "width": cols, "dtype": "uint8"}
    profile |= {"crs": common.raster_crs(features), "transform": features.geobox.affine}
    with common.ungeoreferenced():
        with rasterio.open(part, "w", **profile) as file:
            file.colorinterp = list(ColorInterp)[3 : 3 + count]
            file.update_tags(
                TERRAPATCH=common.recipe_json(features), TERRAPATCH_PICTURE=json.dumps(how)
            )
            for band in range(1, 4):
                file.set_band_description(band, f"principal component {band}")
            file.write(colours)
        with rasterio.open(part) as file:
            if not np.array_equal(file.read(), colours):
                raise common.lost(path)
