"""How far new samples are from all that a model was trained on.

The dissimilarity index and the area of applicability of Meyer and Pebesma ("Predicting
into unknown space?", Methods in Ecology and Evolution 12, 2021): features are
standardised and weighed by their importance; the index is the distance to the nearest
training sample, in units of the mean distance between training samples. A sample is
inside when its index is not above what training samples had, each against those of
*other* groups, as in the cross-validation the accuracy comes from.

So the groups decide what "inside" means: that the accuracy of that cross-validation
may be expected. With places or scenes as groups, it is the accuracy in another place.
Without groups each training sample is measured against all others, neighbours
included, and inside means what a random split promises.

In hundreds of dimensions all distances are much the same, and a threshold may let
everything in: look at the index itself (its quartiles order the errors), and give
fewer, informative features (principal components) where a yes or no is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._features import single_thread
from terrapatch.learn._kmeans import nearest
from terrapatch.learn._moments import Moments

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]

_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False)
class DissimilarityIndex:
    """Training samples, and how far from them is too far.

    Attributes:
        train: Standardised, weighed features of the training samples ``(n, F)``, float32.
        mean: Mean of each feature ``(F,)``.
        scale: Weight over deviation of each feature ``(F,)``, 0 where it is constant.
        mean_distance: Mean distance between two training samples.
        train_index: Index of each training sample against those of other groups ``(n,)``.
        threshold: The largest of these that is no outlier (not above the third quartile
            plus 1.5 times the range between the quartiles).
        grouped: Whether the training samples came in groups.
    """

    train: NDArray[np.float32]
    mean: Floats
    scale: Floats
    mean_distance: float
    train_index: Floats
    threshold: float
    grouped: bool

    @classmethod
    def fit(
        cls,
        train_features: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Measure the training samples against each other, in time quadratic in them.

        Args:
            train_features: Features ``(n, F)``, finite.
            weights: Importance of each feature ``(F,)``, not negative; all equal if left out.
            groups: Group of each sample ``(n,)``: its fold (``BlockedFolds.fold_of``), scene
                or place.

        Raises:
            SamplesError: If there are fewer than two samples or groups, a feature is not a
                finite number, or all samples are the same.
        """
        rows = _checked_training(train_features)
        moments = Moments(rows.shape[1])
        moments.add(rows)
        scale = moments.inverse_deviation() * _checked_weights(weights, rows.shape[1])
        member = _checked_groups(groups, len(rows))
        train = ((rows - moments.mean) * scale).astype(np.float32)
        with single_thread():
            gaps, mean_distance = _among_themselves(train, member)
        if not mean_distance > 0:
            raise SamplesError(
                f"all {len(rows)} training samples have the same features, so nothing can be said "
                "to be far from them; give samples, or weights, that differ"
            )
        index = gaps / mean_distance
        threshold = _largest_usual(index)
        return cls(train, moments.mean, scale, mean_distance, index, threshold, groups is not None)

    def transform(self, rows: ArrayLike) -> Floats:
        """Return the index of new samples.

        Args:
            rows: Features ``(m, F)``, as they were given to ``fit``; a block of a scene at a
                time, since each row is looked at by itself.

        Returns:
            Indices ``(m,)``: 0 on a training sample, NaN where a feature is not finite.

        Raises:
            SamplesError: If the rows have another number of features.
        """
        new = np.asarray(rows, np.float64)
        if new.ndim != 2 or new.shape[1] != len(self.mean):
            raise SamplesError(
                f"rows of the shape {new.shape} were given, and the training samples have "
                f"{len(self.mean)} features; make the features with the same recipe"
            )
        there = np.isfinite(new).all(axis=1)
        scaled = ((new[there] - self.mean) * self.scale).astype(np.float32).astype(np.float64)
        out = np.full(len(new), np.nan)
        with single_thread():
            _, distance = nearest(scaled, self.train)
        out[there] = distance / self.mean_distance
        return out

    def inside(self, rows: ArrayLike) -> Mask:
        """Return which new samples lie in the area of applicability ``(m,)``; see ``transform``.

        Samples whose features are not finite lie outside.
        """
        return np.asarray(self.transform(rows) <= self.threshold)

    def to_arrays(self) -> Arrays:
        """Return all that was learned, as named arrays for a safetensors file."""
        numbers = [self.mean_distance, self.threshold, float(self.grouped)]
        return {
            "train": self.train,
            "mean": self.mean,
            "scale": self.scale,
            "train_index": self.train_index,
            "numbers": np.array(numbers),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what ``to_arrays`` gave.

        Raises:
            SamplesError: If an array is missing, has another shape, or is not finite.
        """
        names = {"train": 2, "mean": 1, "scale": 1, "train_index": 1, "numbers": 1}
        for name, dimensions in names.items():
            array = arrays.get(name)
            if array is None or array.ndim != dimensions or not np.isfinite(array).all():
                raise SamplesError(f"the array {name!r} of the dissimilarity index is damaged")
        train = np.asarray(arrays["train"], np.float32)
        mean, scale, index, numbers = (
            np.asarray(arrays[name], np.float64) for name in list(names)[1:]
        )
        n, f = train.shape
        if (len(mean), len(scale), len(index), len(numbers)) != (f, f, n, 3) or not numbers[0] > 0:
            raise SamplesError(
                "the arrays of the dissimilarity index do not fit each other; fit it again"
            )
        return cls(
            train, mean, scale, float(numbers[0]), index, float(numbers[1]), bool(numbers[2])
        )


def _among_themselves(
    train: NDArray[np.float32], member: NDArray[np.int64]
) -> tuple[Floats, float]:
    """Return the distance of each sample to the nearest of another group, and the mean of all."""
    exact = train.astype(np.float64)
    n = len(exact)
    half_square = np.einsum("ij,ij->i", exact, exact) / 2
    gaps, total = np.empty(n), 0.0
    step = max(1, _ENTRIES // n)
    for start in range(0, n, step):
        part = np.arange(start, min(start + step, n))
        half = half_square[part, None] + half_square - exact[part] @ exact.T
        np.maximum(half, 0.0, out=half)
        half[np.arange(len(part)), part] = 0.0
        total += float(np.sqrt(2 * half).sum())
        half[member[part, None] == member] = np.inf
        difference = exact[part] - exact[half.argmin(axis=1)]
        gaps[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return gaps, total / (n * (n - 1))


def _largest_usual(index: Floats) -> float:
    """Return the largest value that is no outlier by Tukey's rule."""
    low, high = np.quantile(index, [0.25, 0.75])
    return float(index[index <= high + 1.5 * (high - low)].max())


def _checked_training(features: ArrayLike) -> Floats:
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise SamplesError(
            f"training features have the shape {rows.shape}; give at least two samples, (n, F)"
        )
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise SamplesError(
            f"the features of training sample {int(bad.argmax())} hold a NaN or an infinity; "
            "leave it out, or make its features again"
        )
    return rows


def _checked_weights(weights: ArrayLike | None, n_features: int) -> Floats:
    if weights is None:
        return np.ones(n_features)
    scale = np.asarray(weights, np.float64)
    if scale.shape != (n_features,) or not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise SamplesError(
            f"weights of the shape {scale.shape} were given for {n_features} features; give one "
            "finite number for each, not negative"
        )
    return scale


def _checked_groups(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if groups is None:
        return np.arange(n)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise SamplesError(f"{labels.shape} groups were given for {n} training samples")
    _, member = np.unique(labels, return_inverse=True)
    if member.max() == 0:
        raise SamplesError(
            "all training samples are in one group, so none can be measured against another; "
            "give at least two groups, or none"
        )
    return np.asarray(member, np.int64)
