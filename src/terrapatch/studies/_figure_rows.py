"""Figures with one row a name: scores of classes, and methods beside their baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.studies import _figure_canvas as sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_LONGEST = 150.0  # points a name may take
_TOP = 26.0
_BOTTOM = 34.0


def draw_per_class(names: Sequence[str], recall: Floats, precision: Floats, f1: Floats) -> Figure:
    """Draw recall, precision and F1 in percent (K,), the class of lowest F1 on top."""
    order = np.argsort(f1, kind="stable")  # NaN last
    row = float(np.clip(900.0 / len(names), 9.0, 16.0))
    scores = np.stack([recall, precision, f1])[:, order]
    figure, axes = _rows([names[i] for i in order], row, right=44.0)
    known = scores[np.isfinite(scores)]
    low = max(0.0, 10.0 * np.floor((known.min(initial=100.0) - 2.0) / 10.0))
    axes.set(xlim=(low, 100.0), xlabel="%")
    axes.locator_params(axis="x", steps=[1, 2, 5, 10], integer=True)
    axes.grid(axis="y")
    y = np.arange(len(names))
    pair = scores[:2]
    both = np.isfinite(pair).all(axis=0)
    axes.hlines(
        y[both], pair[:, both].min(0), pair[:, both].max(0), colors=sheet.SOFT, linewidths=0.8
    )
    size = min(6.5, 0.5 * row)
    looks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("recall", {"marker": "o", "ms": size + 1.0, "mfc": "none", "mec": "#0072b2", "mew": 1.5}),
        ("precision", {"marker": "D", "ms": size - 2.2, "mfc": "#d55e00", "mec": "#d55e00"}),
        ("F1", {"marker": "|", "ms": row - 3.0, "mec": sheet.INK, "mew": 1.3}),
    )
    handles = [
        axes.plot(values, y, linestyle="none", clip_on=False, zorder=3, **look)[0]
        for values, (_, look) in zip(scores, looks, strict=True)
    ]
    _key(axes, handles, [name for name, _ in looks])
    _numbers(axes, ["–" if np.isnan(v) else f"{v:.1f}" for v in scores[2]], "F1", row)
    return figure


def draw_bars(
    names: Sequence[str],
    values: Floats,
    lows: Floats,
    highs: Floats,
    xlabel: str,
    reference: tuple[float, str] | None,
    from_zero: bool,
) -> Figure:
    """Draw values (n,) with intervals, in the order given, the first on top."""
    texts = _with_intervals(values, lows, highs)
    column = max(sheet.text_width(text, sheet.SMALL) for text in texts)
    figure, axes = _rows(names, 20.0, right=column + 16.0)
    y = np.arange(len(names))
    shown = np.concatenate([values, lows, highs, [] if reference is None else [reference[0]]])
    axes.set_xlim(*_limits(shown[np.isfinite(shown)], from_zero))
    axes.set_xlabel(sheet.fitted(xlabel, sheet.FONT, 300.0))
    if from_zero:
        axes.barh(y, np.nan_to_num(values), height=0.62, color="#56b4e9", alpha=0.45, linewidth=0)
        axes.axvline(0.0, color=sheet.SOFT, linewidth=0.8)
    held = np.isfinite(lows) & np.isfinite(highs)
    axes.hlines(y[held], lows[held], highs[held], colors=sheet.INK, linewidths=1.3, zorder=3)
    for ends in (lows, highs):
        axes.plot(ends[held], y[held], "|", ms=6.0, mec=sheet.INK, mew=1.1, zorder=3)
    axes.plot(values, y, "o", ms=5.0, color="#0072b2", clip_on=False, zorder=4)
    if reference is not None:
        axes.axvline(reference[0], color="#d55e00", linewidth=1.2, dashes=(4, 2), zorder=2)
        _name_reference(axes, *reference)
    _numbers(axes, texts, "", 20.0)
    return figure


def _rows(names: Sequence[str], row: float, right: float) -> tuple[Figure, Axes]:
    """Return axes with a row of ``row`` points a name, ``right`` points left free at the right."""
    size = float(np.clip(0.62 * row, 5.6, sheet.FONT))
    short, room = sheet.names_fitted(names, size, _LONGEST)
    left, high = room + 16.0, row * len(names)
    figure = sheet.canvas(_BOTTOM + high + _TOP)
    axes = sheet.axes_at(figure, left, _BOTTOM, sheet.WIDTH - left - right - 8.0, high)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(np.arange(len(names)), short, fontsize=size, color=sheet.INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    return figure, axes


def _numbers(axes: Axes, texts: Sequence[str], title: str, row: float) -> None:
    """Write one text a row at the right edge of the sheet."""
    size = float(np.clip(0.62 * row, 5.6, sheet.SMALL))
    edge = (sheet.WIDTH - 6.0 - axes.bbox.x0) / axes.bbox.width
    across = axes.get_yaxis_transform()
    for place, text in enumerate(texts):
        axes.text(edge, place, text, transform=across, fontsize=size, ha="right", va="center")
    if title:
        how: dict[str, Any] = {
            "fontsize": sheet.SMALL,
            "color": sheet.SOFT,
            "ha": "right",
            "va": "bottom",
        }
        axes.text(edge, 1.0 + 5.0 / axes.bbox.height, title, transform=axes.transAxes, **how)


def _key(axes: Axes, handles: Sequence[Any], names: Sequence[str]) -> None:
    axes.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(names),
        frameon=False,
        borderpad=0.2,
        borderaxespad=0.2,
        handletextpad=0.3,
        columnspacing=1.4,
        fontsize=sheet.SMALL,
    )


def _name_reference(axes: Axes, value: float, name: str) -> None:
    """Write the name of the reference above its line, kept inside the axes."""
    low, high = axes.get_xlim()
    share = (value - low) / (high - low)
    side = "left" if share < 0.3 else "right" if share > 0.7 else "center"
    axes.text(
        value,
        1.0 + 4.0 / axes.bbox.height,
        sheet.fitted(name, sheet.SMALL, 0.7 * axes.bbox.width),
        transform=axes.get_xaxis_transform(),
        fontsize=sheet.SMALL,
        color=sheet.INK,
        ha=side,
        va="bottom",
    )


def _limits(shown: Floats, from_zero: bool) -> tuple[float, float]:
    low, high = float(shown.min(initial=np.inf)), float(shown.max(initial=-np.inf))
    if not shown.size:
        return 0.0, 1.0
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    return low - (0.0 if from_zero and low == 0 else room), high + room


def _with_intervals(values: Floats, lows: Floats, highs: Floats) -> list[str]:
    size = np.nanmax(np.abs(values), initial=0.0)
    places = 1 if size >= 20 else 2 if size >= 2 else 3

    def text(value: float, low: float, high: float) -> str:
        if np.isnan(value):
            return "–"
        if np.isnan(low) or np.isnan(high):
            return f"{value:.{places}f}"
        return f"{value:.{places}f}  ({low:.{places}f} to {high:.{places}f})"

    return [text(*row) for row in zip(values, lows, highs, strict=True)]
