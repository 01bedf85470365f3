"""Squares around labelled pixels, cut out a batch at a time from the features they need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._scratch import scratch_array
from terrapatch.learn.pixels._tiles import check_places, tile_side, tiles
from terrapatch.learn.pixels.base import Floats, LabelledPixels, PixelValues, Progress
from terrapatch.stream import reflect

Index = NDArray[np.intp]

_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Patches:
    """Labelled pixels and the features of all pixels in the squares around them.

    Attributes:
        rows: Row of each labelled pixel ``(n,)``.
        cols: Column of each ``(n,)``.
        patch: Side of the square, odd. Beyond the edge of the scene it is a mirror image.
        number: Row of ``store`` for each pixel of the scene, -1 for those not needed.
        store: Features ``(m, features)`` float32, NaN in invalid pixels; in a file if large.
    """

    rows: Index
    cols: Index
    patch: int
    number: NDArray[np.int32]
    store: Floats

    def __len__(self) -> int:
        """Return the number of labelled pixels."""
        return len(self.rows)

    def take(self, places: Index) -> torch.Tensor:
        """Return squares ``(n, features, patch, patch)`` float32 of some labelled pixels."""
        rows, cols = _around(self.rows[places], self.cols[places], self.patch, self.number.shape)
        found = self.store[self.number[rows, cols]]
        return torch.from_numpy(np.ascontiguousarray(found.transpose(0, 3, 1, 2)))

    def centres(self) -> Floats:
        """Return the features ``(n, features)`` of the labelled pixels themselves."""
        return np.asarray(self.store[self.number[self.rows, self.cols]], np.float32)


def cut_patches(
    values: PixelValues, pixels: LabelledPixels, patch: int, progress: Progress | None = None
) -> Patches:
    """Read the features around labelled pixels; only tiles that hold some are read.

    Args:
        values: Features of the scene.
        pixels: The labelled pixels.
        patch: Side of the square around each.
        progress: Called as ``progress("reading features", pixels done, pixels in all)``.

    Raises:
        SamplesError: If a labelled pixel lies outside the scene, or has no features.
    """
    check_places(values.shape, pixels)
    number = np.full(values.shape, -1, np.int32)
    for start in range(0, len(pixels), _CHUNK):
        part = slice(start, start + _CHUNK)
        number[_around(pixels.rows[part], pixels.cols[part], patch, values.shape)] = 0
    needed = number == 0
    total, done = int(needed.sum()), 0
    number[needed] = np.arange(total, dtype=np.int32)
    store = scratch_array((total, values.n_features), np.float32)
    for window in tiles(values.shape, tile_side(values)):
        inside = needed[window]
        if inside.any():
            store[number[window][inside]] = values.read(*window)[inside]
            done += int(inside.sum())
            if progress is not None:
                progress("reading features", done, total)
    made = Patches(pixels.rows, pixels.cols, patch, number, store)
    empty = int((~np.isfinite(made.centres()).all(axis=1)).sum())
    if empty:
        raise SamplesError(
            f"{empty:,} of {len(pixels):,} labelled pixels have no features; read the labels with "
            "this cube, which leaves out its invalid pixels"
        )
    return made


def _around(rows: Index, cols: Index, patch: int, shape: tuple[int, ...]) -> tuple[Index, Index]:
    """Return rows ``(n, patch, 1)`` and columns ``(n, 1, patch)`` of squares around pixels."""
    steps = np.arange(patch) - patch // 2
    down = reflect(rows[:, None] + steps, shape[0])[:, :, None]
    across = reflect(cols[:, None] + steps, shape[1])[:, None, :]
    return down, across
