"""How well clusters or classes agree with a truth.

Everywhere 0 means "nothing here": an empty cell on one side, an unlabelled one on
the other. Cells that are 0 on either side are left out, and each cell weighs the
same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import ClusterError

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]


def name_by_majority(labels: ArrayLike, truth: ArrayLike, n_clusters: int) -> Ids:
    """Give each cluster the class that is most frequent in its labelled cells.

    With two classes this is the protocol "a cluster is named informal when most of
    its cells are". Of equally frequent classes the lower id is taken.

    Args:
        labels: Cluster ids, any shape, 0 where empty.
        truth: Class ids of the same shape, 0 where unlabelled.
        n_clusters: Clusters in the model.

    Returns:
        The class of each cluster ``(n_clusters + 1,)``: entry ``i`` for cluster ``i``,
        0 for a cluster without labelled cells; so ``names[labels]`` is a class map.
    """
    table = _table(labels, truth, n_clusters)
    names = np.zeros(n_clusters + 1, np.int64)
    if table.shape[1]:
        named = table.sum(axis=1) > 0
        names[1:][named] = table.argmax(axis=1)[named] + 1
    return names


def mask_by_majority(
    labels: ArrayLike, target: ArrayLike, n_clusters: int, where: ArrayLike | None = None
) -> Mask:
    """Return the cells of all clusters of which more than half of the cells are target.

    Args:
        labels: Cluster ids, any shape, 0 where empty.
        target: Boolean truth of the same shape.
        n_clusters: Clusters in the model.
        where: Cells whose truth is known, all if left out. Cells elsewhere do not
            vote, but they too get the answer of their cluster.

    Returns:
        Boolean, of the shape of ``labels``.
    """
    ids, hit = _same(labels, target)
    known = (ids > 0) if where is None else (ids > 0) & np.asarray(where, bool)
    total = np.bincount(ids[known], minlength=n_clusters + 1)
    hits = np.bincount(ids[known & hit.astype(bool)], minlength=n_clusters + 1)
    return np.asarray((2 * hits > total)[ids] & (ids > 0))


def iou(predicted: ArrayLike, true: ArrayLike, where: ArrayLike | None = None) -> float:
    """Return intersection over union (Jaccard 1912) of two boolean masks.

    Args:
        predicted: Boolean, any shape.
        true: Boolean, of the same shape.
        where: Cells that count; all if left out.

    Returns:
        0 to 1, or NaN if neither mask holds a cell.
    """
    one, other = (np.asarray(a, bool) for a in _same(predicted, true))
    if where is not None:
        one, other = one & np.asarray(where, bool), other & np.asarray(where, bool)
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else float("nan")


def matched_accuracy(labels: ArrayLike, truth: ArrayLike) -> float:
    """Return the accuracy under the best one-to-one match of clusters and classes.

    The match is the assignment of largest total (Kuhn, "The Hungarian method for the
    assignment problem", 1955). With more clusters than classes, or fewer, what is left
    over counts as wrong.

    Returns:
        0 to 1, or NaN without labelled cells.
    """
    from scipy.optimize import linear_sum_assignment

    ids, _ = _same(labels, truth)
    table = _table(labels, truth, int(ids.max(initial=0)))
    if not table.sum():
        return float("nan")
    rows, cols = linear_sum_assignment(table, maximize=True)
    return float(table[rows, cols].sum() / table.sum())


def normalised_mutual_information(labels: ArrayLike, truth: ArrayLike) -> float:
    """Return the mutual information over the mean of both entropies, 0 to 1.

    Strehl and Ghosh (JMLR 3, 2002), with scikit-learn's arithmetic mean; NaN without
    labelled cells.
    """
    from sklearn.metrics import normalized_mutual_info_score

    one, other = _both_labelled(labels, truth)
    return float(normalized_mutual_info_score(other, one)) if len(one) else float("nan")


def adjusted_rand(labels: ArrayLike, truth: ArrayLike) -> float:
    """Return the Rand index corrected for chance: 1 is equal, 0 is what chance gives.

    Hubert and Arabie (Journal of Classification 2, 1985); NaN without labelled cells.
    """
    from sklearn.metrics import adjusted_rand_score

    one, other = _both_labelled(labels, truth)
    return float(adjusted_rand_score(other, one)) if len(one) else float("nan")


def truth_on_cells(
    label_array: Any,
    cell_shape: tuple[int, int],
    shape: tuple[int, int],
    n_classes: int,
    ignore: tuple[int, ...] = (0,),
) -> NDArray[np.int32]:
    """Count the pixels of each class in each cell of a grid.

    Args:
        label_array: Class ids ``(height, width)``: an array, or anything that gives one
            when rows are cut from it (a memory map, a Zarr array). One row of cells is
            held at a time.
        cell_shape: Height and width of a cell in pixels: the grid's stride. The last
            row and column of cells may hang over the array.
        shape: Rows and columns of cells.
        n_classes: Classes have the ids 1 to ``n_classes``.
        ignore: Values that are no class, beside 0.

    Returns:
        Counts ``(rows, cols, n_classes)``; entry ``c`` of the last axis is class ``c + 1``.

    Raises:
        ClusterError: If the cells do not cover the array, or a pixel has another value.
    """
    (sy, sx), (rows, cols) = cell_shape, shape
    height, width = label_array.shape
    if min(sy, sx) < 1 or -(-height // sy) != rows or -(-width // sx) != cols:
        raise ClusterError(
            f"{rows} x {cols} cells of {sy} x {sx} pixels do not tile labels of "
            f"{height} x {width} pixels; give the grid of a scene of that size"
        )
    counts = np.zeros((rows, cols, n_classes), np.int32)
    column = np.arange(width) // sx * (n_classes + 1)
    for row in range(rows):
        strip = np.asarray(label_array[row * sy : (row + 1) * sy]).astype(np.int64)
        strip[np.isin(strip, ignore)] = 0
        if strip.min() < 0 or strip.max() > n_classes:
            raise ClusterError(
                f"the labels hold the value {strip.max() if strip.min() >= 0 else strip.min()}, "
                f"which is not one of {n_classes} classes; ignore it, or count more classes"
            )
        flat = np.bincount((strip + column).ravel(), minlength=cols * (n_classes + 1))
        counts[row] = flat.reshape(cols, n_classes + 1)[:, 1:]
    return counts


def majority_class(counts: NDArray[np.integer[Any]], least: int = 1) -> Ids:
    """Return the most frequent class of each cell.

    Args:
        counts: What ``truth_on_cells`` gave.
        least: Labelled pixels a cell must have to get a class.

    Returns:
        Class ids ``(rows, cols)``, 0 where there are too few labelled pixels; of equally
        frequent classes the lower id.
    """
    enough = counts.sum(axis=-1) >= max(least, 1)
    return np.asarray(np.where(enough, counts.argmax(axis=-1) + 1, 0), np.int64)


def _same(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape:
        raise ClusterError(
            f"arrays of shapes {a.shape} and {b.shape} cannot be compared; "
            "bring the truth to the grid of the cells"
        )
    return a, b


def _both_labelled(labels: ArrayLike, truth: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b = _same(labels, truth)
    both = (a > 0) & (b > 0)
    return a[both], b[both]


def _table(labels: ArrayLike, truth: ArrayLike, n_clusters: int) -> Ids:
    """Count cells ``(n_clusters, n_classes)`` by cluster and class."""
    one, other = _both_labelled(labels, truth)
    one, other = one.astype(np.int64), other.astype(np.int64)
    if one.max(initial=0) > n_clusters:
        raise ClusterError(f"there is a cluster {one.max()} though there are {n_clusters}")
    n_classes = int(other.max(initial=0))
    flat = np.bincount((one - 1) * n_classes + other - 1, minlength=n_clusters * n_classes)
    return flat.reshape(n_clusters, n_classes)
