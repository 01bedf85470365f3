"""Checks of class scores and probabilities, one row a sample, one column a class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError

Floats = NDArray[np.float64]

# float16 probabilities of a thousand classes still add up to 1 within this.
_SUM_TOLERANCE = 5e-3


def checked_rows(values: ArrayLike, what: str) -> Floats:
    """Return an array ``(n, K)`` in float64.

    Raises:
        SamplesError: If it has no rows of at least two classes.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise SamplesError(
            f"the {what} have the shape {rows.shape}; give one row a sample and one column a "
            "class, of at least two classes"
        )
    return rows


def checked_probabilities(values: ArrayLike) -> Floats:
    """Return probabilities ``(n, K)`` in float64, as they are.

    Raises:
        SamplesError: If a row holds something else than shares that add up to 1.
    """
    rows = checked_rows(values, "probabilities")
    with np.errstate(invalid="ignore"):
        good = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    if not good.all():
        first = int(np.argmin(good))
        raise SamplesError(
            f"row {first} of the probabilities adds up to {rows[first].sum():.4g} or holds a "
            "number below 0; turn scores into probabilities first (apply_temperature does)"
        )
    return rows


def known_classes(rows: Floats, ids: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows whose class is known, and its column.

    Args:
        rows: Scores or probabilities ``(n, K)``.
        ids: Class ids ``(n,)`` from 1 to K, 0 where unknown.

    Returns:
        Rows ``(m, K)`` and columns ``(m,)`` from 0 to K - 1.

    Raises:
        SamplesError: If ids do not fit the rows, or none is known.
    """
    known: NDArray[Any] = np.asarray(ids)
    n, k = rows.shape
    if known.shape != (n,):
        raise SamplesError(f"{known.shape} class ids were given for {n} rows; give one for each")
    if n and known.dtype.kind not in "iu":
        raise SamplesError(f"the class ids are {known.dtype} values; give integers")
    if n and not (known.min() >= 0 and known.max() <= k):
        wrong = known.min() if known.min() < 0 else known.max()
        raise SamplesError(
            f"a sample has the class {wrong}, and the rows have {k} columns for classes 1 to {k}; "
            "give ids in the order of the columns, 0 where unknown"
        )
    there = known > 0
    if not there.any():
        raise SamplesError(f"none of {n} samples has a class (all ids are 0); label some of them")
    return rows[there], known[there].astype(np.int64) - 1
