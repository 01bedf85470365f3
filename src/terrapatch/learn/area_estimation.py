"""How large classes really are: a stratified reference sample and what follows from it.

The pixels of a map that are called a class are no estimate of its area: the map errs, and more
to one side than to the other. A random sample of each class, looked at by a person, gives an
unbiased area with an interval, and the accuracy of the map with it.

Sources of the methods:
    * Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V., Woodcock, C. E. and Wulder, M. A.
      (2014), "Good practices for estimating area and assessing accuracy of land change",
      Remote Sensing of Environment 148, 42-57: estimators, variances, allocation.
    * Cochran, W. G. (1977), Sampling Techniques, equation 5.25: the size of the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

Z = 1.96
"""Half an interval of 95 % in standard errors."""

FEWEST = 2
"""Labelled points a class of the map needs, so that a variance can be told."""

USUAL_MINIMUM = 50
"""Points a rare class gets where the sample is large enough (Olofsson et al. 2014: 50 to 100)."""


@dataclass(frozen=True, eq=False)
class AreaEstimate:
    """Accuracy of a map and area of its classes, with standard errors.

    Attributes:
        classes: Names of the classes 1 to K.
        counts: Points (K, K), int64; rows are the class of the map, columns the reference.
        mapped: Area the map gives each class (K,).
        proportions: Error matrix of shares of the area (K, K), summing to 1.
        overall: Share of the area that is mapped rightly, and its standard error.
        users: User's accuracy (K,), and its standard errors; NaN where not defined.
        producers: Producer's accuracy, likewise.
        share: Estimated share of the whole area of each class, likewise.
    """

    classes: tuple[str, ...]
    counts: Counts
    mapped: Floats
    proportions: Floats
    overall: tuple[float, float]
    users: tuple[Floats, Floats]
    producers: tuple[Floats, Floats]
    share: tuple[Floats, Floats]

    @property
    def n(self) -> int:
        """Labelled points."""
        return int(self.counts.sum())

    @property
    def total(self) -> float:
        """The whole mapped area."""
        return float(self.mapped.sum())

    @property
    def area(self) -> Floats:
        """Estimated area of each class (K,), in the unit of ``mapped``."""
        return self.share[0] * self.total

    @property
    def area_half(self) -> Floats:
        """Half the 95 % interval of each area (K,)."""
        return Z * self.share[1] * self.total

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values, halves of 95 % intervals beside; NaN is ``None``."""
        columns = {
            "mapped": (self.mapped, None),
            "area": (self.area, self.area_half),
            "share": (self.share[0], Z * self.share[1]),
            "users_accuracy": (self.users[0], Z * self.users[1]),
            "producers_accuracy": (self.producers[0], Z * self.producers[1]),
        }
        rows = []
        for i, name in enumerate(self.classes):
            row: dict[str, Any] = {"name": name, "points": int(self.counts[i].sum())}
            for key, (values, halves) in columns.items():
                row[key] = _json(values[i])
                if halves is not None:
                    row[f"{key}_half"] = _json(halves[i])
            rows.append(row)
        return {
            "points": self.n,
            "total": self.total,
            "overall_accuracy": self.overall[0],
            "overall_accuracy_half": Z * self.overall[1],
            "level": 0.95,
            "classes": rows,
            "counts": self.counts.tolist(),
            "proportions": self.proportions.tolist(),
        }

    def without_error(self) -> tuple[str, ...]:
        """Return classes of the map in which no point was wrong: their intervals say too little."""
        n = self.counts.sum(axis=1)
        seen = (n > 0) & (np.diagonal(self.counts) == n)
        return tuple(name for name, is_so in zip(self.classes, seen, strict=True) if is_so)


def estimate(
    counts: ArrayLike, mapped: ArrayLike, classes: Sequence[str], cells: ArrayLike | None = None
) -> AreaEstimate:
    """Estimate accuracy and areas from a stratified random sample (Olofsson et al. 2014).

    Args:
        counts: Points (K, K); rows are the class of the map they were drawn from, columns
            what they are in truth.
        mapped: Area of each class on the map (K,), any unit; 0 where it does not occur.
        classes: Names of the classes.
        cells: Cells of each class on the map (K,). A class all of whose cells were looked at
            has no error of sampling. No other correction for finite maps is made, so on a
            small map intervals are on the safe side.

    Raises:
        SamplesError: If shapes do not fit, a class of the map has fewer than 2 points, or
            points lie in a class without area.
    """
    table, area, names = np.asarray(counts), np.asarray(mapped, np.float64), tuple(classes)
    k = len(names)
    if table.shape != (k, k) or area.shape != (k,) or table.dtype.kind not in "iu":
        raise SamplesError(
            f"counts {table.dtype} of shape {table.shape} and areas of shape {area.shape} do not "
            f"fit {k} classes; give whole numbers (K, K) and one area a class"
        )
    if (table < 0).any() or not np.isfinite(area).all() or (area < 0).any() or not area.sum() > 0:
        raise SamplesError("counts and areas must not be negative, and some area must be there")
    n = table.sum(axis=1).astype(np.int64)
    whole = n == np.asarray(cells) if cells is not None else np.zeros(k, bool)
    _check_strata(n, area, names, whole)
    return _estimated(table.astype(np.int64), area, names, np.where(whole, np.inf, n - 1.0))


def _check_strata(
    n: Counts, area: Floats, names: tuple[str, ...], whole: NDArray[np.bool_]
) -> None:
    astray = [names[i] for i in np.flatnonzero((n > 0) & (area == 0))]
    if astray:
        raise SamplesError(
            f"points lie in {_listed(astray)}, which has no area on the map; use the map the "
            "sample was drawn from"
        )
    few = np.flatnonzero((area > 0) & (n < FEWEST) & ~whole)
    if len(few):
        held = _listed([f"{names[i]!r} ({n[i]})" for i in few])
        raise SamplesError(
            f"too few labelled points in {held}: each class of the map needs at least {FEWEST}, "
            "better 50; label more of its points, draw a larger sample, or merge rare classes first"
        )


def _estimated(n: Counts, area: Floats, names: tuple[str, ...], free: Floats) -> AreaEstimate:
    """Compute; ``free`` is n - 1 of each stratum, infinite without an error of sampling."""
    k, present = len(names), area > 0
    weight = area / area.sum()
    rates = np.zeros((k, k))  # share of each reference class in each stratum
    np.divide(n, n.sum(axis=1)[:, None], out=rates, where=present[:, None])
    spread = np.zeros((k, k))  # its variance
    np.divide(rates * (1 - rates), free[:, None], out=spread, where=present[:, None])
    proportions = weight[:, None] * rates
    share = proportions.sum(axis=0)
    right, wrong = np.diagonal(rates), np.diagonal(spread)
    producers = np.full(k, np.nan)
    np.divide(np.diagonal(proportions), share, out=producers, where=share > 0)
    others = np.square(weight) @ spread - np.square(weight) * wrong
    above = np.square(weight * (1 - producers)) * wrong + np.square(producers) * others
    producers_error = np.full(k, np.nan)
    np.divide(np.sqrt(above), share, out=producers_error, where=share > 0)
    return AreaEstimate(
        classes=names,
        counts=n,
        mapped=area,
        proportions=proportions,
        overall=(float(weight @ right), math.sqrt(float(np.square(weight) @ wrong))),
        users=(np.where(present, right, np.nan), np.where(present, np.sqrt(wrong), np.nan)),
        producers=(producers, producers_error),
        share=(share, np.sqrt(np.square(weight) @ spread)),
    )


def sample_size(
    mapped: ArrayLike, expected: ArrayLike, standard_error: float, cells: int | None = None
) -> int:
    """Say how many points give the overall accuracy with a standard error (Cochran 1977, 5.25).

    Args:
        mapped: Area of each class on the map (K,).
        expected: User's accuracy that is expected of each (K,), between 0 and 1.
        standard_error: What is wanted, for instance 0.01 for an interval of ± 2 points.
        cells: Cells of the whole map; without it, endlessly many.

    Raises:
        SamplesError: If a number is not between 0 and 1.
    """
    weight, accuracy = np.asarray(mapped, np.float64), np.asarray(expected, np.float64)
    if not 0 < standard_error < 0.5:
        raise SamplesError(
            f"a standard error of {standard_error:g} is not between 0 and 0.5; give a share such "
            "as 0.01 for one point in a hundred"
        )
    if not ((accuracy > 0) & (accuracy < 1)).all():
        raise SamplesError("expected accuracies lie between 0 and 1; give for instance 0.8")
    weight = weight / weight.sum()
    variance = accuracy * (1 - accuracy)
    below = standard_error**2
    if cells is not None:
        below += float(weight @ variance) / cells
    return math.ceil(float(weight @ np.sqrt(variance)) ** 2 / below - 1e-9)


def allocate(mapped: ArrayLike, cells: ArrayLike, n: int, minimum: int | None = None) -> Counts:
    """Share a sample out among the classes of a map (Olofsson et al. 2014, section 5.1.2).

    Rare classes get a minimum, the rest is shared out by area.

    Args:
        mapped: Area of each class (K,), 0 where it does not occur.
        cells: Cells of each class (K,); no class gets more points than it has cells.
        n: Points in all.
        minimum: Points a class gets at least. By default 50, or as many as half the sample
            gives each class if that is less, but never fewer than 2.

    Returns:
        Points of each class (K,), ``n`` in all.

    Raises:
        SamplesError: If the sample is larger than the map, or too small for the minimum.
    """
    area, room = np.asarray(mapped, np.float64), np.asarray(cells, np.int64)
    k = int((room > 0).sum())
    if n > room.sum():
        raise SamplesError(f"a map of {room.sum():,} cells has no {n:,} to draw; ask for fewer")
    least = max(FEWEST, min(USUAL_MINIMUM, n // (2 * k))) if minimum is None else minimum
    if least < FEWEST:
        raise SamplesError(f"a minimum of {least} points tells no variance; give at least {FEWEST}")
    floor = np.minimum(room, least)
    if floor.sum() > n:
        raise SamplesError(
            f"{n:,} points do not give each of {k} classes {least}; ask for at least "
            f"{floor.sum():,}, or for a lower minimum"
        )
    points = floor.copy()
    open_ = room > 0  # classes that are shared out by area; the others are at floor or room
    while open_.any():
        fair = _by_area(np.where(open_, area, 0.0), n - int(points[~open_].sum()))
        below, above = open_ & (fair < floor), open_ & (fair > room)
        if not (below | above).any():
            shared: Counts = np.where(open_, fair, points)
            return shared
        # Only one side at a time: what rises takes from the others, what is capped gives.
        step = below if (floor - fair)[below].sum() >= (fair - room)[above].sum() else above
        points[step] = (floor if step is below else room)[step]
        open_ &= ~step
    return points


def _by_area(area: Floats, n: int) -> Counts:
    """Share ``n`` out by area, the largest remainders rounded up; ties to the lower class."""
    exact = n * area / area.sum()
    points: Counts = np.floor(exact).astype(np.int64)
    rest = np.argsort(points - exact, kind="stable")[: n - int(points.sum())]
    points[rest] += 1
    return points


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _json(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
