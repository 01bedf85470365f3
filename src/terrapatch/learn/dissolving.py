"""Patches of a class map that are too small, dissolved into their neighbours."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import MapError

Ids = NDArray[Any]
Floats = NDArray[np.float64]

MAX_PATCHES = 2_000_000
"""Above this many patches a map is speckle, and their neighbours do not fit into memory."""


@dataclass(frozen=True, eq=False)
class Dissolved:
    """A map without small patches.

    Attributes:
        labels: Class ids ``(rows, cols)``, 0 where they were 0.
        dissolved: Patches that took the class of a neighbour.
        kept: Patches below the minimum that stay, since nothing but no data is around them.
    """

    labels: Ids
    dissolved: int
    kept: int


def dissolve_small(labels: Ids, areas: Floats, minimum: float) -> Dissolved:
    """Give patches below a minimum area the class of their largest neighbour.

    Cells of one class that share a side are a patch. The smallest patch goes first, and becomes
    part of the neighbour that is largest by then; so no patch below the minimum is left that
    has a neighbour. No data is no neighbour, and gets no class.

    Args:
        labels: Class ids ``(rows, cols)`` from 1, 0 where empty.
        areas: Area of a cell of each row ``(rows,)``.
        minimum: Least area of a patch, in the same unit.

    Raises:
        MapError: If the map falls into more than ``MAX_PATCHES`` patches.
    """
    patches, classes = _patches(labels)
    size = np.zeros(len(classes))
    for row, area in zip(patches, areas, strict=True):
        found, cells = np.unique(row, return_counts=True)
        size[found] += area * cells
    merging = _Merging(classes, size, _neighbours(patches, len(classes)))
    dissolved, kept = merging.run(minimum - 1e-9 * abs(minimum))
    return Dissolved(merging.classes_now()[patches].astype(labels.dtype), dissolved, kept)


def _patches(labels: Ids) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the patches from 1, 0 where empty; and the class of each number."""
    from scipy.ndimage import label

    patches = np.zeros(labels.shape, np.int32)
    classes = [np.zeros(1, np.int64)]
    last = 0
    for id in np.unique(labels):
        if id == 0:
            continue
        found, count = label(labels == id)
        inside = found > 0
        patches[inside] = found[inside] + last
        classes.append(np.full(count, int(id), np.int64))
        last += count
        if last > MAX_PATCHES:
            raise MapError(
                f"the map falls into more than {MAX_PATCHES:,} patches; smooth it by a larger "
                "--size first"
            )
    return patches, np.concatenate(classes)


def _neighbours(patches: NDArray[np.int32], n: int) -> list[set[int]]:
    """Return which patches share a side with each."""
    pairs = []
    for a, b in ((patches[:, :-1], patches[:, 1:]), (patches[:-1], patches[1:])):
        touch = (a != b) & (a > 0) & (b > 0)
        first, second = a[touch].astype(np.int64), b[touch].astype(np.int64)
        pairs.append(np.unique(np.minimum(first, second) * n + np.maximum(first, second)))
    beside: list[set[int]] = [set() for _ in range(n)]
    for pair in np.unique(np.concatenate(pairs)).tolist():
        a, b = divmod(pair, n)
        beside[a].add(b)
        beside[b].add(a)
    return beside


class _Merging:
    """Patches that become parts of each other."""

    def __init__(self, classes: NDArray[np.int64], size: Floats, beside: list[set[int]]) -> None:
        self._classes, self._size, self._beside = classes, size.tolist(), beside
        self._whole = list(range(len(classes)))  # what each patch is part of

    def run(self, minimum: float) -> tuple[int, int]:
        """Dissolve, and return how many patches were, and how many could not be."""
        queue = [(area, i) for i, area in enumerate(self._size) if i and area < minimum]
        heapq.heapify(queue)
        dissolved = kept = 0
        while queue:
            area, patch = heapq.heappop(queue)
            if self._whole[patch] != patch or area != self._size[patch]:
                continue  # it is part of another, or has grown since
            if not self._beside[patch]:
                kept += 1
                continue
            target = max(self._beside[patch], key=lambda i: (self._size[i], -i))
            dissolved += 1
            into = self._join(patch, target)
            if self._size[into] < minimum:
                heapq.heappush(queue, (self._size[into], into))
        return dissolved, kept

    def _join(self, patch: int, target: int) -> int:
        """Make ``patch`` a part of ``target``, and of both those of that class that now touch."""
        alike = [i for i in self._beside[patch] if self._classes[i] == self._classes[target]]
        for other in (patch, *(i for i in sorted(alike) if i != target)):
            self._absorb(other, target)
        return target

    def _absorb(self, other: int, target: int) -> None:
        self._whole[other] = target
        self._size[target] += self._size[other]
        for i in self._beside[other]:
            self._beside[i].discard(other)
            if i != target:
                self._beside[i].add(target)
                self._beside[target].add(i)
        self._beside[other] = set()

    def classes_now(self) -> NDArray[np.int64]:
        """Return the class each patch has now."""
        whole = np.array(self._whole)
        while (whole != whole[whole]).any():
            whole = whole[whole]
        now: NDArray[np.int64] = self._classes[whole]
        return now
