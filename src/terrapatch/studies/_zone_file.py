"""A GeoPackage of zones that QGIS opens with its style, the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from terrapatch.maps.vectors import WRITE_FAULTS, add_style


def write_zones(
    path: Path,
    layer: str,
    geometries: NDArray[Any],
    fields: Mapping[str, NDArray[Any]],
    crs_wkt: str,
    qml: str,
) -> None:
    """Write a GeoPackage 1.3 of one layer with its style.

    Args:
        path: The file; must not exist.
        layer: Name of the layer.
        geometries: Multipolygons (n,); a missing one is ``None``.
        fields: Columns (n,); NaN and ``None`` become NULL.
        crs_wkt: CRS of the coordinates.
        qml: The style, as QGIS writes it.

    Raises:
        OSError: If GDAL cannot write the file.
        sqlite3.Error: If the style cannot be written.
    """
    try:
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(geometries),
            field_data=list(fields.values()),
            fields=np.array(list(fields), dtype=object),
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=crs_wkt,
            dataset_options={"VERSION": "1.3"},
            layer_options={"FID": "fid", "GEOMETRY_NAME": "geom"},
        )
    except WRITE_FAULTS as fault:
        raise OSError(f"{path.name}: {fault}") from None
    add_style(path, layer, qml, len(geometries))
