"""Changes between two dates as one class map, and as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn.transitions import NoiseFloor, Transitions
from terrapatch.legend import Legend

__all__ = ["change_classes", "class_rows", "pair_rows", "table_text", "wide_table"]

UNCHANGED, OTHER = "unchanged", "other change"
WITHIN = "within the noise"

_UNCHANGED_COLOUR, _OTHER_COLOUR = "#ececec", "#333333"
# How far a colour is drawn towards black (below 0) or white, of the first, second … change that
# leads to one class.
_SHADES = (0.0, -0.4, 0.45, -0.65, 0.65, -0.2, 0.25, -0.8)


def change_classes(
    before: NDArray[Any],
    after: NDArray[Any],
    legend: Legend,
    found: Transitions,
    clear: NDArray[np.bool_] | None,
    most: int,
) -> tuple[NDArray[np.uint16], Legend]:
    """Make the classes of a change map: unchanged, the most frequent changes, all others.

    A change has the colour of the class it leads to; several that lead to one class are shades of
    it.

    Args:
        before: Class ids ``(rows, cols)`` of the first date, 0 where there is no data.
        after: Those of the second.
        legend: The classes of both.
        found: What went from which class to which.
        clear: Which changes ``(K, K)`` are above the noise; the others say so in their name.
        most: Changes that get a class of their own.

    Returns:
        Class ids ``(rows, cols)`` and their legend.
    """
    pairs = found.pairs()
    shown = pairs[:most]
    names, colours = [UNCHANGED], [_UNCHANGED_COLOUR]
    k = len(legend)
    place = np.full((k + 1, k + 1), len(shown) + 2, np.uint16)
    place[0], place[:, 0] = 0, 0
    place[range(1, k + 1), range(1, k + 1)] = 1
    used: dict[int, int] = {}
    for number, (old, new) in enumerate(shown, start=2):
        place[old, new] = number
        noisy = clear is not None and not clear[old - 1, new - 1]
        names.append(f"{legend[old].name} → {legend[new].name}" + (f" ({WITHIN})" if noisy else ""))
        colours.append(_shade(legend[new].rgb, used.get(new, 0)))
        used[new] = used.get(new, 0) + 1
    if len(pairs) > len(shown):
        names.append(OTHER)
        colours.append(_OTHER_COLOUR)
    return place[before, after], Legend.of(names, colours)


def _shade(rgb: Sequence[int], turn: int) -> str:
    amount = _SHADES[turn % len(_SHADES)]
    goal = 255 if amount > 0 else 0
    mixed = [round(part + (goal - part) * abs(amount)) for part in rgb]
    return "#" + "".join(f"{part:02x}" for part in mixed)


PAIR_COLUMNS = (
    "from", "to", "cells", "hectares", "share_of_from", "noise_cells", "above_noise",
)  # fmt: skip


def pair_rows(
    found: Transitions, noise: NoiseFloor | None, legend: Legend
) -> list[tuple[str, str, int, float | None, float, float | None, bool | None]]:
    """Return one row a change that occurs, the most frequent first; columns ``PAIR_COLUMNS``."""
    expected = None if noise is None else noise.expected(found)
    clear = None if noise is None else noise.clear(found)
    held = found.cells.sum(axis=1)
    rows = []
    for old, new in found.pairs():
        i, j = old - 1, new - 1
        cells = int(found.cells[i, j])
        rows.append(
            (
                legend[old].name,
                legend[new].name,
                cells,
                None if found.hectares is None else float(found.hectares[i, j]),
                cells / int(held[i]),
                None if expected is None else float(expected[i, j]),
                None if clear is None else bool(clear[i, j]),
            )
        )
    return rows


CLASS_COLUMNS = (
    "class", "before", "after", "stayed", "gained", "lost", "net", "swapped", "noise_gained",
    "noise_lost", "hectares_before", "hectares_after", "hectares_net",
)  # fmt: skip


def class_rows(
    found: Transitions, noise: NoiseFloor | None, legend: Legend
) -> list[tuple[Any, ...]]:
    """Return one row a class; columns ``CLASS_COLUMNS``."""
    expected = None if noise is None else noise.expected(found)
    rows: list[tuple[Any, ...]] = []
    for i, entry in enumerate(legend):
        cells = found.cells
        stayed = int(cells[i, i])
        noisy: tuple[float | None, float | None] = (None, None)
        if expected is not None:
            noisy = (
                float(expected[:, i].sum() - expected[i, i]),
                float(expected[i].sum() - expected[i, i]),
            )
        areas: tuple[float | None, ...] = (None, None, None)
        if found.hectares is not None:
            was, now = float(found.hectares[i].sum()), float(found.hectares[:, i].sum())
            areas = (was, now, now - was)
        gained, lost = int(found.gains[i]), int(found.losses[i])
        rows.append(
            (entry.name, stayed + lost, stayed + gained, stayed, gained, lost, gained - lost,
             int(found.swap[i]), *noisy, *areas)
        )  # fmt: skip
    return rows


def wide_table(values: NDArray[Any], legend: Legend) -> str:
    """Return a matrix as CSV: rows the first date, columns the second, with sums."""
    rows = [
        [name, *row.tolist(), row.sum()] for name, row in zip(legend.names, values, strict=True)
    ]
    rows.append(["sum", *values.sum(axis=0).tolist(), values.sum()])
    return table_text(["from / to", *legend.names, "sum"], rows)


def table_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV; numbers with a fraction get four digits, ``None`` stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_plain(value) for value in row])
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.4f}"
    return "" if value is None else value
