"""Linear components of spectra: principal ones, and those ordered by signal to noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from terrapatch.errors import FeatureError
from terrapatch.features.pixels.moments import Moments

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

SOURCES = ("pca", "mnf")
# Below this share of the largest, a variance is only rounding.
TINY = 1e-12
# Noise whose correlation matrix has a smaller eigenvalue than this is singular.
SINGULAR = 1e-9
# Pixels that are projected at once, in double precision.
_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class Components:
    """Centres spectra and projects them on axes.

    Attributes:
        mean: Mean of each band ``(B,)``.
        axes: Axes ``(N, B)``; the largest loading of each is positive.
        variances: Variance of each component ``(N,)``, falling for ``pca``; for ``mnf`` in
            units of the noise.
    """

    mean: Doubles
    axes: Doubles
    variances: Doubles

    @classmethod
    def fit(
        cls, moments: Moments, n: int, of: str = "pca", whiten: bool = False, ridge: float = 0.0
    ) -> Components:
        """Find the first components.

        Args:
            moments: Statistics of the pixels to learn from.
            n: Number of components.
            of: ``pca``, or ``mnf`` for the minimum noise fraction (Green et al. 1988).
            whiten: Whether components are brought to unit variance; those without any
                become 0.
            ridge: For ``mnf``: share of each band's noise variance that is added to it.

        Raises:
            FeatureError: If there are fewer bands, or the noise is singular.
        """
        bands = len(moments.mean)
        if n > bands:
            raise FeatureError(
                f"{n} components of {of} are asked for but the cube has {bands} bands; "
                f"ask for at most {bands}"
            )
        if of == "pca":
            values, vectors = eigh(moments.covariance, subset_by_index=[bands - n, bands - 1])
        elif of == "mnf":
            noise = _regular_noise(moments, ridge)
            values, vectors = eigh(
                moments.covariance, noise, subset_by_index=[bands - n, bands - 1]
            )
        else:
            raise FeatureError(f"components of {of!r} are not known; choose {' or '.join(SOURCES)}")
        values, axes = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
        peaks = axes[np.arange(n), np.abs(axes).argmax(axis=1)]
        axes = axes * np.where(peaks < 0, -1.0, 1.0)[:, None]
        if whiten:
            flat = values <= TINY * max(float(values[0]), np.finfo(np.float64).tiny)
            axes = axes * np.where(flat, 0.0, 1.0 / np.sqrt(np.where(flat, 1.0, values)))[:, None]
        return cls(moments.mean, np.ascontiguousarray(axes), values)

    @property
    def n(self) -> int:
        """Number of components."""
        return len(self.axes)

    def project(self, values: Floats) -> Floats:
        """Project spectra ``(…, B)``; NaN stays NaN.

        Returns:
            ``(…, N)`` float32, summed up in double precision.
        """
        return linear(values, self.axes, self.mean)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, by name."""
        return {"mean": self.mean, "axes": self.axes, "variances": self.variances}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Components:
        """Make them again from ``arrays``; other names are left alone."""
        mean, axes, variances = (
            np.asarray(arrays[name], np.float64) for name in ("mean", "axes", "variances")
        )
        return cls(mean, axes, variances)


def linear(values: Floats, axes: Doubles, mean: Doubles | None = None) -> Floats:
    """Subtract a mean from spectra ``(…, B)`` and multiply them with axes ``(N, B)``.

    Returns:
        ``(…, N)`` float32, summed up in double precision; NaN stays NaN.
    """
    spectra = values.reshape(-1, values.shape[-1])
    out = np.empty((len(spectra), len(axes)), np.float32)
    for start in range(0, len(spectra), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        some = spectra[part].astype(np.float64)
        if mean is not None:
            some -= mean
        out[part] = some @ axes.T
    return out.reshape(*values.shape[:-1], len(axes))


def _regular_noise(moments: Moments, ridge: float) -> Doubles:
    """Return the noise covariance with the ridge on its diagonal, or refuse a singular one."""
    noise = moments.noise + ridge * np.diag(np.diagonal(moments.noise))
    spread = np.sqrt(np.diagonal(noise))
    silent = np.flatnonzero(spread == 0)
    if moments.pairs == 0 or len(silent) == len(spread):
        raise FeatureError(
            "mnf cannot measure any noise, since no two neighbouring pixels differ; use pca"
        )
    if len(silent):
        raise FeatureError(
            f"mnf needs noise in every band but {len(silent)} of {len(spread)} have none (the "
            f"first is band {silent[0] + 1} of those kept); drop them, or use pca"
        )
    smallest = float(eigh(noise / np.outer(spread, spread), eigvals_only=True)[0])
    if smallest < SINGULAR:
        raise FeatureError(
            "mnf cannot tell the noise of the bands apart (its covariance is singular, as of "
            "repeated or interpolated bands, or of too few pixels); add ridge=0.001 to it, "
            "drop bands, or use pca"
        )
    return noise
