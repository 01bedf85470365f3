"""The convex hull over many spectra at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Spectra that are worked on at once.
_AT_ONCE = 2048


def below_continuum(spectra: Floats, waves: Doubles) -> Floats:
    """Divide spectra by the convex hull over them.

    Args:
        spectra: ``(n, B)``, finite.
        waves: Where the bands lie ``(B,)``, rising.

    Returns:
        ``(n, B)``: 1 on the hull, less below; 1 where the hull is not above zero.
    """
    out = np.empty_like(spectra)
    for start in range(0, len(spectra), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        some = spectra[part].astype(np.float64)
        hull = upper_hull(some, waves)
        out[part] = np.divide(some, hull, out=np.ones_like(some), where=hull > 0)
    return out


def upper_hull(spectra: Doubles, waves: Doubles) -> Doubles:
    """Return the upper convex hull ``(n, B)`` of spectra, at every band.

    Andrew's monotone chain (Information Processing Letters 9, 1979), a band at a time for
    all spectra: corners that the new band has put below the hull are taken off again.
    """
    n, bands = spectra.shape
    corners, count = np.zeros((n, bands), np.intp), np.zeros(n, np.intp)
    for band in range(bands):
        open_ = np.flatnonzero(count >= 2)
        while len(open_):
            last = corners[open_, count[open_] - 1]
            before = corners[open_, count[open_] - 2]
            base = spectra[open_, before]
            rise = (spectra[open_, last] - base) * (waves[band] - waves[before])
            line = (spectra[open_, band] - base) * (waves[last] - waves[before])
            under = open_[rise <= line]
            count[under] -= 1
            open_ = under[count[under] >= 2]
        corners[np.arange(n), count] = band
        count += 1
    return _between(spectra, waves, corners, count)


def _between(
    spectra: Doubles, waves: Doubles, corners: NDArray[np.intp], count: NDArray[np.intp]
) -> Doubles:
    """Draw straight lines between the corners of each hull."""
    n, bands = spectra.shape
    held = np.arange(bands) < count[:, None]
    left = np.zeros((n, bands), np.intp)
    rows = np.broadcast_to(np.arange(n)[:, None], held.shape)[held]
    left[rows, corners[held]] = corners[held]
    right = np.full((n, bands), bands - 1, np.intp)
    right[rows, corners[held]] = corners[held]
    left = np.maximum.accumulate(left, axis=1)
    right = np.minimum.accumulate(right[:, ::-1], axis=1)[:, ::-1]
    start, stop = np.take_along_axis(spectra, left, 1), np.take_along_axis(spectra, right, 1)
    span = waves[right] - waves[left]
    share = np.divide(waves - waves[left], span, out=np.zeros_like(span), where=span > 0)
    return start + share * (stop - start)
