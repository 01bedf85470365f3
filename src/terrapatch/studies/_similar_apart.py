"""How far apart places are, in cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from terrapatch.errors import GridError
from terrapatch.features import FeatureRaster
from terrapatch.grid import Length, to_pixels
from terrapatch.learn.spacing import surroundings
from terrapatch.studies._similar_query import QueryCell, scene_geobox

_CELLS = re.compile(r"^\s*([\d.]+)\s*cells?\s*$")


def apart_in_cells(raster: FeatureRaster, apart: Length | None) -> tuple[float, float]:
    """Return a distance in cells, down and across; that of a patch if none is given.

    Raises:
        GridError: If it is not understood.
    """
    grid = raster.recipe.grid
    if apart is None:
        pixels = tuple(grid["size_px"])
    elif isinstance(apart, str) and (match := _CELLS.match(apart)):
        try:
            return float(match[1]), float(match[1])
        except ValueError:
            raise GridError(f"apart {apart!r} is not a number of cells; write 2 cells") from None
    else:
        pixels = to_pixels(apart, scene_geobox(raster), "apart")
    down, across = (one / stride for one, stride in zip(pixels, grid["stride_px"], strict=True))
    return down, across


def near_examples(raster: FeatureRaster, cells: Sequence[QueryCell]) -> npt.NDArray[np.bool_]:
    """Return the cells whose patches overlap an example; they are not drawn as its opposite."""
    near = np.zeros(raster.shape, bool)
    patch = apart_in_cells(raster, None)
    for cell in cells:
        near[surroundings((cell.row, cell.col), patch)] = True
    return near
