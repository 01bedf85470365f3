"""Grey-level co-occurrence in the square around every pixel.

The matrix of a square counts, for all pairs of valid pixels at a distance in four
directions that lie in it wholly, how often two grey levels meet; it is symmetric, and the
directions are pooled. It is never built: each measure is a sum over pairs, taken by sums
over squares, and only those that need single counts go through the pairs of levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.pixels._boxes import box_sums

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
Levels = NDArray[np.int32]

MEASURES = ("contrast", "homogeneity", "entropy", "asm", "correlation")
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


class CoOccurrence:
    """Measures of the co-occurrence around every pixel of a block.

    Args:
        levels: Grey levels ``(rows + side - 1, cols + side - 1)`` from 0; anything in
            invalid pixels.
        valid: Which pixels count; the same shape.
        n_levels: Number of grey levels.
        side: Side of the squares.
        distance: Pixels between the two of a pair, along rows and columns.
    """

    def __init__(
        self, levels: Levels, valid: Mask, n_levels: int, side: int, distance: int
    ) -> None:
        self._n_levels, self._side = n_levels, side
        self._pairs = list(_pairs(levels, valid, distance))
        self.count = self._sum([both.astype(np.int32) for _, _, both, _ in self._pairs])

    def measures(self, names: Sequence[str]) -> Doubles:
        """Return measures ``(rows, cols, len(names))``.

        Where a square holds no pair, they are those of an even surface: contrast 0,
        homogeneity 1, entropy 0, asm 1, correlation 1.
        """
        made: dict[str, Doubles] = {}
        if "contrast" in names:
            made["contrast"] = self._contrast()
        if "homogeneity" in names:
            made["homogeneity"] = self._homogeneity()
        if "correlation" in names:
            made["correlation"] = self._correlation()
        if "entropy" in names or "asm" in names:
            made["entropy"], made["asm"] = self._counted()
        return np.stack([made[name] for name in names], axis=-1)

    def _sum(self, maps: Sequence[NDArray[Any]]) -> Doubles:
        """Sum maps of pairs, one for each direction, over the squares that hold them wholly."""
        parts = [
            box_sums(values, self._side - down, self._side - across)
            for (_, _, _, (down, across)), values in zip(self._pairs, maps, strict=True)
        ]
        total: Doubles = np.sum(np.stack(parts), axis=0, dtype=np.float64)
        return total

    def _mean(self, weigh: Sequence[NDArray[Any]], empty: float) -> Doubles:
        kept = [
            np.where(both, w, 0.0) for w, (_, _, both, _) in zip(weigh, self._pairs, strict=True)
        ]
        total = self._sum(kept)
        return np.divide(total, self.count, out=np.full_like(total, empty), where=self.count > 0)

    def _contrast(self) -> Doubles:
        return self._mean([(a - b).astype(np.float64) ** 2 for a, b, _, _ in self._pairs], 0.0)

    def _homogeneity(self) -> Doubles:
        return self._mean([1.0 / (1.0 + (a - b) ** 2) for a, b, _, _ in self._pairs], 1.0)

    def _correlation(self) -> Doubles:
        mean = self._mean([(a + b) / 2.0 for a, b, _, _ in self._pairs], 0.0)
        square = self._mean([(a * a + b * b) / 2.0 for a, b, _, _ in self._pairs], 0.0)
        product = self._mean([(a * b).astype(np.float64) for a, b, _, _ in self._pairs], 0.0)
        variance = square - mean**2
        # Levels are whole numbers: what is below this is rounding.
        even = variance <= 1e-9
        safe = np.where(even, 1.0, variance)
        return np.where(even, 1.0, (product - mean**2) / safe)

    def _counted(self) -> tuple[Doubles, Doubles]:
        """Return entropy (natural logarithm) and angular second moment."""
        codes = [
            np.where(both, np.minimum(a, b) * self._n_levels + np.maximum(a, b), -1)
            for a, b, both, _ in self._pairs
        ]
        entropy, moment = np.zeros_like(self.count), np.zeros_like(self.count)
        seen = np.unique(np.concatenate([np.unique(code) for code in codes]))
        for code in seen[seen >= 0]:
            low, high = divmod(int(code), self._n_levels)
            found = self._sum([(c == code).astype(np.int32) for c in codes])
            # Two levels stand in two places of the symmetric matrix.
            places = 1 if low == high else 2
            share = found / (places * np.maximum(self.count, 1.0))
            moment += places * share**2
            entropy -= places * share * np.log(share, out=np.zeros_like(share), where=share > 0)
        empty = self.count == 0
        return np.where(empty, 0.0, np.maximum(entropy, 0.0)), np.where(empty, 1.0, moment)


def _pairs(
    levels: Levels, valid: Mask, distance: int
) -> Iterator[tuple[Levels, Levels, Mask, tuple[int, int]]]:
    """Give both levels of all pairs of each direction, whether both count, and their offset."""
    rows, cols = levels.shape
    for down, across in ((d * distance, a * distance) for d, a in DIRECTIONS):
        left, right = slice(0, cols - abs(across)), slice(abs(across), cols)
        first = (slice(0, rows - down), left if across >= 0 else right)
        second = (slice(down, rows), right if across >= 0 else left)
        both = valid[first] & valid[second]
        yield levels[first], levels[second], both, (down, abs(across))
