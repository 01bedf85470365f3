"""Choosing C and gamma of a Gaussian support vector machine, each distance computed once.

With hundreds of features most of the time of a search goes into kernels. All folds and all
values of C and gamma share the distances between training pixels; they are computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Pairs = list[tuple[Indices, Indices]]
Told = Callable[[int, int], None]

COSTS = (1.0, 10.0, 100.0, 1000.0)
# Multiples of 1 / (features x variance), scikit-learn's ``scale``.
WIDTHS = (0.25, 1.0, 4.0)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best point of the grid and what it says of pixels it was not trained on.

    Attributes:
        parameters: ``C`` and ``gamma``.
        accuracy: Share of the tested pixels that is right (or mean recall, if balanced).
    """

    parameters: dict[str, float]
    accuracy: float


def scale_gamma(rows: Floats) -> float:
    """Return scikit-learn's ``gamma="scale"`` for rows ``(n, d)``."""
    variance = float(rows.var())
    return 1.0 / (rows.shape[1] * variance) if variance > 0 else 1.0


def choose_svm(
    rows: Floats,
    ids: NDArray[np.int32],
    pairs: Pairs,
    class_weight: str | None = None,
    told: Told | None = None,
) -> Chosen:
    """Choose by the pixels of all folds together; of equals the smaller C and gamma.

    Args:
        rows: Scaled features ``(n, d)``.
        ids: Class ids ``(n,)``.
        pairs: Training and test indices of each fold.
        class_weight: ``balanced`` weighs classes alike, in training and in judging.
        told: Called with what is done, of how much.
    """
    square, scale = _squares(rows), scale_gamma(rows)
    right = np.zeros((len(COSTS), len(WIDTHS)))
    weight = 0.0
    for done, (train, test) in enumerate(pairs):
        weights = _weights(ids, pairs, test, class_weight)
        weight += float(weights.sum())
        for j, width in enumerate(WIDTHS):
            fitted = np.exp(-scale * width * square[np.ix_(train, train)])
            tested = np.exp(-scale * width * square[np.ix_(test, train)])
            for i, cost in enumerate(COSTS):
                svc = precomputed(cost, class_weight).fit(fitted, ids[train])
                right[i, j] += float(weights[svc.predict(tested) == ids[test]].sum())
            if told is not None:
                told(done * len(WIDTHS) + j + 1, len(pairs) * len(WIDTHS))
    i, j = divmod(int(right.argmax()), len(WIDTHS))
    best = {"C": COSTS[i], "gamma": scale * WIDTHS[j]}
    return Chosen(best, float(right[i, j]) / weight)


def precomputed(cost: float, class_weight: str | None) -> Any:
    """Return an unfitted machine on a kernel that is given to it."""
    from sklearn.svm import SVC

    return SVC(C=cost, kernel="precomputed", class_weight=class_weight, cache_size=200)


def _weights(
    ids: NDArray[np.int32], pairs: Pairs, test: Indices, class_weight: str | None
) -> Floats:
    """Return what each tested pixel counts for: 1, or that all tested classes count alike."""
    if class_weight is None:
        return np.ones(len(test))
    counts = np.bincount(ids[np.concatenate([t for _, t in pairs])])
    return np.asarray(1.0 / counts[ids[test]])


def _squares(rows: Floats) -> Floats:
    """Return squared distances ``(n, n)``."""
    centred = rows - rows.mean(axis=0)
    length = np.einsum("ij,ij->i", centred, centred)
    square: Floats = centred @ centred.T
    square *= -2.0
    square += length[:, None]
    square += length
    return np.maximum(square, 0.0, out=square)
