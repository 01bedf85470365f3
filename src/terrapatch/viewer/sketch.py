"""Short descriptors whose products are nearly the cosines of the long ones, for the offline file.

Unit descriptors are projected on their first principal directions without centring, which keeps
their products best in the least-squares sense (Eckart and Young, Psychometrika 1, 1936), and
rounded to eight bits. How far the products are off is measured and said.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from terrapatch.learn.scaling import unit_rows
from terrapatch.viewer.space import Floats, Numbers, Space

__all__ = ["sketch"]

_MOST_BYTES = 8 << 20
_WIDTH = (16, 96)
_LEARNT, _TRIED = 1500, 64


def sketch(space: Space) -> dict[str, Any]:
    """Make short descriptors of all cells.

    Args:
        space: The scaled descriptors.

    Returns:
        ``width`` (numbers a cell), ``scale`` (of the eight-bit numbers), ``values`` (base64 of
        int8 ``(rows * cols, width)``, zeros in empty cells) and ``words`` (how far cosines from
        them are off).
    """
    count = len(space.numbers)
    directions = _directions(space, int(np.clip(_MOST_BYTES // count, *_WIDTH)))
    width = directions.shape[1]
    short = np.zeros((space.shape[0] * space.shape[1], width), np.float32)
    for numbers, rows in space.chunks():
        short[numbers] = unit_rows(rows) @ directions
    scale = float(np.abs(short).max() or 1.0) / 127
    small = np.rint(short / scale).astype(np.int8)
    return {
        "width": width,
        "scale": scale,
        "values": base64.b64encode(small.tobytes()).decode(),
        "words": _words(space, small.astype(np.float32) * scale),
    }


def _directions(space: Space, width: int) -> Floats:
    """Return the first principal directions of unit descriptors ``(d, width)``.

    At most 1,500 cells, spread evenly over the map, decide them.
    """
    unit = unit_rows(space.rows(_spread(space, _LEARNT)))
    strength, vectors = np.linalg.eigh(unit @ unit.T)
    first = slice(None, -min(width, len(strength)) - 1, -1)
    strength, vectors = strength[first], vectors[:, first]
    kept = strength > 1e-9 * strength[0]
    directions = unit.T @ (vectors[:, kept] / np.sqrt(strength[kept]))
    return np.ascontiguousarray(directions, np.float32)


def _spread(space: Space, most: int) -> Numbers:
    """Return the numbers of at most so many cells, spread evenly over the map."""
    places = np.linspace(0, len(space.numbers) - 1, min(most, len(space.numbers)))
    return space.numbers[places.astype(np.int64)]


def _words(space: Space, short: Floats) -> str:
    """Compare cosines of some cells, spread over the map, with all others."""
    tried = _spread(space, _TRIED)
    asked = unit_rows(space.rows(tried))
    off = [
        np.abs(unit_rows(rows) @ asked.T - short[numbers] @ short[tried].T).ravel()
        for numbers, rows in space.chunks()
    ]
    gaps = np.concatenate(off)
    # A cell's product with itself is not used.
    return (
        f"off by {gaps.mean():.3f} on average, {np.quantile(gaps, 0.99):.3f} at most in 99 of 100"
    )
