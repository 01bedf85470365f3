"""Streamed means, variances and covariances in float64.

Both merge a batch of rows into what is known with the pairwise update of Chan,
Golub and LeVeque, "Algorithms for computing the sample variance" (The American
Statistician 37, 1983): deviations are taken from the batch's own mean, and the
shift of the mean enters as a rank-one term. Nothing is ever subtracted from a
large sum of squares.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, eigh

from terrapatch.learn._features import Floats


class Moments:
    """Mean and variance of each dimension.

    Args:
        n_features: Numbers in a row.
    """

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.mean: Floats = np.zeros(n_features)
        self._squares: Floats = np.zeros(n_features)

    def add(self, rows: Floats) -> None:
        """Merge rows ``(n, F)``."""
        n = len(rows)
        if n == 0:
            return
        mean = rows.mean(axis=0)
        total = self.count + n
        shift = mean - self.mean
        self._squares += ((rows - mean) ** 2).sum(axis=0) + shift**2 * (self.count * n / total)
        self.mean = self.mean + shift * (n / total)
        self.count = total

    def inverse_deviation(self) -> Floats:
        """Return 1 / population standard deviation ``(F,)``, and 0 for a constant dimension."""
        return inverse_deviation(self._squares / max(self.count, 1), self.mean, self.count)


class Covariance:
    """Mean and covariance of all dimensions: one ``F x F`` matrix, updated in place.

    Args:
        n_features: Numbers in a row.
    """

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.mean: Floats = np.zeros(n_features)
        self._scatter: Floats = np.zeros((n_features, n_features), order="F")  # upper triangle

    def add(self, rows: Floats) -> None:
        """Merge rows ``(n, F)``."""
        n = len(rows)
        if n == 0:
            return
        mean = rows.mean(axis=0)
        total = self.count + n
        shift = mean - self.mean
        centred = np.ascontiguousarray(rows - mean)
        self._scatter = blas.dsyrk(1.0, centred.T, beta=1.0, c=self._scatter, overwrite_c=1)
        weight = self.count * n / total
        self._scatter = blas.dsyr(weight, shift, a=self._scatter, overwrite_a=1)
        self.mean = self.mean + shift * (n / total)
        self.count = total

    def inverse_deviation(self) -> Floats:
        """Return 1 / population standard deviation ``(F,)``, and 0 for a constant dimension."""
        variance = np.diagonal(self._scatter) / max(self.count, 1)
        return inverse_deviation(variance, self.mean, self.count)

    def leading(self, n: int, inverse: Floats | None = None) -> tuple[Floats, Floats]:
        """Return the leading eigenvalues ``(d,)``, falling, and eigenvectors ``(d, F)``.

        Args:
            n: Eigenvectors wanted at most; those without variance are left out.
            inverse: Scale ``(F,)`` applied to the dimensions beforehand (the
                correlation matrix, when it is 1 / deviation).
        """
        size = len(self.mean)
        matrix = self._scatter / max(self.count, 1)
        if inverse is not None:
            matrix *= inverse[:, None] * inverse[None, :]
        first = max(0, size - n)
        values, vectors = eigh(
            matrix, lower=False, overwrite_a=True, subset_by_index=[first, size - 1]
        )
        values, vectors = values[::-1], vectors[:, ::-1].T
        eps = float(np.finfo(np.float64).eps)
        noise = max(float(values[0]), 0.0) * max(size, self.count) * eps
        if inverse is None:
            noise = max(noise, float(((self.count * self.mean * eps) ** 2).sum()))
        kept = values > noise
        values, vectors = values[kept][: self.count - 1], vectors[kept][: self.count - 1]
        peak = np.abs(vectors).argmax(axis=1)
        signs = np.sign(vectors[np.arange(len(vectors)), peak])
        return values, vectors * signs[:, None]


def inverse_deviation(variance: Floats, mean: Floats, count: int) -> Floats:
    """Return ``variance ** -1/2``, and 0 where the variance is only rounding.

    The bound on rounding is that of Chan, Golub and LeVeque (1983) for the
    two-pass algorithm, ``n eps variance + (n mean eps)^2``.
    """
    eps = np.finfo(np.float64).eps
    constant = variance <= count * eps * variance + (count * mean * eps) ** 2
    return np.asarray(np.where(constant, 0.0, 1.0 / np.sqrt(np.where(constant, 1.0, variance))))
