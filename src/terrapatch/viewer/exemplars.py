"""Cells to know a cluster by: those nearest to its centre, and others unlike each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from terrapatch.studies.exemplars import farthest_first, pool
from terrapatch.viewer.space import Space

__all__ = ["TYPICAL", "exemplars"]

TYPICAL = 4
"""How many of the exemplars are the cells nearest to the centre."""


def exemplars(
    space: Space,
    labels: npt.NDArray[np.integer],
    distance: npt.NDArray[np.float32],
    id: int,
    n: int,
) -> list[int]:
    """Choose cells of a cluster: four most typical ones, then as different as they come.

    They are chosen as ``terrapatch.studies.exemplars`` does, from descriptors that are kept.

    Args:
        space: The scaled descriptors.
        labels: Cluster ids ``(rows, cols)``.
        distance: Distances to the centre ``(rows, cols)``.
        id: The cluster.
        n: Most cells to choose.

    Returns:
        Numbers of cells, none for a cluster without any.
    """
    members = np.flatnonzero(labels == id).astype(np.int64)
    if len(members) == 0:
        return []
    ranked = members[np.argsort(distance.ravel()[members], kind="stable")]
    among = pool(ranked, n)
    return [int(among[i]) for i in farthest_first(space.rows(among), n, TYPICAL)]
