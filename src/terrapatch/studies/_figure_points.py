"""A figure of points: features brought to a plane, coloured and numbered by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrapatch.legend import Legend
from terrapatch.studies import _figure_canvas as sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_VECTORS = 2500
"""Points above this number are drawn as a picture inside the SVG, which keeps it small."""

_MOST_NAMED = 30
_MARKERS = "os^DvP*<p>"
_LINE = 12.5
_PANEL_DOTS = 200  # resolution of the points when they are a picture


def draw_embedding(points: Floats, ids: Ids, legend: Legend) -> Figure:
    """Draw points (n, 2) of classes ids (n,), 0 for none, with numbers at the medians."""
    counts = np.bincount(ids, minlength=len(legend) + 1)
    shown = _shown(counts)
    lines = [f"{id} {legend[id].name}" for id in shown]
    names, room = sheet.names_fitted(lines, sheet.SMALL, 140.0)
    side = sheet.WIDTH - room - 40.0
    left_out = int((counts[1:] > 0).sum()) - len(shown)
    height = max(side, (len(names) + bool(left_out) + bool(counts[0])) * _LINE) + 16.0
    figure = sheet.canvas(height)
    axes = sheet.axes_at(figure, 8.0, height - 8.0 - side, side, side)
    _frame(axes, points)
    _scatter(axes, points, ids, legend)
    _number(axes, points, ids, legend, shown)
    _legend(figure, legend, shown, names, side + 22.0, left_out, bool(counts[0]))
    return figure


def _shown(counts: Ids) -> list[int]:
    """Return the classes that occur, of many those with most points, in the order of ids."""
    order = np.argsort(-counts[1:], kind="stable")[:_MOST_NAMED] + 1
    return sorted(int(id) for id in order if counts[id])


def _frame(axes: Axes, points: Floats) -> None:
    """Set the same scale on both axes, without numbers: only nearness means something."""
    known = points[np.isfinite(points).all(axis=1)]
    low, high = known.min(axis=0), known.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()), 1e-12) * 0.54
    axes.set(
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
        xticks=[],
        yticks=[],
    )
    for spine in axes.spines.values():
        spine.set_visible(True)


def _scatter(axes: Axes, points: Floats, ids: Ids, legend: Legend) -> None:
    n = len(points)
    size = float(np.clip(90.0 / np.sqrt(max(n, 1)), 1.6, 5.0))
    looks = {0: (sheet.LINE, "."), **{e.id: (e.colour, marker(e.id)) for e in legend}}
    for id in np.unique(ids):
        colour, mark = looks[int(id)]
        axes.plot(
            *points[ids == id].T,
            marker=mark,
            linestyle="none",
            markersize=size,
            color=colour,
            markeredgewidth=0.25,
            markeredgecolor=sheet.SOFT,
            alpha=0.8,
            rasterized=n > MOST_VECTORS,
            zorder=1 if id == 0 else 2,
        )


def marker(id: int) -> str:
    """Return the mark of a class; it changes with every class, unlike near colours."""
    return _MARKERS[(id - 1) % len(_MARKERS)]


def _number(axes: Axes, points: Floats, ids: Ids, legend: Legend, shown: Sequence[int]) -> None:
    for id in shown:
        mine = points[(ids == id) & np.isfinite(points).all(axis=1)]
        if not len(mine):
            continue
        x, y = np.median(mine, axis=0)
        tag = {"boxstyle": "round,pad=0.22", "fc": sheet.PAPER, "ec": legend[id].colour, "lw": 1.4}
        axes.text(
            x,
            y,
            str(id),
            fontsize=7.0,
            ha="center",
            va="center_baseline",
            bbox=tag,
            zorder=4,
        )


def _legend(
    figure: Figure,
    legend: Legend,
    shown: Sequence[int],
    names: Sequence[str],
    left: float,
    left_out: int,
    some_without: bool,
) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches() * sheet.DOTS
    y = height - 8.0 - _LINE / 2
    rows = [(legend[id].colour, marker(id), name) for id, name in zip(shown, names, strict=True)]
    if some_without:
        rows.append((sheet.LINE, ".", "no class"))
    for colour, mark, name in rows:
        dot = Line2D(
            [left / width],
            [y / height],
            marker=mark,
            color=colour,
            markersize=5.5,
            markeredgewidth=0.25,
            markeredgecolor=sheet.SOFT,
            transform=figure.transFigure,
        )
        figure.add_artist(dot)
        sheet.write(figure, left + 8.0, y, name, fontsize=sheet.SMALL, va="center_baseline")
        y -= _LINE
    if left_out:
        rest = f"and {left_out} smaller"
        sheet.write(
            figure, left + 8.0, y, rest, fontsize=sheet.SMALL, va="center_baseline", style="italic"
        )
