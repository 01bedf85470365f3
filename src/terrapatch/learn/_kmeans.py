"""k-means on scaled cells: whole in memory, or streamed.

In memory it is scikit-learn's ``KMeans`` (k-means++ starts, Lloyd sweeps). Too
large for that, the start is the k-means of a seeded random sample of cells;
``MiniBatchKMeans`` (Sculley, WWW 2010) then follows the stream through a
shuffling buffer, and a few exact Lloyd sweeps over all cells take out what the
order of the stream left behind. All arithmetic is single-threaded: see
``_features.single_thread``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from terrapatch.errors import ClusterError
from terrapatch.learn._features import Features, Floats, Mask, Progress, stream
from terrapatch.learn.scaling import Scaling

Centres = NDArray[np.float32]

_PASSES = 3
_SWEEPS = 10
_BATCH = 1024
_TOLERANCE = 1e-4
_SAMPLE_CELLS = 20_000


@dataclass(frozen=True)
class Cells:
    """The occupied cells of a feature raster, seen through a fitted scaling."""

    features: Features
    scaling: Scaling
    wanted: Mask
    width: int
    progress: Progress | None = None

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.wanted.sum())

    def scaled(
        self, stage: str, wanted: Mask | None = None
    ) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """Stream cell numbers ``(n,)`` and scaled rows ``(n, d)``."""
        mask = self.wanted if wanted is None else wanted
        for cells, rows in stream(self.features, mask, stage, self.progress):
            yield cells, self.scaling.transform(rows)

    def gather(self, wanted: Mask, stage: str) -> NDArray[np.float32]:
        """Return the scaled rows of some cells ``(n, d)``, in row-major order of the cells."""
        rank = np.cumsum(wanted.ravel()) - 1
        out = np.empty((int(wanted.sum()), self.width), np.float32)
        for cells, rows in self.scaled(stage, wanted):
            out[rank[cells]] = rows
        return out


def distinct_cells(cells: Cells, enough: int) -> list[int]:
    """Return one cell number for each distinct scaled row, at most ``enough`` of them.

    Rows are compared to five decimals. The stream is left as soon as there are enough.
    """
    found: dict[bytes, int] = {}
    for numbers, rows in cells.scaled("looking for distinct cells"):
        rounded = np.round(rows, 5).astype(np.float32) + np.float32(0)
        for number, row in zip(numbers, rounded, strict=True):
            found.setdefault(row.tobytes(), int(number))
            if len(found) == enough:
                return list(found.values())
    return list(found.values())


def in_memory(cells: Cells, k: int, seed: int, n_init: int) -> Centres:
    """Return the centres ``(k, d)`` of k-means over all cells at once."""
    return _kmeans(cells.gather(cells.wanted, "reading features"), k, seed, n_init)


def streamed(
    cells: Cells, k: int, seed: int, n_init: int, memory_bytes: int, spread: list[int]
) -> Centres:
    """Return the centres ``(k, d)`` found without ever holding all cells.

    Args:
        cells: The cells.
        k: Number of clusters.
        seed: Seed of the sample, the starts and the shuffling.
        n_init: Starts of the k-means on the sample.
        memory_bytes: Bound on what is held beside a block.
        spread: Numbers of ``k`` distinct cells, added to the sample.
    """
    rows_held = max(2 * k, memory_bytes // (16 * max(cells.width, 1)))
    centres = _sample_start(cells, k, seed, n_init, rows_held, spread)
    centres = _mini_batches(cells, centres, seed, rows_held)
    for _ in range(_SWEEPS):
        moved = _lloyd_sweep(cells, centres)
        shift = float(((moved - centres) ** 2).sum(axis=1).max())
        centres = moved
        if shift < _TOLERANCE**2:
            break
    return centres


def _sample_start(
    cells: Cells, k: int, seed: int, n_init: int, rows_held: int, spread: list[int]
) -> Centres:
    numbers = np.flatnonzero(cells.wanted.ravel())
    size = min(len(numbers), rows_held, max(_SAMPLE_CELLS, 50 * k))
    chosen = np.random.default_rng([seed, 1]).choice(numbers, size, replace=False)
    mask = np.zeros(cells.wanted.size, bool)
    mask[chosen] = True
    mask[spread] = True
    sample = cells.gather(mask.reshape(cells.wanted.shape), "reading a sample of the features")
    return _kmeans(sample, k, seed, n_init)


def _mini_batches(cells: Cells, centres: Centres, seed: int, rows_held: int) -> Centres:
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(
        len(centres), init=centres, n_init=1, random_state=seed, reassignment_ratio=0.0
    )
    rng = np.random.default_rng([seed, 2])
    for turn in range(_PASSES):
        for batch in _shuffled(cells, rng, rows_held, f"mini-batches, pass {turn + 1}"):
            model.partial_fit(batch)
    return np.asarray(model.cluster_centers_, np.float32)


def _shuffled(
    cells: Cells, rng: np.random.Generator, rows_held: int, stage: str
) -> Iterator[NDArray[np.float32]]:
    """Cut the stream into mini-batches drawn at random from a buffer of ``rows_held`` rows."""
    size = min(rows_held, cells.count)
    buffer = np.empty((size, cells.width), np.float32)
    filled = 0
    for _, rows in cells.scaled(stage):
        while len(rows):
            taken = min(len(rows), size - filled)
            buffer[filled : filled + taken] = rows[:taken]
            rows, filled = rows[taken:], filled + taken
            if filled == size:
                yield from _batches(buffer, rng)
                filled = 0
    yield from _batches(buffer[:filled], rng)


def _batches(
    buffer: NDArray[np.float32], rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    order = rng.permutation(len(buffer))
    for start in range(0, len(buffer), _BATCH):
        yield buffer[order[start : start + _BATCH]]


def _lloyd_sweep(cells: Cells, centres: Centres) -> Centres:
    """Move each centre to the mean of its cells; a centre without cells stays."""
    k = len(centres)
    sums, counts = np.zeros(centres.shape), np.zeros(k)
    for _, rows in cells.scaled("moving the centres"):
        label, _ = nearest(rows, centres)
        ones = np.ones(len(rows))
        sums += csr_matrix((ones, (label, np.arange(len(rows)))), shape=(k, len(rows))) @ rows
        counts += np.bincount(label, minlength=k)
    held = counts > 0
    moved = centres.copy()
    moved[held] = sums[held] / counts[held, None]
    return moved


def nearest(rows: Floats, centres: Centres) -> tuple[NDArray[np.intp], Floats]:
    """Return the nearest centre of each row ``(n,)`` and the distance to it ``(n,)``.

    Of equally near centres the first is taken. The distance is taken from the
    difference to that centre, not from the expanded square, which would lose
    the digits of small distances.
    """
    exact = centres.astype(np.float64)
    half_square = np.einsum("ij,ij->i", exact, exact) / 2
    label = np.empty(len(rows), np.intp)
    distance = np.empty(len(rows))
    step = max(1, (1 << 20) // len(centres))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        label[start : start + step] = np.argmin(half_square - part @ exact.T, axis=1)
        gap = part - exact[label[start : start + step]]
        distance[start : start + step] = np.sqrt(np.einsum("ij,ij->i", gap, gap))
    return label, distance


def _kmeans(matrix: NDArray[np.float32], k: int, seed: int, n_init: int) -> Centres:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(k, n_init=n_init, random_state=seed, copy_x=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix)
    found = len(np.unique(model.labels_))
    if found < k:
        raise ClusterError(
            f"k-means found only {found} distinct clusters where {k} were asked, since many cells "
            f"are alike; ask for at most {found}, or choose another scaling"
        )
    return np.asarray(model.cluster_centers_, np.float32)
