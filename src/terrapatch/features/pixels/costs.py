"""What storing pixel features would take, from short trials on the cube itself."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from terrapatch.features._memory import resident
from terrapatch.features.layout import ZSTD_LEVEL
from terrapatch.features.pixels.base import PixelFeature
from terrapatch.features.pixels.moments import Mask
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import cell_blocks, store_recipe

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

# Seconds for the trial of blocks.
TRIAL_SECONDS = 2.0
# A cube with fewer bytes of float32 is measured whole; of a larger one, some strips.
WHOLE_BYTES = 256 << 20
STRIPS, STRIP_BYTES = 6, 8 << 20


@dataclass(frozen=True)
class FeatureCosts:
    """What storing pixel features would take.

    Attributes:
        cells: Pixels of the cube.
        features: Numbers of a pixel.
        window: Side of the square that decides them; ``None`` for the whole scene.
        store_bytes: Size of the store, compressed as the trial's blocks are.
        memory_bytes: Peak memory of the process.
        seconds: Time of the whole run: measuring, preparing, computing and writing.
    """

    cells: int
    features: int
    window: int | None
    store_bytes: int
    memory_bytes: int
    seconds: float


def try_features(
    features: Sequence[str | PixelFeature], cube: Cube, dtype: str = "float32"
) -> FeatureCosts:
    """Say what storing features of a cube would take; nothing is kept.

    Features are fitted to the whole cube where it is small, else to some strips of it, and
    computed for a few blocks. What looks at the whole scene is prepared in full.

    Args:
        features: Texts or features.
        cube: The cube.
        dtype: Stored type.

    Raises:
        FeatureError: If the cube cannot give them.
        RecipeError: If there is no such stored type.
    """
    cells, where = cube.shape[0] * cube.shape[1], _strips(cube)
    start = time.perf_counter()
    stack = FeatureStack.fit(features, cube, where)
    measuring = (time.perf_counter() - start) / (1.0 if where is None else float(where.mean()))
    recipe = store_recipe(stack, cube, dtype)
    blocks = cell_blocks(cube.shape, int(recipe.execution["block"]))
    order = np.random.default_rng(0).permutation(len(blocks))
    start = time.perf_counter()
    with stack.over(cube) as live:
        preparing = time.perf_counter() - start
        tracemalloc.start()
        first = live.block(blocks[order[0]].rows, blocks[order[0]].cols)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        ratios, done, start = [_packed(first.values, dtype)], 0, time.perf_counter()
        for number in order:
            made = live.block(blocks[number].rows, blocks[number].cols)
            ratios.append(_packed(made.values, dtype))
            done += made.valid.size
            if time.perf_counter() - start > TRIAL_SECONDS:
                break
        rate = done / (time.perf_counter() - start)
    plain = cells * stack.n_features * np.dtype(dtype).itemsize
    return FeatureCosts(
        cells=cells,
        features=stack.n_features,
        window=stack.window,
        store_bytes=round(plain * float(np.mean(ratios))),
        memory_bytes=resident() + peak,
        seconds=measuring + preparing + cells / rate,
    )


def _packed(values: NDArray[np.float32], dtype: str) -> float:
    """Return how far features shrink in the store."""
    with np.errstate(over="ignore"):
        raw = np.ascontiguousarray(values.astype(dtype)).tobytes()
    return len(Zstd(level=ZSTD_LEVEL).encode(raw)) / len(raw)


def _strips(cube: Cube) -> Mask | None:
    """Choose strips of a large cube that features are tried on; all of a small one."""
    rows, cols = cube.shape
    row_bytes = 4 * cols * cube.n_bands
    if rows * row_bytes <= WHOLE_BYTES:
        return None
    height = max(2, STRIP_BYTES // row_bytes)
    where = np.zeros((rows, cols), bool)
    for top in np.linspace(0, max(0, rows - height), STRIPS).astype(int):
        where[top : top + height] = True
    return where
