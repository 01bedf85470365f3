"""A mosaic of class maps as one small file that points at them (GDAL's virtual raster, VRT).

GDAL and QGIS read it as one class map, with its colour table, category names and attribute
table. Format: GDAL's ``gdalvrt.xsd``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import MapError, OutputError
from terrapatch.legend import NODATA_ID, Legend
from terrapatch.maps.bundle import make_folder
from terrapatch.maps.classmap import MOST_UINT8_CLASSES
from terrapatch.maps.pam import pam_xml
from terrapatch.maps.qml import class_qml
from terrapatch.writing import gdal_writing

__all__ = ["mosaic_files", "write_mosaic"]

Maps = Sequence[tuple[Path, GeoBox]]

# How far, in cells, the far edge may lie beyond a whole cell by rounding alone.
_SLACK = 1e-6


@dataclass(frozen=True)
class _Frame:
    """The grid of the mosaic: its upper-left corner, cell size and number of cells."""

    left: float
    top: float
    width: float
    height: float
    rows: int
    cols: int

    def place(self, box: GeoBox) -> dict[str, str]:
        """Return where a map lies in it, in cells; not always at whole ones."""
        affine, (rows, cols) = box.affine, box.shape
        return {
            "xOff": _number((affine.c - self.left) / self.width),
            "yOff": _number((self.top - affine.f) / self.height),
            "xSize": _number(cols * affine.a / self.width),
            "ySize": _number(-rows * affine.e / self.height),
        }


def mosaic_files(path: Path) -> tuple[Path, ...]:
    """Return the files of a mosaic: the VRT, and the style that QGIS applies to it by itself."""
    return path, path.with_suffix(".qml")


def write_mosaic(
    path: Path,
    maps: Maps,
    legend: Legend,
    counts: NDArray[Any],
    *,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write one file over several class maps of one legend, and its style.

    The cells are as small as those of the finest map; cells of other grids show the class
    of the map's cell they lie in. Where maps overlap the first one lies on top, except
    where it has no data.

    Args:
        path: The mosaic; must end in ``.vrt``. It names the maps relative to itself.
        maps: Path and grid of each class map.
        legend: The classes of all of them.
        counts: Cells of each id in all maps ``(classes + 1,)``, 0 first.
        overwrite: Whether an older mosaic gives way.

    Returns:
        The files written, the mosaic first.

    Raises:
        MapError: If the maps do not share one CRS, or a grid is turned.
        OutputError: If the mosaic exists, or the place cannot be written.
    """
    _check(maps)
    files = mosaic_files(path)
    there = [file.name for file in files if file.exists()]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists in {path.parent} already; pass overwrite")
    texts = (_xml(path, maps, legend, counts), class_qml(legend))
    with gdal_writing(path):
        make_folder(path)
        for file, text in reversed(list(zip(files, texts, strict=True))):
            part = file.with_name(f".{file.name}.{os.getpid()}.part")
            try:
                part.write_text(text, encoding="utf-8")
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
    return files


def _check(maps: Maps) -> None:
    """Refuse maps that cannot lie in one grid."""
    if not maps:
        raise MapError("a mosaic of no map has no place; give at least one map")
    first = maps[0][1].crs
    for path, box in maps:
        if box.crs is None:
            raise MapError(f"{path.name} has no CRS, so its place among the others is not known")
        if box.crs != first:
            raise MapError(
                f"{maps[0][0].name} is in {_called(first)} and {path.name} in {_called(box.crs)}; "
                "reproject the scenes to one CRS to have one"
            )
        if box.affine.b or box.affine.d or box.affine.a <= 0 or box.affine.e >= 0:
            raise MapError(f"the grid of {path.name} is turned, which one file cannot show")


def _called(crs: Any) -> str:
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)


def _frame(maps: Maps) -> _Frame:
    boxes = [box for _, box in maps]
    width, height = min(b.affine.a for b in boxes), min(-b.affine.e for b in boxes)
    left, top = min(b.affine.c for b in boxes), max(b.affine.f for b in boxes)
    right = max(b.affine.c + b.shape[1] * b.affine.a for b in boxes)
    bottom = min(b.affine.f + b.shape[0] * b.affine.e for b in boxes)
    rows = math.ceil((top - bottom) / height - _SLACK)
    cols = math.ceil((right - left) / width - _SLACK)
    return _Frame(left, top, width, height, rows, cols)


def _xml(path: Path, maps: Maps, legend: Legend, counts: NDArray[Any]) -> str:
    frame, few = _frame(maps), len(legend) <= MOST_UINT8_CLASSES
    kind = "Byte" if few else "UInt16"
    root = ET.Element("VRTDataset", rasterXSize=str(frame.cols), rasterYSize=str(frame.rows))
    crs: Any = maps[0][1].crs  # ``_check`` saw that there is one
    _text(root, "SRS", str(crs.to_wkt()))
    corner = (frame.left, frame.width, 0.0, frame.top, 0.0, -frame.height)
    _text(root, "GeoTransform", ", ".join(map(repr, map(float, corner))))
    band = ET.SubElement(root, "VRTRasterBand", dataType=kind, band="1")
    _text(band, "Description", "class")
    _text(band, "NoDataValue", str(NODATA_ID))
    if few:
        _text(band, "ColorInterp", "Palette")
        _colours(band, legend)
    named = ET.fromstring(pam_xml(legend, [int(n) for n in counts[1:]])).find("PAMRasterBand")
    band.extend(named if named is not None else [])
    for raster, box in reversed(maps):
        _source(band, os.path.relpath(raster, path.parent), box, frame, kind)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _colours(band: ET.Element, legend: Legend) -> None:
    table = ET.SubElement(band, "ColorTable")
    for colour in ((0, 0, 0, 0), *((*entry.rgb, 255) for entry in legend)):
        told = {f"c{i}": str(part) for i, part in enumerate(colour, 1)}
        ET.SubElement(table, "Entry", told)


def _source(band: ET.Element, name: str, box: GeoBox, frame: _Frame, kind: str) -> None:
    rows, cols = (int(n) for n in box.shape)
    source = ET.SubElement(band, "ComplexSource")
    _text(source, "SourceFilename", Path(name).as_posix()).set("relativeToVRT", "1")
    _text(source, "SourceBand", "1")
    ET.SubElement(
        source,
        "SourceProperties",
        RasterXSize=str(cols),
        RasterYSize=str(rows),
        DataType=kind,
    )
    ET.SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=str(cols), ySize=str(rows))
    ET.SubElement(source, "DstRect", frame.place(box))
    _text(source, "NODATA", str(NODATA_ID))


def _text(parent: ET.Element, name: str, text: str) -> ET.Element:
    made = ET.SubElement(parent, name)
    made.text = text
    return made


def _number(value: float) -> str:
    """Write an offset in cells; what is whole but for rounding is written whole."""
    return str(round(value)) if abs(value - round(value)) < _SLACK else repr(float(value))
