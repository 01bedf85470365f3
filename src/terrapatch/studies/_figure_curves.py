"""Figures of curves: reliability, learning, and accuracy against the number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.studies import _figure_canvas as sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_FEW_TICKS = 9


def draw_reliability(confidence: Floats, accuracy: Floats, count: Floats, ece: float) -> Figure:
    """Draw accuracy against confidence, both in percent (bins,), over the samples of each bin."""
    figure = sheet.canvas(330.0)
    axes = sheet.axes_at(figure, 50.0, 116.0, 416.0, 186.0)
    below = sheet.axes_at(figure, 50.0, 38.0, 416.0, 58.0, sharex=axes)
    held = (count > 0) & np.isfinite(confidence) & np.isfinite(accuracy)
    axes.plot([0, 100], [0, 100], color=sheet.SOFT, linewidth=0.9, dashes=(4, 3))
    axes.vlines(confidence[held], accuracy[held], confidence[held], colors="#d55e00", linewidths=2)
    axes.plot(confidence[held], accuracy[held], "o-", color="#0072b2", clip_on=False, zorder=3)
    axes.set(xlim=(0, 100), ylim=(0, 100), ylabel="accuracy (%)")
    axes.grid(visible=True)
    axes.tick_params(axis="x", labelbottom=False)
    words: dict[str, Any] = {"fontsize": sheet.SMALL, "color": sheet.SOFT}
    axes.text(2.0, 92.0, "less sure than right", va="center", **words)
    axes.text(98.0, 6.0, "more sure than right", va="center", ha="right", **words)
    said = "unknown" if np.isnan(ece) else f"{ece:.1f} %"
    sheet.write(figure, 50.0, 312.0, f"expected calibration error {said}", weight="bold")
    edges = np.linspace(0.0, 100.0, len(count) + 1)
    below.bar(edges[:-1], count, np.diff(edges), align="edge", color="#0072b2", alpha=0.45)
    below.set(ylabel="samples", xlabel="confidence (%)", ylim=(0, max(count.max(), 1.0) * 1.08))
    below.locator_params(axis="y", nbins=3, integer=True)
    figure.align_ylabels()
    return figure


def draw_learning(curves: Mapping[str, Mapping[str, Floats]], verdict: str | None) -> Figure:
    """Draw one panel a measure, each with its curves by name, and the best epoch."""
    top = 34.0 if verdict is None else 52.0
    figure = sheet.canvas(38.0 + 190.0 + top)
    best = _best_epoch(curves)
    names: dict[str, Any] = {}
    wide = sheet.WIDTH / len(curves)
    for place, (measure, lines) in enumerate(curves.items()):
        axes = sheet.axes_at(figure, place * wide + 50.0, 38.0, wide - 62.0, 190.0)
        for name, values in lines.items():
            names[name] = _curve(axes, values, 0 if name == "training" else 1)
        axes.set(xlabel="epoch", ylabel=measure)
        axes.grid(visible=True)
        _whole_epochs(axes, max(len(values) for values in lines.values()))
        if best is not None:
            axes.axvline(best, color=sheet.SOFT, linewidth=0.9, dashes=(2, 2), zorder=1)
    y = 38.0 + 190.0 + 14.0
    if best is not None:
        words = f"best epoch {best} (dotted)"
        sheet.write(figure, 468.0, y, words, ha="right", fontsize=sheet.SMALL, color=sheet.SOFT)
    figure.legend(
        list(names.values()),
        list(names),
        loc="lower left",
        bbox_to_anchor=(44.0 / sheet.WIDTH, (y - 6.0) / (38.0 + 190.0 + top)),
        ncols=2,
        frameon=False,
        fontsize=sheet.SMALL,
        borderpad=0.2,
        borderaxespad=0.0,
    )
    if verdict is not None:
        said = sheet.fitted(verdict, 10.0, 0.85 * (sheet.WIDTH - 60.0))  # bold is wider
        sheet.write(figure, 50.0, y + 20.0, said, weight="bold", fontsize=10.0)
    return figure


def draw_few_labels(
    x: Floats, methods: Mapping[str, tuple[Floats, Floats, Floats]], ylabel: str, xlabel: str
) -> Figure:
    """Draw mean, low and high in percent (n,) of each method over a logarithmic axis."""
    names, room = sheet.names_fitted(list(methods), sheet.SMALL, 130.0)
    figure = sheet.canvas(290.0)
    axes = sheet.axes_at(figure, 50.0, 42.0, sheet.WIDTH - 50.0 - room - 26.0, 232.0)
    axes.set_xscale("log")
    ends = []
    for number, (mean, low, high) in enumerate(methods.values()):
        look = sheet.series(number)
        axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)
        axes.plot(x, mean, marker=look.marker, color=look.colour, dashes=look.dash or (None, None))
        known = np.flatnonzero(np.isfinite(mean))
        ends.append(float(mean[known[-1]]) if known.size else np.nan)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.margins(x=0.03, y=0.05)
    top = axes.get_ylim()[1]
    axes.set_ylim(top=min(top, 101.0))
    _tick_every(axes, x)
    axes.grid(visible=True)
    _name_ends(figure, axes, names, ends)
    return figure


def _curve(axes: Axes, values: Floats, number: int) -> Any:
    look = sheet.series(number)
    dots = look.marker if len(values) <= 30 else ""
    how: dict[str, Any] = {"marker": dots, "markersize": 3.5, "color": look.colour}
    if look.dash:
        how["dashes"] = look.dash
    return axes.plot(np.arange(1, len(values) + 1), values, **how)[0]


def _best_epoch(curves: Mapping[str, Mapping[str, Floats]]) -> int | None:
    """Return the epoch of least validation loss, else of most validation accuracy."""
    for measure, sign in (("loss", 1.0), ("accuracy (%)", -1.0)):
        values = curves.get(measure, {}).get("validation")
        if values is not None and np.isfinite(values).any():
            return int(np.nanargmin(sign * values)) + 1
    return None


def _whole_epochs(axes: Axes, epochs: int) -> None:
    axes.set_xlim(0.5, max(epochs, 2) + 0.5)
    axes.locator_params(axis="x", integer=True, nbins=6)


def _tick_every(axes: Axes, x: Floats) -> None:
    """Put a tick at each number of labels, of many at some of them."""
    from matplotlib.ticker import NullLocator

    step = -(-len(x) // _FEW_TICKS)
    shown = x[::-step][::-1]
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _name_ends(figure: Figure, axes: Axes, names: Sequence[str], ends: Sequence[float]) -> None:
    """Write each name beside the end of its curve, pushed apart where curves end close."""
    box = axes.bbox
    heights = np.array(
        [box.y0 if np.isnan(e) else axes.transData.transform((1, e))[1] for e in ends]
    )
    x = box.x1 + 8.0
    for number, (y, at) in enumerate(
        zip(spread(heights, 11.0, box.y0, box.y1), heights, strict=True)
    ):
        look = sheet.series(number)
        width, height = figure.get_size_inches() * sheet.DOTS
        figure.add_artist(_leader(figure, (box.x1, at), (x, y), look, (width, height)))
        text = names[number]
        sheet.write(figure, x + 8.0, y, text, va="center_baseline", fontsize=sheet.SMALL)


def _leader(
    figure: Figure,
    start: tuple[float, float],
    end: tuple[float, float],
    look: sheet.Series,
    size: tuple[float, float],
) -> Any:
    from matplotlib.lines import Line2D

    across, up = zip(start, end, strict=True)
    return Line2D(
        [v / size[0] for v in across],
        [v / size[1] for v in up],
        transform=figure.transFigure,
        color=look.colour,
        linewidth=0.8,
        marker=look.marker,
        markersize=4.5,
        markevery=[1],
    )


def spread(places: Floats, gap: float, low: float, high: float) -> Floats:
    """Move places (n,) apart until neighbours are ``gap`` apart, as little as need be.

    Places that would leave ``low`` to ``high`` are pushed back; where all cannot fit, they
    are spaced evenly. Neighbours that are too close are merged to a run around their mean
    (Best and Chakravarti's pool-adjacent-violators, Mathematical Programming 47, 1990).
    """
    n = len(places)
    gap = min(gap, (high - low) / max(n - 1, 1))
    order = np.argsort(places, kind="stable")
    # A gap is no gap once each place is moved down by its rank: then order is all that counts.
    target = np.clip(places[order] - gap * np.arange(n), low, high - gap * (n - 1))
    runs: list[tuple[float, int]] = []
    for value in target:
        mean, size = float(value), 1
        while runs and runs[-1][0] > mean:
            before, count = runs.pop()
            mean = (mean * size + before * count) / (size + count)
            size += count
        runs.append((mean, size))
    moved = np.repeat([mean for mean, _ in runs], [size for _, size in runs])
    result = np.empty(n)
    result[order] = moved + gap * np.arange(n)
    return result
