"""Points with a few columns: a GeoPackage that QGIS opens styled and labelled.

The style stands in the ``layer_styles`` table, as that of class polygons does. The same points
give the same bytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import shapely
from numpy.typing import ArrayLike, NDArray
from odc.geo.geobox import GeoBox

from terrapatch.maps.qml import HEADER, VERSION
from terrapatch.maps.vectors import WRITE_FAULTS, add_style

__all__ = ["point_qml", "write_points"]


def write_points(
    path: Path,
    layer: str,
    xy: ArrayLike,
    fields: Mapping[str, tuple[type, Sequence[Any]]],
    geobox: GeoBox,
    qml: str,
) -> None:
    """Write a GeoPackage 1.3 of one layer of points with its style.

    Args:
        path: The file; must not exist.
        layer: Name of the layer.
        xy: Coordinates ``(n, 2)`` in the grid's CRS.
        fields: Type of each column (``bool``, ``int``, ``float`` or ``str``) and its ``n``
            values; ``None`` is left empty.
        geobox: The grid whose CRS the coordinates are in; without one, the layer's is undefined.
        qml: The layer's default style, see ``point_qml``.

    Raises:
        OSError: If GDAL cannot write the file.
        sqlite3.Error: If the style cannot be written.
    """
    points = shapely.points(np.asarray(xy, np.float64).reshape(-1, 2))
    columns = [_column(*field) for field in fields.values()]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.raw.write(
                path,
                geometry=shapely.to_wkb(points),
                field_data=[values for values, _ in columns],
                field_mask=[missing for _, missing in columns],
                fields=np.array(list(fields), dtype=object),
                layer=layer,
                driver="GPKG",
                geometry_type="Point",
                crs=None if geobox.crs is None else geobox.crs.to_wkt(),
                dataset_options={"VERSION": "1.3"},
                layer_options={"FID": "fid", "GEOMETRY_NAME": "geom"},
            )
    except WRITE_FAULTS as fault:
        raise OSError(f"{path.name}: {fault}") from None
    add_style(path, layer, qml, len(points))


def point_qml(
    column: str, kinds: Mapping[str, tuple[str, str, str]], label: str | None = None
) -> str:
    """Return a style: one marker for each value of a column, with a label beside it.

    Args:
        column: Name of the column that tells points apart.
        kinds: For each value what the legend calls it, a colour ``#rrggbb`` and a shape that
            QGIS knows: ``circle``, ``star``, ``cross2`` …
        label: QGIS expression of the label; none if left out.
    """
    parts = "Symbology" if label is None else "Symbology|Labeling"
    root = ET.Element("qgis", version=VERSION, styleCategories=parts)
    if label is not None:
        root.set("labelsEnabled", "1")
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=column,
        symbollevels="0",
        forceraster="0",
        enableorderby="0",
    )
    categories, symbols = (ET.SubElement(renderer, tag) for tag in ("categories", "symbols"))
    for index, (value, (name, colour, shape)) in enumerate(kinds.items()):
        ET.SubElement(
            categories,
            "category",
            value=value,
            type="string",
            symbol=str(index),
            label=name,
            render="true",
        )
        _marker(symbols, str(index), colour, shape)
    if label is not None:
        _labelling(root, label)
    for tag, value in (("blendMode", "0"), ("featureBlendMode", "0"), ("layerGeometryType", "0")):
        ET.SubElement(root, tag).text = value
    ET.indent(root)
    return HEADER + ET.tostring(root, encoding="unicode") + "\n"


def _column(of: type, values: Sequence[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column as an array of its type, and where it is empty."""
    missing = np.array([value is None for value in values], dtype=bool)
    if of is str:
        return np.array(values, dtype=object), missing
    return np.array([of() if value is None else value for value in values], dtype=of), missing


def _marker(symbols: ET.Element, name: str, colour: str, shape: str) -> None:
    symbol = ET.SubElement(
        symbols, "symbol", type="marker", name=name, alpha="1", clip_to_extent="1", force_rhr="0"
    )
    layer = ET.SubElement(
        symbol, "layer", {"class": "SimpleMarker", "enabled": "1", "locked": "0", "pass": "0"}
    )
    rgb = ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) + ",255"
    for key, value in (
        ("color", rgb),
        ("name", shape),
        ("size", "3"),
        ("size_unit", "MM"),
        # A cross is nothing but its outline.
        ("outline_color", rgb if shape.startswith("cross") else "35,35,35,255"),
        ("outline_style", "solid"),
        ("outline_width", "0.8" if shape.startswith("cross") else "0.2"),
        ("outline_width_unit", "MM"),
    ):
        ET.SubElement(layer, "prop", k=key, v=value)


def _labelling(root: ET.Element, expression: str) -> None:
    """Write a label beside each point, dark on a white buffer."""
    settings = ET.SubElement(ET.SubElement(root, "labeling", type="simple"), "settings")
    style = ET.SubElement(
        settings,
        "text-style",
        fieldName=expression,
        isExpression="1",
        fontSize="9",
        fontSizeUnit="Point",
        textColor="35,35,35,255",
        textOpacity="1",
    )
    ET.SubElement(
        style,
        "text-buffer",
        bufferDraw="1",
        bufferSize="0.8",
        bufferSizeUnits="MM",
        bufferColor="255,255,255,255",
        bufferOpacity="1",
    )
    ET.SubElement(
        settings, "placement", placement="6", dist="1", distUnits="MM", predefinedPositionOrder="TR"
    )
    ET.SubElement(settings, "rendering", obstacle="1", displayAll="0")
