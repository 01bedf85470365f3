"""The table of clusters: cells, shares, hectares."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from terrapatch.features import FeatureRaster
from terrapatch.ground import pixel_hectares
from terrapatch.maps import ClassMap


@dataclass(frozen=True)
class ClusterRow:
    """One line of the table of clusters.

    Attributes:
        id: Cluster id, from 1.
        name: Its name.
        colour: Its colour, ``#rrggbb``.
        cells: How many cells it has.
        share: Its share of all non-empty cells, 0 to 1.
        hectares: The area of its valid pixels, ``None`` without a CRS.
    """

    id: int
    name: str
    colour: str
    cells: int
    share: float
    hectares: float | None


def cluster_rows(class_map: ClassMap, raster: FeatureRaster) -> tuple[ClusterRow, ...]:
    """Return one row a cluster; areas count the valid pixels of its cells."""
    counts = class_map.counts()
    total = max(1, int(counts[1:].sum()))
    areas = pixel_hectares(raster.geobox)
    hectares: npt.NDArray[np.float64] = np.zeros(len(counts))
    if areas is not None:
        weights = raster.valid().astype(np.float64) * areas[:, None]
        ids = class_map.values.ravel()
        hectares = np.bincount(ids, weights.ravel(), len(counts)).astype(np.float64)
    return tuple(
        ClusterRow(
            entry.id,
            entry.name,
            entry.colour,
            int(counts[entry.id]),
            int(counts[entry.id]) / total,
            None if areas is None else float(hectares[entry.id]),
        )
        for entry in class_map.legend
    )


def table_csv(table: tuple[ClusterRow, ...]) -> str:
    """Return the text of ``clusters.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "colour", "cells", "share", "hectares"])
    for row in table:
        area = "" if row.hectares is None else f"{row.hectares:.4f}"
        writer.writerow([row.id, row.name, row.colour, row.cells, f"{row.share:.6f}", area])
    return text.getvalue()
