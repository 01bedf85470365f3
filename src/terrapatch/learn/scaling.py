"""Scalings of features: scikit-learn transformers that are fitted by streaming.

A scaling has a name, which is written into the model, and arrays, which are
stored beside it. ``partial_fit`` may be called block after block; what it
learns is, up to rounding, what one call with all rows would have learned.

====================== ==========================================================
name                   what happens to a row
====================== ==========================================================
none                   nothing
l2                     divided by its length
layer-l2               each layer divided by its length, then concatenated
standardise            each dimension to mean 0 and deviation 1
standardise-l2         the same, then the row divided by its length
standardise-layer-l2   the same, then each layer divided by its length
standardise-layer      the same, then each layer divided by the root of its width
pca64-half             layer-l2, the 64 first principal components, each divided
                       by the fourth root of its variance, then l2
standardise-pca64-half the same with each dimension standardised in place of
                       layer-l2
====================== ==========================================================

``pca64-half`` starts from layer-l2 because that is how it was measured (network
after network of unit length, concatenated): no layer outweighs another, and
inside a layer the dimensions keep their proportions. A constant dimension says
nothing about the cells it was fitted on, so standardising maps it to 0, also on
scenes where it varies. Rows of length 0 stay 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from terrapatch.errors import ClusterError
from terrapatch.learn._features import Floats, Groups
from terrapatch.learn._moments import Covariance, Moments

Arrays = dict[str, NDArray[Any]]


def unit_rows(rows: ArrayLike, groups: Groups | None = None) -> Floats:
    """Divide each row by its Euclidean length; rows of zeros stay zeros.

    Args:
        rows: Array ``(n, F)``.
        groups: Layers ``(name, start, stop)``. With them each layer's part of the
            row is brought to the length ``1 / sqrt(number of layers)``, so that
            layers weigh the same and the whole row has length 1.

    Returns:
        A new float64 array ``(n, F)``.
    """
    out = np.array(rows, dtype=np.float64)
    parts = [(0, out.shape[1])] if groups is None else [(a, b) for _, a, b in groups]
    for start, stop in parts:
        part = out[:, start:stop]
        length = np.sqrt(np.einsum("ij,ij->i", part, part)) * np.sqrt(len(parts))
        part /= np.where(length > 0, length, 1.0)[:, None]
    return out


class Scaling(TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """What the scalings share: checking rows, and ``fit`` as one ``partial_fit``."""

    _array_names: tuple[str, ...] = ()

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002, N803
        """Learn from all rows ``(n, F)`` at once, forgetting what was learned before."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        return self.partial_fit(X)

    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002, N803
        """Learn from some more rows ``(n, F)``; finite numbers are expected."""
        if hasattr(self, "restored_"):
            raise ValueError("a scaling read back from its arrays cannot learn on; call fit")
        first = not hasattr(self, "n_features_in_")
        self._learn(validate_data(self, X, reset=first, dtype=np.float64))
        return self

    def transform(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Scale rows ``(n, F)`` into a new float64 array ``(n, d)``."""
        check_is_fitted(self, "n_features_in_")
        return self._scale(validate_data(self, X, reset=False, dtype=np.float64))

    def to_arrays(self) -> Arrays:
        """Return all that was learned, as named arrays for a safetensors file."""
        check_is_fitted(self, "n_features_in_")
        return {}

    def from_arrays(self, n_features: int, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what ``to_arrays`` of a fitted scaling returned.

        Args:
            n_features: Numbers in a row.
            arrays: What ``to_arrays`` gave.

        Raises:
            KeyError: If an array is missing.
            ValueError: If an array has another shape, or is not finite.
        """
        if set(arrays) != set(self._array_names):
            raise ValueError(f"the scaling has arrays {sorted(arrays)}")
        self.n_features_in_ = n_features
        self.restored_ = True
        return self

    def _learn(self, rows: Floats) -> None:
        """Learn nothing; scalings that learn override this."""

    @abstractmethod
    def _scale(self, rows: Floats) -> Floats:
        """Scale rows ``(n, F)`` with what was learned."""


class Unit(Scaling):
    """Bring rows to length 1, or leave them (``none``, ``l2``, ``layer-l2``).

    Args:
        norm: ``none``; ``row`` for the whole row; ``layer`` for each layer.
        groups: The layers ``(name, start, stop)``, needed for ``layer``.
    """

    def __init__(self, norm: str = "row", groups: Groups | None = None) -> None:
        """Keep the parameters as given."""
        self.norm = norm
        self.groups = groups

    def _scale(self, rows: Floats) -> Floats:
        return _apply_norm(rows, self.norm, self.groups)


class Standardise(Scaling):
    """Mean 0 and deviation 1 in each dimension, then rows to length 1.

    Means and variances are merged block after block in float64 with the pairwise
    update of Chan, Golub and LeVeque (The American Statistician 37, 1983).

    Args:
        norm: What follows: ``none``, ``row`` or ``layer`` (see ``Unit``); or ``width``, which
            divides each layer by the square root of its width, so that a layer of few numbers
            has as much to say about distances as one of many.
        groups: The layers ``(name, start, stop)``, needed for ``layer`` and ``width``.
    """

    _array_names = ("mean", "inverse")

    def __init__(self, norm: str = "row", groups: Groups | None = None) -> None:
        """Keep the parameters as given."""
        self.norm = norm
        self.groups = groups

    def to_arrays(self) -> Arrays:
        """Return ``mean`` and ``inverse`` (1 / deviation, 0 where constant), float64 (F,)."""
        super().to_arrays()
        return {"mean": self.mean_, "inverse": self.inverse_}

    def from_arrays(self, n_features: int, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over ``mean`` and ``inverse``; see ``Scaling.from_arrays``."""
        self.mean_ = _checked(arrays, "mean", (n_features,))
        self.inverse_ = _checked(arrays, "inverse", (n_features,))
        return super().from_arrays(n_features, arrays)

    def _learn(self, rows: Floats) -> None:
        if not hasattr(self, "moments_"):
            self.moments_ = Moments(rows.shape[1])
        self.moments_.add(rows)
        self.mean_ = self.moments_.mean
        self.inverse_ = self.moments_.inverse_deviation()

    def _scale(self, rows: Floats) -> Floats:
        return _apply_norm((rows - self.mean_) * self.inverse_, self.norm, self.groups)


class HalfWhitenedPCA(Scaling):
    """Principal components, half whitened, to length 1.

    Each component is divided by the fourth root of its variance, half-way between
    PCA (which leaves the variances as they are) and whitening (which makes them
    equal and so raises the noise). The covariance is streamed in float64 (one
    ``F x F`` matrix, whatever the number of rows); with ``standardise`` the
    eigenvectors are those of the correlation matrix. The sign of a component is
    such that its entry of largest magnitude is positive. Directions without
    variance are left out, so ``d`` is at most ``min(n_components, n - 1, F)``.

    Args:
        n_components: Components to keep at most.
        groups: The layers; without ``standardise`` each is brought to length 1
            in every row beforehand.
        standardise: Standardise each dimension in place of that.
    """

    _array_names = ("mean", "projection")

    def __init__(
        self, n_components: int = 64, groups: Groups | None = None, standardise: bool = False
    ) -> None:
        """Keep the parameters as given."""
        self.n_components = n_components
        self.groups = groups
        self.standardise = standardise

    def to_arrays(self) -> Arrays:
        """Return ``mean`` (F,) and ``projection`` (d, F), float64."""
        super().to_arrays()
        self._finish()
        return {"mean": self.mean_, "projection": self.projection_}

    def from_arrays(self, n_features: int, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over ``mean`` and ``projection``; see ``Scaling.from_arrays``."""
        self.mean_ = _checked(arrays, "mean", (n_features,))
        self.projection_ = _checked(arrays, "projection", (None, n_features))
        return super().from_arrays(n_features, arrays)

    def _prepare(self, rows: Floats) -> Floats:
        return rows if self.standardise else unit_rows(rows, self.groups)

    def _learn(self, rows: Floats) -> None:
        if not hasattr(self, "covariance_"):
            self.covariance_ = Covariance(rows.shape[1])
        self.covariance_.add(self._prepare(rows))
        if hasattr(self, "projection_"):
            del self.projection_

    def _finish(self) -> None:
        """Take the eigenvectors, once after the last ``partial_fit``."""
        if hasattr(self, "projection_"):
            return
        inverse = self.covariance_.inverse_deviation() if self.standardise else None
        variance, vectors = self.covariance_.leading(self.n_components, inverse)
        self.mean_ = self.covariance_.mean
        weights = variance[:, None] ** -0.25 * vectors
        self.projection_ = weights if inverse is None else weights * inverse

    def _scale(self, rows: Floats) -> Floats:
        self._finish()
        return unit_rows((self._prepare(rows) - self.mean_) @ self.projection_.T)


def _apply_norm(rows: Floats, norm: str, groups: Groups | None) -> Floats:
    if norm == "none":
        return rows.copy()
    if norm == "row":
        return unit_rows(rows)
    if norm == "layer" and groups is not None:
        return unit_rows(rows, groups)
    if norm == "width" and groups is not None:
        return rows / np.repeat(*_roots(groups))
    raise ValueError(f"norm must be none, row, or layer or width with groups; got {norm!r}")


def _roots(groups: Groups) -> tuple[Floats, NDArray[np.intp]]:
    """Return the root of each layer's width, and the widths."""
    widths = np.array([stop - start for _, start, stop in groups])
    return np.sqrt(widths), widths


def _checked(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...]
) -> Floats:
    array = np.asarray(arrays[name], dtype=np.float64)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise ValueError(f"the array {name!r} is damaged: shape {array.shape}, expected {shape}")
    return array


_SCALINGS: dict[str, Callable[[Groups], Scaling]] = {
    "none": lambda _: Unit("none"),
    "l2": lambda _: Unit("row"),
    "layer-l2": partial(Unit, "layer"),
    "standardise": lambda _: Standardise("none"),
    "standardise-l2": lambda _: Standardise("row"),
    "standardise-layer-l2": partial(Standardise, "layer"),
    "standardise-layer": partial(Standardise, "width"),
    "pca64-half": partial(HalfWhitenedPCA, 64),
    "standardise-pca64-half": lambda _: HalfWhitenedPCA(64, standardise=True),
}


def scaling_names() -> list[str]:
    """Return the names ``make_scaling`` knows."""
    return list(_SCALINGS)


def make_scaling(name: str, groups: Groups) -> Scaling:
    """Return a new, unfitted scaling.

    Args:
        name: One of ``scaling_names()``.
        groups: The layers ``(name, start, stop)`` of the features it will see.

    Raises:
        ClusterError: If there is no scaling of this name.
    """
    if name not in _SCALINGS:
        raise ClusterError(f"there is no scaling {name!r}; choose one of {', '.join(_SCALINGS)}")
    return _SCALINGS[name](groups)


def covariance_bytes(name: str, n_features: int) -> int:
    """Return the memory in bytes that fitting a scaling holds beside the blocks."""
    return 8 * n_features * (n_features if "pca" in name else 2)
