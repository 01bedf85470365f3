"""Looking for bands that hold nothing: a thin sample, and the whole file for the suspects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.raw import Handle, Mask, Pixels, RawCube, Window, windows

# Cubes up to this size are read as a whole; of larger ones, PLACES x PLACES small windows.
WHOLE_BYTES = 16 << 20
PLACES = 6
SIDE = 16
STRIP_BYTES = 16 << 20
# Values that programs write where they have none; 8-bit numbers have no room for one.
FILLS = (-9999.0, -32768.0, -99999.0, -3.4028234663852886e38, 65535.0, 9.969209968386869e36, 1e20)
FAR = 5.0
LEAST_FILLED = 0.001


@dataclass
class Survey:
    """What is known of some bands after looking.

    Attributes:
        numbers: The bands looked at.
        level: First valid value of each band, raw; NaN while none was seen.
        varies: Whether a band has two different valid values.
        filled: Validity of every sampled pixel in each band, ``(pixels, bands)``.
        zero: Whether every sampled pixel is 0 in each band, likewise.
    """

    numbers: tuple[int, ...]
    level: npt.NDArray[np.float64]
    varies: Mask
    filled: Mask = field(default_factory=lambda: np.zeros((0, 0), bool))
    zero: Mask = field(default_factory=lambda: np.zeros((0, 0), bool))

    @property
    def empty(self) -> Mask:
        """Bands without any valid value."""
        return np.isnan(self.level)

    def look(self, values: Pixels, valid: Mask, places: npt.NDArray[np.intp]) -> None:
        """Learn from ``(pixels, bands)`` values of the bands at these places."""
        for column, place in enumerate(places):
            seen = values[valid[:, column], column]
            if seen.size == 0:
                continue
            if np.isnan(self.level[place]):
                self.level[place] = seen[0]
            low, high = float(seen.min()), float(seen.max())
            self.varies[place] |= low != self.level[place] or high != self.level[place]


def survey(raw: RawCube, numbers: Sequence[int], find_fills: bool) -> tuple[RawCube, Survey]:
    """Look at some bands of a cube until each is known to vary, or to hold nothing.

    Args:
        raw: The cube.
        numbers: Places from 1 of the bands in ``raw.bands``.
        find_fills: Whether to look for nodata values that are not stated.

    Returns:
        The cube with the fills found, and what was seen. A band that seems empty or
        constant in the sample has been followed through the whole cube.
    """
    count = len(numbers)
    found = Survey(tuple(numbers), np.full(count, np.nan), np.zeros(count, bool))
    with closing(raw.store.open()) as handle:
        parts = [_flat(raw, handle, found.numbers, *window) for window in sampled(raw, count)]
        values = np.concatenate([part for part, _ in parts])
        found.filled = np.concatenate([valid for _, valid in parts])
        found.zero = np.asarray(values == 0)
        if find_fills:
            raw = _with_fills(raw, found, values)
        found.look(values, found.filled, np.arange(count))
        _follow(raw, handle, found)
    return raw, found


def _with_fills(raw: RawCube, found: Survey, values: Pixels) -> RawCube:
    """Take values that are surely no measurements for nodata, band by band."""
    fills: list[float | None] = [None] * len(raw.bands)
    for place, number in enumerate(found.numbers):
        value = unstated_fill(values[found.filled[:, place], place])
        if value is not None:
            fills[number - 1] = value
            found.filled[:, place] &= ~_equal(values[:, place], value)
    return replace(raw, fills=tuple(fills))


def unstated_fill(values: Pixels) -> float | None:
    """Find a usual nodata value among the values of a band.

    It has to lie five times as far from zero as anything else in its direction, and to
    fill a thousandth of the sample.

    Args:
        values: Valid values of one band, ``(pixels,)``.
    """
    if values.size == 0:
        return None
    for end in (values.min(), values.max()):
        usual = any(end == values.dtype.type(f) for f in FILLS if _fits(f, values.dtype))
        rest = values[values != end]
        if not usual or rest.size == 0 or values.size - rest.size < values.size * LEAST_FILLED:
            continue
        nearest = float(rest.min() if end < 0 else rest.max())
        if float(end) * nearest <= 0 or abs(nearest) * FAR < abs(float(end)):
            return float(end)
    return None


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return abs(value) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def _follow(raw: RawCube, handle: Handle, found: Survey) -> None:
    """Read on, from the top, for the bands that have not been seen to vary."""
    size = np.dtype(raw.dtype).itemsize
    open_bands = np.flatnonzero(~found.varies)
    if not len(open_bands) or len(found.filled) == raw.shape[0] * raw.shape[1]:
        return
    most = max(1, STRIP_BYTES // (size * len(open_bands)))
    for rows, cols in windows(raw.shape, raw.block_shape, most):
        open_bands = np.flatnonzero(~found.varies)
        if not len(open_bands):
            return
        picked = [found.numbers[i] for i in open_bands]
        values, valid = _flat(raw, handle, picked, rows, cols)
        found.look(values, valid, open_bands)


def _flat(
    raw: RawCube, handle: Handle, numbers: Sequence[int], rows: slice, cols: slice
) -> tuple[Pixels, Mask]:
    values, valid = filled(raw, handle, numbers, rows, cols)
    return values.reshape(-1, len(numbers)), valid.reshape(-1, len(numbers))


def filled(
    raw: RawCube, handle: Handle, numbers: Sequence[int], rows: slice, cols: slice
) -> tuple[Pixels, Mask]:
    """Read raw values ``(rows, cols, bands)`` and whether each is one: no nodata, no NaN.

    Args:
        raw: The cube.
        handle: Its open store.
        numbers: Places from 1 of the bands in ``raw.bands``.
        rows: Rows inside the cube.
        cols: Columns inside the cube.
    """
    stored = [raw.bands[n - 1].number for n in numbers]
    values, mask = handle.read(stored, rows, cols)
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    for source in (raw.nodata, raw.fills):
        nodata = [source[n - 1] for n in numbers] if source else []
        for value in {v for v in nodata if v is not None and np.isfinite(v)}:
            concerned = np.array([v == value for v in nodata])
            valid &= ~(_equal(values, value) & concerned)
    if mask is not None:
        valid &= mask[..., None]
    return values, valid


def _equal(values: Pixels, value: float) -> Mask:
    """Compare in the values' own type, so that -3.4e38 finds its nearest float32."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(values == values.dtype.type(value))
    limits = np.iinfo(values.dtype)
    if not float(value).is_integer() or not limits.min <= value <= limits.max:
        return np.zeros(values.shape, bool)
    return np.asarray(values == int(value))


def sampled(raw: RawCube, count: int) -> Iterator[Window]:
    """Yield windows that cover a small cube, or that lie evenly over a large one.

    Args:
        raw: The cube.
        count: Number of bands that are to be read.
    """
    height, width = raw.shape
    if height * width * count * np.dtype(raw.dtype).itemsize <= WHOLE_BYTES:
        yield slice(0, height), slice(0, width)
        return
    for top in _starts(height):
        for left in _starts(width):
            yield slice(top, min(top + SIDE, height)), slice(left, min(left + SIDE, width))


def _starts(length: int) -> list[int]:
    """Return where up to PLACES windows of SIDE begin, without overlap."""
    places = min(PLACES, max(1, length // SIDE))
    middles = (np.arange(places) + 0.5) * length / places
    return [int(max(0, m - SIDE / 2)) for m in middles]
