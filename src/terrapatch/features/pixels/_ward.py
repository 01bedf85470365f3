"""Segments of neighbouring pixels that are alike: Ward's merging of regions, cut where asked.

Every pixel begins as a region. Again and again those two neighbouring regions become one whose
joining raises the sum of squares within regions least (Ward, Journal of the American
Statistical Association 58, 1963; on images Beaulieu and Goldberg, IEEE PAMI 11, 1989). The
merging is higra's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]
Doubles = NDArray[np.float64]

BASE_BYTES, NUMBER_BYTES = 1100, 48
"""Bytes for each pixel while regions are merged, and for each of its numbers (measured)."""


def ward_segments(numbers: Doubles, valid: Mask, counts: list[int]) -> list[Ints]:
    """Cut a scene into segments of pixels that touch along a side and are alike.

    Segments never reach across invalid pixels, so there are at least as many as there are
    connected parts of valid ones.

    Args:
        numbers: What pixels are compared by ``(rows, cols, n)``; ignored where invalid.
        valid: Valid pixels ``(rows, cols)``, one at least.
        counts: Numbers of segments to cut into.

    Returns:
        For each count an image ``(rows, cols)`` of segment numbers from 0 without gaps, -1
        where invalid. A coarser cut only joins segments of a finer one.
    """
    import higra as hg

    graph = hg.get_4_adjacency_graph(valid.shape)
    tree, _ = hg.binary_partition_tree_ward_linkage(graph, _centroids(numbers, valid))
    parents, n = np.asarray(tree.parents()), valid.size
    inside = _all_valid(tree, valid)
    # Nodes above the leaves are numbered in the order of the merging.
    merged = np.cumsum(inside[n:])
    cuts = []
    for count in counts:
        wanted = int(valid.sum()) - count
        last = n + int(np.searchsorted(merged, wanted)) if wanted > 0 else n - 1
        follow = (parents <= last) & inside[parents]
        top = hg.propagate_sequential(tree, np.arange(len(parents), dtype=np.float64), follow)
        cuts.append(_numbered(np.asarray(top)[:n].reshape(valid.shape), valid))
    return cuts


def _centroids(numbers: Doubles, valid: Mask) -> Doubles:
    """Lay pixels out; invalid ones lie farther off than joining all valid ones would cost."""
    rows = np.where(valid[..., None], numbers, 0.0).reshape(valid.size, -1)
    rows = rows - rows.sum(axis=0) / int(valid.sum())
    spread = float(np.square(rows[valid.ravel()]).sum())
    far = np.zeros(rows.shape[1])
    far[0] = 2.0 * np.sqrt(spread) + 1.0 + float(np.abs(rows).max())
    rows[~valid.ravel()] = far
    return np.ascontiguousarray(rows)


def _all_valid(tree: object, valid: Mask) -> Mask:
    """Return which nodes hold valid pixels alone."""
    import higra as hg

    leaves = valid.ravel().astype(np.float64)
    return np.asarray(hg.accumulate_sequential(tree, leaves, hg.Accumulators.min)) > 0


def _numbered(top: Doubles, valid: Mask) -> Ints:
    made = np.full(valid.shape, -1, np.int32)
    made[valid] = np.unique(top[valid], return_inverse=True)[1]
    return made
