"""The first principal components of standardised features, without the covariance matrix.

Orthogonal (subspace) iteration with a Rayleigh-Ritz step, from a seeded random
start: Halko, Martinsson and Tropp, "Finding structure with randomness" (SIAM
Review 53, 2011), section 4.5. Each round is one walk over the store; nothing
larger than ``features x 16`` is kept, where the covariance of 4,128 features
would take 136 MB and its eigenvectors some seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from terrapatch.features.engine import Progress
from terrapatch.features.exports import _common as common
from terrapatch.features.raster import FeatureRaster

log = logging.getLogger("terrapatch")

Doubles = npt.NDArray[np.float64]

CHUNK_BYTES = 16 << 20
_WIDTH = 16  # columns of the iterated block: the wanted ones and a margin that speeds it up
_ROUNDS = 40
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Components:
    """Axes of the standardised features.

    Attributes:
        mean: ``(features,)``.
        inverse: 1 / standard deviation ``(features,)``; 0 for a constant feature.
        axes: ``(components, features)`` unit vectors; the largest number of each is
            positive. Fewer than asked for where there is no more variance.
        shares: Share of the whole variance along each axis, falling.
    """

    mean: Doubles
    inverse: Doubles
    axes: Doubles
    shares: Doubles

    def scores(self, values: npt.NDArray[np.float32]) -> Doubles:
        """Return where cells ``(n, features)`` lie along the axes, ``(n, components)``."""
        return ((values - self.mean) * self.inverse) @ self.axes.T


def fit(
    features: FeatureRaster, count: int = 3, *, seed: int = 0, progress: Progress | None = None
) -> Components:
    """Find the axes along which the features vary most.

    Args:
        features: A finished feature raster.
        count: Components wanted.
        seed: Of the random start.
        progress: Told how far each walk over the store is.

    Raises:
        StoreError: If the store is damaged.
    """
    mean, inverse, cells = _moments(features, progress)
    varied = int(np.count_nonzero(inverse))
    if not varied:
        return Components(mean, inverse, np.zeros((0, features.n_features)), np.zeros(0))
    start = np.random.default_rng(seed).standard_normal((features.n_features, _WIDTH))
    basis = _orthonormal(start[:, : min(_WIDTH, varied)] * (inverse > 0)[:, None])
    for _ in range(_ROUNDS):
        image = np.zeros_like(basis)
        for values in chunks(features, "components", progress):
            standard = (values - mean) * inverse
            image += standard.T @ (standard @ basis)
        image /= cells
        variances, turn = np.linalg.eigh(basis.T @ image)
        variances, turn = variances[::-1], turn[:, ::-1]
        axes, images = basis @ turn, image @ turn
        off = np.linalg.norm(images - axes * variances, axis=0)[:count]
        if off.max() <= _TOLERANCE * variances[0]:
            break
        basis = _orthonormal(images)
    else:
        log.info("principal components are approximate: %d rounds were not enough", _ROUNDS)
    kept = (variances > 1e-9 * variances[0])[:count]
    axes = axes[:, :count][:, kept].T
    peaks = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return Components(
        mean, inverse, axes * np.sign(peaks)[:, None], variances[:count][kept] / varied
    )


def chunks(
    features: FeatureRaster, stage: str, progress: Progress | None
) -> Iterator[npt.NDArray[np.float32]]:
    """Go over the cells that are not empty, a bounded number ``(n, features)`` at a time."""
    step = max(1, CHUNK_BYTES // (8 * features.n_features))
    for block, held in common.blocks(features, stage, progress):
        values = block.values[held]
        for start in range(0, len(values), step):
            yield values[start : start + step]


def _moments(features: FeatureRaster, progress: Progress | None) -> tuple[Doubles, Doubles, int]:
    """Return mean, 1 / deviation and number of cells, by sums about the first cells' mean."""
    shift = np.zeros(features.n_features)
    sums, squares = np.zeros_like(shift), np.zeros_like(shift)
    cells = 0
    for values in chunks(features, "means", progress):
        if not cells:
            shift = values.mean(axis=0, dtype=np.float64)
        about = values - shift
        sums += about.sum(axis=0)
        squares += np.square(about).sum(axis=0)
        cells += len(values)
    offset = sums / max(cells, 1)
    mean, variance = shift + offset, squares / max(cells, 1) - np.square(offset)
    # Spread that is no more than the rounding of float32 numbers is none.
    varied = variance > np.square(1e-6 * mean)
    return mean, np.where(varied, 1 / np.sqrt(np.where(varied, variance, 1)), 0), cells


def _orthonormal(columns: Doubles) -> Doubles:
    return np.asarray(np.linalg.qr(columns)[0])
