"""Splits by ground: whole blocks, fields or regions are tested, with a buffer around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._ground import Ground
from terrapatch.learn.pixels._pixel_split import PixelSplit, check_shape
from terrapatch.learn.pixels._split_parts import connected_fields, dealt, half_of, square_blocks
from terrapatch.learn.pixels.labels import PixelLabels

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]
# Connected areas of fewer pixels are no fields but points.
_SMALL = 4
_WORDS = {"nearest": "about", "at least": "at least"}


def block_split(
    labels: PixelLabels,
    side: int = 20,
    buffer: int = 5,
    n_train: int | None = None,
    *,
    seed: int = 0,
    half: str = "nearest",
) -> PixelSplit:
    """Learn from a random half of the square blocks and test the other half.

    Blocks are squares from the upper-left corner; about half of the labelled pixels lie in
    training blocks. Training pixels within ``buffer`` of a tested block are left out.

    Args:
        labels: The labels.
        side: Side of a block in pixels.
        buffer: Pixels of the strip around tested blocks.
        n_train: Training pixels to draw from what is left, in proportion within classes (a
            class keeps at least three, if it has them); all if left out.
        seed: Seed of the halves and of the drawing.
        half: Blocks are taken at random until the labelled area taken is ``nearest`` to half,
            or ``at least`` half.

    Raises:
        SamplesError: If there are fewer than two blocks with labels, or too few training pixels
            are left.
    """
    blocks = np.where(labels.labelled, square_blocks(labels.shape, side), 0)
    numbers, areas = np.unique(blocks[blocks > 0], return_counts=True)
    if len(numbers) < 2:
        raise SamplesError(
            f"all labels lie in one block of {side} x {side} pixels; take smaller blocks"
        )
    chosen = half_of(areas, np.random.default_rng(seed), half)
    told = (
        f"Of {len(numbers)} blocks of {side} x {side} pixels, random ones with {_WORDS[half]} half "
        f"of the labelled area train (seed {seed}), the others are tested"
    )
    ground = Ground(labels, "blocks", blocks, buffer, seed, side)
    return ground.split(numbers[~chosen], told, n_train=n_train)


def block_folds(
    labels: PixelLabels, k: int = 5, side: int = 20, buffer: int = 5, *, seed: int = 0
) -> list[PixelSplit]:
    """Deal square blocks to folds, so that every block is tested once.

    Args:
        labels: The labels.
        k: Number of folds.
        side: Side of a block in pixels.
        buffer: Pixels of the strip around tested blocks.
        seed: Seed of the dealing.

    Raises:
        SamplesError: If there are fewer blocks with labels than folds, or a fold is left
            without training pixels.
    """
    blocks = np.where(labels.labelled, square_blocks(labels.shape, side), 0)
    numbers, areas = np.unique(blocks[blocks > 0], return_counts=True)
    _check_folds(k, len(numbers), f"blocks of {side} x {side} pixels")
    fold = dealt(areas, k, np.zeros(k, np.int64), seed)
    told = f"{len(numbers)} blocks of {side} x {side} pixels are dealt to {k} folds (seed {seed})"
    ground = Ground(labels, "blocks", blocks, buffer, seed, side)
    return [
        ground.split(numbers[fold == i], f"{told}; fold {i + 1} is tested", f"blocks {i + 1}/{k}")
        for i in range(k)
    ]


def fields_of(labels: PixelLabels, connectivity: int = 8) -> tuple[Ids, str]:
    """Return the field of each labelled pixel, and what a field is.

    Args:
        labels: The labels.
        connectivity: Where labels came from no polygons: 8, where pixels of a class that touch
            at a corner are of one field, or 4.

    Returns:
        Fields ``(rows, cols)`` int32 from 1, 0 for none: the polygons, else the connected areas
        of each class; and words for them.
    """
    if labels.fields is not None:
        return np.where(labels.labelled, labels.fields, 0).astype(np.int32), "polygons"
    fields = connected_fields(labels.ids, connectivity)
    return fields, f"connected areas of a class ({connectivity} neighbours)"


def field_split(
    labels: PixelLabels,
    n_train: int | None = None,
    *,
    seed: int = 0,
    buffer: int = 0,
    connectivity: int = 8,
    half: str = "nearest",
) -> PixelSplit:
    """Learn from random whole fields with about half the area of each class; test the others.

    A class of one field cannot be tested: it trains, and is named untestable.

    Args:
        labels: The labels.
        n_train: Training pixels to draw, see ``block_split``; all if left out.
        seed: Seed of the choice and of the drawing.
        buffer: Pixels of the strip around tested fields that trains nothing.
        connectivity: See ``fields_of``.
        half: Fields of a class are taken at random until their area is ``nearest`` to half of
            it, or ``at least`` half; with few large fields the two differ by much.

    Raises:
        SamplesError: If every class is one field, most labels are single points without
            polygons, or too few training pixels are left.
    """
    fields, words = fields_of(labels, connectivity)
    numbers, areas, classes = _field_table(labels, fields)
    _check_areas(labels, areas)
    rng = np.random.default_rng(seed)
    tested = np.zeros(len(numbers), bool)
    for number in np.unique(classes):
        of_class = np.flatnonzero(classes == number)
        if len(of_class) > 1:
            tested[of_class] = ~half_of(areas[of_class], rng, half)
    _check_fields(tested, words)
    told = (
        f"Of {len(numbers)} fields ({words}), whole ones with {_WORDS[half]} half the area of each "
        f"class train (seed {seed}), the others are tested; a class of one field trains only"
    )
    ground = Ground(labels, "fields", fields, buffer, seed)
    return ground.split(numbers[tested], told, n_train=n_train)


def field_folds(
    labels: PixelLabels,
    k: int = 5,
    *,
    seed: int = 0,
    buffer: int = 0,
    connectivity: int = 8,
) -> list[PixelSplit]:
    """Deal whole fields to folds, so that every field is tested once.

    The fields of a class are spread over the folds. A class of one field trains in each fold
    and is named untestable.

    Args:
        labels: The labels.
        k: Number of folds.
        seed: Seed of the dealing.
        buffer: Pixels of the strip around tested fields that trains nothing.
        connectivity: See ``fields_of``.

    Raises:
        SamplesError: If every class is one field, most labels are single points without
            polygons, there are fewer fields to test than folds, or a fold is left without
            training pixels.
    """
    fields, words = fields_of(labels, connectivity)
    numbers, areas, classes = _field_table(labels, fields)
    _check_areas(labels, areas)
    several = np.bincount(classes)[classes] > 1
    _check_fields(several, words)
    _check_folds(k, int(several.sum()), f"fields ({words}) of classes with several")
    fold = np.full(len(numbers), -1, np.int32)
    load = np.zeros(k, np.int64)
    for number in np.unique(classes[several]):
        of_class = np.flatnonzero(classes == number)
        fold[of_class] = dealt(areas[of_class], k, load, seed + int(number))
    told = f"{len(numbers)} fields ({words}) are dealt to {k} folds (seed {seed})"
    ground = Ground(labels, "fields", fields, buffer, seed)
    words = "is tested, and a class of one field trains only"
    return [
        ground.split(numbers[fold == i], f"{told}; fold {i + 1} {words}", f"fields {i + 1}/{k}")
        for i in range(k)
    ]


def region_splits(
    labels: PixelLabels,
    regions: PixelLabels | ArrayLike | None = None,
    *,
    buffer: int = 0,
) -> list[PixelSplit]:
    """Test each region by what the others teach.

    Args:
        labels: The labels.
        regions: Region of each pixel ``(rows, cols)``, 0 for none, or labels whose classes are
            the regions (``read_labels`` of a raster or of polygons with
            ``check_valid=False``); the quadrants of the scene if left out. Labels outside all
            regions are left out.
        buffer: Pixels of the strip around the tested region that trains nothing.

    Returns:
        One split a region that holds labels.

    Raises:
        SamplesError: If fewer than two regions hold labels, or none is left to learn from.
    """
    numbers, names = _regions(labels, regions)
    numbers = np.where(labels.labelled, numbers, 0)
    held = [int(n) for n in np.unique(numbers[numbers > 0])]
    if len(held) < 2:
        raise SamplesError(
            f"{len(held)} region holds labels, so none can be left out; give two or more"
        )
    ground = Ground(labels, "regions", numbers, buffer)
    return [
        ground.split(
            np.array([n]), f"Region {names[n]} is tested, {len(held) - 1} others train", names[n]
        )
        for n in held
    ]


def _regions(labels: PixelLabels, regions: Any) -> tuple[Ids, dict[int, str]]:
    """Return numbers from 1 and names."""
    if regions is None:
        rows, cols = labels.shape
        south, east = np.arange(rows) >= -(-rows // 2), np.arange(cols) >= -(-cols // 2)
        numbers = (2 * south[:, None] + east + 1).astype(np.int32)
        return numbers, dict(
            enumerate(("upper left", "upper right", "lower left", "lower right"), 1)
        )
    if isinstance(regions, PixelLabels):
        numbers, names = regions.ids, dict(enumerate(regions.classes, start=1))
    else:
        numbers = np.asarray(regions).astype(np.int32)
        names = {int(n): f"region {n}" for n in np.unique(numbers)}
    check_shape(labels, numbers, "regions")
    return np.maximum(numbers, 0), names


def _field_table(labels: PixelLabels, fields: Ids) -> tuple[Any, Any, Any]:
    """Return number, area and class of each field."""
    numbers, first, areas = np.unique(fields[fields > 0], return_index=True, return_counts=True)
    return numbers, areas, labels.ids[fields > 0][first]


def _check_areas(labels: PixelLabels, areas: NDArray[np.int64]) -> None:
    """Refuse connected areas that are single points: to hold some out is a random split."""
    small = int(areas[areas < _SMALL].sum())
    if labels.fields is None and 2 * small > areas.sum():
        raise SamplesError(
            f"{small:,} of {int(areas.sum()):,} labelled pixels lie in connected areas of fewer "
            f"than {_SMALL}, which are points and no fields, and holding some of them out would be "
            "a random split of neighbours; split by blocks, or label polygons"
        )


def _check_fields(testable: Mask, words: str) -> None:
    if not testable.any():
        raise SamplesError(
            f"every class is one field ({words}), so no whole field can be held out; split by "
            "blocks, or label more fields"
        )


def _check_folds(k: int, units: int, words: str) -> None:
    if k < 2 or k > units:
        raise SamplesError(
            f"{k} folds were asked of {units} {words}; ask for at least 2 and at most {units}"
        )
