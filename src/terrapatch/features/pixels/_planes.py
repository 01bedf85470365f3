"""Images of a whole scene on disk: its components before a filter, its profiles after it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels.base import Floats, Mask, PixelBlock
from terrapatch.features.pixels.components import Components

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

# Bytes of float32 values of a cube that are read at once.
READ_BYTES = 16 << 20


class Planes:
    """Images of one size in a file, read rectangle by rectangle.

    Args:
        path: The file; it must not exist yet.
        shape: Images, rows and columns.

    Raises:
        FeatureError: If the disk does not hold it.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        need, free = 4 * math.prod(shape), shutil.disk_usage(path.parent).free
        if need > free:
            raise FeatureError(
                f"{shape[0]} images of {shape[1]} x {shape[2]} pixels take {need / 1e9:.1f} GB in "
                f"the scratch folder {path.parent} but {free / 1e9:.1f} GB are free there; point "
                "TMPDIR to a larger disk, or ask for fewer components or thresholds"
            )
        self.data: NDArray[np.float32] = np.memmap(path, np.float32, "w+", shape=shape)

    def compute(self, block: PixelBlock) -> Floats:
        """Return the images of a block's pixels ``(rows, cols, images)``."""
        part = self.data[:, block.rows, block.cols]
        return np.ascontiguousarray(np.moveaxis(part, 0, 2))


def component_planes(cube: Cube, components: Components, path: Path) -> tuple[Planes, Mask]:
    """Project a whole cube, strip by strip.

    Args:
        cube: The cube.
        components: What to project on.
        path: File for the components.

    Returns:
        The components, 0 in invalid pixels, and which pixels are valid ``(rows, cols)``.
    """
    rows, cols = cube.shape
    planes, valid = Planes(path, (components.n, rows, cols)), np.zeros((rows, cols), bool)
    step = max(1, READ_BYTES // (4 * cols * cube.n_bands))
    with cube.reader() as reader:
        for top in range(0, rows, step):
            strip = slice(top, min(top + step, rows))
            block = reader.read(strip, slice(0, cols))
            made = components.project(block.values)
            made[~block.valid] = 0.0
            planes.data[:, strip] = np.moveaxis(made, 2, 0)
            valid[strip] = block.valid
    return planes, valid


def check_memory(cube: Cube, what: str, pixel_bytes: int) -> None:
    """Refuse a scene whose images do not fit into the memory that is free.

    Args:
        cube: The cube.
        what: The feature, for the message.
        pixel_bytes: Bytes it takes for each pixel of the scene.

    Raises:
        FeatureError: If so.
    """
    import psutil

    rows, cols = cube.shape
    need, free = rows * cols * pixel_bytes, int(psutil.virtual_memory().available)
    if need > free:
        raise FeatureError(
            f"{what} looks at {cube.name} as a whole: its {rows} x {cols} pixels take about "
            f"{need / 1e9:.1f} GB of memory but {free / 1e9:.1f} GB are free; free some, map the "
            "scene in parts, or use emp with reconstruction=no or reach=20, which work in blocks"
        )


def whole_scene(kind: str) -> FeatureError:
    """Return the error of a feature of the whole scene that is asked for a block alone."""
    return FeatureError(
        f"{kind} is decided by the whole scene, so a block alone cannot give it; read it through "
        "FeatureStack.over(cube)"
    )


def numbered(of: str, components: Components) -> list[str]:
    """Return short names of components, such as PC1 or MNF1."""
    stem = {"pca": "PC", "mnf": "MNF"}[of]
    return [f"{stem}{i}" for i in range(1, components.n + 1)]
