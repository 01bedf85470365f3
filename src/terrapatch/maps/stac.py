"""The STAC item beside a map: where it is, what its numbers mean, how it was made.

STAC 1.1 with the extensions projection 2.0, classification 2.0 and raster 2.0. Links to files
are relative to the item. The recipe stands in ``properties`` under ``terrapatch:recipe``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import shapely
from odc.geo.geobox import GeoBox
from pyproj.exceptions import ProjError

from terrapatch.errors import MapError
from terrapatch.legend import Legend

__all__ = ["PLACEHOLDER", "classes", "footprint", "item_json", "moment"]

PLACEHOLDER = datetime(1970, 1, 1, tzinfo=UTC)
"""Date of an item whose provenance has no ``datetime``: STAC wants one, and the clock would make
each save differ."""

_EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
)
_CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_KINDS: Mapping[str, tuple[str, str, list[str]]] = {
    ".aux.xml": ("attributes", "application/xml", ["metadata"]),
    ".qml": ("style", "application/xml", ["style"]),
    ".gpkg": ("polygons", "application/geopackage+sqlite3", ["data"]),
}
_DENSITY = 8  # vertices a side of the footprint


def item_json(
    raster: Path,
    companions: Sequence[Path],
    geobox: GeoBox,
    band: Mapping[str, Any],
    provenance: Mapping[str, Any],
    title: str,
) -> str:
    """Return the text of the item.

    Args:
        raster: The GeoTIFF; its stem is the item's id.
        companions: The other files of the bundle, each an asset.
        geobox: Grid of the raster.
        band: Facts of its one band, as STAC names them; classes included.
        provenance: How the map was made; ``datetime`` in it, ISO 8601, dates the item.
        title: May be empty.

    Raises:
        MapError: If ``provenance["datetime"]`` is no date.
    """
    outline = footprint(geobox)
    properties: dict[str, Any] = {"terrapatch:recipe": dict(provenance)}
    if title:
        properties["title"] = title
    if "datetime" not in provenance:
        properties["terrapatch:datetime_is_placeholder"] = True
    facts = _projection(geobox)
    item = pystac.Item(
        id=raster.stem,
        geometry=None if outline is None else outline[0],
        bbox=None if outline is None else outline[1],
        datetime=moment(provenance) or PLACEHOLDER,
        properties={**properties, **facts},
        stac_extensions=[
            *_EXTENSIONS,
            *([_CLASSIFICATION] if "classification:classes" in band else []),
        ],
    )
    item.add_asset(
        "map",
        pystac.Asset(
            f"./{raster.name}",
            media_type=_COG,
            roles=["data"],
            extra_fields={"bands": [dict(band)], **_sampling(geobox)},
        ),
    )
    for file in companions:
        key, media, roles = next(k for end, k in _KINDS.items() if file.name.endswith(end))
        item.add_asset(key, pystac.Asset(f"./{file.name}", media_type=media, roles=roles))
    data = item.to_dict(include_self_link=False, transform_hrefs=False)
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def moment(provenance: Mapping[str, Any]) -> datetime | None:
    """Return the date a provenance gives, None without one; a date without zone is in UTC.

    Raises:
        MapError: If it is no date.
    """
    given = provenance.get("datetime")
    if given is None:
        return None
    try:
        date = datetime.fromisoformat(given)
    except (TypeError, ValueError) as fault:
        raise MapError(
            f"provenance['datetime'] is {given!r}; write a date such as '2024-05-01T00:00:00Z'"
        ) from fault
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def classes(legend: Legend) -> list[dict[str, Any]]:
    """Return ``classification:classes``: no data first, then each class.

    ``name`` is made of letters, digits and hyphens, as the extension demands; ``title`` is the
    name as a person gave it.
    """
    found: list[dict[str, Any]] = [{"value": 0, "name": "no-data", "nodata": True}]
    taken = {"no-data"}
    for entry in legend:
        slug = re.sub(r"[^a-z0-9]+", "-", entry.name.lower()).strip("-")
        if not slug or slug in taken:
            slug = f"class-{entry.id}"
        while slug in taken:
            slug += "-x"
        taken.add(slug)
        hint = entry.colour[1:].upper()
        found.append({"value": entry.id, "name": slug, "title": entry.name, "color_hint": hint})
    return found


def footprint(geobox: GeoBox) -> tuple[dict[str, Any], list[float]] | None:
    """Return the outline of a grid in longitude and latitude (WGS 84), and its bounding box.

    An outline over the antimeridian comes in two parts, with west above east in the bounding
    box (RFC 7946); one around a pole becomes the cap down to its lowest latitude.

    Returns:
        GeoJSON geometry and [west, south, east, north] in degrees; None without a CRS, or when
        the grid does not lie on the Earth.
    """
    ring = _boundary(geobox)
    if ring is None:
        return None
    jumps = np.abs(np.diff(ring[:, 0])) > 180.0
    if not jumps.any():
        shape = shapely.Polygon(ring)
        return _geojson(shape), _rounded(shape.bounds)
    south, north = float(ring[:, 1].min()), float(ring[:, 1].max())
    if jumps.sum() % 2:
        cap = (-180.0, south, 180.0, 90.0) if south + north > 0 else (-180.0, -90.0, 180.0, north)
        return _geojson(shapely.box(*cap)), _rounded(cap)
    east_of_zero = np.column_stack([ring[:, 0] % 360.0, ring[:, 1]])
    whole = shapely.make_valid(shapely.Polygon(east_of_zero))
    west_part = shapely.intersection(whole, shapely.box(0, -90, 180, 90))
    east_part = shapely.intersection(whole, shapely.box(180, -90, 360, 90))
    moved = shapely.transform(east_part, lambda xy: xy - [360.0, 0.0])
    west, _, east, _ = whole.bounds
    both = shapely.union_all([west_part, moved])
    return _geojson(both), _rounded((west, south, east - 360.0, north))


def _boundary(geobox: GeoBox) -> Any:
    """Return the closed boundary ring (n, 2) in degrees, or None where there is no answer."""
    if geobox.crs is None:
        return None
    rows, cols = geobox.shape
    corners = [(0, 0), (0, rows), (cols, rows), (cols, 0), (0, 0)]
    share = np.linspace(0.0, 1.0, _DENSITY, endpoint=False)[:, None]
    sides = [np.array(a) + share * (np.array(b) - np.array(a)) for a, b in pairwise(corners)]
    col, row = np.concatenate([*sides, [corners[-1]]]).T
    a = geobox.affine
    x, y = a.a * col + a.b * row + a.c, a.d * col + a.e * row + a.f
    try:
        to_degrees = pyproj.Transformer.from_crs(geobox.crs.proj, "OGC:CRS84", always_xy=True)
        lon, lat = to_degrees.transform(x, y)
    except ProjError:
        return None
    ring = np.column_stack([lon, lat])
    usable = np.isfinite(ring).all() and np.abs(lat).max() <= 90.0 and np.abs(lon).max() <= 360.0
    return ring if usable else None


def _projection(geobox: GeoBox) -> dict[str, Any]:
    a = geobox.affine
    facts: dict[str, Any] = {
        "proj:code": None,
        "proj:shape": [int(n) for n in geobox.shape],
        "proj:transform": [a.a, a.b, a.c, a.d, a.e, a.f],
    }
    if geobox.crs is not None:
        authority = geobox.crs.proj.to_authority(min_confidence=100)
        if authority is not None:
            facts["proj:code"] = ":".join(authority)
        facts["proj:wkt2"] = geobox.crs.proj.to_wkt()
        facts["proj:bbox"] = list(geobox.extent.boundingbox.bbox)
    return facts


def _sampling(geobox: GeoBox) -> dict[str, Any]:
    a = geobox.affine
    facts: dict[str, Any] = {"raster:sampling": "area"}
    if geobox.crs is not None and geobox.crs.projected:
        metres = geobox.crs.proj.axis_info[0].unit_conversion_factor
        facts["raster:spatial_resolution"] = float(np.hypot(a.a, a.d) * metres)
    return facts


def _geojson(shape: Any) -> dict[str, Any]:
    rounded = shapely.transform(shape, lambda xy: np.round(xy, 9))
    data: dict[str, Any] = json.loads(shapely.to_geojson(rounded))
    return data


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(float(edge), 9) for edge in box]
