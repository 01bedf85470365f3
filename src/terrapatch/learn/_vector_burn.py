"""Counting which class covers how much of each cell, block by block.

Polygons are in the coordinates of the cells (see ``terrapatch.learn._vector_shapes``). Each
class is burned on its own, so that polygons of different classes that overlap are seen and not
painted over each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from terrapatch.learn._vector_shapes import Mask, Shapely
from terrapatch.learn._vector_windows import Frame, Rule, frames

Ids = NDArray[np.int32]

# Polygons of more vertices than this are cut to the block before they are burned.
_MANY_VERTICES = 256


@dataclass
class Tally:
    """Labels of cells, and the cells that got none.

    Attributes:
        labels: Class codes ``(rows, cols)``, 0 for none.
        features: Number of the feature that gave the label ``(rows, cols)``, -1 for none.
        below: Cells that are labelled in part, but too little.
        tied: Cells in which two classes are equal.
        overlapped: Cells that lack a label only because polygons of different classes overlap.
        overlaps: Cells in which such polygons overlap at all.
        mixed: Cells that hold points of several classes.
    """

    labels: Ids
    features: Ids
    below: int = 0
    tied: int = 0
    overlapped: int = 0
    overlaps: int = 0
    mixed: int = 0

    @classmethod
    def empty(cls, grid: tuple[int, int]) -> Tally:
        """Return a tally of cells without labels."""
        return cls(np.zeros(grid, np.int32), np.full(grid, -1, np.int32))


@dataclass(frozen=True)
class _Burned:
    """Sub-pixels of a block.

    Attributes:
        present: Codes of the classes in the block.
        ids: Place in ``present``, from 1, of the class of each sub-pixel; 0 for none.
        owners: Number of the feature of each sub-pixel.
        clash: Sub-pixels of several classes, which count for none.
    """

    present: Ids
    ids: Ids
    owners: Ids
    clash: Mask


def burn_polygons(
    shapes: Shapely, codes: Ids, numbers: Ids, grid: tuple[int, int], rule: Rule
) -> Tally:
    """Label cells by the polygons that cover them.

    Args:
        shapes: Polygons ``(n,)`` in the coordinates of the cells.
        codes: Class of each, from 1.
        numbers: Number of each, as it is to stand in ``Tally.features``.
        grid: Rows and columns of cells.
        rule: How the class is taken.

    Returns:
        The labels. Memory beside them is bounded by a block of about a million sub-pixels.
    """
    tally = Tally.empty(grid)
    may_cut = (shapely.get_num_coordinates(shapes) > _MANY_VERTICES) & shapely.is_valid(shapes)
    tree = shapely.STRtree(shapes)
    for frame in frames(grid, rule):
        found = np.sort(tree.query(frame.box))
        if len(found):
            pieces = _cut(shapes[found], may_cut[found], frame.box)
            burned = _burn(pieces, codes[found], numbers[found], frame)
            _decide(burned, frame, tally)
    return tally


def _cut(shapes: Shapely, may_cut: Mask, box: shapely.Polygon) -> Shapely:
    """Cut large polygons down to what lies near a block, so that all of it is not burned anew."""
    left, top, right, bottom = box.bounds
    pieces = shapes.copy()
    for i in np.flatnonzero(may_cut):
        near = shapely.clip_by_rect(shapes[i], left - 1, top - 1, right + 1, bottom + 1)
        parts = shapely.get_parts(shapely.get_parts(near))
        flat = parts[shapely.get_dimensions(parts) == 2]
        pieces[i] = shapely.multipolygons(flat)
    return pieces


def _burn(shapes: Shapely, codes: Ids, numbers: Ids, frame: Frame) -> _Burned:
    present = np.unique(codes)
    ids, owners = np.zeros(frame.shape, np.int32), np.zeros(frame.shape, np.int32)
    clash = np.zeros(frame.shape, bool)
    drawn = ~shapely.is_empty(shapes)
    for local, code in enumerate(present, start=1):
        mine = np.flatnonzero((codes == code) & drawn)
        if not len(mine):
            continue
        burned = rasterize(
            [(shapes[i], int(numbers[i]) + 1) for i in mine],
            out_shape=frame.shape,
            transform=frame.transform,
            dtype="int32",
        )
        hit = burned > 0
        clash |= hit & (ids > 0)
        ids[hit], owners[hit] = local, burned[hit] - 1
    inside = frame.inside()
    ids[clash | ~inside] = 0
    return _Burned(present, ids, owners, clash & inside)


def _decide(burned: _Burned, frame: Frame, tally: Tally) -> None:
    """Give the cells of a block their labels, and count those that get none."""
    rule, rows, cols = frame.rule, frame.rows, frame.cols
    ids = frame.windows(burned.ids).astype(np.int64)
    n, k = len(ids), len(burned.present)
    places = np.arange(n)[:, None] * (k + 1) + ids
    counts = np.bincount(places.ravel(), minlength=n * (k + 1)).reshape(n, k + 1)[:, 1:]
    clash = frame.windows(burned.clash).sum(axis=1)
    area = frame.windows(frame.inside()).sum(axis=1)
    top, best = counts.max(axis=1), counts.argmax(axis=1)
    covered = top if rule.by_class else counts.sum(axis=1)
    need = np.maximum(rule.minimum * area - 1e-9, 1)
    enough = covered >= need
    tied = enough & ((counts == top[:, None]).sum(axis=1) > 1)
    short = ~enough & (counts.any(axis=1) | (clash > 0))
    overlapped = short & (clash > 0) & (covered + clash >= need)
    named = enough & ~tied
    grid = tally.labels[rows, cols].shape
    tally.labels[rows, cols] = np.where(named, burned.present[best], 0).reshape(grid)
    won = (ids == best[:, None] + 1) & named[:, None]
    tally.features[rows, cols] = _main_owner(frame.windows(burned.owners), won).reshape(grid)
    tally.tied += int(tied.sum())
    tally.overlapped += int(overlapped.sum())
    tally.below += int((short & ~overlapped).sum())
    tally.overlaps += int((clash > 0).sum())


def _main_owner(owners: Ids, won: Mask) -> Ids:
    """Return for each cell the feature with the most winning sub-pixels, -1 without any."""
    result: Ids = np.where(won, owners, -1).max(axis=1).astype(np.int32)
    least = np.where(won, owners, np.iinfo(np.int32).max).min(axis=1)
    shared = np.flatnonzero((result >= 0) & (least < result))
    if not len(shared):
        return result
    cell, place = np.nonzero(won[shared])
    owner = owners[shared[cell], place].astype(np.int64)
    span = int(owner.max()) + 1
    pairs, votes = np.unique(cell * span + owner, return_counts=True)
    cell, owner = np.divmod(pairs, span)
    order = np.lexsort((owner, -votes, cell))
    _, first = np.unique(cell[order], return_index=True)
    result[shared] = owner[order][first]
    return result
