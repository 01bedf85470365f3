"""The figure of how many clusters: stability against k, the other measures small below it.

Drawn on the sheet of ``_figure_canvas``, like the figures of ``studies.figures``: one SVG, the
same bytes for the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.studies import _figure_canvas as sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from terrapatch.learn.choosing import KChoice

Floats = NDArray[np.float64]

_BLUE = "#0072b2"
_LEFT, _RIGHT_EDGE = 50.0, 468.0
_SMALL_HEIGHT, _GAP = 74.0, 40.0
_BIG_HEIGHT = 150.0
_PANELS = (
    ("silhouette", "silhouette", "higher is better"),
    ("davies_bouldin", "Davies-Bouldin index", "lower is better"),
    ("gap", "gap statistic", "first not beaten by the next"),
    ("elbow", "inertia", "the elbow"),
)


def choosing_figure(choice: KChoice) -> bytes:
    """Draw what each measure says of each number of clusters, the recommended one marked.

    Args:
        choice: What ``learn.choosing.choose_k`` found.

    Returns:
        SVG: stability with its standard error on top, the four others below; a dashed line at
        the recommended number, a ring at what each measure would take.
    """
    with sheet.house_style():
        return sheet.svg(draw_choosing(choice))


def draw_choosing(choice: KChoice) -> Figure:
    """Draw the panels of ``choosing_figure``."""
    low = 38.0
    big = low + 2 * (_SMALL_HEIGHT + _GAP)
    figure = sheet.canvas(big + _BIG_HEIGHT + 40.0)
    picks = choice.picks()
    axes = sheet.axes_at(figure, _LEFT, big, _RIGHT_EDGE - _LEFT, _BIG_HEIGHT)
    _curve(axes, choice, choice.stability, choice.stability_error, picks["stability"])
    axes.set_ylim(min(0.0, float(np.nanmin(choice.stability - choice.stability_error))), 1.03)
    axes.set_ylabel("adjusted Rand index")
    top = big + _BIG_HEIGHT
    words = f"stability: begin with {choice.recommended} clusters (dashed)"
    sheet.write(figure, _LEFT, top + 22.0, words, weight="bold")
    said = f"how far two samples of {choice.share:.0%} of the cells agree; 1 is always, 0 is chance"
    sheet.write(figure, _LEFT, top + 9.0, said, fontsize=sheet.SMALL, color=sheet.SOFT)
    wide = (_RIGHT_EDGE - _LEFT - 44.0) / 2
    for place, (key, name, hint) in enumerate(_PANELS):
        across, down = place % 2, place // 2
        bottom = low + (1 - down) * (_SMALL_HEIGHT + _GAP)
        left = _LEFT + across * (wide + 44.0)
        _panel(figure, (left, bottom, wide), choice, (key, name, hint), last=down == 1)
    return figure


def _panel(
    figure: Figure,
    place: tuple[float, float, float],
    choice: KChoice,
    words: tuple[str, str, str],
    last: bool,
) -> None:
    left, bottom, wide = place
    key, name, hint = words
    axes = sheet.axes_at(figure, left, bottom, wide, _SMALL_HEIGHT)
    values: Floats = getattr(choice, "inertia" if key == "elbow" else key)
    error = choice.gap_error if key == "gap" else None
    _curve(axes, choice, values, error, choice.picks()[key])
    axes.locator_params(axis="y", nbins=4)
    if last:
        axes.set_xlabel("number of clusters")
    above = bottom + _SMALL_HEIGHT + 7.0
    sheet.write(figure, left, above, name, fontsize=sheet.SMALL, weight="bold")
    over = left + sheet.text_width(name, sheet.SMALL) * 1.12 + 6.0
    hint = sheet.fitted(hint, sheet.SMALL, left + wide - over)
    sheet.write(figure, over, above, hint, fontsize=sheet.SMALL, color=sheet.SOFT)


def _curve(
    axes: Axes, choice: KChoice, values: Floats, error: Floats | None, pick: int | None
) -> None:
    """Draw one curve over k, its band, the recommended number and the measure's own."""
    ks = choice.ks.astype(np.float64)
    how: dict[str, Any] = {"color": _BLUE, "linewidth": 0}
    if error is not None:
        axes.fill_between(ks, values - error, values + error, alpha=0.2, **how)
    axes.plot(ks, values, "o-", color=_BLUE, markersize=2.5)
    axes.axvline(choice.recommended, color=sheet.WRONG, linewidth=1.1, dashes=(4, 3), zorder=1)
    if pick is not None:
        at = int(np.flatnonzero(choice.ks == pick)[0])
        axes.plot(
            [pick],
            [values[at]],
            "o",
            markersize=8,
            fillstyle="none",
            color=sheet.INK,
            clip_on=False,
        )
    axes.set_xlim(float(ks[0]) - 1.0, float(ks[-1]) + 1.0)
    axes.locator_params(axis="x", integer=True, nbins=9)
    axes.grid(visible=True)
