"""Whether the classes of a map go together with a column of zones.

Zones are the units: the cells of a zone resemble each other, and whoever counts them one by
one finds everything significant. Chance is what permuting the column over the zones gives.

Two readings stand side by side. One takes the zone's dominant class, one the area of every
class in it.

Sources of the methods:
    * Cramér, H. (1946), Mathematical Methods of Statistics; with the correction for bias of
      Bergsma, W. (2013), Journal of the Korean Statistical Society 42(3), 323-328.
    * Fisher, R. A. (1925), Statistical Methods for Research Workers: eta², the share of the
      variance that lies between classes.
    * Phipson, B. and Smyth, G. K. (2010), Statistical Applications in Genetics and Molecular
      Biology 9(1): a permutation p-value counts the observed order too, so it is never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError

Floats = NDArray[np.float64]
Kind = Literal["category", "number"]
Reading = Literal["dominant class", "area of classes"]

FEWEST_ZONES = 4
_NUMBERS_AT_ONCE = 2_000_000
_ROUNDING = 1e-9

CAVEATS = (
    "A high figure does not say that one causes the other: both may follow from a third.",
    "It is about zones, not about the households, buildings or cells inside them.",
    "Other boundaries of the zones would give another figure.",
    "Zones side by side resemble each other, which the permutation does not know: the true "
    "p-value is larger than the one given.",
)
"""What an association of zones does not mean, in sentences."""


@dataclass(frozen=True)
class Association:
    """How strongly the classes of zones go together with a column.

    Attributes:
        reading: Whether the dominant class of each zone was taken, or the area of all classes.
        measure: ``Cramér's V`` or ``eta²``; by the area of classes V is not corrected for bias,
            so it has to be held against ``chance``.
        value: The measure, 0 to 1; NaN where it is not defined.
        chance: Its mean over the permutations: what no association looks like.
        p: Share of permutations, the observed order among them, that reach the observed one;
            NaN where the measure is not defined.
        zones: Zones that took part.
        permutations: How often the column was permuted.
        seed: Seed of the permutations.
    """

    reading: Reading
    measure: str
    value: float
    chance: float
    p: float
    zones: int
    permutations: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; NaN is ``None``."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }

    def sentence(self) -> str:
        """Say it in words."""
        if math.isnan(self.value):
            return f"By {self.reading}, {self.measure} is not defined: there is nothing to compare."
        verdict = (
            "more than chance gives easily" if self.p <= 0.05 else "no more than chance may give"
        )
        return (
            f"By {self.reading}, {self.measure} is {self.value:.2f} over {self.zones} zones; with "
            f"the column permuted it is {self.chance:.2f} on average (p = {self.p:.3g}): {verdict}."
        )


def cramers_v(table: ArrayLike, n: float | None = None) -> float:
    """Measure how strongly rows and columns of a table go together, corrected for bias.

    Args:
        table: Counts or areas (r, c), not negative; empty rows and columns do not count.
        n: Number of independent units the table stands for; by default its sum.

    Returns:
        Cramér's V after Bergsma (2013), 0 to 1; NaN with fewer than two rows or columns, or
        where there are hardly more units than rows or columns.
    """
    counts = np.asarray(table, np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    units = float(counts.sum()) if n is None else n
    return float(_corrected(_phi_squared(counts), counts.shape, units))


def eta_squared(weights: ArrayLike, values: ArrayLike) -> float:
    """Measure which share of the variance of values lies between classes.

    Args:
        weights: What each unit has of each class (n, c), not negative.
        values: A number for each unit (n,).

    Returns:
        0 to 1; NaN if all values are the same.
    """
    return float(_eta(np.asarray(weights, np.float64), np.asarray(values, np.float64)[None])[0])


def associate(
    areas: ArrayLike,
    column: ArrayLike,
    kind: Kind,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> tuple[Association, Association]:
    """Hold the classes of zones against a column.

    Args:
        areas: Area of each class in each zone (n, k); every zone has some.
        column: A value for each zone (n,), none missing; texts or whatever can be told apart
            for ``category``, finite numbers for ``number``.
        kind: ``category`` measures Cramér's V, ``number`` eta².
        permutations: How often the column is permuted over the zones.
        seed: Seed of the permutations; the same one gives the same p.

    Returns:
        By dominant class, and by the area of all classes.

    Raises:
        SamplesError: If there are fewer than 4 zones, no permutation, or the column holds one
            value only or, as a category, another one in each zone.
    """
    held = np.asarray(areas, np.float64)
    held = held[:, held.sum(axis=0) > 0]
    _check(held, np.asarray(column), kind, permutations)
    dominant = np.zeros_like(held)
    dominant[np.arange(len(held)), held.argmax(axis=1)] = 1.0
    dominant = dominant[:, dominant.any(axis=0)]
    readings: tuple[tuple[Reading, Floats], ...] = (
        ("dominant class", dominant),
        ("area of classes", held * (len(held) / held.sum())),
    )
    first, second = (
        _permuted(name, weights, np.asarray(column), kind, permutations, seed)
        for name, weights in readings
    )
    return first, second


def _check(areas: Floats, column: NDArray[Any], kind: Kind, permutations: int) -> None:
    if len(areas) < FEWEST_ZONES:
        raise SamplesError(
            f"an association needs at least {FEWEST_ZONES} zones with a value and some mapped "
            f"area, and there are {len(areas)}; add zones, or leave --value out"
        )
    if permutations < 1:
        raise SamplesError(f"{permutations} permutations give no p-value; ask for 999, say")
    different = len(np.unique(column))
    if different < 2:
        raise SamplesError(
            f"the column holds the same value ({column[0]}) in all zones, so nothing can go "
            "together with it; name another column"
        )
    if kind == "category" and different == len(column):
        raise SamplesError(
            "the column holds another value in each zone, so it names the zones and does not "
            "group them; name a column whose values repeat, or one of numbers"
        )


def _permuted(
    reading: Reading, weights: Floats, column: NDArray[Any], kind: Kind, rounds: int, seed: int
) -> Association:
    """Measure once as it is and ``rounds`` times with the zones permuted."""
    statistic, shown, name = _measure(reading, weights, column, kind)
    observed = statistic(np.arange(len(column))[None])
    found = np.concatenate(
        [statistic(order) for order in _orders(len(column), weights, rounds, seed)]
    )
    value = float(shown(observed)[0])
    p = (1 + int((found >= observed[0] - _ROUNDING).sum())) / (rounds + 1)
    return Association(
        reading=reading,
        measure=name,
        value=value,
        chance=float(shown(found).mean()),
        p=math.nan if math.isnan(value) else p,
        zones=len(column),
        permutations=rounds,
        seed=seed,
    )


def _measure(
    reading: Reading, weights: Floats, column: NDArray[Any], kind: Kind
) -> tuple[Callable[[NDArray[np.intp]], Floats], Callable[[Floats], Floats], str]:
    """Return the statistic of orders (b, n) of zones, how it is shown, and its name."""
    if kind == "number":
        values = column.astype(np.float64)
        return (lambda order: _eta(weights, values[order])), (lambda found: found), "eta²"
    _, codes = np.unique(column, return_inverse=True)
    groups = np.eye(codes.max() + 1)[codes.ravel()]  # (n, r)
    shape = (groups.shape[1], weights.shape[1])

    def phi(order: NDArray[np.intp]) -> Floats:
        return _phi_squared(groups.T @ weights[order])

    # The uncorrected phi² orders the permutations: the corrected V is cut off at 0.
    if reading == "dominant class":
        return phi, (lambda found: _corrected(found, shape, float(len(column)))), "Cramér's V"
    # The correction is for units of one class each; zones are mixtures, and vary less.
    return phi, (lambda found: _uncorrected(found, shape)), "uncorrected Cramér's V"


def _orders(n: int, weights: Floats, rounds: int, seed: int) -> Iterator[NDArray[np.intp]]:
    random = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, weights.size))
    for start in range(0, rounds, at_once):
        these = min(at_once, rounds - start)
        yield random.permuted(np.tile(np.arange(n), (these, 1)), axis=1)


def _phi_squared(tables: Floats) -> Floats:
    """Return chi² over n of tables (..., r, c) without empty rows or columns."""
    total = tables.sum(axis=(-2, -1), keepdims=True)
    expected = tables.sum(axis=-1, keepdims=True) * tables.sum(axis=-2, keepdims=True) / total
    phi: Floats = (np.square(tables - expected) / expected).sum(axis=(-2, -1)) / total[..., 0, 0]
    return phi


def _corrected(phi: Floats, shape: tuple[int, ...], n: float) -> Floats:
    rows, cols = shape
    if n <= 1 or min(rows, cols) < 2:
        return np.full(np.shape(phi), np.nan)
    least = min(rows - (rows - 1) ** 2 / (n - 1), cols - (cols - 1) ** 2 / (n - 1)) - 1
    if least <= _ROUNDING:
        return np.full(np.shape(phi), np.nan)
    beyond = np.maximum(0.0, phi - (rows - 1) * (cols - 1) / (n - 1))
    corrected: Floats = np.minimum(1.0, np.sqrt(beyond / least))
    return corrected


def _uncorrected(phi: Floats, shape: tuple[int, ...]) -> Floats:
    if min(shape) < 2:
        return np.full(np.shape(phi), np.nan)
    plain: Floats = np.sqrt(phi / (min(shape) - 1))
    return plain


def _eta(weights: Floats, values: Floats) -> Floats:
    """Return eta² of values (b, n) by classes with weights (n, c); shape (b,)."""
    weights = weights[:, weights.sum(axis=0) > 0]
    each = weights.sum(axis=1)
    centred = values - (values @ each / each.sum())[:, None]
    total = np.square(centred) @ each
    between = (np.square(centred @ weights) / weights.sum(axis=0)).sum(axis=-1)
    flat = total <= 1e-24 * max(1.0, float(np.square(values).max(initial=0.0))) * each.sum()
    result: Floats = np.where(flat, np.nan, between / np.where(flat, 1.0, total))
    return result
