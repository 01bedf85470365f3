"""What the learners need of a feature raster, and how they stream it.

A cell is occupied when ``valid()`` is above 0 there; only occupied cells are
ever given to a learner. A cell's number is ``row * cols + col``, so what is
made of the cells does not depend on how the store is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import ClusterError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = tuple[tuple[str, int, int], ...]
Progress = Callable[[str, int, int], None]
"""Called as ``progress(what is being done, cells done, cells in all)``."""

_CHUNK_BYTES = 1 << 23


class Recipe(Protocol):
    """The part of a feature recipe that decides where a model may be applied."""

    @property
    def space(self) -> Mapping[str, Any]:
        """The feature space, as JSON values."""

    @property
    def space_fingerprint(self) -> str:
        """A hash of the feature space."""

    def space_differences(self, other: dict[str, Any], /) -> list[str]:
        """Say line by line in what another feature space differs from this one."""

    def as_dict(self) -> dict[str, Any]:
        """Return the whole recipe as JSON values."""


class Block(Protocol):
    """A rectangle of cells read at once."""

    @property
    def rows(self) -> slice:
        """Rows of the raster."""

    @property
    def cols(self) -> slice:
        """Columns of the raster."""

    @property
    def values(self) -> NDArray[np.float32]:
        """Features ``(rows, cols, F)``, NaN in empty cells."""


class Features(Protocol):
    """A feature raster as the learners see it (``features.FeatureRaster`` is one)."""

    @property
    def geobox(self) -> GeoBox:
        """The grid of the cells."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""

    @property
    def n_features(self) -> int:
        """Numbers in a cell."""

    @property
    def groups(self) -> Groups:
        """Layers as ``(name, start, stop)``: contiguous, covering all features."""

    @property
    def recipe(self) -> Recipe:
        """How the features were made."""

    def valid(self) -> NDArray[np.float32]:
        """Return the share of valid pixels of each cell, 0 for an empty cell."""

    def blocks(self) -> Iterable[Block]:
        """Go over the blocks of cells; each call starts again."""


def occupied(features: Features) -> Mask:
    """Return which cells hold features, as a boolean ``(rows, cols)``."""
    return np.asarray(features.valid() > 0)


def stream(
    features: Features,
    wanted: Mask,
    stage: str = "reading features",
    progress: Progress | None = None,
) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Go over the wanted cells, a bounded number at a time.

    Args:
        features: The feature raster.
        wanted: Cells to give, boolean ``(rows, cols)``; all of them occupied.
        stage: What to call this pass in ``progress``.
        progress: Told after each block how many of the wanted cells are done.

    Yields:
        Cell numbers ``(n,)`` and their features ``(n, F)`` in float64; ``n`` is
        bounded whatever the size of the block.

    Raises:
        ClusterError: If an occupied cell holds NaN or infinite features.
    """
    cols = features.shape[1]
    step = max(1, _CHUNK_BYTES // (8 * features.n_features))
    done, total = 0, int(wanted.sum())
    for block in features.blocks():
        r, c = np.nonzero(wanted[block.rows, block.cols])
        for start in range(0, len(r), step):
            part = slice(start, start + step)
            values = block.values[r[part], c[part]].astype(np.float64)
            cells = (r[part] + (block.rows.start or 0)) * cols + c[part] + (block.cols.start or 0)
            _refuse_unfinite(values, cells, cols)
            yield cells, values
        done += len(r)
        if progress is not None and len(r):
            progress(stage, done, total)


def _refuse_unfinite(values: Floats, cells: NDArray[np.int64], cols: int) -> None:
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    first, feature = (int(i) for i in np.argwhere(bad)[0])
    row, col = divmod(int(cells[first]), cols)
    raise ClusterError(
        f"feature {feature} of the cell in row {row}, column {col} is {values[first, feature]} "
        "though the cell is not empty; embed the scene again (in fp32 if a network overflowed), "
        "or declare such pixels as nodata"
    )


@contextmanager
def single_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread.

    Their threads add in an order that changes with their number, and so do the
    last bits; with one thread the same input gives the same bytes everywhere.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
