"""Features of a cube that are computed when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import FeatureError
from terrapatch.features.pixels.base import Compute, PixelBlock
from terrapatch.features.pixels.halo import cut, read_with_halo
from terrapatch.features.raster import FeatureBlock
from terrapatch.features.recipe import Recipe

if TYPE_CHECKING:
    from terrapatch.cubes import Cube, CubeReader
    from terrapatch.features.pixels.stack import FeatureStack

Floats = NDArray[np.float32]

# Bytes that a block with its context and its features may take, and bounds of its side.
BLOCK_BYTES = 64 << 20
SIDES = (16, 256)
# Doubles and copies that are made of a block's values and features on the way.
_COPIES = 2


def live_side(bands: int, features: int, halo: int) -> int:
    """Return the side of the blocks that features are computed by, in pixels.

    Args:
        bands: Bands of the cube.
        features: Numbers of a pixel.
        halo: Pixels of context on every side.

    Returns:
        The largest multiple of 16, from 16 to 256, whose block takes no more than 64 MiB.
    """
    for side in range(SIDES[1], SIDES[0], -16):
        values = 4 * bands * (side + 2 * halo) ** 2
        if _COPIES * (values + 4 * features * side**2) <= BLOCK_BYTES:
            return side
    return SIDES[0]


class LivePixels:
    """The features of a cube at one cell a pixel; made by ``FeatureStack.over``.

    Attributes:
        names: Name of every number.
        side: Side of the blocks, in pixels.
    """

    def __init__(
        self,
        cube: Cube,
        stack: FeatureStack,
        computes: Sequence[Compute],
        reader: CubeReader,
        recipe: Recipe,
        side: int,
    ) -> None:
        """Take over what ``FeatureStack.over`` has prepared.

        Args:
            cube: The cube.
            stack: The features.
            computes: What computes each of them.
            reader: An open reader of the cube.
            recipe: How the numbers are made.
            side: Side of the blocks, in pixels.
        """
        self.names, self.side = stack.names, side
        self._cube, self._stack, self._reader = cube, stack, reader
        self._computes, self._recipe = tuple(computes), recipe

    @property
    def geobox(self) -> GeoBox:
        """Grid of the pixels."""
        return self._cube.geobox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._cube.shape

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """Name, start and stop of each layer's numbers."""
        return self._stack.groups

    @property
    def n_features(self) -> int:
        """Numbers of a pixel."""
        return self._stack.n_features

    @property
    def recipe(self) -> Recipe:
        """How they are made."""
        return self._recipe

    def read(self, rows: slice, cols: slice) -> Floats:
        """Compute ``(rows, cols, features)`` float32 inside the scene, NaN in invalid pixels.

        Whatever rectangle is asked for, a pixel's numbers are the same.

        Raises:
            FeatureError: If a feature is not a number in a valid pixel.
        """
        out = np.empty((rows.stop - rows.start, cols.stop - cols.start, self.n_features), "float32")
        for part in cut(rows, cols, self.side):
            down = slice(part[0].start - rows.start, part[0].stop - rows.start)
            across = slice(part[1].start - cols.start, part[1].stop - cols.start)
            out[down, across] = self._computed(*part)[0]
        return out

    def blocks(self) -> Iterator[FeatureBlock]:
        """Go through all pixels block by block, row by row."""
        for rows, cols in cut(slice(0, self.shape[0]), slice(0, self.shape[1]), self.side):
            yield self.block(rows, cols)

    def block(self, rows: slice, cols: slice) -> FeatureBlock:
        """Compute one rectangle inside the scene at once, with the share of valid pixels.

        Raises:
            FeatureError: If a feature is not a number in a valid pixel.
        """
        values, valid = self._computed(rows, cols)
        return FeatureBlock(rows, cols, values, valid.astype(np.float32))

    def _computed(self, rows: slice, cols: slice) -> tuple[Floats, NDArray[np.bool_]]:
        block = read_with_halo(self._reader, self.shape, rows, cols, self._stack.halo)
        valid = block.trimmed(0).valid
        out = np.full((*valid.shape, self.n_features), np.nan, np.float32)
        if valid.any():
            features = zip(self._stack.features, self._computes, self.groups, strict=True)
            for feature, compute, (layer, start, stop) in features:
                with np.errstate(over="ignore"):  # what overflows is refused below
                    out[..., start:stop] = compute(block.trimmed(feature.halo))
                self._refuse_unfinite(layer, out[..., start:stop], block, valid)
            out[~valid] = np.nan
        return out, valid

    def _refuse_unfinite(
        self, layer: str, values: Floats, block: PixelBlock, valid: NDArray[np.bool_]
    ) -> None:
        bad = valid & ~np.isfinite(values).all(axis=2)
        if bad.any():
            row, col = (int(i[0]) for i in np.nonzero(bad))
            raise FeatureError(
                f"{layer} of {self._cube.name} is not a finite number at row "
                f"{block.rows.start + row}, column {block.cols.start + col}; check the cube's "
                "values there (nodata that is not declared?)"
            )
