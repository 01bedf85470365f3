"""How right a classification is, class by class, with intervals.

Ids are 1 to K in the order of the class names; 0 means "nothing here". A sample
without a truth cannot be judged and is left out. A sample that was given no class is
left out of the measures too, but counted as ``undecided``: a map that keeps silent
where it is unsure must not look better without saying so.

A measure that is not defined (the recall of a class that does not occur, say) is NaN,
never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._label_checks import (
    checked_groups,
    checked_ids,
    checked_names,
    checked_weights,
)
from terrapatch.learn._resampling import Units, kinds_of_units, resampled_tables

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_LEVEL = 0.95
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Accuracy:
    """A confusion matrix and what follows from it.

    Attributes:
        classes: Names of the classes 1 to K.
        confusion: Samples ``(K, K)``, int64; rows are the truth, columns the prediction.
        mass: The same ``(K, K)`` in sums of weights, float64; equal to ``confusion``
            without weights. All measures are taken from it.
        intervals: ``{"overall": (low, high), "average": …, "kappa": …}``, percentile
            bootstrap of ``level``; NaN where there was nothing to resample.
        undecided: Samples with a truth and without a prediction, left out.
        units: Samples or groups of samples that were drawn in the bootstrap.
        grouped: Whether whole groups were drawn.
        level: Nominal coverage of the intervals.
    """

    classes: tuple[str, ...]
    confusion: Counts
    mass: Floats
    intervals: dict[str, tuple[float, float]]
    undecided: int
    units: int
    grouped: bool
    level: float = _LEVEL

    @property
    def n(self) -> int:
        """Samples that were judged."""
        return int(self.confusion.sum())

    @property
    def overall(self) -> float:
        """Share of the samples (of their weight) that is right."""
        return float(_overall(self.mass))

    @property
    def average(self) -> float:
        """Mean recall of the classes that occur in the truth."""
        return float(_average(self.mass))

    @property
    def kappa(self) -> float:
        """Agreement beyond chance (Cohen, Educ. Psychol. Meas. 20, 1960).

        NaN when truth and prediction are one and the same class throughout.
        """
        return float(_kappa(self.mass))

    @property
    def majority(self) -> float:
        """What always naming the most frequent class of the truth would reach."""
        return float(self.mass.sum(axis=1).max() / self.mass.sum())

    @property
    def precision(self) -> Floats:
        """Share of what was called a class that is one ``(K,)``; NaN if never called."""
        return _ratio(np.diagonal(self.mass), self.mass.sum(axis=0))

    @property
    def recall(self) -> Floats:
        """Share of a class that was found ``(K,)``; NaN if it does not occur."""
        return _ratio(np.diagonal(self.mass), self.mass.sum(axis=1))

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall ``(K,)``; NaN if neither called nor there."""
        return _ratio(2 * np.diagonal(self.mass), self.mass.sum(axis=0) + self.mass.sum(axis=1))

    @property
    def iou(self) -> Floats:
        """Intersection over union (Jaccard 1912) ``(K,)``; NaN if neither called nor there."""
        right = np.diagonal(self.mass)
        return _ratio(right, self.mass.sum(axis=0) + self.mass.sum(axis=1) - right)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; what is NaN here is ``None`` there."""
        truth, called = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        parts = zip(
            self.classes, truth, called, self.precision, self.recall, self.f1, self.iou, strict=True
        )
        keys = ("precision", "recall", "f1", "iou")
        return {
            "n": self.n,
            "undecided": self.undecided,
            "overall": _json(self.overall),
            "average": _json(self.average),
            "kappa": _json(self.kappa),
            "majority": _json(self.majority),
            "level": self.level,
            "resampled": "groups" if self.grouped else "samples",
            "units": self.units,
            "intervals": {name: [_json(v) for v in ends] for name, ends in self.intervals.items()},
            "classes": [
                {"name": name, "n": int(n), "called": int(m)}
                | {key: _json(value) for key, value in zip(keys, values, strict=True)}
                for name, n, m, *values in parts
            ],
            "confusion": self.confusion.tolist(),
        }

    def table(self) -> list[tuple[str, ...]]:
        """Return rows for printing, the first of them the heading; measures in percent.

        Each row is ``(class, n, called, precision, recall, F1, IoU)``.
        """
        rows: list[tuple[str, ...]] = [("class", "n", "called", "precision", "recall", "F1", "IoU")]
        for part in self.as_dict()["classes"]:
            measures = (part[key] for key in ("precision", "recall", "f1", "iou"))
            shown = ("–" if value is None else f"{100 * value:.1f}" for value in measures)
            rows.append((part["name"], f"{part['n']:,}", f"{part['called']:,}", *shown))
        return rows

    def summary(self) -> list[tuple[str, str]]:
        """Return ``(measure, value)`` rows for printing, in percent but for kappa."""
        rows = [("samples", f"{self.n:,}")]
        if self.undecided:
            rows.append(("without a prediction, left out", f"{self.undecided:,}"))
        for name, value, scale, digits in (
            ("overall", self.overall, 100, 1),
            ("average", self.average, 100, 1),
            ("kappa", self.kappa, 1, 3),
        ):
            shown, low, high = (
                f"{scale * number:.{digits}f}" for number in (value, *self.intervals[name])
            )
            rows.append((name, shown if low == "nan" else f"{shown} ({low}–{high})"))
        return [*rows, ("largest class alone", f"{100 * self.majority:.1f}")]


def assess(
    truth: ArrayLike,
    predicted: ArrayLike,
    classes: Sequence[str],
    *,
    weights: ArrayLike | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Accuracy:
    """Compare predicted classes with true ones.

    The intervals are those of the percentile bootstrap (Efron, Annals of Statistics 7,
    1979). Neighbouring pixels or patches of one field are not independent, and drawing
    them one by one gives intervals that are too narrow: give their field, block, scene
    or place as ``groups``, and whole groups are drawn.

    Args:
        truth: Class ids, any shape, 0 where unknown.
        predicted: Class ids of the same shape, 0 where no class was given.
        classes: Names of the classes 1 to K.
        weights: What each sample stands for (its area, or 1 / its chance of having been
            drawn), of the same shape, not negative.
        bootstrap: Rounds; 0 for no intervals.
        seed: Seed of the bootstrap.
        groups: A label for each sample, of the same shape.

    Returns:
        The confusion matrix, the measures and their intervals.

    Raises:
        SamplesError: If shapes, ids, names or weights do not fit, or nothing is labelled.
    """
    names = checked_names(classes)
    true, called = checked_ids(truth, predicted, len(names))
    mass = checked_weights(weights, np.shape(truth))
    judged = (true > 0) & (called > 0)
    undecided = int(((true > 0) & (called == 0)).sum())
    if not judged.any():
        raise SamplesError(
            f"none of {true.size:,} samples has both a true and a predicted class, so there is "
            "nothing to compare; check that the labels lie where the map has classes"
        )
    k = len(names)
    cells = (true[judged] - 1) * k + called[judged] - 1
    each = None if mass is None else mass[judged]
    if each is not None and not each.sum() > 0:
        raise SamplesError("the weights of all labelled samples are 0; give positive weights")
    confusion = np.bincount(cells, minlength=k * k).reshape(k, k)
    total = confusion if each is None else np.bincount(cells, each, k * k).reshape(k, k)
    labels = None if groups is None else checked_groups(groups, np.shape(truth))[judged]
    units = kinds_of_units(cells, each, labels, k * k)
    return Accuracy(
        classes=names,
        confusion=confusion.astype(np.int64),
        mass=np.asarray(total, np.float64),
        intervals=_intervals(units, k, bootstrap, seed),
        undecided=undecided,
        units=units.count,
        grouped=groups is not None,
    )


def _intervals(units: Units, k: int, rounds: int, seed: int) -> dict[str, tuple[float, float]]:
    """Take the percentiles of each measure over resampled confusion matrices."""
    measures = {"overall": _overall, "average": _average, "kappa": _kappa}
    if rounds < 1 or units.count < 2:
        return dict.fromkeys(measures, (math.nan, math.nan))
    values: dict[str, list[Floats]] = {name: [] for name in measures}
    for tables in resampled_tables(units, rounds, seed):
        for name, measure in measures.items():
            values[name].append(measure(tables.reshape(-1, k, k)))
    return {name: _percentiles(np.concatenate(parts)) for name, parts in values.items()}


def _percentiles(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where the divisor is 0."""
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=out, where=np.asarray(below) > 0)
    return out


def _overall(tables: Floats) -> Floats:
    right = np.trace(tables, axis1=-2, axis2=-1)
    return _ratio(right, tables.sum(axis=(-2, -1)))


def _average(tables: Floats) -> Floats:
    truth = tables.sum(axis=-1)
    recall = _ratio(np.diagonal(tables, axis1=-2, axis2=-1), truth)
    return _ratio(np.nansum(recall, axis=-1), (truth > 0).sum(axis=-1, dtype=np.float64))


def _kappa(tables: Floats) -> Floats:
    total = tables.sum(axis=(-2, -1))
    right = np.trace(tables, axis1=-2, axis2=-1)
    chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1)
    # With weights the divisor of a single class is rounding in place of 0.
    below = total**2 - chance
    return _ratio(total * right - chance, np.where(below > _ROUNDING * total**2, below, 0.0))


def _json(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
