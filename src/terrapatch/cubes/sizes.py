"""How large the values of a cube are: what tells reflectance from the numbers it is stored as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from terrapatch.cubes.survey import sampled

if TYPE_CHECKING:
    from terrapatch.cubes.cube import Cube

# Percent (100) and stored integers (255, 10,000) for reflectance are beyond it; a scene of
# water, snow or shade is not.
FACTOR = 30.0
_HIGH = 98.0


def value_sizes(cube: Cube) -> list[float]:
    """Return the size of the values of each band, in a thin sample.

    Args:
        cube: The cube.

    Returns:
        98th percentile of the absolute values of each band, to four digits; nothing where
        the sample has no valid pixel.
    """
    with cube.reader() as reader:
        blocks = [reader.read(rows, cols) for rows, cols in sampled(cube.raw, cube.n_bands)]
    values = np.concatenate([block.values[block.valid] for block in blocks])
    if not len(values):
        return []
    high = np.percentile(np.abs(values), _HIGH, axis=0)
    return [float(f"{size:.4g}") for size in high]


def unlike_sizes(cube: Cube, sizes: Sequence[float]) -> str:
    """Say that a cube's values are far larger or smaller than others; nothing if not.

    Args:
        cube: The cube.
        sizes: Sizes of the others, as ``value_sizes`` gave them.
    """
    own = value_sizes(cube)
    if len(own) != len(sizes):
        return ""
    pairs = [(a, b) for a, b in zip(own, sizes, strict=True) if a > 0 and b > 0]
    if not pairs:
        return ""
    ratio = float(np.median([a / b for a, b in pairs]))
    if 1 / FACTOR < ratio < FACTOR:
        return ""
    mine, others = (float(np.median(column)) for column in zip(*pairs, strict=True))
    times = f"{ratio:,.0f} times larger" if ratio > 1 else f"{1 / ratio:,.0f} times smaller"
    return (
        f"the values of {cube.name} (about {mine:.4g}) are {times} than those the model was "
        f"trained on (about {others:.4g}): read both in the same unit, see scale= (--scale), or "
        "do not trust the map"
    )
