"""Whether one share of right answers is really above another: their difference, with interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._resampling import kinds_of_units, resampled_tables

_LEVEL = 0.95
# A sample is right or wrong, or not asked, on each of the two sides.
_STATES = 3


@dataclass(frozen=True)
class Contrast:
    """A share less another.

    Attributes:
        difference: The first share less the second, -1 to 1.
        low: Lower end of the 95 % interval, NaN where there was nothing to resample.
        high: Its upper end.
    """

    difference: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return bool(self.low > 0 or self.high < 0)

    def as_dict(self) -> dict[str, float | None]:
        """Return JSON values in percentage points."""
        values = {"points": self.difference, "low": self.low, "high": self.high}
        return {k: 100 * float(v) if np.isfinite(v) else None for k, v in values.items()}

    def __str__(self) -> str:
        """Write it in points, with its interval."""
        points, low, high = (f"{100 * v:+.1f}" for v in (self.difference, self.low, self.high))
        return points if low == "+nan" else f"{points} ({low} to {high})"


def contrast(
    first: ArrayLike,
    second: ArrayLike,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Contrast:
    """Take the share of right answers on one side less that on the other.

    Samples stand on one side or on both, so the same function compares two classifiers on
    the same samples and one classifier on two sets of samples. The interval is that of the
    percentile bootstrap (Efron, Annals of Statistics 7, 1979), in which a sample is drawn
    with both its answers.

    Args:
        first: 1 where right, 0 where wrong, -1 where the sample does not stand on this
            side, ``(n,)``.
        second: Likewise.
        bootstrap: Rounds.
        seed: Seed of the bootstrap.
        groups: Group of each sample ``(n,)``, if whole groups are drawn.

    Raises:
        SamplesError: If lengths differ, or a side is empty.
    """
    sides = [np.asarray(side, np.int64) for side in (first, second)]
    if sides[0].shape != sides[1].shape or sides[0].ndim != 1:
        raise SamplesError(
            f"answers of the shapes {sides[0].shape} and {sides[1].shape} cannot be compared; "
            "give one of each for every sample"
        )
    if not all((side >= 0).any() for side in sides):
        raise SamplesError("there is no answer on one of the two sides, so nothing to compare")
    cells = (sides[0] + 1) * _STATES + sides[1] + 1
    labels = None if groups is None else np.asarray(groups)
    units = kinds_of_units(cells, None, labels, _STATES**2)
    whole = np.bincount(cells, minlength=_STATES**2)[None].astype(np.float64)
    difference = float(_differences(whole)[0])
    if bootstrap < 1 or units.count < 2:
        return Contrast(difference, np.nan, np.nan)
    drawn = np.concatenate([_differences(t) for t in resampled_tables(units, bootstrap, seed)])
    tail = (1 - _LEVEL) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Contrast(difference, float(low), float(high))


def _differences(tables: NDArray[Any]) -> NDArray[np.float64]:
    """Return first share less second of tables ``(rounds, 9)``; NaN where a side is empty."""
    square = tables.reshape(-1, _STATES, _STATES)
    shares = []
    for axis in (2, 1):
        side = square.sum(axis=axis)
        asked = side[:, 1] + side[:, 2]
        share = np.full(len(side), np.nan)
        shares.append(np.divide(side[:, 2], asked, out=share, where=asked > 0))
    return np.asarray(shares[0] - shares[1], np.float64)
