"""The report of classes by zone, its figure, and how QGIS draws the zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from terrapatch.learn.association import CAVEATS
from terrapatch.legend import Legend
from terrapatch.maps.qml import polygon_qml
from terrapatch.studies import _figure_canvas as sheet
from terrapatch.studies.page import Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from terrapatch.studies.zones import ZonesResult

Floats = NDArray[np.float64]

MOST_BARS = 60
MOST_ROWS = 1000
_MOST_COLUMNS = 12
_ROW = 16.0
_KEY_ROW = 13.0
_LONGEST = 130.0


def report(result: ZonesResult, title: str) -> Page:
    """Put classes by zone onto one page.

    Args:
        result: What was found.
        title: What the page is about.
    """
    total = result.areas.hectares.sum(axis=0)
    first = int(total.argmax())
    page = Page(
        title,
        f"{result.legend.names[first]} is the largest class in these zones, with "
        f"{total[first]:,.1f} of {total.sum():,.1f} ha.",
    )
    for note in result.notes:
        page.note(note)
    page.facts(
        [
            ("zones", f"{len(result.names):,}"),
            ("hectares of classes", f"{total.sum():,.1f}"),
            ("zones wholly covered", f"{int((result.areas.covered >= 0.999).sum()):,}"),
        ]
    )
    page.section("Shares by zone")
    _bars(page, result)
    page.section("Hectares by zone")
    _table(page, result)
    if result.association:
        _association(page, result)
    page.section("How it was measured")
    page.text(
        "A cell that a boundary cuts counts by the part inside. Areas are those on the ellipsoid, "
        "not in the projection. Hectares are of cells with a class, as the map has them: they "
        "carry the errors of the map. For an area with an interval, draw a reference sample "
        "(terrapatch area sample)."
    )
    return page


def _order(result: ZonesResult) -> NDArray[np.intp]:
    """Return the zones with most area first, those without any left out."""
    total = result.areas.hectares.sum(axis=1)
    order = np.argsort(-total, kind="stable")
    held: NDArray[np.intp] = order[total[order] > 0]
    return held


def _bars(page: Page, result: ZonesResult) -> None:
    order = _order(result)
    shown = order[:MOST_BARS]
    told = "" if len(order) <= MOST_BARS else f" The {MOST_BARS} largest of {len(order):,} zones."
    names = [result.names[i] for i in shown]
    page.figure(
        zone_bars(names, result.share[shown], result.legend),
        "One bar a zone, parted by the share of each class",
        "Share of each class in the part of each zone that has a class, the largest zone on top."
        + told,
    )


def _table(page: Page, result: ZonesResult) -> None:
    total = result.areas.hectares.sum(axis=0)
    kept = np.sort(np.argsort(-total, kind="stable")[:_MOST_COLUMNS])
    kept = kept[total[kept] > 0]
    columns = ["zone", "hectares", "covered", "dominant", *(result.legend.names[i] for i in kept)]
    rows = []
    for i in range(min(len(result.names), MOST_ROWS)):
        figures = [f"{result.areas.hectares[i, j]:,.1f}" for j in kept]
        covered = f"{100 * result.areas.covered[i]:.1f} %"
        dominant = result.dominant_name(i) or "–"
        rows.append([result.names[i], f"{result.areas.zone[i]:,.1f}", covered, dominant, *figures])
    told = []
    if len(result.names) > MOST_ROWS:
        told.append(f"the first {MOST_ROWS:,} of {len(result.names):,} zones")
    if np.count_nonzero(total) > len(kept):
        told.append(f"the {len(kept)} largest classes")
    caption = "Hectares of each class" + (f"; {' and '.join(told)}, all in the CSV" if told else "")
    page.table(columns, rows, caption, "lrrl" + "r" * len(kept))


def _association(page: Page, result: ZonesResult) -> None:
    page.section(f"Do the classes go with “{result.column}”?")
    for one in result.association:
        page.text(one.sentence())
    rows = [
        [one.reading, one.measure, _two(one.value), _two(one.chance),
         "–" if np.isnan(one.p) else f"{one.p:.3g}", one.zones]
        for one in result.association
    ]  # fmt: skip
    page.table(
        ["by", "measure", "value", "by chance", "p", "zones"],
        rows,
        f"0 is no association, 1 a perfect one; the column was permuted over the zones "
        f"{result.association[0].permutations:,} times, seed {result.association[0].seed}",
    )
    page.note("What it does not mean. " + " ".join(CAVEATS))


def _two(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def zone_bars(names: list[str], share: Floats, legend: Legend) -> bytes:
    """Draw one bar a zone, parted by class in the colours of the legend.

    Args:
        names: n names, from the top.
        share: Share of each class (n, K); rows sum to 1.
        legend: The classes; those that do not occur are not named.

    Returns:
        SVG.
    """
    with sheet.house_style():
        return sheet.svg(_drawn(names, share, legend))


def _drawn(names: list[str], share: Floats, legend: Legend) -> Figure:
    here = [entry for entry in legend if share[:, entry.id - 1].max(initial=0.0) > 0]
    labels, room = sheet.names_fitted(names, sheet.SMALL, _LONGEST)
    keys, widest = sheet.names_fitted([e.name for e in here], sheet.SMALL, 150.0)
    across = max(1, int((sheet.WIDTH - 16.0) // (widest + 26.0)))
    key = _KEY_ROW * -(-len(here) // across) + 8.0
    left, high = room + 16.0, _ROW * len(names)
    figure = sheet.canvas(key + 28.0 + high + 6.0)
    axes = sheet.axes_at(figure, left, key + 28.0, sheet.WIDTH - left - 16.0, high)
    start = np.zeros(len(names))
    for entry in here:
        part = 100 * share[:, entry.id - 1]
        axes.barh(
            np.arange(len(names)), part, left=start, height=0.74,
            color=entry.colour, edgecolor=sheet.PAPER, linewidth=0.5,
        )  # fmt: skip
        _numbered(axes, start, part, entry.rgb)
        start += part
    axes.set(xlim=(0, 100), ylim=(len(names) - 0.5, -0.5), xlabel="share of the covered part, %")
    axes.set_yticks(np.arange(len(names)), labels, fontsize=sheet.SMALL, color=sheet.INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _keys(figure, here, keys, across, key)
    return figure


def _numbered(axes: Axes, start: Floats, part: Floats, rgb: tuple[int, int, int]) -> None:
    """Write percentages into parts that have room for them."""
    light = float(np.dot(rgb, (0.299, 0.587, 0.114))) > 140
    for row in np.flatnonzero(part >= 9).tolist():
        axes.text(
            start[row] + part[row] / 2, row, f"{part[row]:.0f}", ha="center", va="center",
            fontsize=7.0, color="#000000" if light else "#ffffff",
        )  # fmt: skip


def _keys(figure: Figure, here: list[Any], keys: list[str], across: int, high: float) -> None:
    """Write the key under the axes, a swatch before each class."""
    axes = sheet.axes_at(figure, 0.0, 0.0, sheet.WIDTH, high)
    axes.set(xlim=(0, sheet.WIDTH), ylim=(0, high))
    axes.axis("off")
    wide = (sheet.WIDTH - 16.0) / across
    for i, (entry, text) in enumerate(zip(here, keys, strict=True)):
        x, y = 8.0 + wide * (i % across), high - _KEY_ROW * (i // across + 0.6)
        axes.barh(y, 9.0, left=x, height=9.0, color=entry.colour, linewidth=0)
        axes.text(x + 13.0, y, text, va="center_baseline", fontsize=sheet.SMALL)


def zone_shapes(table: Any) -> NDArray[Any]:
    """Return the zones as multipolygons (n,), a missing one as ``None``."""
    shapes = shapely.force_2d(np.array(table.geometry.array, dtype=object))
    for i, shape in enumerate(shapes):
        if shape is None or shape.is_empty:
            shapes[i] = None
        elif shape.geom_type == "Polygon":
            shapes[i] = shapely.multipolygons([shape])
    return np.asarray(shapes)


def zone_style(legend: Legend) -> str:
    """Return the style of the zones: each in the colour of its dominant class."""
    return polygon_qml(legend).replace('attr="id"', 'attr="dominant_id"')
