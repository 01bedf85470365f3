"""Figures of a look at clusters: histogram, embedding, tree, distances."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.legend import Legend
from terrapatch.studies import _figure_canvas as sheet
from terrapatch.studies import _figure_points as points
from terrapatch.studies._cluster_details import ClusterDetail
from terrapatch.studies.cluster_tree import ClusterTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = npt.NDArray[np.uint8]
Pictures = Mapping[int, Picture]

MOST_BARS = 96
MOST_ROWS = 60
MOST_LEAVES = 150
_A_ROW = 12  # bars in a row
_PNG_DPI = 200
_BAR = 84.0  # points the largest bar is high
_MOST_NAMED = 30


def histogram(details: Sequence[ClusterDetail], medoids: Pictures) -> tuple[bytes, bytes]:
    """Draw the sizes of clusters as bars, the largest first, each over its medoid.

    Args:
        details: The clusters; of more than 96 the largest are shown.
        medoids: Picture of the medoid by cluster; may be empty.

    Returns:
        SVG and PNG.
    """
    ranked = sorted(details, key=lambda d: (-d.cells, d.id))[:MOST_BARS]
    rows = -(-len(ranked) // _A_ROW)
    a_row = -(-len(ranked) // rows)
    slot = min((sheet.WIDTH - 16.0) / a_row, 80.0)
    side = min(slot - 5.0, 56.0) if medoids else 0.0
    with sheet.house_style():
        names = any(d.name != f"Cluster {d.id}" for d in ranked)
        below = side + (34.0 if names else 18.0)
        parts = [ranked[i : i + a_row] for i in range(0, len(ranked), a_row)]
        # A row is as high as its largest bar, which is its first.
        highs = [_BAR * part[0].share / ranked[0].share + 22.0 + below for part in parts]
        figure = sheet.canvas(sum(highs) + 4.0)
        top = sum(highs)
        for part, high in zip(parts, highs, strict=True):
            top -= high
            for col, detail in enumerate(part):
                place = (8.0 + col * slot, top + 8.0 + below, slot)
                _bar(figure, detail, ranked[0].share, place, medoids.get(detail.id), side)
        return sheet.svg(figure), png(figure)


def embedding_pair(
    pair: Sequence[tuple[str, npt.NDArray[np.float64]]],
    ids: npt.NDArray[np.int64],
    details: Sequence[ClusterDetail],
) -> bytes:
    """Draw the same cells in two spaces side by side, coloured and numbered by cluster.

    Args:
        pair: A heading and places ``(n, 2)``, twice.
        ids: Cluster of each cell ``(n,)``.
        details: The clusters.

    Returns:
        SVG.
    """
    by_id = {d.id: d for d in details}
    k = max(by_id)
    legend = Legend.of(
        [f"Cluster {i}" for i in range(1, k + 1)],
        [by_id[i].colour if i in by_id else sheet.LINE for i in range(1, k + 1)],
    )
    counts = np.bincount(ids, minlength=k + 1)
    order = np.argsort(-counts[1:], kind="stable")[:_MOST_NAMED] + 1
    shown = sorted(int(id) for id in order if counts[id])
    side, columns = (sheet.WIDTH - 24.0) / 2, 3
    lines = -(-len(shown) // columns)
    with sheet.house_style():
        height = side + 30.0 + lines * 12.5 + 6.0
        figure = sheet.canvas(height)
        for left, (heading, places) in zip((8.0, side + 16.0), pair, strict=True):
            axes = sheet.axes_at(figure, left, height - 20.0 - side, side, side)
            points._frame(axes, places)
            points._scatter(axes, places, ids, legend)
            points._number(axes, places, ids, legend, shown)
            sheet.write(figure, left, height - 12.0, heading, fontsize=sheet.FONT)
        width = (sheet.WIDTH - 16.0) / columns
        for i, id in enumerate(shown):
            col, row = divmod(i, lines)
            place = (12.0 + col * width, height - side - 34.0 - row * 12.5)
            _key(figure, place, by_id[id].colour, points.marker(id), by_id[id].label, width - 18.0)
        return sheet.svg(figure)


def tree_figure(tree: ClusterTree, details: Sequence[ClusterDetail], medoids: Pictures) -> bytes:
    """Draw which clusters lie near which; branches join where groups become one.

    Args:
        tree: A tree of at most 150 clusters.
        details: The clusters.
        medoids: Picture of the medoid by cluster; may be empty.

    Returns:
        SVG.
    """
    by_id = {d.id: d for d in details}
    few = len(tree.ids) <= 40
    row = 25.0 if few and medoids else 14.0 if few else 9.5
    side = row - 3.0 if few and medoids else 0.0
    size = sheet.SMALL if few else 6.5
    with sheet.house_style():
        texts = [by_id[id].label for id in tree.order]
        short, room = sheet.names_fitted(texts, size, 150.0)
        left = 12.0 + room + side + 22.0
        high = row * len(tree.ids)
        figure = sheet.canvas(high + 44.0)
        axes = sheet.axes_at(figure, left, 36.0, sheet.WIDTH - left - 12.0, high)
        axes.set(
            ylim=(len(tree.ids) - 0.5, -0.5),
            xlim=(0.0, 1.04 * max(tree.merges[-1].height, 1e-12)),
            yticks=[],
            xlabel="distance of the centres in the scaled space",
        )
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        _branches(axes, tree)
        for place, (id, text) in enumerate(zip(tree.order, short, strict=True)):
            y = 36.0 + high - (place + 0.5) * row
            x = 8.0 + room
            sheet.write(figure, x, y, text, fontsize=size, ha="right", va="center_baseline")
            _swatch(figure, (x + 6.0, y - min(row - 3, 8) / 2, 8.0, min(row - 3.0, 8.0)),
                    by_id[id].colour)  # fmt: skip
            if side and id in medoids:
                _picture(figure, (x + 18.0, y - side / 2, side, side), medoids[id])
        return sheet.svg(figure)


def distance_figure(details: Sequence[ClusterDetail]) -> bytes:
    """Draw how far the cells of each cluster lie from its centre.

    Args:
        details: The clusters; of more than 60 the largest are shown.

    Returns:
        SVG: a thin line from 5 to 95 %, a thick one from 25 to 75 %, a dot at the median.
    """
    ranked = sorted(details, key=lambda d: (-d.cells, d.id))[:MOST_ROWS]
    row = float(np.clip(900.0 / len(ranked), 10.0, 16.0))
    with sheet.house_style():
        short, room = sheet.names_fitted([d.label for d in ranked], sheet.SMALL, 150.0)
        high = row * len(ranked)
        figure = sheet.canvas(high + 44.0)
        left = room + 20.0
        axes = sheet.axes_at(figure, left, 36.0, sheet.WIDTH - left - 12.0, high)
        axes.set_ylim(len(ranked) - 0.5, -0.5)
        axes.set_yticks(np.arange(len(ranked)), short, fontsize=sheet.SMALL, color=sheet.INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("distance to the centre in the scaled space")
        for y, detail in enumerate(ranked):
            q5, q25, q50, q75, q95, _ = detail.distances
            axes.hlines(y, q5, q95, colors=sheet.SOFT, linewidths=0.9)
            axes.hlines(y, q25, q75, colors=detail.colour, linewidths=0.4 * row)
            axes.plot(q50, y, "o", ms=3.6, mfc=sheet.PAPER, mec=sheet.INK, mew=0.9, zorder=4)
        axes.set_xlim(left=0.0)
        return sheet.svg(figure)


def small(pictures: Pictures, side: int) -> dict[int, Picture]:
    """Average pictures down to at most ``side`` pixels."""
    from PIL import Image

    return {
        id: picture
        if max(picture.shape[:2]) <= side
        else np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))
        for id, picture in pictures.items()
    }


def png(figure: Figure) -> bytes:
    """Return a figure as PNG on white."""
    stream = io.BytesIO()
    figure.savefig(
        stream, format="png", dpi=_PNG_DPI, facecolor="white", metadata={"Software": None}
    )
    return stream.getvalue()


def _bar(
    figure: Figure,
    detail: ClusterDetail,
    largest: float,
    place: tuple[float, float, float],
    picture: Picture | None,
    side: float,
) -> None:
    """Draw one bar, what it stands for above it, and its medoid and name below."""
    left, base, slot = place
    middle, high = left + slot / 2, _BAR * detail.share / largest
    wide = min(slot - 5.0, 56.0)
    _swatch(figure, (middle - wide / 2, base, wide, max(high, 0.8)), detail.colour)
    how: dict[str, Any] = {"fontsize": 7.0, "ha": "center"}
    said = f"{100 * detail.share:.1f} %"
    sheet.write(figure, middle, base + high + 3.0, said, color=sheet.SOFT, **how)
    if side:
        box = (middle - side / 2, base - 4.0 - side, side, side)
        if picture is not None:
            _picture(figure, box, picture)
    below = base - 4.0 - side - 9.0
    sheet.write(figure, middle, below, str(detail.id), fontweight="bold", **how)
    if detail.name != f"Cluster {detail.id}":
        how["fontsize"] = 6.0
        for line in _two_lines(detail.name, 6.0, slot - 2.0):
            below -= 8.0
            sheet.write(figure, middle, below, line, **how)


def _two_lines(text: str, size: float, width: float) -> list[str]:
    """Break a name between words into two lines at most; what is too long is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == 2 or sheet.text_width(longer, size) <= width):
            lines[-1] = longer
        else:
            lines.append(word)
    return [sheet.fitted(line, size, width) for line in lines]


def _swatch(figure: Figure, box: tuple[float, float, float, float], colour: str) -> None:
    """Fill a rectangle given in points."""
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches() * sheet.DOTS
    x, y, w, h = box
    figure.add_artist(
        Rectangle(
            (x / width, y / height),
            w / width,
            h / height,
            facecolor=colour,
            edgecolor=sheet.SOFT,
            linewidth=0.4,
            transform=figure.transFigure,
        )
    )


def _picture(figure: Figure, box: tuple[float, float, float, float], image: Picture) -> None:
    axes = sheet.axes_at(figure, *box)
    axes.set_axis_off()
    axes.imshow(image, interpolation="none", aspect="auto")


def _key(
    figure: Figure, place: tuple[float, float], colour: str, mark: str, text: str, room: float
) -> None:
    """Draw one entry of a legend."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches() * sheet.DOTS
    x, y = place
    figure.add_artist(
        Line2D(
            [x / width],
            [y / height],
            marker=mark,
            color=colour,
            markersize=5.5,
            markeredgewidth=0.25,
            markeredgecolor=sheet.SOFT,
            transform=figure.transFigure,
        )
    )
    said = sheet.fitted(text, sheet.SMALL, room)
    sheet.write(figure, x + 8.0, y, said, fontsize=sheet.SMALL, va="center_baseline")


def _branches(axes: Axes, tree: ClusterTree) -> None:
    """Draw the branches: a node lies in the middle of its two children."""
    where: dict[tuple[int, ...], tuple[float, float]] = {
        (id,): (float(place), 0.0) for place, id in enumerate(tree.order)
    }
    for merge in tree.merges:
        (y1, x1), (y2, x2) = where[merge.left], where[merge.right]
        axes.plot([x1, merge.height, merge.height, x2], [y1, y1, y2, y2],
                  color=sheet.SOFT, linewidth=1.2, solid_joinstyle="miter")  # fmt: skip
        joined = tuple(sorted(merge.left + merge.right))
        where[joined] = ((y1 + y2) / 2, merge.height)
