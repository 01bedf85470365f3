"""Samples that are nearly the same, above all across a split.

An image that is there twice, cut with overlap, or taken again, counts as learned where
it was only remembered (Barz and Denzler, "Do we train on test data?", Journal of Imaging
6, 2020). Two samples are near-duplicates when the cosine of the angle between their
features is large; which angle is near depends on the features, and .97 was measured for
the pooled last layer of a MobileNet on UC Merced (17 of 2,100 images have such a twin;
with the last layer of EfficientNet-Lite0 it is 21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError

Floats = NDArray[np.float64]

_BLOCK = 1024
_MOST_PAIRS = 1_000_000
# What float32 products of unit rows may be off, generously.
_SLACK = 1e-4
_ROUNDING = 1e-12


class Pair(NamedTuple):
    """Two samples that are nearly the same: row numbers ``i < j`` and their cosine."""

    i: int
    j: int
    cosine: float


def near_duplicates(
    features: Any, *, threshold: float = 0.97, names: Sequence[str] | None = None
) -> list[Pair]:
    """Find all pairs of samples whose features point almost the same way.

    Rows are compared block against block in float32, and what comes near the threshold
    again in float64: memory is bounded by two blocks of 1,024 rows, the time is quadratic
    in the number of samples.

    Args:
        features: Array ``(n, F)``, or anything that gives one when rows are cut from it
            (a memory map, a Zarr array). Rows of zeros are like nothing.
        threshold: Least cosine, above -1, up to 1.
        names: What to call the samples in an error, for instance their paths.

    Returns:
        The pairs, most alike first.

    Raises:
        SamplesError: If a feature is not a finite number, or there are more than a million
            pairs.
    """
    if not -1 < threshold <= 1:
        raise SamplesError(f"the threshold is {threshold}; give a cosine above -1, up to 1")
    if len(features.shape if hasattr(features, "shape") else np.shape(features)) != 2:
        raise SamplesError("features have to be one row of numbers a sample, (n, F)")
    rows = features if hasattr(features, "shape") else np.asarray(features)
    found: list[Pair] = []
    for start, unit in _unit_blocks(rows, 0, names):
        for other, beside in _unit_blocks(rows, start, names):
            found += _pairs(unit, beside, start, other, threshold)
            if len(found) > _MOST_PAIRS:
                raise SamplesError(
                    f"more than {_MOST_PAIRS:,} pairs are as alike as {threshold}; these features "
                    "hardly tell samples apart: take a larger threshold, or standardise them"
                )
    return sorted(found, key=lambda pair: (-pair.cosine, pair.i, pair.j))


def across(pairs: Iterable[Pair], split: ArrayLike) -> list[Pair]:
    """Return the pairs whose samples lie in different parts of a split.

    Args:
        pairs: What ``near_duplicates`` found.
        split: The part of each sample ``(n,)``: ``train`` and ``test``, the number of its
            fold, or whether it is tested.
    """
    part = np.asarray(split)
    return [pair for pair in pairs if part[pair.i] != part[pair.j]]


def twin_groups(pairs: Iterable[Pair], n: int) -> NDArray[np.int64]:
    """Return a group for each sample, so that twins, and twins of twins, share one.

    As ``groups`` of a grouped splitter they keep near-duplicates on one side.

    Args:
        pairs: What ``near_duplicates`` found.
        n: Number of samples.

    Returns:
        Group numbers ``(n,)`` from 0; a sample without a twin is a group of its own.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.array([(pair.i, pair.j) for pair in pairs], np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, np.int64)


def _unit_blocks(
    rows: Any, first: int, names: Sequence[str] | None
) -> Iterator[tuple[int, Floats]]:
    """Yield the number of the first row of a block, and its rows at length 1 (zeros stay)."""
    for start in range(first, rows.shape[0], _BLOCK):
        block = np.asarray(rows[start : start + _BLOCK], np.float64)
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            number = start + int(bad.argmax())
            name = "" if names is None else f" ({names[number]})"
            raise SamplesError(
                f"the features of sample {number}{name} hold a NaN or an infinity; leave it out, "
                "or make its features again"
            )
        length = np.linalg.norm(block, axis=1, keepdims=True)
        yield start, block / np.where(length > 0, length, 1.0)


def _pairs(unit: Floats, beside: Floats, start: int, other: int, least: float) -> list[Pair]:
    """Compare two blocks; only pairs ``i < j`` of the whole are given."""
    rough = unit.astype(np.float32) @ beside.astype(np.float32).T
    i, j = np.nonzero(rough >= least - _SLACK)
    ahead = i + start < j + other
    i, j = i[ahead], j[ahead]
    there = np.asarray(unit.any(axis=1))[i] & np.asarray(beside.any(axis=1))[j]
    i, j = i[there], j[there]
    out: list[Pair] = []
    for part in range(0, len(i), _BLOCK):
        a, b = i[part : part + _BLOCK], j[part : part + _BLOCK]
        exact = np.minimum(np.einsum("ij,ij->i", unit[a], beside[b]), 1.0)
        kept = exact >= least - _ROUNDING
        ends = zip(a[kept] + start, b[kept] + other, exact[kept], strict=True)
        out += [Pair(int(x), int(y), float(c)) for x, y, c in ends]
    return out
