"""Reading maps back, and what every map has to say about its grid."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from terrapatch.errors import MapError

__all__ = ["MapFile", "grid_notes", "read_map", "tag_json"]


@dataclass(frozen=True, eq=False)
class MapFile:
    """What stands in the GeoTIFF of a map.

    Attributes:
        values: Array (rows, cols).
        geobox: Its grid.
        tags: Tags of the data set.
        description: Name of the band.
        unit: Unit of the band.
    """

    values: NDArray[Any]
    geobox: GeoBox
    tags: Mapping[str, str]
    description: str
    unit: str


def read_map(path: Path, dtypes: Collection[str]) -> MapFile:
    """Read a one-band GeoTIFF.

    Args:
        path: The file.
        dtypes: Types the band may have.

    Raises:
        MapError: If there is no such file, it is no raster, or it is not of one such band.
    """
    if not path.exists():
        raise MapError(f"there is no map at {path}; check the path")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as file:
                if file.count != 1 or file.dtypes[0] not in dtypes:
                    raise MapError(
                        f"{path} has {file.count} band(s) of {file.dtypes[0]}; this map has one of"
                        f" {' or '.join(dtypes)}"
                    )
                geobox = GeoBox(file.shape, file.transform, file.crs)
                unit = file.units[0] or ""
                name = file.descriptions[0] or ""
                return MapFile(file.read(1), geobox, file.tags(), name, unit)
        except RasterioIOError as fault:
            raise MapError(f"cannot read the map {path}: {fault}; save it again") from fault


def tag_json(path: Path, tags: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the JSON object in a tag, an empty one without the tag.

    Raises:
        MapError: If the tag holds something else.
    """
    try:
        data = json.loads(tags.get(name, "{}"))
    except json.JSONDecodeError as fault:
        raise MapError(f"the tag {name} of {path} is no JSON ({fault}); save it again") from fault
    if not isinstance(data, dict):
        raise MapError(f"the tag {name} of {path} is no JSON object; save it again")
    return data


def grid_notes(geobox: GeoBox, provenance: Mapping[str, Any]) -> list[str]:
    """Return what a reader of a saved map should know about place and date."""
    from terrapatch.maps.stac import footprint

    notes = []
    if geobox.crs is None:
        notes.append(
            "the grid has no CRS: the files carry coordinates without a place on the Earth,"
            " the STAC item has no geometry, and polygons have no area"
        )
    elif footprint(geobox) is None:
        notes.append("the grid does not lie on the Earth: the STAC item has no geometry")
    if "datetime" not in provenance:
        notes.append("no date is known: the STAC item is dated 1970-01-01 as a placeholder")
    return notes
