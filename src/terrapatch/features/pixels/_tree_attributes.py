"""Attributes of the nodes of a tree: how large, long, spread out and varied they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.pixels._trees import Doubles, ImageTree, Mask

ATTRIBUTES = ("area", "diagonal", "inertia", "std")
# Those that rise from a node to its parent.
RISING = ("area", "diagonal")
# Further than any row or column.
FAR = 1e12


class NodeAttributes:
    """Measures the nodes of a tree; whole numbers are added up, so no order changes a digit.

    Args:
        tree: The tree.
        levels: The image ``(rows, cols)``.
        valid: The pixels that count ``(rows, cols)``.
    """

    def __init__(self, tree: ImageTree, levels: NDArray[np.uint16], valid: Mask) -> None:
        self._tree, self._levels, self._valid = tree, levels, valid
        self._area = self._summed(np.ones(valid.shape))

    def measure(self, name: str) -> Doubles:
        """Return an attribute of every node.

        Args:
            name: ``area`` in pixels; ``diagonal`` of the bounding box in pixels; ``inertia``,
                the sum of the two second central moments of its pixels (taken as squares) by
                the square of the area; ``std`` of its levels.
        """
        if name == "area":
            return self._area
        if name == "std":
            centred = self._levels.astype(np.float64) - 32768
            return np.sqrt(self._spread(centred) / np.maximum(self._area, 1.0))
        places = np.indices(self._valid.shape).astype(np.float64)
        rows, cols = places[0], places[1]
        if name == "diagonal":
            return np.hypot(self._extent(rows), self._extent(cols))
        spread = self._spread(rows) + self._spread(cols) + self._area / 6
        return spread / np.square(np.maximum(self._area, 1.0))

    def _summed(self, image: Doubles) -> Doubles:
        leaves = self._tree.leaf_values(np.where(self._valid, image, 0.0), 0.0)
        return self._tree.gathered(leaves, "sum")

    def _spread(self, image: Doubles) -> Doubles:
        """Return the sum of squared deviations from each node's mean."""
        total = self._summed(image)
        squares = self._summed(np.square(image))
        return np.maximum(squares - np.square(total) / np.maximum(self._area, 1.0), 0.0)

    def _extent(self, places: Doubles) -> Doubles:
        """Return how many rows or columns each node spans; 0 without a pixel that counts."""
        ends = []
        for how, none in (("max", -FAR), ("min", FAR)):
            leaves = self._tree.leaf_values(np.where(self._valid, places, none), none)
            ends.append(self._tree.gathered(leaves, how))
        spans: Doubles = np.maximum(ends[0] - ends[1] + 1, 0.0)
        return spans
