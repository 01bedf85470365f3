"""Trees of the components of a grey image, and images filtered on them.

In the max-tree (Salembier, Oliveras and Garrido, IEEE TIP 7, 1998) a node is a connected
set of pixels that are all as bright as its level or brighter; in the tree of shapes
(Monasse and Guichard, IEEE TIP 9, 2000) it is one of those, or of the darker ones, with
its holes filled. The trees are built by higra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Memory for each pixel while a tree is built and filtered, in bytes (measured, rounded up).
MAX_TREE_BYTES = 240
SHAPES_BYTES = 640


@dataclass(frozen=True, eq=False)
class ImageTree:
    """The tree of an image.

    Attributes:
        tree: The tree; its leaves are the pixels, row by row, ``pad`` more on every side.
        levels: Level of every node.
        shape: Rows and columns of the image.
        pad: Pixels that were laid around the image.
    """

    tree: Any
    levels: NDArray[Any]
    shape: tuple[int, int]
    pad: int = 0

    @classmethod
    def brighter(cls, image: NDArray[Any]) -> ImageTree:
        """Build the max-tree of eight neighbours.

        Args:
            image: ``(rows, cols)``; invalid pixels hold less than any valid one, so that no
                node holds both but the root.
        """
        import higra as hg

        graph = hg.get_8_adjacency_implicit_graph(image.shape)
        tree, levels = hg.component_tree_max_tree(graph, np.ascontiguousarray(image))
        return cls(tree, np.asarray(levels), _pair(image.shape))

    @classmethod
    def shapes(cls, image: NDArray[np.uint16], outside: int) -> ImageTree:
        """Build the tree of shapes.

        Args:
            image: ``(rows, cols)``.
            outside: Level of what lies around the image, and of the root.
        """
        import higra as hg

        padded = np.pad(image, 1, constant_values=outside)
        tree, levels = hg.component_tree_tree_of_shapes_image2d(padded, padding="none")
        return cls(tree, np.asarray(levels), _pair(image.shape), pad=1)

    @property
    def parents(self) -> NDArray[np.int64]:
        """Parent of every node; the root's is itself."""
        return np.asarray(self.tree.parents())

    @property
    def root(self) -> int:
        """Number of the root."""
        return int(self.tree.root())

    def leaf_values(self, image: NDArray[Any], around: float) -> NDArray[Any]:
        """Lay an image's values on the leaves; what is around it gets ``around``."""
        return np.pad(image, self.pad, constant_values=around).ravel()

    def gathered(self, leaves: NDArray[Any], how: str) -> NDArray[Any]:
        """Gather values of leaves in every node.

        Args:
            leaves: Value of every leaf.
            how: ``sum``, ``max`` or ``min``.
        """
        import higra as hg

        gather = getattr(hg.Accumulators, how)
        return np.asarray(hg.accumulate_sequential(self.tree, leaves, gather))

    def reconstructed(self, marker: NDArray[Any]) -> NDArray[Any]:
        """Reconstruct the image from a marker by dilation; on a max-tree only.

        A pixel gets the highest level at which its component holds a marker as high
        (Vincent, IEEE TIP 2, 1993), which all radii read off one tree.

        Args:
            marker: ``(rows, cols)``, nowhere above the image.
        """
        import higra as hg

        held = self.gathered(self.leaf_values(marker, -np.inf), "max")
        reached = np.minimum(held.astype(self.levels.dtype), self.levels)
        highest = hg.propagate_sequential_and_accumulate(self.tree, reached, hg.Accumulators.max)
        return self._pixels(np.asarray(highest))

    def filtered(self, keep: Mask) -> Doubles:
        """Take nodes out by the subtractive rule: all that lies on one moves by its step.

        The rule is Urbach, Roerdink and Wilkinson's (IEEE PAMI 29, 2007); for attributes
        that rise from node to parent it cuts branches, as any rule does.

        Args:
            keep: Whether every node stays; the root and the leaves do.

        Returns:
            ``(rows, cols)`` levels, as exact as whole numbers in float64 are.
        """
        import higra as hg

        levels = self.levels.astype(np.float64)
        steps = levels - levels[self.parents]
        steps[: self.tree.num_leaves()] = 0.0
        steps[~keep] = 0.0
        steps[self.root] = levels[self.root]
        summed = hg.propagate_sequential_and_accumulate(self.tree, steps, hg.Accumulators.sum)
        return self._pixels(np.asarray(summed))

    def _pixels(self, nodes: NDArray[Any]) -> NDArray[Any]:
        rows, cols = (n + 2 * self.pad for n in self.shape)
        whole = nodes[: rows * cols].reshape(rows, cols)
        return whole[self.pad : rows - self.pad, self.pad : cols - self.pad]


def _pair(shape: tuple[int, ...]) -> tuple[int, int]:
    return int(shape[0]), int(shape[1])
