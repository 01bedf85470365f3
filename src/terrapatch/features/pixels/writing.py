"""Writing the features of a cube into a store, block by block and safe to kill."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from terrapatch.errors import RecipeError
from terrapatch.features.layout import DTYPES
from terrapatch.features.pixels.base import PixelFeature
from terrapatch.features.pixels.halo import cut
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.raster import FeatureRaster
from terrapatch.features.recipe import Recipe
from terrapatch.features.store import StoreWriter, discard_part, refuse_taken
from terrapatch.grid import CellBlock

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

log = logging.getLogger("terrapatch")
Progress = Callable[[str, int, int], None]


def make_features(
    cube: str | os.PathLike[str] | Cube,
    features: Sequence[str | PixelFeature],
    out: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
) -> FeatureRaster:
    """Fit features to all valid pixels of a cube and store them at one cell a pixel.

    Args:
        cube: Whatever ``Cube.open`` takes.
        features: Texts such as ``pca:components=10``, or features.
        out: Folder of the Zarr store to write.
        dtype: Stored type, ``float32`` or ``float16``.
        overwrite: Whether a finished store may be replaced.
        restart: Whether to discard what an unfinished run has left.
        progress: Called with ``("measure", …)`` and ``("features", pixels done, in all)``.

    Returns:
        The finished feature raster.

    Raises:
        TerrapatchError: For everything a person can mend, in one sentence.
    """
    from terrapatch.cubes import Cube

    refuse_taken(Path(out), overwrite)
    opened = Cube.open(cube)
    stack = FeatureStack.fit(features, opened, progress=progress)
    return write_features(stack, opened, out, dtype, overwrite, restart, progress)


def write_features(
    stack: FeatureStack,
    cube: Cube,
    out: str | os.PathLike[str],
    dtype: str = "float32",
    overwrite: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
) -> FeatureRaster:
    """Store the features of a cube; a run that was interrupted is gone on with.

    Args:
        stack: The fitted features.
        cube: A cube with the bands that they were fitted on.
        out: Folder of the Zarr store to write.
        dtype: Stored type, ``float32`` or ``float16``.
        overwrite: Whether a finished store may be replaced.
        restart: Whether to discard what an unfinished run has left.
        progress: Called as ``progress("features", pixels done, pixels in all)``.

    Returns:
        The finished feature raster.

    Raises:
        RecipeError: If the cube has other bands, or an unfinished store another recipe.
        OutputError: If the store exists already or cannot be written.
        StoreError: If numbers are too large for ``float16``.
    """
    path, recipe = Path(out), store_recipe(stack, cube, dtype)
    if restart:
        discard_part(path)
    refuse_taken(path, overwrite)
    side = int(recipe.execution["block"])
    blocks = cell_blocks(cube.shape, side)
    total = cube.shape[0] * cube.shape[1]
    writer = StoreWriter(path, recipe, cube.geobox, stack.groups, side, dtype, overwrite)
    with writer:
        todo = [block for block in blocks if not writer.is_done(block)]
        done = total - sum(block.shape[0] * block.shape[1] for block in todo)
        if done:
            log.info("going on with %s: %d of %d pixels are done", path, done, total)
        if todo:
            with stack.over(cube) as live:
                for block in todo:
                    made = live.block(block.rows, block.cols)
                    writer.write(block, made.values, made.valid)
                    done += block.shape[0] * block.shape[1]
                    if progress is not None:
                        progress("features", done, total)
        writer.finish(blocks)
    return FeatureRaster.open(path)


def store_recipe(stack: FeatureStack, cube: Cube, dtype: str) -> Recipe:
    """Return the recipe of a store of a stack's features.

    Raises:
        RecipeError: If the cube has other bands, or there is no such stored type.
    """
    if dtype not in DTYPES:
        raise RecipeError(f"stored type {dtype!r} is not known; choose {' or '.join(DTYPES)}")
    recipe = stack.recipe(cube)
    return replace(recipe, execution={**recipe.execution, "dtype": dtype})


def cell_blocks(shape: tuple[int, int], side: int) -> list[CellBlock]:
    """Cut a cube's pixels into blocks of a store, row by row."""
    parts = cut(slice(0, shape[0]), slice(0, shape[1]), side)
    return [CellBlock((r.start // side, c.start // side), r, c) for r, c in parts]
