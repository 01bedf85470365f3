"""What is known of every cluster, as one table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from terrapatch.grid import ground_resolution
from terrapatch.studies._cluster_spread import Spread, spread_of
from terrapatch.studies._cluster_table import ClusterRow
from terrapatch.studies.cluster_tree import ClusterTree
from terrapatch.studies.names import Names

QUANTILES = (5, 25, 50, 75, 95, 100)
"""Percents of cells whose distance to the centre is told."""


@dataclass(frozen=True)
class ClusterDetail:
    """One cluster that occurs.

    Attributes:
        id: Cluster id.
        name: What it is shown as: its name, or ``Cluster 7``.
        colour: Its colour, ``#rrggbb``.
        part_of: The cluster a person merged it into, after all merges; ``None`` if none.
        cells: How many cells it has.
        share: Its share of all cells that are not empty.
        hectares: Its area, ``None`` without a CRS.
        spread: How it lies in space; gaps in metres with a CRS, else in cells.
        distances: Quantiles of the distances to its centre, see ``QUANTILES``.
        nearest: The cluster whose centre is nearest, and how far that is; ``None`` if unknown.
        stability: Mean best Jaccard index under resampling; ``None`` if it was not measured.
    """

    id: int
    name: str
    colour: str
    part_of: int | None
    cells: int
    share: float
    hectares: float | None
    spread: Spread
    distances: tuple[float, ...]
    nearest: tuple[int, float] | None
    stability: float | None

    @property
    def label(self) -> str:
        """Its name with its id, for lists: ``Cluster 7``, or ``Water (7)``."""
        return self.name if self.name == f"Cluster {self.id}" else f"{self.name} ({self.id})"


def cluster_details(
    labels: npt.NDArray[np.integer[Any]],
    distance: npt.NDArray[np.float32],
    geobox: GeoBox,
    rows: Sequence[ClusterRow],
    names: Names,
    tree: ClusterTree | None,
    stability: Sequence[float] | None = None,
) -> tuple[ClusterDetail, ...]:
    """Gather what is known of every cluster that occurs, in the order of ids.

    Args:
        labels: Cluster ids ``(rows, cols)``, 0 in empty cells.
        distance: Distances to the centres ``(rows, cols)``.
        geobox: The grid of the cells.
        rows: Cells and areas of each cluster.
        names: What a person says of them.
        tree: Which lie near which.
        stability: Stability of each cluster of the model, cluster 1 first, if it was measured;
            NaN where it could not be.
    """
    present = [row for row in rows if row.cells]
    spread = spread_of(labels, [row.id for row in present], cell_size(geobox)[0])
    order = np.argsort(labels.ravel(), kind="stable")
    bounds = np.searchsorted(labels.ravel()[order], [[row.id, row.id + 1] for row in present])
    found = []
    for row, (start, stop) in zip(present, bounds.reshape(-1, 2), strict=True):
        gaps = np.percentile(distance.ravel()[order[start:stop]].astype(np.float64), QUANTILES)
        root = int(names.roots[row.id])
        in_tree = tree is not None and row.id in tree.ids
        found.append(
            ClusterDetail(
                id=row.id,
                name=names.shown(row.id),
                colour=names[row.id].colour,
                part_of=None if root == row.id else root,
                cells=row.cells,
                share=row.share,
                hectares=row.hectares,
                spread=spread[row.id],
                distances=tuple(float(gap) for gap in gaps),
                nearest=tree.nearest(row.id) if tree is not None and in_tree else None,
                stability=_known(None if stability is None else stability[row.id - 1]),
            )
        )
    return tuple(found)


def cell_size(geobox: GeoBox) -> tuple[tuple[float, float], str]:
    """Return height and width of a cell, and their unit: ``m``, or ``cells`` without a CRS."""
    ground = ground_resolution(geobox)
    return ((1.0, 1.0), "cells") if ground is None else ((ground.y, ground.x), "m")


def details_csv(details: Sequence[ClusterDetail], unit: str) -> str:
    """Return the text of ``clusters_detail.csv``; ``unit`` is that of gaps."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["id", "name", "colour", "part_of", "cells", "share", "hectares", "pieces",
         "largest_piece", f"gap_{unit}", "joins", "joins_random", "clumping", "z",
         *(f"distance_q{q}" for q in QUANTILES), "nearest", "nearest_distance", "stability"]
    )  # fmt: skip
    for d in details:
        s, near = d.spread, d.nearest or (None, None)
        values = [
            d.id, d.name, d.colour, d.part_of, d.cells, d.share, d.hectares, s.pieces, s.largest,
            s.gap, s.joins.found, s.joins.expected, s.joins.clumping, s.joins.z, *d.distances,
            *near, d.stability,
        ]  # fmt: skip
        writer.writerow([_text(value) for value in values])
    return text.getvalue()


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value


def _text(value: object) -> object:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
