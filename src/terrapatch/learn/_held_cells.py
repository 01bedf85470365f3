"""Scaled cells held in memory for resampling: all of them, or a seeded sample.

What is resampled a hundred times is not the descriptor itself but its place along the leading
principal axes. k-means sees distances alone, so turning the axes changes nothing, and leaving
out the last ones changes little: Cohen, Elder, Musco, Musco and Persu ("Dimensionality reduction
for k-means clustering and low rank approximation", STOC 2015) bound it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import ClusterError
from terrapatch.learn._features import Features, Progress, occupied
from terrapatch.learn._kmeans import Cells
from terrapatch.learn.scaling import Scaling

Numbers = NDArray[np.int64]
Rows = NDArray[np.float32]

MOST_AXES = 128
MOST_CELLS = 20_000
MEMORY_BYTES = 1 << 30
_COPIES = 3  # the rows, their centred copy, and what the decomposition makes of it


@dataclass(frozen=True, eq=False)
class HeldCells:
    """Some or all occupied cells.

    Attributes:
        numbers: Cell numbers ``(n,)``, rising.
        rows: Scaled descriptors ``(n, d)`` float32.
        axes: The same along the leading principal axes ``(n, at most 128)`` float32.
        total: Occupied cells in all.
    """

    numbers: Numbers
    rows: Rows
    axes: Rows
    total: int

    @property
    def count(self) -> int:
        """Number of cells held."""
        return len(self.numbers)


def hold(
    features: Features,
    scaling: Scaling,
    *,
    seed: int,
    most: int = MOST_CELLS,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> HeldCells:
    """Read and scale the cells, or a sample where they are more than ``most`` or memory holds.

    Args:
        features: The feature raster.
        scaling: A fitted scaling.
        seed: Seed of the sample and of the axes.
        most: Cells to hold at most.
        memory_bytes: Memory they and what is made of them may take.
        progress: Called as ``progress(stage, cells done, cells in all)``.
    """
    mask = occupied(features)
    width = scaling.transform(np.zeros((1, features.n_features))).shape[1]
    room = max(2, memory_bytes // (4 * _COPIES * max(width, 1)))
    numbers = np.flatnonzero(mask.ravel())
    total = len(numbers)
    if total > min(most, room):
        chosen = np.random.default_rng([seed, 11]).choice(total, min(most, room), replace=False)
        numbers = numbers[np.sort(chosen)]
    wanted = np.zeros(mask.size, bool)
    wanted[numbers] = True
    cells = Cells(features, scaling, mask, width, progress)
    rows = cells.gather(wanted.reshape(mask.shape), "reading features")
    return HeldCells(numbers.astype(np.int64), rows, principal_axes(rows, seed), total)


def principal_axes(rows: Rows, seed: int) -> Rows:
    """Return rows ``(n, d)`` along their leading principal axes ``(n, at most 128)``.

    With 128 numbers a row or fewer, or as few rows, this is a rotation and loses nothing.
    """
    from sklearn.decomposition import PCA

    if len(rows) < 2 or rows.shape[1] == 0:
        return np.zeros((len(rows), 1), np.float32)
    axes = min(MOST_AXES, len(rows), rows.shape[1])
    solver = "full" if min(rows.shape) <= MOST_AXES else "randomized"
    with np.errstate(invalid="ignore", divide="ignore"):  # shares of no variance at all
        turned = PCA(axes, svd_solver=solver, random_state=seed).fit_transform(rows)
    return np.ascontiguousarray(turned, np.float32)


def count_distinct(rows: Rows, enough: int) -> int:
    """Return how many distinct rows there are, to five decimals, at most ``enough``."""
    found: set[bytes] = set()
    for row in np.round(rows, 5) + np.float32(0):
        found.add(row.tobytes())
        if len(found) == enough:
            break
    return len(found)


def kmeans(
    rows: Rows, k: int, seed: int, n_init: int = 1, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int32], Rows, float]:
    """Return labels from 0 ``(n,)``, centres ``(k, d)`` and the inertia of k-means.

    Where rows are alike there may be fewer than ``k`` labels.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(k, n_init=n_init, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, sample_weight=weights)
    centres = np.asarray(model.cluster_centers_, np.float32)
    return np.asarray(model.labels_, np.int32), centres, float(model.inertia_)


def check_seed(seed: int) -> None:
    """Refuse a seed that random generators do not take.

    Raises:
        ClusterError: If it is not from 0 to 4,294,967,295.
    """
    if not 0 <= seed < 1 << 32:
        raise ClusterError(f"the seed {seed} is out of range; choose one from 0 to {(1 << 32) - 1}")


def any_seed(rng: np.random.Generator) -> int:
    """Draw a seed for scikit-learn."""
    return int(rng.integers(1 << 31))
