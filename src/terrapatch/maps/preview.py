"""A class map as a picture: over its image if there is one, with a legend beside it.

The picture is drawn by matplotlib's Agg canvas without touching pyplot or any global setting;
the same map gives the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import MapError, OutputError, writing
from terrapatch.maps.bundle import make_folder
from terrapatch.maps.classmap import ClassMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["preview", "render"]

_DPI = 100
_PANEL = 3.2  # width of the legend, inches
_MOST_ROWS = 30
_LONGEST_NAME = 34


def preview(
    map: ClassMap,
    path: str | Path,
    *,
    base: NDArray[Any] | None = None,
    base_geobox: GeoBox | None = None,
    opacity: float | None = None,
    pixels: int = 1200,
    overwrite: bool = False,
) -> Path:
    """Write a PNG of a class map with its legend.

    Args:
        map: The map.
        path: The picture; must end in ``.png``.
        base: An image to lay the classes over: (rows, cols) or (rows, cols, 3), uint8, or float
            from 0 to 1; NaN shows white. Of any resolution.
        base_geobox: Grid of the image, in the map's CRS; without it the image covers the map.
        opacity: Of the classes, 0 to 1; None means 0.55 over an image, else 1.
        pixels: Longest side of the map in the picture.
        overwrite: Whether an older picture gives way.

    Returns:
        The path of the picture.

    Raises:
        MapError: If the image, its grid or the opacity do not fit.
        OutputError: If the picture exists, or the place is full or not writable.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"cannot write a picture to {path}: give it a name that ends in .png")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name, or pass overwrite")
    figure = _figure(map, base, base_geobox, opacity, pixels)
    with writing(path):
        make_folder(path)
        folder = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            picture = Path(folder) / path.name
            figure.savefig(picture, format="png", dpi=_DPI, metadata={"Software": None})
            picture.replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return path


def render(map: ClassMap, rows: int, cols: int) -> NDArray[np.uint8]:
    """Return a map as RGBA, nearest cell, no data transparent; shape (rows, cols, 4)."""
    table = np.zeros((len(map.legend) + 1, 4), dtype=np.uint8)
    table[1:, :3] = map.legend.rgb
    table[1:, 3] = 255
    high, wide = map.values.shape
    row = (np.arange(rows) * high) // rows
    col = (np.arange(cols) * wide) // cols
    return np.asarray(table[map.values[np.ix_(row, col)]], dtype=np.uint8)


def _figure(
    map: ClassMap,
    base: NDArray[Any] | None,
    base_geobox: GeoBox | None,
    opacity: float | None,
    pixels: int,
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    alpha = (1.0 if base is None else 0.55) if opacity is None else opacity
    if not 0.0 <= alpha <= 1.0:
        raise MapError(f"opacity is {opacity}; give a number from 0 to 1")
    rows, cols = map.values.shape
    scale = max(pixels, 64) / max(rows, cols)
    size = (max(round(rows * scale), 1), max(round(cols * scale), 1))
    wide, high = max(size[1] / _DPI, 1.0), max(size[0] / _DPI, 1.0)
    total = (wide + _PANEL, max(high, _panel_height(map)) + 0.4)
    figure = Figure(figsize=total, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    top = 1.0 - 0.3 / total[1]
    axes = figure.add_axes(
        (0.1 / total[0], top - high / total[1], wide / total[0], high / total[1])
    )
    axes.set_axis_off()
    extent = (0.0, float(cols), float(rows), 0.0)
    if base is not None:
        place = extent if base_geobox is None else _placed(map.geobox, base_geobox)
        axes.imshow(_image(base, size), extent=place, interpolation="nearest", aspect="auto")
    axes.imshow(
        render(map, *size), extent=extent, alpha=alpha, interpolation="nearest", aspect="auto"
    )
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    _legend(figure, map, (wide + 0.3) / total[0], top, total)
    return figure


def _image(base: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring an image to RGB of 0-255, thinned to about twice the picture's resolution."""
    image = np.asarray(base)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise MapError(
            f"the image has shape {image.shape}; give (rows, cols) or (rows, cols, 3), for"
            " instance numpy.moveaxis(bands, 0, -1)"
        )
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise MapError(f"the image is {image.dtype}; give uint8, or float from 0 to 1")
    step = max(1, min(image.shape[0] // (2 * size[0]), image.shape[1] // (2 * size[1])))
    image = image[::step, ::step]
    if image.dtype.kind == "f":
        shown = np.nan_to_num(np.clip(image, 0.0, 1.0), nan=1.0)
        image = np.round(255.0 * shown).astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _placed(geobox: GeoBox, base: GeoBox) -> tuple[float, float, float, float]:
    """Return where an image lies in cells of the map: left, right, bottom, top."""
    if base.crs != geobox.crs:
        raise MapError("the image has another CRS than the map; warp it to the map's first")
    onto = ~geobox.affine * base.affine
    if abs(onto.b) > 1e-9 * abs(onto.a) or abs(onto.d) > 1e-9 * abs(onto.e):
        raise MapError("the image is turned against the map; warp it to the map's grid first")
    rows, cols = base.shape
    left, top = onto * (0.0, 0.0)
    right, bottom = onto * (float(cols), float(rows))
    return left, right, bottom, top


def _panel_height(map: ClassMap) -> float:
    return 0.24 * (min(len(map.legend), _MOST_ROWS) + 3)


def _legend(
    figure: Figure, map: ClassMap, left: float, top: float, total: tuple[float, float]
) -> None:
    """Draw swatch, name and share of each class; of many, those with most cells."""
    from matplotlib.patches import Rectangle

    counts = map.counts()[1:]
    cells = max(int(counts.sum()), 1)
    shown = sorted(
        sorted(map.legend, key=lambda e: -int(counts[e.id - 1]))[:_MOST_ROWS], key=lambda e: e.id
    )
    line, swatch = 0.24 / total[1], 0.16
    if map.title:
        figure.text(left, top, _short(map.title), fontsize=11, va="top", weight="bold")
    y = top - 1.6 * line
    for entry in shown:
        box = (left, y - 0.13 / total[1])
        patch = Rectangle(
            box,
            swatch * 1.5 / total[0],
            swatch / total[1],
            facecolor=entry.colour,
            edgecolor="#444444",
            linewidth=0.5,
            transform=figure.transFigure,
        )
        figure.add_artist(patch)
        share = 100.0 * int(counts[entry.id - 1]) / cells
        label = f"{_short(entry.name)}  {share:.1f} %"
        figure.text(left + 0.32 / total[0], y - 0.05 / total[1], label, fontsize=9, va="center")
        y -= line
    if len(shown) < len(map.legend):
        rest = f"and {len(map.legend) - len(shown)} smaller classes"
        figure.text(left, y - 0.05 / total[1], rest, fontsize=9, va="center", style="italic")


def _short(text: str) -> str:
    plain = text.replace("$", r"\$")
    return plain if len(text) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"
