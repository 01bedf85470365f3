"""Heads: scikit-learn classifiers on scaled features, each with the grid it is tuned over.

==========  ===============================================================  ==============
name        what it is                                                       tuned
==========  ===============================================================  ==============
ridge       least squares on one column a class (Hoerl and Kennard 1970)     penalty
logistic    multinomial logistic regression (Cox 1958)                       C
linear-svm  linear support vector machine, one class against the rest        C
rbf-svm     support vector machine with a Gaussian kernel (Cortes 1995)      C, gamma
forest      500 randomised trees (Breiman 2001)                              leaf size
lda         linear discriminant analysis, shrunken (Friedman 1989)           shrinkage
knn         nearest neighbours, weighed by closeness                         neighbours
centroid    the nearest mean of a class                                      nothing
mlp         one hidden layer of 256                                          penalty
cnn         two convolutions over feature maps (Marmanis 2016)               nothing
==========  ===============================================================  ==============

Features are scaled first (``terrapatch.learn.scaling``): the scaling is a part of the
head and learned from the training part alone. The head ``cnn`` needs features that are
whole maps (pooling ``flatten``) and is told their shapes. Whoever has a scikit-learn classifier of
their own can pass it in place of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._features import Groups
from terrapatch.learn.scaling import make_scaling

if TYPE_CHECKING:
    from terrapatch.learn.cnn_head import Maps

Floats = NDArray[np.float64]

DEFAULT_HEAD = "ridge"
# Splits of the training part when hyper-parameters are chosen.
INNER_FOLDS = 3


@dataclass(frozen=True)
class Head:
    """One way of telling classes apart.

    Attributes:
        name: Its name.
        make: Makes the classifier from a seed.
        grid: Hyper-parameters to try, as ``{name: values}``.
        spatial: Whether it learns from maps, and has a parameter ``maps`` for their shapes.
    """

    name: str
    make: Callable[[int], Any]
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    spatial: bool = False


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(alpha=0.1, random_state=seed)


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=100.0, max_iter=1000, tol=1e-3, random_state=seed)


def _linear_svm(seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=1.0, dual=True, max_iter=5000, random_state=seed)


def _rbf_svm(seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(C=10.0, gamma="scale", cache_size=500, random_state=seed)


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(500, n_jobs=-1, random_state=seed)


def _lda(seed: int) -> Any:  # noqa: ARG001 (nothing about it is random)
    from terrapatch.learn.discriminant import ShrunkDiscriminant

    return ShrunkDiscriminant()


def _knn(seed: int) -> Any:  # noqa: ARG001 (nothing about it is random)
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(5, weights="distance", algorithm="brute")


def _centroid(seed: int) -> Any:  # noqa: ARG001 (nothing about it is random)
    from sklearn.neighbors import NearestCentroid

    return NearestCentroid()


def _mlp(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((256,), alpha=1e-3, max_iter=300, random_state=seed)


def _cnn(seed: int) -> Any:
    from terrapatch.learn.cnn_head import CnnHead

    return CnnHead(random_state=seed)


HEADS = {
    head.name: head
    for head in (
        Head("ridge", _ridge, {"alpha": (0.03, 0.1, 0.3)}),
        Head("logistic", _logistic, {"C": (10.0, 100.0, 1000.0)}),
        Head("linear-svm", _linear_svm, {"C": (1.0, 10.0, 30.0)}),
        Head("rbf-svm", _rbf_svm, {"C": (1.0, 10.0, 100.0), "gamma": ("scale",)}),
        Head("forest", _forest, {"min_samples_leaf": (1, 3)}),
        Head("lda", _lda, {"shrinkage": ("auto", 0.02, 0.1, 0.3)}),
        Head("knn", _knn, {"n_neighbors": (1, 3, 5, 9)}),
        Head("centroid", _centroid),
        Head("mlp", _mlp, {"alpha": (1e-4, 1e-2)}),
        Head("cnn", _cnn, spatial=True),
    )
}


def head_names() -> list[str]:
    """Return the names ``make_head`` knows."""
    return list(HEADS)


def find_head(head: str | Any) -> Head:
    """Return a head by its name, or one around a scikit-learn classifier.

    Raises:
        SamplesError: If there is no head of this name.
    """
    if not isinstance(head, str):
        from sklearn.base import clone

        spatial = hasattr(head, "maps")
        return Head(type(head).__name__, lambda _: clone(head), spatial=spatial)
    if head not in HEADS:
        raise SamplesError(f"there is no head {head!r}; choose one of {', '.join(HEADS)}")
    return HEADS[head]


def make_head(
    head: str | Any,
    scaling: str,
    groups: Groups,
    seed: int = 0,
    maps: Maps | None = None,
    class_weight: str | None = None,
) -> Any:
    """Return an unfitted scikit-learn pipeline of a scaling and a classifier.

    Args:
        head: A name, or a scikit-learn classifier.
        scaling: A name of ``terrapatch.learn.scaling``.
        groups: The layers ``(name, start, stop)`` of the features.
        seed: Seed of everything random in it.
        maps: Channels, rows and columns of each layer, for a head that learns from maps and
            was not told them yet (``terrapatch.learn.feature_maps``).
        class_weight: ``balanced`` to let every class weigh the same.

    Raises:
        SamplesError: If there is no head of this name, or it cannot weigh classes.
        ClusterError: If there is no scaling of this name.
    """
    from sklearn.pipeline import Pipeline

    found = find_head(head)
    classifier = found.make(seed)
    if found.spatial and classifier.maps is None:
        classifier.set_params(maps=maps)
    if class_weight is not None:
        _weigh(classifier, found.name, class_weight)
    return Pipeline([("scaling", make_scaling(scaling, groups)), ("head", classifier)])


def _weigh(classifier: Any, name: str, class_weight: str) -> None:
    if "class_weight" not in classifier.get_params():
        raise SamplesError(
            f"the head {name} cannot weigh its classes; leave that out, or choose one of "
            f"{', '.join(n for n, h in HEADS.items() if _weighs(h))}"
        )
    classifier.set_params(class_weight=class_weight)


def _weighs(head: Head) -> bool:
    return "class_weight" in head.make(0).get_params()


def scores(fitted: Any, rows: Any) -> Floats:
    """Return how strongly a fitted classifier holds rows for each class.

    Args:
        fitted: A fitted pipeline of ``make_head`` or a classifier.
        rows: ``(n, F)``.

    Returns:
        ``(n, classes)``, the larger the likelier: logarithms of probabilities where the
        classifier gives these, else distances to its borders.
    """
    if hasattr(fitted, "predict_proba") and not _is_centroid(fitted):
        return np.asarray(np.log(np.maximum(fitted.predict_proba(rows), 1e-12)))
    if _is_centroid(fitted):
        return _to_centroids(fitted, rows)
    found = np.asarray(fitted.decision_function(rows), np.float64)
    return found if found.ndim == 2 else np.stack([-found, found], axis=1)


def _is_centroid(fitted: Any) -> bool:
    return type(_last(fitted)).__name__ == "NearestCentroid"


def _last(fitted: Any) -> Any:
    return fitted[-1] if hasattr(fitted, "steps") else fitted


def _to_centroids(fitted: Any, rows: Any) -> Floats:
    scaled = fitted[:-1].transform(rows) if hasattr(fitted, "steps") else rows
    means = _last(fitted).centroids_
    square = (scaled**2).sum(1)[:, None] - 2 * scaled @ means.T + (means**2).sum(1)
    return np.asarray(-np.sqrt(np.maximum(square, 0.0)))


def tune(
    head: str | Any,
    scaling: str,
    groups: Groups,
    rows: Any,
    ids: NDArray[np.integer[Any]],
    seed: int = 0,
    folds: Any = None,
    maps: Maps | None = None,
    class_weight: str | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Choose the hyper-parameters of a head by cross-validation and fit it to all rows.

    Args:
        head: A name, or a scikit-learn classifier.
        scaling: A name of ``terrapatch.learn.scaling``.
        groups: The layers of the features.
        rows: Features ``(n, F)`` of the training part.
        ids: Class ids ``(n,)``.
        seed: Seed of the head and of the splits.
        folds: Pairs of training and test indices to choose by; 3 stratified folds if
            ``None``.
        maps: Shapes of the layers' maps, see ``make_head``.
        class_weight: ``balanced`` to let every class weigh the same.

    Returns:
        The fitted pipeline, and what was chosen (empty if there was no choice: nothing to
        tune, or a class with fewer samples than folds).
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    pipeline = make_head(head, scaling, groups, seed, maps, class_weight)
    grid = {f"head__{name}": list(values) for name, values in find_head(head).grid.items()}
    least = int(np.unique(ids, return_counts=True)[1].min())
    if folds is None and least < INNER_FOLDS:
        grid = {}
    if not any(len(values) > 1 for values in grid.values()):
        return pipeline.fit(rows, ids), {}
    if folds is None:
        split = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)
        folds = list(split.split(rows, ids))
    if (name := "head__n_neighbors") in grid:  # no more neighbours than the least part has samples
        most = min(len(train) for train, _ in folds)
        grid[name] = [n for n in grid[name] if n <= most]
    search = GridSearchCV(pipeline, grid, cv=folds, error_score="raise").fit(rows, ids)
    chosen = {name.removeprefix("head__"): v for name, v in search.best_params_.items()}
    return search.best_estimator_, chosen
