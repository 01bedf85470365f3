"""Pieces that splits are made of: fields, blocks, quotas, halves, buffers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]

HALVES = ("nearest", "at least")
"""Where units that are taken one by one stop: nearest to half of the area, or at least there."""

FEW = 3
"""Training pixels that a class keeps, if it has them, however small its share."""


def connected_fields(ids: Ids, connectivity: int = 8) -> Ids:
    """Number the connected areas of each class.

    Args:
        ids: Class ids ``(rows, cols)``, 0 for none.
        connectivity: 8, where pixels that touch at a corner are connected, or 4.

    Returns:
        Field of each pixel ``(rows, cols)`` int32 from 1, class by class; 0 for none.

    Raises:
        SamplesError: If the connectivity is neither 4 nor 8.
    """
    from scipy import ndimage

    if connectivity not in (4, 8):
        raise SamplesError(f"a connectivity of {connectivity} is not known; give 8 or 4")
    around = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    fields = np.zeros(ids.shape, np.int32)
    last = 0
    for number in np.unique(ids[ids > 0]):
        found, n = ndimage.label(ids == number, structure=around)
        fields[found > 0] = found[found > 0] + last
        last += n
    return fields


def square_blocks(shape: tuple[int, int], side: int) -> Ids:
    """Number squares of pixels from the upper-left corner, row by row, from 1.

    Raises:
        SamplesError: If the side is not positive.
    """
    if side < 1:
        raise SamplesError(f"the side of a block is {side} pixels; give 1 or more")
    down, across = (np.arange(n) // side for n in shape)
    return np.asarray(down[:, None] * (across[-1] + 1) + across + 1, np.int32)


def distance_to(mask: Mask) -> NDArray[np.int32]:
    """Return the Chebyshev distance of every pixel to the nearest one of a mask, in pixels.

    Without a pixel in the mask it is larger than any distance in the scene.
    """
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, sum(mask.shape) + 1, np.int32)
    return np.asarray(ndimage.distance_transform_cdt(~mask, "chessboard"), np.int32)


def quotas(counts: Sequence[int], total: int, least: int) -> list[int]:
    """Share a number of pixels out among classes in proportion, by largest remainders.

    Args:
        counts: Pixels that each class has.
        total: Pixels wanted, at most their sum.
        least: Pixels each class gets at least, if it has them.

    Returns:
        Pixels of each class; their sum is ``total``, or what ``least`` makes of it where that
        is more.
    """
    have = np.asarray(counts, np.int64)
    exact = total * have / max(1, int(have.sum()))
    floor = np.minimum(least, have)
    given = np.clip(np.floor(exact).astype(np.int64), floor, have)
    while given.sum() < total and (given < have).any():
        given[np.argmax(np.where(given < have, exact - given, -np.inf))] += 1
    while given.sum() > total and (given > floor).any():
        given[np.argmax(np.where(given > floor, given - exact, -np.inf))] -= 1
    return [int(n) for n in given]


def drawn(ids: Ids, where: Mask, wanted: Sequence[int], seed: int) -> Mask:
    """Draw pixels of each class at random.

    Args:
        ids: Class ids ``(rows, cols)``.
        where: Pixels to draw from ``(rows, cols)``.
        wanted: Pixels of each class, id 1 first, at most those there are.
        seed: Seed of the drawing.
    """
    rng = np.random.default_rng(seed)
    out = np.zeros(ids.shape, bool)
    for number, n in enumerate(wanted, start=1):
        places = np.flatnonzero(where & (ids == number))
        out.flat[rng.permutation(places)[:n]] = True
    return out


def half_of(areas: NDArray[np.int64], rng: np.random.Generator, half: str) -> Mask:
    """Choose units at random that have about half of the whole area.

    Units are shuffled and taken from the front; at least one is taken and one is left.

    Args:
        areas: Area of each unit ``(n,)``, two units or more.
        rng: What shuffles.
        half: ``nearest`` stops where the area taken is nearest to half, ``at least`` where it
            first reaches half.

    Returns:
        Units that are taken ``(n,)``.

    Raises:
        SamplesError: If there is no such reading of half.
    """
    if half not in HALVES:
        raise SamplesError(f"half={half!r} is not known; choose {' or '.join(HALVES)}")
    order = rng.permutation(len(areas))
    sums = np.cumsum(areas[order])[:-1]
    if half == "nearest":
        taken = int(np.argmin(np.abs(2 * sums - areas.sum()))) + 1
    else:
        taken = min(int((2 * sums < areas.sum()).sum()) + 1, len(sums))
    out = np.zeros(len(areas), bool)
    out[order[:taken]] = True
    return out


def dealt(areas: NDArray[np.int64], folds: int, load: NDArray[np.int64], seed: int) -> Ids:
    """Deal units to folds, large ones first, each to the fold that has least.

    The fold with the fewest of these units gets the next one, of equal ones that with the
    least load, so that a class of two fields is never whole in one fold.

    Args:
        areas: Area of each unit ``(n,)``.
        folds: Number of folds.
        load: What the folds hold already ``(folds,)``; it grows here.
        seed: Seed of the order among units of about the same area.

    Returns:
        Fold of each unit ``(n,)``, from 0.
    """
    order = np.random.default_rng(seed).permutation(len(areas))
    order = order[np.argsort(-np.floor(np.log2(np.maximum(areas[order], 1))), kind="stable")]
    held = np.zeros(folds, np.int64)
    fold = np.zeros(len(areas), np.int32)
    for unit in order:
        fold[unit] = np.lexsort((load, held))[0]
        held[fold[unit]] += 1
        load[fold[unit]] += areas[unit]
    return fold
