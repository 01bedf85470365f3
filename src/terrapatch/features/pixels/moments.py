"""What features learn from a cube: mean, covariance, noise and range of its pixels.

All is measured in one streamed pass and in double precision. Blocks are merged with
the pairwise update of Chan, Golub and LeVeque, "Algorithms for computing the sample
variance" (The American Statistician 37, 1983), so their size changes nothing but
rounding. The noise is that of Green, Berman, Switzer and Craig, "A transformation for
ordering multispectral data in terms of image quality with implications for noise
removal" (IEEE TGRS 26, 1988): half the covariance of the differences of neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]

# Bytes of float32 values that are read at once; some four times as much is held.
READ_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class Moments:
    """Statistics of the valid pixels of a cube, or of some of them.

    Attributes:
        n: Number of pixels.
        mean: Mean of each band ``(B,)``.
        covariance: Their covariance ``(B, B)``, divided by ``n - 1``.
        noise: Covariance ``(B, B)`` of the noise, from differences of a pixel and its right
            and its lower neighbour where both count; zeros where no two neighbours do.
        pairs: Number of such pairs.
        minimum: Smallest value of each band ``(B,)``.
        maximum: Largest value of each band ``(B,)``.
    """

    n: int
    mean: Doubles
    covariance: Doubles
    noise: Doubles
    pairs: int
    minimum: Doubles
    maximum: Doubles

    @property
    def deviation(self) -> Doubles:
        """Standard deviation of each band ``(B,)``."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))

    @property
    def scale(self) -> Doubles:
        """``1 / deviation`` of each band ``(B,)``; 0 where it is constant but for rounding."""
        deviation, eps = self.deviation, np.finfo(np.float64).eps
        constant = deviation <= 8 * eps * np.sqrt(max(self.n, 1)) * np.abs(self.mean)
        return np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))

    @classmethod
    def nothing(cls, bands: int) -> Moments:
        """Return the moments of no pixel, for features that learn nothing."""
        zero, square = np.zeros(bands), np.zeros((bands, bands))
        return cls(0, zero, square, square, 0, zero, zero)

    @classmethod
    def measure(
        cls,
        cube: Cube,
        where: Mask | None = None,
        progress: Progress | None = None,
        read_bytes: int = READ_BYTES,
    ) -> Moments:
        """Measure a cube in one pass.

        Args:
            cube: The cube.
            where: Mask ``(rows, cols)`` of the pixels to learn from, such as those of a
                training part; all valid ones if left out.
            progress: Called as ``progress("measure", pixels done, pixels in all)``.
            read_bytes: Bytes of values to read at once.

        Raises:
            FeatureError: If the mask does not fit, or no pixel counts.
        """
        shape, bands = cube.shape, cube.n_bands
        if where is not None and where.shape != shape:
            raise FeatureError(
                f"the mask of pixels to learn from has {where.shape[0]} x {where.shape[1]} pixels "
                f"but {cube.name} has {shape[0]} x {shape[1]}; make it of the cube's size"
            )
        pixels, across, down = Scatter(bands), Scatter(bands), Scatter(bands)
        low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
        total, done = shape[0] * shape[1], 0
        with cube.reader() as reader:
            for rows, cols in _strips(shape, bands, read_bytes):
                # One more row and column: the neighbours of the last ones.
                tall = slice(rows.start, min(rows.stop + 1, shape[0]))
                wide = slice(cols.start, min(cols.stop + 1, shape[1]))
                if where is None or where[tall, wide].any():
                    block = reader.read(tall, wide)
                    counts = block.valid if where is None else block.valid & where[tall, wide]
                    height, width = rows.stop - rows.start, cols.stop - cols.start
                    inside = block.values[:height, :width][counts[:height, :width]]
                    if len(inside):
                        low = np.minimum(low, inside.min(axis=0))
                        high = np.maximum(high, inside.max(axis=0))
                    pixels.add(inside)
                    across.add(_differences(block.values[:height], counts[:height]))
                    turned = block.values[:, :width].swapaxes(0, 1)
                    down.add(_differences(turned, counts[:, :width].T))
                done += (rows.stop - rows.start) * (cols.stop - cols.start)
                if progress is not None:
                    progress("measure", done, total)
        if pixels.n == 0:
            part = "" if where is None else " among those to learn from"
            raise FeatureError(
                f"{cube.name} has no valid pixel{part}; check its nodata value and its bands"
            )
        pairs = across.n + down.n
        noise = (across.squares + down.squares) / (2 * max(pairs, 1))
        covariance = pixels.squares / max(pixels.n - 1, 1)
        return cls(pixels.n, pixels.mean, covariance, noise, pairs, low, high)


class Scatter:
    """Mean and sum of squared deviations of rows, merged batch by batch.

    Args:
        bands: Numbers in a row.
    """

    def __init__(self, bands: int) -> None:
        self.n = 0
        self.mean: Doubles = np.zeros(bands)
        self.squares: Doubles = np.zeros((bands, bands))

    def add(self, rows: NDArray[np.floating]) -> None:
        """Merge rows ``(n, B)``."""
        n = len(rows)
        if n == 0:
            return
        centred = rows.astype(np.float64)
        mean = centred.mean(axis=0)
        centred -= mean
        total, shift = self.n + n, mean - self.mean
        self.squares += centred.T @ centred
        self.squares += np.outer(shift, shift) * (self.n * n / total)
        self.mean = self.mean + shift * (n / total)
        self.n = total


def _differences(values: NDArray[np.float32], counts: Mask) -> Doubles:
    """Return pixel minus right neighbour ``(n, B)``, where both count."""
    both = counts[:, :-1] & counts[:, 1:]
    out = values[:, :-1][both].astype(np.float64)
    out -= values[:, 1:][both]
    return out


def _strips(shape: tuple[int, int], bands: int, read_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cut a cube into rectangles as wide as memory allows, row by row."""
    pixels = max(64, read_bytes // (4 * max(bands, 1)))
    width = min(shape[1], max(8, pixels // 8))
    height = max(1, min(shape[0], pixels // width))
    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            yield (
                slice(top, min(top + height, shape[0])),
                slice(left, min(left + width, shape[1])),
            )
