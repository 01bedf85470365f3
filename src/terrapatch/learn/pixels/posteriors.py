"""Posteriors of all pixels, tile by tile, smoothed or not, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn._features import single_thread
from terrapatch.learn._moments import Covariance
from terrapatch.learn.calibration import apply_temperature
from terrapatch.learn.pixels._scratch import scratch_array
from terrapatch.learn.pixels._tiles import (
    by_tile,
    check_places,
    read_around,
    refuse_empty,
    tile_side,
    tiles,
)
from terrapatch.learn.pixels.base import LabelledPixels, PixelLearner, PixelValues, Progress
from terrapatch.learn.pixels.smoothers import Smoother, smoothed_part

Floats32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Tiles from which the picture of a guided smoother is learned.
_GUIDE_TILES = 16
# Posteriors that wait to be smoothed are held in steps of this fineness.
_STEPS = 65535


@dataclass(frozen=True, eq=False)
class PosteriorBlock:
    """Posteriors of a rectangle of pixels.

    Attributes:
        rows: Rows of the scene.
        cols: Columns of the scene.
        probabilities: ``(rows, cols, k)`` float32 in the order of the learner's ``classes_``,
            0 in invalid pixels.
        valid: Pixels with data ``(rows, cols)``.
    """

    rows: slice
    cols: slice
    probabilities: Floats32
    valid: Mask


@dataclass(frozen=True, eq=False)
class Guide:
    """A picture of a scene: the first principal component of the standardised features.

    Attributes:
        mean: Mean of each feature ``(F,)``.
        weights: Weight of each feature ``(F,)``, for a picture of deviation 1.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, values: PixelValues) -> Guide:
        """Learn the picture from up to 16 tiles that lie evenly over the scene."""
        side, found = tile_side(values), Covariance(values.n_features)
        all_tiles = list(tiles(values.shape, side))
        n = min(_GUIDE_TILES, len(all_tiles))
        chosen = np.unique(np.linspace(0, len(all_tiles) - 1, n).round().astype(int))
        with single_thread():
            for rows, cols in (all_tiles[i] for i in chosen):
                block = values.read(rows, cols)
                found.add(block[np.isfinite(block[..., 0])].astype(np.float64))
            inverse = found.inverse_deviation()
            if found.count < 2 or not inverse.any():
                return cls(found.mean, np.zeros(values.n_features))
            variance, vectors = found.leading(1, inverse)
        return cls(found.mean, vectors[0] * inverse / np.sqrt(variance[0]))

    def drawn(self, rows: Floats32) -> Floats32:
        """Return the picture ``(n,)`` of features ``(n, F)``."""
        picture = np.einsum("ij,j->i", rows.astype(np.float64) - self.mean, self.weights)
        return np.asarray(picture, np.float32)


def posterior_blocks(
    values: PixelValues,
    learner: PixelLearner,
    temperature: float = 1.0,
    *,
    smooth: Smoother | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[PosteriorBlock]:
    """Go over the posteriors of all pixels, row by row of tiles.

    Without smoothing memory holds one tile. With it the posteriors of the whole scene wait in
    16 bits, on disk where they are many, since a pixel's neighbours must be known first.

    Args:
        values: Features of the scene.
        learner: A fitted learner.
        temperature: What its scores are divided by.
        smooth: What smooths the posteriors.
        scratch: Folder for what memory should not hold.
        progress: Called as ``progress("classifying" or "smoothing", pixels done, in all)``.
    """
    if smooth is None:
        for block, _ in _raw(values, learner, temperature, None, progress):
            yield block
        return
    shape, k = values.shape, len(learner.classes_)
    held = scratch_array((*shape, k), np.uint16, scratch)
    there = scratch_array(shape, np.bool_, scratch)
    guide = Guide.of(values) if smooth.guided else None
    picture = scratch_array(shape, np.float32, scratch) if guide is not None else None
    for block, drawn in _raw(values, learner, temperature, guide, progress):
        held[block.rows, block.cols] = np.rint(block.probabilities * _STEPS)
        there[block.rows, block.cols] = block.valid
        if picture is not None:
            picture[block.rows, block.cols] = drawn
    done = 0
    for rows, cols in tiles(shape, tile_side(values)):
        found = smoothed_part(smooth, rows, cols, held, there, picture)
        yield PosteriorBlock(rows, cols, found, there[rows, cols])
        done += found.shape[0] * found.shape[1]
        if progress is not None:
            progress("smoothing", done, shape[0] * shape[1])


def posteriors_at(
    values: PixelValues,
    learner: PixelLearner,
    pixels: LabelledPixels,
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> Floats32:
    """Return the unsmoothed posteriors of some pixels; only tiles that hold one are computed.

    Args:
        values: Features of the scene.
        learner: A fitted learner.
        pixels: The pixels; their classes are not looked at.
        temperature: What the learner's scores are divided by.
        progress: Called with pixels done and in all.

    Returns:
        ``(n, k)`` float32 in the order of the learner's ``classes_``.

    Raises:
        SamplesError: If a pixel lies outside the scene or has no features.
    """
    out = np.empty((len(pixels), len(learner.classes_)), np.float32)
    for some, shares in _at(values, learner, pixels, temperature, progress):
        out[some] = shares
    return out


def likeliest_at(
    values: PixelValues,
    learner: PixelLearner,
    pixels: LabelledPixels,
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> NDArray[np.int32]:
    """Return the class id ``(n,)`` of the largest posterior of some pixels.

    As ``posteriors_at``, but the posteriors of many pixels and classes are never held together.
    """
    out = np.empty(len(pixels), np.int32)
    for some, shares in _at(values, learner, pixels, temperature, progress):
        out[some] = learner.classes_[shares.argmax(axis=1)]
    return out


def _at(
    values: PixelValues,
    learner: PixelLearner,
    pixels: LabelledPixels,
    temperature: float,
    progress: Progress | None,
) -> Iterator[tuple[NDArray[np.intp], Floats32]]:
    """Go over the posteriors of some pixels tile by tile, with the pixels' numbers."""
    check_places(values.shape, pixels)
    halo, done = learner.window // 2, 0
    for some, down, across in by_tile(values, pixels):
        block = read_around(values, down, across, halo)
        at = (pixels.rows[some] - down.start, pixels.cols[some] - across.start)
        own = block[at[0] + halo, at[1] + halo]
        refuse_empty(own, _taken(pixels, some))
        given = learner.scores(block)[at] if halo else _alone(learner, own)
        yield some, _shares(given, temperature)
        done += len(some)
        if progress is not None:
            progress("classifying", done, len(pixels))


def _taken(pixels: LabelledPixels, some: NDArray[np.intp]) -> LabelledPixels:
    places = (pixels.rows[some], pixels.cols[some], pixels.ids[some])
    return LabelledPixels(*places, pixels.classes)


def _raw(
    values: PixelValues,
    learner: PixelLearner,
    temperature: float,
    guide: Guide | None,
    progress: Progress | None,
) -> Iterator[tuple[PosteriorBlock, Floats32]]:
    """Go over unsmoothed posteriors, and the picture of a guide (0 without one)."""
    halo, done = learner.window // 2, 0
    total = values.shape[0] * values.shape[1]
    for rows, cols in tiles(values.shape, tile_side(values)):
        around = read_around(values, rows, cols, halo)
        own = around[halo : around.shape[0] - halo, halo : around.shape[1] - halo]
        valid = np.asarray(np.isfinite(own).all(axis=-1))
        found = np.zeros((*valid.shape, len(learner.classes_)), np.float32)
        drawn = np.zeros(valid.shape, np.float32)
        if valid.any():
            given = learner.scores(around)[valid] if halo else _alone(learner, own[valid])
            found[valid] = _shares(given, temperature)
            if guide is not None:
                drawn[valid] = guide.drawn(own[valid])
        yield PosteriorBlock(rows, cols, found, valid), drawn
        done += valid.size
        if progress is not None:
            progress("classifying", done, total)


def _alone(learner: PixelLearner, rows: Floats32) -> Floats32:
    """Return the scores ``(n, k)`` of pixels that are looked at one by one."""
    return learner.scores(rows[:, None])[:, 0]


def _shares(scores: Floats32, temperature: float) -> Floats32:
    if not len(scores):
        return np.asarray(scores, np.float32)
    return apply_temperature(scores, temperature).astype(np.float32)
