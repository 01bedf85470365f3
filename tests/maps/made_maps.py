"""Maps to test with."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, ValueMap

UTM = GeoBox((96, 128), Affine(60, 0, 300_000, 0, -60, 2_100_000), "EPSG:32643")

# A CRS with a name and no code.
LAMBERT = (
    'PROJCS["Survey of somewhere",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,'
    '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Lambert_Conformal_Conic_2SP"],PARAMETER["latitude_of_origin",40],'
    'PARAMETER["central_meridian",3],PARAMETER["standard_parallel_1",35],'
    'PARAMETER["standard_parallel_2",50],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def patchwork(classes: int, shape: tuple[int, int]) -> NDArray[Any]:
    """Return 4 x 4 blocks of each class in turn, shuffled; the first block is no data."""
    rows, cols = -(-shape[0] // 4), -(-shape[1] // 4)
    blocks = np.arange(rows * cols) % classes + 1
    np.random.default_rng(0).shuffle(blocks)
    blocks[0] = 0
    dtype = np.uint8 if classes <= 254 else np.uint16
    grid = blocks.reshape(rows, cols).astype(dtype)
    return np.kron(grid, np.ones((4, 4), dtype))[: shape[0], : shape[1]]


def class_map(classes: int = 12, geobox: GeoBox = UTM) -> ClassMap:
    """Return a map of that many classes, with names that XML has to escape."""
    names = [f"Class {i} <&> \"é\" 'roofs'" for i in range(1, classes + 1)]
    values = patchwork(classes, tuple(geobox.shape))
    return ClassMap(values, geobox, Legend.of(names), {"k": classes, "seed": 0}, "Settlements")


def value_map(geobox: GeoBox = UTM) -> ValueMap:
    """Return distances to the middle of the map, with a corner without data."""
    rows, cols = geobox.shape
    y, x = np.mgrid[:rows, :cols]
    values = np.hypot(y - rows / 2, x - cols / 2).astype(np.float32)
    values[: rows // 8 + 1, : cols // 8 + 1] = np.nan
    return ValueMap(values, geobox, "distance to centre", "cells", {"seed": 0})
