"""QGIS styles as text: paletted classes, a colour ramp for values, categorised polygons.

A ``map.qml`` beside ``map.tif`` is what every QGIS since 3.22 applies by itself. The elements
are those QGIS writes in "Save style"; a reader of 3.22 needs no more of them than stand here.
The ramp is viridis (Smith and van der Walt 2015, CC0), which colour-blind readers can follow.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

from terrapatch.legend import Legend

__all__ = ["class_qml", "nice_range", "polygon_qml", "value_qml"]

HEADER = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.22.0"
_VIRIDIS = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c",
    "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip


def class_qml(legend: Legend) -> str:
    """Return the style of a class raster: one palette entry a class, nothing for 0."""
    root, pipe = _raster_root()
    renderer = _renderer(pipe, "paletted")
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in legend:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(entry.id),
            color=entry.colour,
            label=entry.name,
            alpha="255",
        )
    return _text(root)


def value_qml(low: float, high: float, unit: str = "") -> str:
    """Return the style of a value raster: viridis from ``low`` to ``high``.

    Args:
        low: Value of the darkest colour.
        high: Value of the lightest colour, above ``low``.
        unit: Written after the numbers of the legend; may be empty.
    """
    root, pipe = _raster_root()
    renderer = _renderer(pipe, "singlebandpseudocolor")
    renderer.set("classificationMin", _number(low))
    renderer.set("classificationMax", _number(high))
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=_number(low),
        maximumValue=_number(high),
        labelPrecision="4",
    )
    suffix = f" {unit}" if unit else ""
    _gradient(shader)
    for index, colour in enumerate(_VIRIDIS):
        value = low + (high - low) * index / (len(_VIRIDIS) - 1)
        label = f"{value:.6g}{suffix}"
        item = {"value": _number(value), "color": colour, "label": label, "alpha": "255"}
        ET.SubElement(shader, "item", item)
    ET.SubElement(
        shader,
        "rampLegendSettings",
        useContinuousLegend="1",
        direction="0",
        orientation="2",
        prefix="",
        suffix=suffix,
        minimumLabel="",
        maximumLabel="",
    )
    return _text(root)


def polygon_qml(legend: Legend) -> str:
    """Return the style of the polygons: one category an ``id``, in the legend's colours."""
    root = ET.Element("qgis", version=VERSION, styleCategories="Symbology")
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr="id",
        symbollevels="0",
        forceraster="0",
        enableorderby="0",
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for index, entry in enumerate(legend):
        ET.SubElement(
            categories,
            "category",
            value=str(entry.id),
            type="long",
            symbol=str(index),
            label=entry.name,
            render="true",
        )
        _fill_symbol(symbols, str(index), entry.rgb)
    for tag, value in (("blendMode", "0"), ("featureBlendMode", "0"), ("layerGeometryType", "2")):
        ET.SubElement(root, tag).text = value
    return _text(root)


def nice_range(low: float, high: float) -> tuple[float, float]:
    """Round a range outwards to steps of 1, 2 or 5 times a power of ten.

    Args:
        low: Smallest value; finite.
        high: Largest value; finite, not below ``low``.

    Returns:
        Two different numbers with few digits that enclose the range; ``(0.0, 1.0)`` rounded
        around a range without width.
    """
    width = high - low
    if width <= 4e-7 * max(abs(low), abs(high)):  # flat to float32
        width = abs(low) * 0.1 or 1.0
        low, high = (0.0, 1.0) if low == 0.0 else (low - width / 2, high + width / 2)
    rough = width / 10
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    digits = 1 - math.floor(math.log10(step))
    bottom = math.floor(low / step + 1e-6) * step
    top = math.ceil(high / step - 1e-6) * step
    return round(bottom, digits) + 0.0, round(top, digits) + 0.0


def _raster_root() -> tuple[ET.Element, ET.Element]:
    root = ET.Element("qgis", version=VERSION, styleCategories="Symbology")
    return root, ET.SubElement(root, "pipe")


def _renderer(pipe: ET.Element, kind: str) -> ET.Element:
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type=kind, band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    ET.SubElement(renderer, "rasterTransparency")
    origin = ET.SubElement(renderer, "minMaxOrigin")
    for tag, value in (
        ("limits", "None"),
        ("extent", "WholeRaster"),
        ("statAccuracy", "Estimated"),
        ("cumulativeCutLower", "0.02"),
        ("cumulativeCutUpper", "0.98"),
        ("stdDevFactor", "2"),
    ):
        ET.SubElement(origin, tag).text = value
    return renderer


def _gradient(shader: ET.Element) -> None:
    """Name the ramp, so that a person can change its range in QGIS and keep the colours."""
    ramp = ET.SubElement(shader, "colorramp", type="gradient", name="[source]")
    last = len(_VIRIDIS) - 1
    stops = ":".join(f"{i / last:g};{_rgba(_VIRIDIS[i])}" for i in range(1, last))
    for key, value in (
        ("color1", _rgba(_VIRIDIS[0])),
        ("color2", _rgba(_VIRIDIS[-1])),
        ("discrete", "0"),
        ("rampType", "gradient"),
        ("stops", stops),
    ):
        ET.SubElement(ramp, "prop", k=key, v=value)


def _fill_symbol(symbols: ET.Element, name: str, rgb: tuple[int, int, int]) -> None:
    symbol = ET.SubElement(
        symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0"
    )
    layer = ET.SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    fill = ",".join(str(part) for part in rgb) + ",255"
    for key, value in (
        ("color", fill),
        ("style", "solid"),
        ("outline_color", "35,35,35,160"),
        ("outline_style", "solid"),
        ("outline_width", "0.1"),
        ("outline_width_unit", "MM"),
        ("joinstyle", "miter"),
    ):
        ET.SubElement(layer, "prop", k=key, v=value)


def _rgba(colour: str) -> str:
    return ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) + ",255"


def _number(value: float) -> str:
    return f"{value:.12g}"


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return HEADER + ET.tostring(root, encoding="unicode") + "\n"
