"""A confusion matrix as a picture: shades for any number of classes, counts for up to 25."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.studies import _figure_canvas as sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_COUNTED = 25
MOST_NAMED = 60
_MOST_WITH_RECALL = 20
_MARGIN = 16.0  # for the words "true class" and "predicted class"
_KEY = 56.0
_LEVELS = 50
_DARK = 0.76  # shade above which words on it are white, by day and by night
_LARGEST_CELL = 72.0


def draw_confusion(confusion: Ids, classes: Sequence[str]) -> Figure:
    """Draw counts (K, K), rows the truth: blue on the diagonal, orange off it."""
    count = len(classes)
    recall = sheet.RIGHT if count <= _MOST_WITH_RECALL else None
    right = 38.0 if recall else 6.0
    size, names, room = _names(classes, right)
    left = _MARGIN + room + 8.0
    cell = min((sheet.WIDTH - left - right) / count, _LARGEST_CELL)
    side, bottom = cell * count, _KEY + _MARGIN + room + 8.0
    figure = sheet.canvas(bottom + side + 18.0)
    axes = sheet.axes_at(figure, left, bottom, side, side)
    axes.set(xlim=(0, count), ylim=(count, 0))
    _name_cells(axes, names, size)
    shares = _shares(confusion)
    _shade(axes, shares, inset=0.35 / cell)
    if count <= MOST_COUNTED:
        _write_counts(axes, confusion, shares, cell)
    if recall:
        _write_recall(axes, confusion, shares, min(size, sheet.SMALL))
    middle = bottom + side / 2
    words: dict[str, Any] = {"fontsize": sheet.FONT, "color": sheet.SOFT, "ha": "center"}
    sheet.write(
        figure,
        9.0,
        middle,
        "true class",
        rotation=90,
        rotation_mode="anchor",
        va="center",
        **words,
    )
    sheet.write(figure, left + side / 2, _KEY + 6.0, "predicted class", va="center", **words)
    _key(figure)
    return figure


def _names(classes: Sequence[str], right: float) -> tuple[float, list[str], float]:
    """Choose the size of letters for the cells there will be, and cut names to their room."""
    longest = 120.0 if len(classes) <= 12 else 92.0
    cell = (sheet.WIDTH - longest - right) / len(classes)
    size = float(np.clip(0.8 * cell, 5.6, sheet.FONT))
    step = -(-len(classes) // MOST_NAMED)
    names = [name if i % step == 0 else "" for i, name in enumerate(classes)]
    short = [sheet.fitted(n, size, longest) if n or step == 1 else "" for n in names]
    return size, short, max(sheet.text_width(n, size) for n in short)


def _shares(confusion: Ids) -> Floats:
    """Return each row over its sum; rows without samples are 0."""
    total = confusion.sum(axis=1, keepdims=True)
    return np.asarray(confusion / np.maximum(total, 1), dtype=np.float64)


def shade(share: Floats) -> Floats:
    """Return how strong a share is drawn, 0 to 1: a power of it, so that rare mistakes show."""
    return np.asarray(share**0.4, dtype=np.float64)


def word_ink(strength: float) -> str:
    """Return the colour of words on a cell that is drawn so strong."""
    return "#ffffff" if strength > _DARK else sheet.INK


def _name_cells(axes: Axes, names: Sequence[str], size: float) -> None:
    count = len(names)
    at = [place + 0.5 for place, name in enumerate(names) if name]
    named = [name for name in names if name]
    axes.set_yticks(at, named, fontsize=size, color=sheet.INK)
    axes.set_xticks(
        at,
        named,
        fontsize=size,
        color=sheet.INK,
        rotation=90,
        rotation_mode="anchor",
        ha="right",
        va="center",
    )
    axes.tick_params(length=0, pad=4)
    for spine in axes.spines.values():
        spine.set_visible(True)
    if count <= MOST_NAMED:
        lines = np.arange(1, count)
        axes.hlines(lines, 0, count, colors=sheet.LINE, linewidths=0.3, zorder=0.5)
        axes.vlines(lines, 0, count, colors=sheet.LINE, linewidths=0.3, zorder=0.5)


def _shade(axes: Axes, shares: Floats, inset: float) -> None:
    """Fill the cells that hold something, all of one shade as one path."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    levels = np.ceil(_LEVELS * shade(shares)).astype(int)
    on = np.eye(len(shares), dtype=bool)
    box = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * (1 - 2 * inset) + inset
    for colour, part in ((sheet.RIGHT, on), (sheet.WRONG, ~on)):
        for level in np.unique(levels[part & (levels > 0)]):
            cells = np.argwhere(part & (levels == level))[:, ::-1]
            corners = (cells[:, None] + box).reshape(-1, 2)
            codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(cells)
            alpha = float(level) / _LEVELS
            path = Path(corners, codes)
            axes.add_patch(PathPatch(path, facecolor=colour, alpha=alpha, linewidth=0))


def _write_counts(axes: Axes, confusion: Ids, shares: Floats, cell: float) -> None:
    texts = [[counted(int(n)) for n in row] for row in confusion]
    longest = max(len(text) for row in texts for text in row)
    size = min(sheet.FONT, 0.5 * cell, (cell - 1.5) / (0.64 * longest))
    strong = shade(shares)
    for row, col in np.argwhere(confusion > 0):
        axes.text(
            col + 0.5,
            row + 0.5,
            texts[row][col],
            ha="center",
            va="center_baseline",
            fontsize=size,
            color=word_ink(float(strong[row, col])),
        )


def counted(number: int) -> str:
    """Return a count below ten thousand millions in at most five characters."""
    if number < 10_000:
        return str(number)
    if number < 999_500:
        return f"{number / 1e3:.0f}k"
    return f"{number / 1e6:.1f}M" if number < 9_950_000 else f"{number / 1e6:.0f}M"


def _write_recall(axes: Axes, confusion: Ids, shares: Floats, size: float) -> None:
    count = len(shares)
    how: dict[str, Any] = {"fontsize": size, "color": sheet.SOFT, "ha": "right"}
    end = axes.transData.inverted().transform(
        axes.transData.transform((count, 0)) + np.array([34.0, 0.0])
    )[0]
    axes.text(end, -0.1, "recall", va="bottom", **how)
    for row, held in enumerate(confusion.sum(axis=1) > 0):
        text = f"{100 * shares[row, row]:.1f} %" if held else "–"
        axes.text(end, row + 0.5, text, va="center_baseline", **how)


def _key(figure: Figure) -> None:
    """Explain the shades at the foot."""
    from matplotlib.patches import Rectangle

    small: dict[str, Any] = {"fontsize": sheet.SMALL, "color": sheet.SOFT}
    words = "Shade: share of the true class. Blue is right, orange is wrong."
    sheet.write(figure, 8.0, 28.0, words, **small)
    x, y, side = 8.0, 9.0, 11.0
    width, height = figure.get_size_inches() * sheet.DOTS
    for share in (0.01, 0.05, 0.2, 0.5, 1.0):
        for colour in (sheet.RIGHT, sheet.WRONG):
            patch = Rectangle((x / width, y / height), side / width, side / height)
            alpha = float(shade(np.array(share)))
            patch.set(facecolor=colour, alpha=alpha, linewidth=0, transform=figure.transFigure)
            figure.add_artist(patch)
            x += side + 1.0
        label = f"{100 * share:.0f} %"
        sheet.write(figure, x + 3.0, y + 2.5, label, **small)
        x += sheet.text_width(label, sheet.SMALL) + 18.0
