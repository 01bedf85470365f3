"""What the cells of a class map measure on the ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import MapError
from terrapatch.ground import pixel_hectares
from terrapatch.maps import ClassMap

Floats = NDArray[np.float64]


def open_map(class_map: ClassMap | str | Path) -> tuple[ClassMap, str]:
    """Return a class map and the name it goes by in messages.

    Raises:
        MapError: If there is no such file, or it is no class map.
    """
    if isinstance(class_map, ClassMap):
        return class_map, class_map.title or "the map"
    return ClassMap.open(class_map), Path(class_map).name


def row_hectares(class_map: ClassMap, name: str) -> Floats:
    """Measure a cell of each row in hectares ``(rows,)``, on the ellipsoid of the map's CRS.

    Raises:
        MapError: If the map has no CRS, is turned, or leaves the area of its projection.
    """
    geobox = class_map.geobox
    if geobox.crs is None:
        raise MapError(
            f"{name} has no CRS, so its cells have no area on the ground; assign one with "
            "gdal_edit.py -a_srs"
        )
    if geobox.affine.b or geobox.affine.d:
        raise MapError(
            f"the grid of {name} is turned against its CRS, and cells of such a grid cannot be "
            "measured; bring it upright with gdalwarp -r near"
        )
    hectares = pixel_hectares(geobox)
    if hectares is None:
        raise MapError(
            f"the cells of {name} cannot be measured: its grid leaves the area its CRS is made "
            "for, or the CRS is not tied to the Earth; check its CRS"
        )
    return hectares


def class_hectares(class_map: ClassMap, hectares: Floats) -> Floats:
    """Add up the area of each class, shape (number of classes + 1,), 0 (no data) first."""
    total = np.zeros(len(class_map.legend) + 1)
    for row, area in zip(class_map.values, hectares, strict=True):
        total += area * np.bincount(row, minlength=len(total))
    return total
