"""How much of a change there would be had nothing changed: one date, its patches moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from terrapatch.errors import MapError, SceneError
from terrapatch.learn.transitions import NoiseFloor, count_transitions
from terrapatch.studies._change_sides import Maker, Side
from terrapatch.studies._moved_scene import embed_like, moved_scene, pixels_of
from terrapatch.studies._unlike_class import UNLIKE

__all__ = ["noise_floor"]

Progress = Callable[[str, int, int], None]


def noise_floor(
    side: Side,
    offset: float | tuple[float, float] = 0.5,
    *,
    progress: Progress | None = None,
    **embedding: Any,
) -> NoiseFloor:
    """Classify one date again with all patches moved by a part of a cell.

    Each cell is compared with the moved cell of the same row and column, whose centre lies that
    much farther down and right.

    Args:
        side: The date, on its own grid.
        offset: How far patches are moved, in cells, 0 to below 1; or down and across.
        progress: Called as ``progress(stage, cells done, cells in all)``.
        embedding: Further options of ``embed``: weights, device, offline …

    Raises:
        MapError: If the offset is out of range, or the map is not as its model makes it.
        SceneError: If the scene is not known.
        RecipeError: If the scene cannot be embedded as before.
    """
    maker, legend = side.maker, side.class_map.legend
    moved_by = (offset, offset) if isinstance(offset, int | float) else offset
    if not all(0 <= part < 1 for part in moved_by):
        raise MapError(f"patches cannot be moved by {offset} cells; give 0 to below 1")
    if maker is None:
        raise MapError(f"{side.name} lies in no folder of clusters, so it cannot be made again")
    if maker.scene is None:
        raise SceneError(
            f"the scene of {side.name} is not known or no longer where it was; name it with --scene"
        )
    _refuse_edited(side, maker)
    down, across = pixels_of(maker.recipe, moved_by)
    with TemporaryDirectory(prefix="terrapatch-moved-") as scratch:
        folder = Path(scratch)
        scene = moved_scene(maker.scene, down, across, folder)
        raster = embed_like(
            maker.recipe, maker.store, scene, folder / "moved.zarr", progress=progress, **embedding
        )
        values = maker.classes(raster, legend, progress)
    rows, cols = (min(a, b) for a, b in zip(values.shape, side.class_map.values.shape, strict=True))
    own = side.class_map.values[:rows, :cols]
    exact = tuple(
        pixels / int(stride)
        for pixels, stride in zip((down, across), maker.recipe.grid["stride_px"], strict=True)
    )
    counted = count_transitions(own, values[:rows, :cols], len(legend))
    return NoiseFloor(counted, (exact[0], exact[1]))


def _refuse_edited(side: Side, maker: Maker) -> None:
    """Refuse a map that names or filters have made another than its clusters say."""
    if maker.home.class_map.geobox != side.class_map.geobox:
        return  # features the model was applied to in memory
    legend = side.class_map.legend
    plain = maker.lookup(legend)[maker.home.clusters_labels]
    values = side.class_map.values
    beyond = legend.names.index(UNLIKE) + 1 if UNLIKE in legend.names else 0
    if not np.array_equal(np.where(values == beyond, plain, values), plain):
        raise MapError(
            f"{side.name} is not what its clusters and names make of it; make it anew with "
            "terrapatch name"
        )
