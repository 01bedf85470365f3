"""Sets of classes that hold the true one as often as promised.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Angelopoulos and Bates,
"A gentle introduction to conformal prediction", arXiv 2107.07511): how odd the true
class of unseen, labelled samples looks to the classifier decides which classes of a new
sample can still be believed. Whatever the classifier, the set holds the true class with
probability ``1 - alpha`` or more, if new samples and calibration samples are
exchangeable. Those of another city are not: calibrate for each region, and see
``terrapatch.learn.applicability``.

======  ====================================================================
score   oddness of a class
======  ====================================================================
lac     1 minus its probability (Sadinle, Lei and Wasserman, JASA 2019): the
        smallest sets on average; the set of a doubtful sample can be empty
aps     the probabilities of all likelier classes, added up (after Romano,
        Sesia and Candès, NeurIPS 2020, with their random number at 0): sets
        grow with the doubt and are never empty; a classifier that is right
        more often than promised gets its one best class
======  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._probabilities import checked_probabilities, known_classes

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCORES = ("lac", "aps")


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """The oddness up to which a class belongs to a set.

    Attributes:
        thresholds: One for each class ``(K,)``; all equal unless ``per_class``.
        alpha: Share of sets that may miss the true class.
        score: ``lac`` or ``aps``.
        per_class: Whether the promise holds for each class by itself.
        n: Calibration samples.
    """

    thresholds: Floats
    alpha: float
    score: str
    per_class: bool
    n: int

    @classmethod
    def fit(
        cls,
        probabilities: ArrayLike,
        ids: ArrayLike,
        alpha: float = 0.05,
        *,
        score: str = "lac",
        per_class: bool = False,
    ) -> Self:
        """Find the thresholds from samples the classifier has not seen.

        A threshold is the ``ceil((n + 1)(1 - alpha))``-th smallest oddness of the true
        classes. The rank is counted in exact fractions, so 0.05 means one in twenty.

        Args:
            probabilities: Probabilities ``(n, K)`` of calibration samples.
            ids: Their class ids ``(n,)`` from 1 to K, 0 where unknown (left out).
            alpha: Share of sets that may miss the true class, between 0 and 1.
            score: ``lac`` or ``aps``.
            per_class: Give each class a threshold of its own (Mondrian): the promise then
                holds for the rare class as for the frequent one, with larger sets.

        Raises:
            SamplesError: If there are too few samples for ``alpha``, in all or in a class,
                or the input does not fit.
        """
        if score not in SCORES:
            raise SamplesError(f"there is no score {score!r}; choose one of {', '.join(SCORES)}")
        if not 0 < alpha < 1:
            raise SamplesError(f"alpha is {alpha}; give a share between 0 and 1, such as 0.05")
        rows, true = known_classes(checked_probabilities(probabilities), ids)
        k = rows.shape[1]
        odd = _oddness(rows, score)[np.arange(len(true)), true]
        if per_class:
            _refuse_rare_classes(np.bincount(true, minlength=k), alpha)
            thresholds = np.array([_threshold(odd[true == c], alpha) for c in range(k)])
        else:
            thresholds = np.full(k, _threshold(odd, alpha))
        return cls(thresholds, float(alpha), score, per_class, len(true))

    def sets(self, probabilities: ArrayLike, *, never_empty: bool = False) -> Mask:
        """Return which classes can be believed.

        Args:
            probabilities: Probabilities ``(n, K)`` of new samples.
            never_empty: Put the most probable class into every set; coverage can only
                grow by it. Without it a set of ``lac`` may be empty, which says that the
                sample looks like none of the classes.

        Returns:
            Boolean ``(n, K)``.

        Raises:
            SamplesError: If there is not a column for each class of the calibration.
        """
        rows = checked_probabilities(probabilities)
        if rows.shape[1] != len(self.thresholds):
            raise SamplesError(
                f"the rows have {rows.shape[1]} classes, and the sets were calibrated for "
                f"{len(self.thresholds)}; use probabilities of the same classifier"
            )
        held = _oddness(rows, self.score) <= self.thresholds
        if never_empty:
            held[np.arange(len(rows)), rows.argmax(axis=1)] = True
        return np.asarray(held)

    def sizes(self, probabilities: ArrayLike, *, never_empty: bool = False) -> NDArray[np.int64]:
        """Return how many classes each set holds ``(n,)``; see ``sets``."""
        return np.asarray(self.sets(probabilities, never_empty=never_empty).sum(axis=1), np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "thresholds": self.thresholds.tolist(),
            "alpha": self.alpha,
            "score": self.score,
            "per_class": self.per_class,
            "n": self.n,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Take over what ``as_dict`` gave.

        Raises:
            SamplesError: If an entry is missing or has another kind of value.
        """
        try:
            thresholds = np.asarray(values["thresholds"], np.float64)
            alpha, score, n = float(values["alpha"]), values["score"], int(values["n"])
            per_class = bool(values["per_class"])
        except (KeyError, TypeError, ValueError) as fault:
            raise SamplesError(
                f"the conformal sets of the model are damaged ({fault!r}); calibrate it again"
            ) from fault
        fits = thresholds.ndim == 1 and len(thresholds) > 1 and np.isfinite(thresholds).all()
        if not (fits and 0 < alpha < 1 and score in SCORES):
            raise SamplesError("the conformal sets of the model are damaged; calibrate it again")
        return cls(thresholds, alpha, score, per_class, n)


def coverage(sets: ArrayLike, ids: ArrayLike) -> float:
    """Return the share of samples whose set holds their true class.

    Args:
        sets: Boolean ``(n, K)``.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown (left out).

    Raises:
        SamplesError: If ids do not fit the sets, or none is known.
    """
    held, true = known_classes(np.asarray(sets, np.float64), ids)
    return float(held[np.arange(len(true)), true].mean())


def coverage_by_class(sets: ArrayLike, ids: ArrayLike) -> Floats:
    """Return the coverage of the samples of each class ``(K,)``, NaN without samples.

    Args:
        sets: Boolean ``(n, K)``.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown (left out).

    Raises:
        SamplesError: If ids do not fit the sets, or none is known.
    """
    held, true = known_classes(np.asarray(sets, np.float64), ids)
    k = held.shape[1]
    hits = np.bincount(true, held[np.arange(len(true)), true], k)
    count = np.bincount(true, minlength=k)
    out = np.full(k, np.nan)
    np.divide(hits, count, out=out, where=count > 0)
    return out


def least_samples(alpha: float) -> int:
    """Return the smallest number of calibration samples that allows ``alpha``.

    With fewer, no finite threshold keeps the promise: 19 samples for 0.05, 9 for 0.1.
    """
    share = Fraction(str(alpha))
    return -(-share.denominator // share.numerator) - 1


def _threshold(odd: Floats, alpha: float) -> float:
    n = len(odd)
    if n < least_samples(alpha):
        raise SamplesError(
            f"{n} calibration samples are too few for sets that hold the true class in "
            f"{100 * (1 - alpha):g} % of the cases; give at least {least_samples(alpha)}, or "
            f"an alpha of at least {1 / (n + 1):.3g}"
        )
    rank = n + 1 - int((n + 1) * Fraction(str(alpha)))
    return float(np.partition(odd, rank - 1)[rank - 1])


def _refuse_rare_classes(counts: NDArray[np.int64], alpha: float) -> None:
    least = least_samples(alpha)
    rare = [f"class {c + 1} has {n}" for c, n in enumerate(counts) if n < least]
    if rare:
        more = f" and {len(rare) - 5} others have too few" if len(rare) > 5 else ""
        raise SamplesError(
            f"sets for each class by itself need {least} calibration samples a class at alpha "
            f"{alpha:g}: {', '.join(rare[:5])}{more}; add samples, raise alpha, or leave out "
            "per_class"
        )


def _oddness(rows: Floats, score: str) -> Floats:
    """Return how odd each class of each row is ``(n, K)``; larger is odder."""
    if score == "lac":
        return 1.0 - rows
    order = np.argsort(-rows, axis=1, kind="stable")
    likelier = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1)
    out = np.zeros_like(rows)
    np.put_along_axis(out, order[:, 1:], likelier[:, :-1], axis=1)
    return out
