"""Probabilities that mean what they say.

A network or a head that is right in 9 of 10 cases may well claim to be sure in 99 of
100. Dividing its scores by one number, the temperature, mends most of that and
changes no class (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
networks", ICML 2017). The temperature is fitted on samples the head has not seen, and,
where samples have positions, on folds that lie apart (``BlockedFolds``): what is
calibrated on neighbours of the training samples is too sure elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._probabilities import checked_probabilities, checked_rows, known_classes

Floats = NDArray[np.float64]

_COOLEST, _HOTTEST = 0.01, 100.0
# A class of probability 0 gets the smallest share that adds up with 1 in float64.
_FLOOR = float(np.log(np.finfo(np.float64).eps))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often predictions of like confidence are right.

    Attributes:
        edges: Edges of the bins ``(bins + 1,)`` from 0 to 1; a bin holds its upper edge.
        confidence: Mean confidence in each bin ``(bins,)``, NaN in an empty one.
        accuracy: Share that is right in each bin ``(bins,)``, NaN in an empty one.
        count: Samples in each bin ``(bins,)``.
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Mean gap between confidence and accuracy over the samples, 0 to 1."""
        used = self.count > 0
        gap = np.abs(self.confidence[used] - self.accuracy[used])
        return float((self.count[used] * gap).sum() / self.count.sum())

    def as_dict(self) -> dict[str, list[float | None]]:
        """Return JSON values; an empty bin holds ``None``."""
        return {
            "edges": [float(v) for v in self.edges],
            "confidence": [None if np.isnan(v) else float(v) for v in self.confidence],
            "accuracy": [None if np.isnan(v) else float(v) for v in self.accuracy],
            "count": [int(v) for v in self.count],
        }


def fit_temperature(scores: ArrayLike, ids: ArrayLike) -> float:
    """Find the temperature under which the true classes are most likely.

    When every sample is right the likelihood has no maximum: it grows without end as
    the temperature falls. Each true class then gets ``(n + 1) / (n + 2)`` in place of 1,
    the rest spread over the others, as Platt (1999) does for two classes.

    Args:
        scores: Log-probabilities, logits or decision values ``(n, K)``; a log-probability
            of minus infinity is taken as the logarithm of 2.2e-16 beside the row's largest.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown (left out).

    Returns:
        The temperature, from 0.01 to 100; above 1 if the scores were too sure.

    Raises:
        SamplesError: If scores and ids do not fit, or a score is not a number.
    """
    from scipy.optimize import minimize_scalar

    rows, true = known_classes(_checked_scores(scores), ids)
    sure = bool((rows.argmax(axis=1) == true).all())
    spread = 1 / (len(true) + 2) if sure else 0.0
    found = minimize_scalar(
        lambda log_t: _loss(rows / np.exp(log_t), true, spread),
        bounds=(np.log(_COOLEST), np.log(_HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def apply_temperature(scores: ArrayLike, t: float = 1.0) -> Floats:
    """Turn scores into probabilities: the softmax of ``scores / t``.

    Args:
        scores: Log-probabilities, logits or decision values ``(n, K)``.
        t: Temperature, above 0.

    Returns:
        Probabilities ``(n, K)``, float64, rows adding up to 1; the most probable class is
        that of the largest score at every temperature.

    Raises:
        SamplesError: If a score is not a number, or the temperature is not above 0.
    """
    if not (np.isfinite(t) and t > 0):
        raise SamplesError(f"the temperature is {t}; give a number above 0")
    return np.exp(_log_softmax(_checked_scores(scores) / t))


def reliability(probabilities: ArrayLike, ids: ArrayLike, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy in bins of equal width.

    Args:
        probabilities: Probabilities ``(n, K)``; the confidence is the largest of a row.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown (left out).
        bins: Number of bins.

    Raises:
        SamplesError: If probabilities, ids or the number of bins do not fit.
    """
    rows, true = known_classes(checked_probabilities(probabilities), ids)
    confidence = np.minimum(rows.max(axis=1), 1.0)
    right = (rows.argmax(axis=1) == true).astype(np.float64)
    place = _bin_of(confidence, bins)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, bins) / count for values in (confidence, right)]
    return Reliability(np.linspace(0, 1, bins + 1), means[0], means[1], count.astype(np.int64))


def expected_calibration_error(probabilities: ArrayLike, ids: ArrayLike, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy, 0 to 1 (ECE, Naeini 2015).

    Args:
        probabilities: Probabilities ``(n, K)``.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown (left out).
        bins: Bins of equal width; more of them, or fewer samples, give a larger error by
            chance alone (see ``calibration_error_by_chance``).

    Raises:
        SamplesError: If probabilities, ids or the number of bins do not fit.
    """
    return reliability(probabilities, ids, bins).error


def calibration_error_by_chance(
    probabilities: ArrayLike, bins: int = 15, *, draws: int = 200, seed: int = 0
) -> float:
    """Return the calibration error that perfect probabilities would show on so few samples.

    Each sample is taken to be right with exactly the probability of its most probable
    class; what error is then found is chance. An error near this one cannot be told from 0.

    Args:
        probabilities: Probabilities ``(n, K)``.
        bins: Bins of equal width, as for the error itself.
        draws: Times that right and wrong are drawn; the mean error is returned.
        seed: Seed of the draws.

    Raises:
        SamplesError: If probabilities or the number of bins do not fit.
    """
    confidence = np.minimum(checked_probabilities(probabilities).max(axis=1), 1.0)
    if not len(confidence):
        raise SamplesError("there are no probabilities; give at least one sample")
    place = _bin_of(confidence, bins)
    sums = np.bincount(place, confidence, bins)
    rng = np.random.default_rng(seed)
    errors = [
        np.abs(sums - np.bincount(place, rng.random(len(confidence)) < confidence, bins)).sum()
        for _ in range(draws)
    ]
    return float(np.mean(errors) / len(confidence))


def _bin_of(confidence: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin ``(n,)`` of each confidence; a bin holds its upper edge."""
    if bins < 1:
        raise SamplesError(f"{bins} bins were asked; ask for at least 1")
    edges = np.linspace(0, 1, bins + 1)
    return np.asarray(np.searchsorted(edges[1:-1], confidence, side="left"))


def _checked_scores(scores: ArrayLike) -> Floats:
    rows = checked_rows(scores, "scores")
    top = rows.max(axis=1, keepdims=True, initial=-np.inf)
    if np.isnan(rows).any() or not np.isfinite(top).all():
        bad = np.isnan(rows).any(axis=1) | ~np.isfinite(top[:, 0])
        raise SamplesError(
            f"row {int(np.argmax(bad))} of the scores holds a NaN, an infinity, or nothing else "
            "than minus infinity; look at the features of this sample"
        )
    return np.where(np.isneginf(rows), top + _FLOOR, rows)


def _log_softmax(rows: Floats) -> Floats:
    shifted = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _loss(rows: Floats, true: NDArray[np.int64], spread: float) -> float:
    """Return the mean cross-entropy with ``spread`` of each target given to the others."""
    logs = _log_softmax(rows)
    own = logs[np.arange(len(true)), true]
    others = (logs.sum(axis=1) - own) / (rows.shape[1] - 1)
    return float(-((1 - spread) * own + spread * others).mean())
