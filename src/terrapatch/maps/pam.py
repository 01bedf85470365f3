"""The ``.tif.aux.xml`` beside a class map: category names and the raster attribute table.

GDAL calls this file PAM (persistent auxiliary metadata); rasterio cannot write either of its
two parts, and both are plain XML. Format: GDAL's ``pamdataset.xsd`` and the documentation of
``GDALRATFieldUsage``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from terrapatch.errors import LegendError, MapError
from terrapatch.legend import Legend, LegendEntry

__all__ = ["NODATA_LABEL", "legend_from_pam", "pam_xml"]

NODATA_LABEL = "no data"
"""Category name of id 0."""

_INTEGER, _STRING = 0, 2
_COLUMNS = (
    ("Value", _INTEGER, 5),
    ("Count", _INTEGER, 1),
    ("Class", _STRING, 2),
    ("Red", _INTEGER, 6),
    ("Green", _INTEGER, 7),
    ("Blue", _INTEGER, 8),
    ("Alpha", _INTEGER, 9),
)
"""Name, GDALRATFieldType and GDALRATFieldUsage of each column."""


def pam_xml(legend: Legend, counts: Sequence[int]) -> str:
    """Return the text of the sidecar.

    Category names stand at the index of their id, hence begin with one for 0; the attribute
    table holds the classes alone, so that readers show exactly those.

    Args:
        legend: The classes.
        counts: Cells of each class, in the order of ids; shape (n,).
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    for name in (NODATA_LABEL, *legend.names):
        ET.SubElement(categories, "Category").text = name
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        field = ET.SubElement(table, "FieldDefn", index=str(index))
        ET.SubElement(field, "Name").text = name
        ET.SubElement(field, "Type").text = str(kind)
        ET.SubElement(field, "Usage").text = str(usage)
    for index, (entry, count) in enumerate(zip(legend, counts, strict=True)):
        row = ET.SubElement(table, "Row", index=str(index))
        for value in (entry.id, int(count), entry.name, *entry.rgb, 255):
            ET.SubElement(row, "F").text = str(value)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def legend_from_pam(path: Path) -> Legend:
    """Read a legend out of the attribute table of a ``.tif.aux.xml``.

    Args:
        path: The sidecar.

    Raises:
        MapError: If the file is missing, is not XML, or holds no attribute table with ids from
            1, names and colours.
    """
    try:
        root = ET.parse(path).getroot()
        columns = {f.findtext("Usage"): int(f.attrib["index"]) for f in root.iter("FieldDefn")}
        rows = [[cell.text or "" for cell in row.findall("F")] for row in root.iter("Row")]
        value, name, *rgb = (columns[usage] for usage in ("5", "2", "6", "7", "8"))
        entries = [
            LegendEntry(
                int(row[value]), row[name], "#" + "".join(f"{int(row[i]):02x}" for i in rgb)
            )
            for row in rows
            if int(row[value]) != 0
        ]
        return Legend(tuple(sorted(entries, key=lambda entry: entry.id)))
    except (OSError, ET.ParseError, KeyError, IndexError, ValueError, LegendError) as fault:
        raise MapError(
            f"no legend in {path}: {fault}; open a map that terrapatch saved, with its .aux.xml"
        ) from fault
