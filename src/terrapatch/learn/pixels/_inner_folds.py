"""Folds inside the training part, by which hyper-parameters and temperature are chosen.

Neighbouring pixels are alike, so folds keep whole fields together where fields are known and
enough classes have two, else square blocks of ground, and only else single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.base import LabelledPixels

Indices = NDArray[np.intp]
Numbers = NDArray[np.int64]

WAYS = ("auto", "fields", "blocks", "stratified")
# Sides of blocks to try, pixels.
BLOCK_SIDES = (20, 10, 5)
# Share of the pixels that folds must test before they count as usable.
LEAST_TESTED = 0.25
ALWAYS = -1
"""The fold of a pixel that is always trained on."""


@dataclass(frozen=True, eq=False)
class InnerFolds:
    """Pairs of training and test indices, and how they were made.

    Attributes:
        pairs: Rising indices; only classes that are trained on are tested. May be empty.
        told: How they were made, in words.
    """

    pairs: list[tuple[Indices, Indices]]
    told: str

    def __bool__(self) -> bool:
        """Whether anything can be chosen by them."""
        return bool(self.pairs)


def inner_folds(pixels: LabelledPixels, how: str = "auto", n: int = 3, seed: int = 0) -> InnerFolds:
    """Split training pixels into folds.

    Args:
        pixels: The training part.
        how: ``fields``, ``blocks``, ``stratified``; ``auto`` takes the first of them that
            tests two classes and a quarter of the pixels.
        n: Number of folds.
        seed: Seed of the dealing.

    Raises:
        SamplesError: If there is no such way.
    """
    if how not in WAYS:
        raise SamplesError(f"there are no folds {how!r}; choose one of {', '.join(WAYS)}")
    if how in ("auto", "fields") and pixels.fields is not None:
        found = _paired(pixels, _by_field(pixels, n, seed))
        if how == "fields" or _usable(pixels, found):
            return InnerFolds(found, f"{len(found)} folds of whole fields")
    if how in ("auto", "blocks"):
        for side in BLOCK_SIDES:
            found = _paired(pixels, _by_block(pixels, side, n, seed))
            if _usable(pixels, found):
                return InnerFolds(found, f"{len(found)} folds of blocks of {side} pixels")
    found = _paired(pixels, _stratified(pixels.ids, n, seed))
    return InnerFolds(found, f"{len(found)} stratified folds of single pixels")


def stratified_sample(ids: NDArray[np.int32], most: int, seed: int, least: int = 20) -> Indices:
    """Draw pixels so that classes keep their shares, but none falls below ``least``.

    Args:
        ids: Class ids ``(n,)``.
        most: About how many to draw; all are taken where there are no more.
        seed: Seed of the draw.
        least: Pixels of a class to keep, where it has as many.

    Returns:
        Rising indices.
    """
    if len(ids) <= most:
        return np.arange(len(ids))
    rng, kept = np.random.default_rng([seed, 7]), []
    for id in np.unique(ids):
        own = np.flatnonzero(ids == id)
        count = min(len(own), max(least, round(most * len(own) / len(ids))))
        kept.append(rng.permutation(own)[:count])
    return np.sort(np.concatenate(kept))


def _paired(pixels: LabelledPixels, number: Numbers) -> list[tuple[Indices, Indices]]:
    """Return the folds that learn two classes or more and test something of them."""
    pairs = []
    for fold in range(int(number.max(initial=ALWAYS)) + 1):
        train = np.flatnonzero(number != fold)
        known = np.unique(pixels.ids[train])
        test = np.flatnonzero((number == fold) & np.isin(pixels.ids, known))
        if len(known) > 1 and len(test):
            pairs.append((train, test))
    return pairs


def _usable(pixels: LabelledPixels, pairs: list[tuple[Indices, Indices]]) -> bool:
    if len(pairs) < 2:
        return False
    tested = np.concatenate([test for _, test in pairs])
    enough = len(tested) >= LEAST_TESTED * len(pixels)
    return enough and len(np.unique(pixels.ids[tested])) > 1


def _by_field(pixels: LabelledPixels, n: int, seed: int) -> Numbers:
    """Deal whole fields, large ones first, each to the fold that has the least of its class."""
    assert pixels.fields is not None  # noqa: S101 (asked before)
    _, field = np.unique(pixels.fields, return_inverse=True)
    table = np.zeros((int(field.max(initial=-1)) + 1, len(pixels.classes) + 1), np.int64)
    np.add.at(table, (field, pixels.ids), 1)
    own, size = table.argmax(axis=1), table.sum(axis=1)
    fold_of = np.full(len(table), ALWAYS)
    load = np.zeros((len(pixels.classes) + 1, n), np.int64)
    shuffled = np.random.default_rng([seed, 3]).permutation(len(table))
    for one in shuffled[np.argsort(-size[shuffled], kind="stable")]:
        if (own == own[one]).sum() > 1:
            fold = int(np.lexsort((load.sum(axis=0), load[own[one]]))[0])
            fold_of[one], load[own[one], fold] = fold, load[own[one], fold] + size[one]
    return fold_of[field]


def _by_block(pixels: LabelledPixels, side: int, n: int, seed: int) -> Numbers:
    from terrapatch.learn.blocked import BlockedFolds

    places = np.stack([pixels.cols, pixels.rows], axis=1).astype(np.float64)
    if len(np.unique(places // side, axis=0)) < 2 * n:
        return np.full(len(pixels), ALWAYS)
    return np.asarray(BlockedFolds(n, block=side, seed=seed).fold_of(places), np.int64)


def _stratified(ids: NDArray[np.int32], n: int, seed: int) -> Numbers:
    """Deal the pixels of each class in turn; a class of one pixel is always trained on."""
    rng, number = np.random.default_rng([seed, 5]), np.full(len(ids), ALWAYS)
    for id in np.unique(ids):
        own = rng.permutation(np.flatnonzero(ids == id))
        if len(own) > 1:
            number[own] = np.arange(len(own)) % n
    return number
