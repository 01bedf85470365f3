"""Embedding by hand: read the whole scene, cut every patch, resize it, describe it.

Nothing here is shared with the package: plain rasterio, numpy, torch and timm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from plain_lite0 import TAPS, describe

Pair = tuple[int, int]


def whole(path: Path, units: Pair | None = None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return three bands in 0–255 and where they are valid (by GDAL's own mask, and NaN)."""
    with rasterio.open(path) as raster:
        pixels, valid = raster.read([1, 2, 3]), raster.dataset_mask() > 0
    valid &= np.isfinite(pixels).all(axis=0)
    if units is not None:
        low, high = units
        pixels = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1) * 255
    return pixels, valid


def cut(
    pixels: NDArray[Any], valid: NDArray[np.bool_], size: Pair, stride: Pair, edge: str
) -> tuple[list[NDArray[Any]], list[NDArray[np.bool_]], NDArray[np.float64]]:
    """Cut the patch of every cell, row by row, and count what each cell owns.

    Returns:
        The patches, holes filled with each patch's own mean; their validity; and
        ``(rows, cols)``, valid pixels owned as a share of a full cell.
    """
    height, width = valid.shape
    n_rows, n_cols = -(-height // stride[0]), -(-width // stride[1])
    before = [(a - b) // 2 for a, b in zip(size, stride, strict=True)]
    after = [n * b + a for n, a, b in zip((n_rows, n_cols), size, stride, strict=True)]
    ring = [(b, a) for b, a in zip(before, after, strict=True)]
    wide = np.pad(pixels, [(0, 0), *ring], mode="reflect")
    good = (
        np.pad(valid, ring, mode="reflect")
        if edge == "reflect"
        else np.pad(valid, ring, constant_values=False)
    )
    patches, masks, share = [], [], np.zeros((n_rows, n_cols))
    for row in range(n_rows):
        for col in range(n_cols):
            top, left = row * stride[0], col * stride[1]
            owned = valid[top : top + stride[0], left : left + stride[1]]
            share[row, col] = owned.sum() / (stride[0] * stride[1])
            patch = wide[:, top : top + size[0], left : left + size[1]].copy()
            mask = good[top : top + size[0], left : left + size[1]]
            for band in patch if mask.any() else ():
                mean = band[mask].astype(np.float64).mean()
                band[~mask] = np.floor(mean + 0.5) if patch.dtype == np.uint8 else mean
            patches.append(patch)
            masks.append(mask)
    return patches, masks, share


def embedded(
    patches: list[NDArray[Any]], share: NDArray[np.float64], size: int
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Describe the patches of all cells that own a pixel; NaN elsewhere."""
    full = share.ravel() > 0
    batch = np.stack([p for p, keep in zip(patches, full, strict=True) if keep])
    out = {}
    for key, values in describe(batch, TAPS[1:], size).items():
        cells = np.full((full.size, values.shape[1]), np.nan)
        cells[full] = values
        out[key] = cells.reshape(*share.shape, -1)
    return out
