"""Linear discriminant analysis with a shrunken covariance.

Classes are taken as normal clouds of one shape (Fisher, Annals of Eugenics 7, 1936). With few
samples and many features that shape, the covariance within classes, is known badly; it is
drawn towards a sphere of the same total variance (Friedman, "Regularized discriminant
analysis", JASA 84, 1989), by a share that is given or, as ``auto``, estimated as Ledoit and
Wolf do (Journal of Multivariate Analysis 88, 2004).

scikit-learn's own analysis has no weights of classes, and takes a singular value decomposition
of the covariance in each fit; with a share above 0 it is positive definite, and a Cholesky
factor does, of as many rows as there are features or samples, whichever are fewer.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]

AUTO = "auto"
# The share that is drawn at least, so that the covariance can be inverted.
LEAST = 1e-6


class ShrunkDiscriminant(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear discriminant analysis with one shrunken covariance for all classes.

    Args:
        shrinkage: Share of the sphere in the covariance, above 0 to 1, or ``auto``.
        class_weight: ``balanced`` lets every class weigh the same, in the covariance and
            beforehand; ``None`` weighs them by their samples.

    Attributes:
        classes_: The classes ``(k,)``, rising.
        coef_: Weights ``(k, F)``.
        intercept_: Offsets ``(k,)``.
        shrinkage_: The share that was taken.
    """

    def __init__(self, shrinkage: float | str = AUTO, class_weight: str | None = None) -> None:
        """Keep the parameters as given."""
        self.shrinkage = shrinkage
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Learn from rows ``(n, F)`` of classes ``(n,)``.

        Raises:
            ValueError: If the share is not above 0 to 1, or there are fewer than two classes.
        """
        rows, ids = validate_data(self, X, y, dtype=np.float64)
        self.classes_, own = np.unique(ids, return_inverse=True)
        k, n = len(self.classes_), len(rows)
        if k < 2:
            raise ValueError("the discriminant analysis needs two classes")
        counts = np.bincount(own)
        each = n / (k * counts) if self.class_weight == "balanced" else np.ones(k)
        means = np.zeros((k, rows.shape[1]))
        np.add.at(means, own, rows)
        means /= counts[:, None]
        within = (rows - means[own]) * np.sqrt(each[own] / n)[:, None]
        self.shrinkage_ = self._share(within)
        centre = means.mean(axis=0)
        self.coef_ = _solved(within, self.shrinkage_, means - centre)
        priors = each * counts / n
        middle = 0.5 * np.einsum("ij,ij->i", self.coef_, means + centre)
        self.intercept_ = np.log(priors) - middle
        return self

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return logarithms of the classes' probabilities.

        Returns:
            ``(n, k)``; of two classes ``(n,)``, the second's less the first's.
        """
        from scipy.special import log_softmax

        check_is_fitted(self, "coef_")
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        made: Floats = rows @ self.coef_.T + self.intercept_
        two = len(self.classes_) == 2
        return made[:, 1] - made[:, 0] if two else np.asarray(log_softmax(made, axis=1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likeliest class of each row ``(n,)``."""
        found = self.decision_function(X)
        likeliest = (found > 0).astype(int) if found.ndim == 1 else found.argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def _share(self, within: Floats) -> float:
        if self.shrinkage == AUTO:
            return max(ledoit_wolf_share(within), LEAST)
        share = float(self.shrinkage)
        if not 0 < share <= 1:
            raise ValueError(f"shrinkage must be auto or above 0 to 1; got {share}")
        return share


def ledoit_wolf_share(within: Floats) -> float:
    """Estimate how far a covariance should be drawn towards a sphere.

    Args:
        within: ``(n, F)``, centred rows times the roots of their weights, which add up to 1:
            their product with themselves is the covariance.

    Returns:
        The share, 0 to 1, that lowers the expected squared error most.
    """
    n, width = within.shape
    gram = _smaller_product(within)
    square, sphere = float(np.square(gram).sum()), float(np.trace(gram)) ** 2 / width
    distance = square - sphere
    error = float(np.square(np.einsum("ij,ij->i", within, within)).sum()) - square / n
    return min(max(error, 0.0) / distance, 1.0) if distance > 0 else 1.0


def _smaller_product(within: Floats) -> Floats:
    """Multiply rows with themselves, over samples or features, whichever leaves less."""
    wide = within.shape[1] > within.shape[0]
    return within @ within.T if wide else within.T @ within


def _solved(within: Floats, share: float, means: Floats) -> Floats:
    """Divide means ``(k, F)`` by the shrunken covariance of ``within`` ``(n, F)``."""
    from scipy.linalg import cho_factor, cho_solve

    n, width = within.shape
    variance = float(np.square(within).sum()) / width
    if variance == 0:  # one sample a class: the nearest mean
        return means
    product = (1 - share) * _smaller_product(within)
    product[np.diag_indices_from(product)] += share * variance
    factor = cho_factor(product, lower=True)
    if width <= n:
        return np.asarray(cho_solve(factor, means.T).T)
    inner = cho_solve(factor, within @ means.T)  # Woodbury's identity
    return np.asarray((means - (1 - share) * (within.T @ inner).T) / (share * variance))
