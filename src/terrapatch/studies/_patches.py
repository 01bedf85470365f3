"""Pictures of patches, cut out of a scene as the network saw them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from terrapatch.errors import RecipeError
from terrapatch.grid import PatchGrid
from terrapatch.reading import SceneReader
from terrapatch.scene import Scene
from terrapatch.stream import reflect

Picture = npt.NDArray[np.uint8]


def cut_patches(
    scene: Scene, grid: PatchGrid, cells: Sequence[tuple[int, int]], side: int
) -> list[Picture]:
    """Cut the patches of some cells; see ``ClusterFolder.patches``.

    Args:
        scene: The scene with one band or three, in declared units.
        grid: The grid over it.
        cells: Row and column of each cell.
        side: Side of a picture in pixels.

    Raises:
        RecipeError: If there is no such cell.
    """
    with SceneReader(scene) as reader:
        return [_fitted(_cut(reader, grid, row, col), side) for row, col in cells]


def _cut(reader: SceneReader, grid: PatchGrid, row: int, col: int) -> Picture:
    """Read one patch as RGB, white where it is invalid."""
    if not (0 <= row < grid.shape[0] and 0 <= col < grid.shape[1]):
        raise RecipeError(
            f"there is no cell in row {row}, column {col}; there are {grid.shape[0]} rows and "
            f"{grid.shape[1]} columns, counted from 0"
        )
    places, beyond = [], []
    for span, n in zip(grid.patch_window(row, col), reader.scene.shape, strict=True):
        wanted = np.arange(span.start, span.stop)
        outside = (wanted < 0) | (wanted >= n)
        mirrored = grid.edge == "reflect"
        places.append(reflect(wanted, n) if mirrored else np.clip(wanted, 0, n - 1))
        beyond.append(np.zeros_like(outside) if mirrored else outside)
    rows, cols = (slice(int(p.min()), int(p.max()) + 1) for p in places)
    pixels, valid = reader.read(rows, cols)
    inside = np.ix_(places[0] - rows.start, places[1] - cols.start)
    eight = reader.scene.require_units().to_eight_bit(pixels).astype(np.uint8)
    image = np.moveaxis(np.stack([band[inside] for band in eight]), 0, -1)
    image = np.repeat(image, 3 // image.shape[2], axis=2)
    bad = beyond[0][:, None] | beyond[1][None, :]
    image[bad if valid is None else bad | ~valid[inside]] = 255
    return image


def _fitted(image: Picture, side: int) -> Picture:
    """Scale a picture to a square, centred on white."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = side / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    resized = Image.fromarray(image).resize((wide, tall), Image.Resampling.LANCZOS)
    out = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - tall) // 2, (side - wide) // 2
    out[top : top + tall, left : left + wide] = np.asarray(resized)
    return out
