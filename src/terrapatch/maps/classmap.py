"""Class maps: a raster of ids with a legend, saved as everything a QGIS user needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import MapError
from terrapatch.legend import NODATA_ID, Legend
from terrapatch.maps import stac
from terrapatch.maps.bundle import BundleNames, SavedMap, check_grid, provenance_json, staged
from terrapatch.maps.cog import CogFacts, statistics, write_cog
from terrapatch.maps.pam import legend_from_pam, pam_xml
from terrapatch.maps.qml import class_qml
from terrapatch.maps.reading import grid_notes, read_map, tag_json

__all__ = ["MOST_UINT8_CLASSES", "ClassMap"]

MOST_UINT8_CLASSES = 254
"""Legends above this many classes are written as uint16, without a colour table: QGIS would
show one of 16 bits as 65,536 classes."""

_ROWS = 1024


@dataclass(frozen=True, eq=False)
class ClassMap:
    """A raster of class ids, its grid, its legend and how it was made.

    Attributes:
        values: Array (rows, cols) of uint8 or uint16, brought to the type that the legend needs:
            uint8 up to 254 classes, else uint16. 0 is no data.
        geobox: Grid of the same shape; its CRS may be None.
        legend: The classes.
        provenance: How the map was made; JSON-able. ``datetime`` in it dates the STAC item.
        title: What a person would call the map.

    Raises:
        MapError: If type, shape, ids or provenance do not fit, each by name.
    """

    values: NDArray[Any]
    geobox: GeoBox
    legend: Legend
    provenance: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        values = np.asanyarray(self.values)
        if values.dtype not in (np.uint8, np.uint16):
            raise MapError(
                f"class ids are {values.dtype}; give uint8 or uint16, for instance"
                " values.astype('uint16'), with 0 for no data"
            )
        check_grid(values.shape, self.geobox)
        highest = int(values.max())
        if highest > len(self.legend):
            raise MapError(
                f"the values hold class {highest}, the legend ends at {len(self.legend)};"
                " add the missing classes to the legend"
            )
        provenance_json(self.provenance)
        stac.moment(self.provenance)
        dtype = np.uint8 if len(self.legend) <= MOST_UINT8_CLASSES else np.uint16
        object.__setattr__(self, "values", values.astype(dtype, copy=False))

    def counts(self) -> NDArray[np.int64]:
        """Return the number of cells of each id; shape (number of classes + 1,), 0 first."""
        total = np.zeros(len(self.legend) + 1, dtype=np.int64)
        for row in range(0, len(self.values), _ROWS):
            total += np.bincount(self.values[row : row + _ROWS].ravel(), minlength=len(total))
        return total

    def save(self, path: str | Path, *, polygons: bool = True, overwrite: bool = False) -> SavedMap:
        """Write the whole bundle, or nothing.

        ``stem.tif`` (COG with mode overviews and, up to 254 classes, a colour table),
        ``stem.tif.aux.xml`` (category names, attribute table), ``stem.qml`` (style),
        ``stem_polygons.gpkg`` (styled polygons) and ``stem.json`` (STAC item). The same map
        gives the same bytes.

        Args:
            path: The GeoTIFF; must end in ``.tif``. Missing folders are made.
            polygons: Whether to write the GeoPackage.
            overwrite: Whether an older bundle of that name gives way.

        Raises:
            OutputError: If the bundle exists, or the place is full or not writable.
        """
        path = Path(path)
        notes = grid_notes(self.geobox, self.provenance)
        with staged(path, overwrite) as names:
            self._write_raster(names.raster)
            counts = [int(n) for n in self.counts()[1:]]
            names.sidecar.write_text(pam_xml(self.legend, counts), encoding="utf-8")
            names.style.write_text(class_qml(self.legend), encoding="utf-8")
            if polygons:
                notes += self._write_polygons(names)
            companions = names.present()[1:]
            item = stac.item_json(
                names.raster, companions, self.geobox, self._band(), self.provenance, self.title
            )
            names.item.write_text(item, encoding="utf-8")
            written = tuple(path.with_name(file.name) for file in names.present())
        return SavedMap(path, written, tuple(notes))

    @classmethod
    def open(cls, path: str | Path) -> ClassMap:
        """Read a class map back.

        Args:
            path: The GeoTIFF. The legend is taken from its tag, else from the attribute table
                of its ``.aux.xml``.

        Raises:
            MapError: If there is no such file, it is no class map, or it has no legend.
        """
        path = Path(path)
        read = read_map(path, ("uint8", "uint16"))
        data = tag_json(path, read.tags, "TERRAPATCH_LEGEND")
        legend = Legend.from_dict(data) if data else legend_from_pam(BundleNames(path).sidecar)
        return cls(
            read.values,
            read.geobox,
            legend,
            tag_json(path, read.tags, "TERRAPATCH"),
            read.tags.get("TERRAPATCH_TITLE", ""),
        )

    def _write_raster(self, path: Path) -> None:
        tags = {
            "TERRAPATCH": provenance_json(self.provenance),
            "TERRAPATCH_LEGEND": provenance_json(self.legend.as_dict()),
        }
        if self.title:
            tags["TERRAPATCH_TITLE"] = self.title
        colours: dict[int, tuple[int, int, int, int]] = {}
        if self.values.dtype == np.uint8:
            colours = {NODATA_ID: (0, 0, 0, 0)} | {e.id: (*e.rgb, 255) for e in self.legend}
        facts = CogFacts(
            nodata=NODATA_ID,
            tags=tags,
            statistics=statistics(self.values, NODATA_ID),
            colours=colours,
            description="class",
        )
        write_cog(path, self.values, self.geobox, facts)

    def _write_polygons(self, names: BundleNames) -> list[str]:
        from terrapatch.maps.vectors import class_polygons, write_polygons

        try:
            found = class_polygons(self.values, self.geobox)
        except MapError as fault:
            return [f"no polygons were written: {fault}"]
        write_polygons(names.polygons, names.polygons.stem, found, self.legend, self.geobox)
        return []

    def _band(self) -> dict[str, Any]:
        return {
            "name": "class",
            "data_type": self.values.dtype.name,
            "nodata": NODATA_ID,
            "classification:classes": stac.classes(self.legend),
        }
