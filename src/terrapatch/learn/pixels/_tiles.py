"""Fixed tiles of a scene: what is computed of a pixel does not depend on how it is stored.

Products of matrices round a row differently at another place among its neighbours. Tiles
therefore depend on the number of features alone, never on the blocks of a store or a cube, and
a map has the same bytes whatever those are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.base import Floats, LabelledPixels, PixelValues, Progress

LARGEST_SIDE, SMALLEST_SIDE = 128, 16
# Bytes of one tile's features at most.
TILE_BYTES = 1 << 25


def tile_side(values: PixelValues) -> int:
    """Return the side of a tile in pixels, a power of two that keeps a tile small."""
    side = LARGEST_SIDE
    while side > SMALLEST_SIDE and 4 * values.n_features * side * side > TILE_BYTES:
        side //= 2
    return side


def tiles(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Go over the tiles of a scene row by row, as rows and columns of pixels."""
    for top, left in product(*(range(0, n, side) for n in shape)):
        yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def mirrored(start: int, stop: int, n: int) -> NDArray[np.intp]:
    """Return positions ``start`` to ``stop`` on an axis of ``n``, mirrored at both of its ends."""
    period = max(2 * (n - 1), 1)
    places = np.abs(np.arange(start, stop)) % period
    return np.asarray(np.where(places >= n, period - places, places), np.intp)


def read_around(values: PixelValues, rows: slice, cols: slice, halo: int) -> Floats:
    """Read a rectangle with ``halo`` more pixels on every side, mirrored at the scene's edges.

    Returns:
        ``(rows + 2 halo, cols + 2 halo, features)`` float32, NaN in invalid pixels.
    """
    if halo == 0:
        return values.read(rows, cols)
    down = mirrored(rows.start - halo, rows.stop + halo, values.shape[0])
    across = mirrored(cols.start - halo, cols.stop + halo, values.shape[1])
    top, left = int(down.min()), int(across.min())
    held = values.read(slice(top, int(down.max()) + 1), slice(left, int(across.max()) + 1))
    return held[np.ix_(down - top, across - left)]


def gather(
    values: PixelValues, pixels: LabelledPixels, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Read the features of labelled pixels; only tiles that hold one are read.

    Args:
        values: Features of the scene.
        pixels: The pixels.
        progress: Called as ``progress("reading features", pixels done, pixels in all)``.

    Returns:
        ``(n, features)`` float32 in the order of the pixels.

    Raises:
        SamplesError: If a pixel lies outside the scene or has no features.
    """
    check_places(values.shape, pixels)
    out, done = np.empty((len(pixels), values.n_features), np.float32), 0
    for some, rows, cols in by_tile(values, pixels):
        block = values.read(rows, cols)
        out[some] = block[pixels.rows[some] - rows.start, pixels.cols[some] - cols.start]
        done += len(some)
        if progress is not None:
            progress("reading features", done, len(pixels))
    refuse_empty(out, pixels)
    return out


def by_tile(
    values: PixelValues, pixels: LabelledPixels
) -> Iterator[tuple[NDArray[np.intp], slice, slice]]:
    """Go over the tiles that hold some of the pixels: their numbers, and the tile's place."""
    side = tile_side(values)
    tile = pixels.rows // side * (-(-values.shape[1] // side)) + pixels.cols // side
    order = np.argsort(tile, kind="stable")
    ends = np.flatnonzero(np.diff(tile[order])) + 1
    for some in np.split(order, ends) if len(order) else []:
        rows, cols = (_span(int(p[some[0]]) // side, side, n) for p, n in _axes(values, pixels))
        yield some, rows, cols


def check_places(shape: tuple[int, int], pixels: LabelledPixels) -> None:
    """Refuse pixels outside a scene.

    Raises:
        SamplesError: If there is one.
    """
    inside = (pixels.rows >= 0) & (pixels.rows < shape[0])
    inside &= (pixels.cols >= 0) & (pixels.cols < shape[1])
    if not inside.all():
        row, col = (int(p[np.argmin(inside)]) for p in (pixels.rows, pixels.cols))
        raise SamplesError(
            f"the labelled pixel in row {row}, column {col} lies outside the scene of "
            f"{shape[0]} x {shape[1]} pixels; read the labels with this cube"
        )


def _axes(
    values: PixelValues, pixels: LabelledPixels
) -> tuple[tuple[NDArray[np.intp], int], tuple[NDArray[np.intp], int]]:
    return (pixels.rows, values.shape[0]), (pixels.cols, values.shape[1])


def _span(number: int, side: int, n: int) -> slice:
    return slice(number * side, min((number + 1) * side, n))


def refuse_empty(rows: NDArray[np.float32], pixels: LabelledPixels) -> None:
    """Refuse pixels whose numbers ``(n, any)`` are not all there.

    Raises:
        SamplesError: If there is one.
    """
    good = np.isfinite(rows).all(axis=1)
    if not good.all():
        first = int(np.argmin(good))
        raise SamplesError(
            f"{int((~good).sum()):,} labelled pixels have no features, the first in row "
            f"{int(pixels.rows[first])}, column {int(pixels.cols[first])}; read the labels with "
            "this cube, which leaves out its invalid pixels"
        )
