"""Each half of a scene measured against clusters made from the other; see ``unlike``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import ClusterError, SamplesError
from terrapatch.learn._features import Block, Features, Groups, Mask, Progress, Recipe, occupied
from terrapatch.learn.model import ClusterModel
from terrapatch.learn.off_centre import OffCentre

# Cells that a half of the scene needs for each cluster.
_PER_CLUSTER = 3
_BLOCKS = 32
_DEALS = 3
# Cells that are drawn from larger scenes.
_MOST_CELLS = 40_000


def held_out(
    features: Features,
    model: ClusterModel,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> NDArray[np.float32] | None:
    """Measure each half of the home scene against clusters made from the other.

    Returns:
        Distances ``(rows, cols)``, NaN where empty, and where a large scene's cell was not among
        the 40,000 that are drawn; ``None`` where the scene is too small to be
        cut into two halves that hold enough cells.
    """
    deals = [_halves(features, model.k, seed + i, draw=seed) for i in range(_DEALS)]
    found = []
    for halves in filter(None, deals):
        try:
            found.append(_one_deal(features, model, halves, progress))
        except ClusterError:  # a half with fewer kinds of cells than clusters says nothing
            continue
    return np.median(found, axis=0).astype(np.float32) if found else None


def _one_deal(
    features: Features,
    model: ClusterModel,
    halves: list[tuple[Mask, Mask]],
    progress: Progress | None,
) -> NDArray[np.float32]:
    """Measure the cells of each half against clusters made from the other."""
    from terrapatch.learn.clusters import fit_clusters

    out = np.full(features.shape, np.nan, np.float32)
    for train, test in halves:
        made = fit_clusters(
            _Part(features, train),
            model.k,
            seed=int(model.description.get("seed", 0)),
            scaling=str(model.description["scaling"]),
            n_init=3,
            progress=progress,
        )
        labels = made.predict(_Part(features, train | test), progress).labels
        of = OffCentre.fit(features, labels, model.k, train, progress)
        measured = of.distances(features, labels, test, progress)
        out[test] = measured[test]
    return out


@dataclass(frozen=True)
class _Part:
    """Some cells of a feature raster; the others count as empty."""

    whole: Features
    kept: Mask

    @property
    def geobox(self) -> GeoBox:
        """The grid of the cells."""
        return self.whole.geobox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.whole.shape

    @property
    def n_features(self) -> int:
        """Numbers in a cell."""
        return self.whole.n_features

    @property
    def groups(self) -> Groups:
        """Layers as ``(name, start, stop)``."""
        return self.whole.groups

    @property
    def recipe(self) -> Recipe:
        """How the features were made."""
        return self.whole.recipe

    def blocks(self) -> Iterable[Block]:
        """Go over the blocks of the whole."""
        return self.whole.blocks()

    def valid(self) -> NDArray[np.float32]:
        """Return the share of valid pixels of the kept cells, 0 for the others."""
        return np.where(self.kept, self.whole.valid(), 0).astype(np.float32)


def _halves(features: Features, k: int, seed: int, draw: int) -> list[tuple[Mask, Mask]] | None:
    """Deal blocks of ground to two halves; return what to learn from and to measure, twice."""
    from terrapatch.learn.blocked import BlockedFolds

    there = occupied(features)
    numbers = np.flatnonzero(there)
    if len(numbers) > _MOST_CELLS:
        drawn = np.random.default_rng(draw).choice(numbers, _MOST_CELLS, replace=False)
        numbers = np.sort(drawn)
    reach = _reach(features)
    side = max(4.0 * reach, np.sqrt(len(numbers) / _BLOCKS))
    places = np.stack(np.divmod(numbers, features.shape[1]), axis=1)[:, ::-1].astype(np.float64)
    blocks = len({(int(x // side), int(y // side)) for x, y in places})
    if blocks < 4:
        return None
    folds = BlockedFolds(2, block=side, buffer=reach, seed=seed, positions=places)
    try:
        pairs = list(folds.split())
    except SamplesError:  # the buffer leaves nothing to learn from
        return None
    if min(len(train) for train, _ in pairs) < _PER_CLUSTER * k:
        return None
    masks = np.zeros((2, 2, *there.shape), bool)
    for half, pair in zip(masks, pairs, strict=True):
        for mask, cells in zip(half, pair, strict=True):
            mask.flat[numbers[cells]] = True
    return [(train, test) for train, test in masks]


def _reach(features: Features) -> float:
    """Return the side of a patch in cells: nearer cells share pixels."""
    grid = features.recipe.as_dict().get("grid", {})
    sizes, strides = grid.get("size_px", [1, 1]), grid.get("stride_px", [1, 1])
    return max(float(a) / float(b) for a, b in zip(sizes, strides, strict=True))
