"""Value maps: a raster of numbers with a name, a unit and a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import MapError
from terrapatch.maps import stac
from terrapatch.maps.bundle import SavedMap, check_grid, provenance_json, staged
from terrapatch.maps.cog import CogFacts, Statistics, statistics, write_cog
from terrapatch.maps.qml import nice_range, value_qml
from terrapatch.maps.reading import grid_notes, read_map, tag_json

__all__ = ["ValueMap"]


@dataclass(frozen=True, eq=False)
class ValueMap:
    """A raster of float32, its grid, what it measures and how it was made.

    Attributes:
        values: Array (rows, cols) of float32; NaN is no data.
        geobox: Grid of the same shape; its CRS may be None.
        name: What is measured, for instance ``"distance to centre"``.
        unit: Its unit; empty for a plain number.
        provenance: How the map was made; JSON-able. ``datetime`` in it dates the STAC item.
        range: Values of the darkest and lightest colour; None rounds the values' own range.
        title: What a person would call the map.

    Raises:
        MapError: If type, shape, range or provenance do not fit, or a value is infinite.
    """

    values: NDArray[Any]
    geobox: GeoBox
    name: str
    unit: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    range: tuple[float, float] | None = None
    title: str = ""

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        values = np.asanyarray(self.values)
        if values.dtype != np.float32:
            raise MapError(
                f"values are {values.dtype}; give float32, for instance values.astype('float32'),"
                " with NaN for no data"
            )
        check_grid(values.shape, self.geobox)
        if any(np.isinf(row).any() for row in values):
            raise MapError("the values hold infinity; replace it by NaN, which is no data")
        for what, text in (("name", self.name), ("unit", self.unit)):
            if not text.isprintable():
                raise MapError(f"the {what} {text!r} has a line break; remove it")
        if not self.name.strip():
            raise MapError("a value map needs a name: what do its numbers measure?")
        if self.range is not None:
            low, high = self.range
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise MapError(f"the range {self.range} is none; give (low, high) with low < high")
            object.__setattr__(self, "range", (float(low), float(high)))
        provenance_json(self.provenance)
        stac.moment(self.provenance)
        object.__setattr__(self, "values", values)

    def save(self, path: str | Path, *, overwrite: bool = False) -> SavedMap:
        """Write the whole bundle, or nothing.

        ``stem.tif`` (COG with average overviews and statistics), ``stem.qml`` (viridis over the
        range) and ``stem.json`` (STAC item). The same map gives the same bytes.

        Args:
            path: The GeoTIFF; must end in ``.tif``. Missing folders are made.
            overwrite: Whether an older bundle of that name gives way.

        Raises:
            OutputError: If the bundle exists, or the place is full or not writable.
        """
        path = Path(path)
        notes = grid_notes(self.geobox, self.provenance)
        measured = statistics(self.values, math.nan)
        if not measured.count:
            notes.append("the map has no value at all: every cell is no data")
        with staged(path, overwrite) as names:
            self._write_raster(names.raster, measured)
            low, high = self.range or _shown(measured)
            names.style.write_text(value_qml(low, high, self.unit), encoding="utf-8")
            item = stac.item_json(
                names.raster,
                (names.style,),
                self.geobox,
                self._band(measured),
                self.provenance,
                self.title,
            )
            names.item.write_text(item, encoding="utf-8")
            written = tuple(path.with_name(file.name) for file in names.present())
        return SavedMap(path, written, tuple(notes))

    @classmethod
    def open(cls, path: str | Path) -> ValueMap:
        """Read a value map back.

        Args:
            path: The GeoTIFF.

        Raises:
            MapError: If there is no such file, or it is no value map.
        """
        path = Path(path)
        read = read_map(path, ("float32",))
        facts = tag_json(path, read.tags, "TERRAPATCH_VALUES")
        given = facts.get("range")
        return cls(
            read.values,
            read.geobox,
            facts.get("name") or read.description or path.stem,
            facts.get("unit", read.unit),
            tag_json(path, read.tags, "TERRAPATCH"),
            None if given is None else (given[0], given[1]),
            read.tags.get("TERRAPATCH_TITLE", ""),
        )

    def _write_raster(self, path: Path, measured: Statistics) -> None:
        told = {"name": self.name, "unit": self.unit, "range": self.range}
        tags = {
            "TERRAPATCH": provenance_json(self.provenance),
            "TERRAPATCH_VALUES": provenance_json(told),
        }
        if self.title:
            tags["TERRAPATCH_TITLE"] = self.title
        facts = CogFacts(
            nodata=math.nan,
            tags=tags,
            statistics=measured,
            description=self.name,
            unit=self.unit,
            overviews="AVERAGE",
        )
        write_cog(path, self.values, self.geobox, facts)

    def _band(self, measured: Statistics) -> dict[str, Any]:
        band: dict[str, Any] = {"name": self.name, "data_type": "float32", "nodata": "nan"}
        if self.unit:
            band["unit"] = self.unit
        if measured.count:
            band["statistics"] = {
                "minimum": measured.minimum,
                "maximum": measured.maximum,
                "mean": measured.mean,
                "stddev": measured.std,
                "valid_percent": 100.0 * measured.share,
            }
        return band


def _shown(measured: Statistics) -> tuple[float, float]:
    return nice_range(measured.minimum, measured.maximum) if measured.count else (0.0, 1.0)
