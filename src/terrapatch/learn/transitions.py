"""What became of what between two dates, and how much of it is noise.

A class map changes where the ground changes, and also where it does not: a patch that lies a
little elsewhere, another light or another season are enough to move a cell across a border
between classes. The second kind is measured on one date alone, by classifying it again with all
patches moved by a part of a cell. What changes then is the *noise floor*: changes between two
dates that are no more frequent than that cannot be told from it.

Gains, losses and what is swapped are those of Pontius, Shusas and McEachern ("Detecting important
categorical land changes while accounting for persistence", Agriculture, Ecosystems and
Environment 101, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import MapError

__all__ = ["NoiseFloor", "Transitions", "count_transitions"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# Standard errors above the noise from which a change counts.
_CLEAR = 2.0


@dataclass(frozen=True, eq=False)
class Transitions:
    """How many cells, and hectares, went from which class to which.

    Attributes:
        table: Cells ``(K + 1, K + 1)``: rows the first date, columns the second; 0 is no data.
        areas: Hectares likewise, ``None`` where they are not known.
    """

    table: Counts
    areas: Floats | None = None

    @property
    def cells(self) -> Counts:
        """Cells ``(K, K)`` that hold a class on both dates; the diagonal stayed."""
        return self.table[1:, 1:]

    @property
    def hectares(self) -> Floats | None:
        """Hectares ``(K, K)``, ``None`` where they are not known."""
        return None if self.areas is None else self.areas[1:, 1:]

    @property
    def n(self) -> int:
        """Cells that hold a class on both dates."""
        return int(self.cells.sum())

    @property
    def changed(self) -> int:
        """Those of them that have another class on the second date."""
        return self.n - int(np.trace(self.cells))

    @property
    def share(self) -> float:
        """Share of cells with another class, 0 to 1; 0 without cells."""
        return self.changed / self.n if self.n else 0.0

    @property
    def only_before(self) -> int:
        """Cells with a class on the first date alone."""
        return int(self.table[1:, 0].sum())

    @property
    def only_after(self) -> int:
        """Cells with a class on the second date alone."""
        return int(self.table[0, 1:].sum())

    @property
    def losses(self) -> Counts:
        """Cells each class lost to others ``(K,)``."""
        return np.asarray(self.cells.sum(axis=1) - np.diag(self.cells), np.int64)

    @property
    def gains(self) -> Counts:
        """Cells each class took from others ``(K,)``."""
        return np.asarray(self.cells.sum(axis=0) - np.diag(self.cells), np.int64)

    @property
    def swap(self) -> Counts:
        """Cells of each class ``(K,)`` whose loss in one place was made up for in another, twice.

        Gain and loss less the net change (Pontius et al. 2004).
        """
        return np.asarray(2 * np.minimum(self.gains, self.losses), np.int64)

    def pairs(self) -> list[tuple[int, int]]:
        """Return the changes that occur, as class ids from 1, the most frequent first."""
        off = self.cells * ~np.eye(len(self.cells), dtype=bool)
        k = len(off)
        order = np.argsort(-off.ravel(), kind="stable")
        return [(int(p) // k + 1, int(p) % k + 1) for p in order if off.flat[p]]


def count_transitions(
    before: ArrayLike, after: ArrayLike, k: int, row_hectares: ArrayLike | None = None
) -> Transitions:
    """Count what went from which class to which.

    Args:
        before: Class ids ``(rows, cols)``, 0 to ``k``; 0 is no data.
        after: Class ids of the same shape.
        k: Number of classes.
        row_hectares: Area of a cell in each row ``(rows,)``.

    Raises:
        MapError: If the shapes differ, or an id is out of range.
    """
    old, new = np.asarray(before), np.asarray(after)
    if old.shape != new.shape or old.ndim != 2:
        raise MapError(
            f"maps of {old.shape} and {new.shape} cells cannot be compared; bring them to one grid"
        )
    for ids in (old, new):
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) <= k:
            raise MapError(f"class ids go from {ids.min()} to {ids.max()}, not from 0 to {k}")
    table, areas = np.zeros((k + 1) ** 2, np.int64), np.zeros((k + 1) ** 2)
    hectares = None if row_hectares is None else np.asarray(row_hectares, np.float64)
    for i, (one, other) in enumerate(zip(old, new, strict=True)):
        pairs = np.bincount(one.astype(np.int64) * (k + 1) + other, minlength=len(table))
        table += pairs
        if hectares is not None:
            areas += pairs * hectares[i]
    shape = (k + 1, k + 1)
    return Transitions(table.reshape(shape), None if hectares is None else areas.reshape(shape))


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """What changes on one date alone when the patches are moved.

    Attributes:
        moved: One date against itself with moved patches.
        offset: How far they were moved, down and across, in cells.
    """

    moved: Transitions
    offset: tuple[float, float]

    @property
    def share(self) -> float:
        """Share of cells whose class changes though nothing changed on the ground, 0 to 1."""
        return self.moved.share

    def expected(self, of: Transitions) -> Floats:
        """Return the cells ``(K, K)`` of each change that noise alone would give.

        Moving the patches back is noise just as well, so a change and its reverse are given
        their mean.
        """
        if not self.moved.n:
            return np.zeros(of.cells.shape)
        both = (self.moved.cells + self.moved.cells.T) / 2
        return np.asarray(both * (of.n / self.moved.n), np.float64)

    def clear(self, of: Transitions) -> NDArray[np.bool_]:
        """Return which changes ``(K, K)`` are more frequent than noise; never the diagonal.

        They have to be so by two standard errors of the difference of two counts. Neighbouring
        cells change together, so this is a rule of thumb, and a lenient one.
        """
        noise = self.expected(of)
        scale = of.n / self.moved.n if self.moved.n else 1.0
        spread = np.sqrt(of.cells + noise * max(scale, 1.0))
        clear: NDArray[Any] = of.cells > noise + _CLEAR * spread
        return np.asarray(clear & ~np.eye(len(noise), dtype=bool))
