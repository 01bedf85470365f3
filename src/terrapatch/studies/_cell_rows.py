"""Descriptors of a few cells of a store, read in one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from terrapatch.features import FeatureRaster
from terrapatch.learn import ClusterModel
from terrapatch.learn._features import single_thread, stream

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

_STEP_BYTES = 1 << 25


def gather(raster: FeatureRaster, numbers: Numbers, progress: Progress | None = None) -> Floats:
    """Read the descriptors of some cells.

    Args:
        raster: The features.
        numbers: Cells, ``row * columns + column``, ascending, each once; none of them empty.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Returns:
        Features ``(n, F)``, in the order of ``numbers``.

    Raises:
        ClusterError: If one of the cells holds NaN or infinite features.
    """
    wanted = np.zeros(raster.shape, bool)
    wanted.flat[numbers] = True
    found = np.empty((len(numbers), raster.n_features), np.float32)
    for cells, rows in stream(raster, wanted, "reading cells to look at", progress):
        found[np.searchsorted(numbers, cells)] = rows
    return found


def scaled(model: ClusterModel, rows: Floats) -> Floats:
    """Bring descriptors ``(n, F)`` into the space of a model's centres, ``(n, d)``."""
    out = np.empty((len(rows), model.centres.shape[1]), np.float32)
    step = max(1, _STEP_BYTES // (8 * max(1, rows.shape[1])))
    with single_thread():
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            out[part] = model.scaling.transform(rows[part].astype(np.float64))
    return out
