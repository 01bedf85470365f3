"""Cells to know a cluster by: the most typical one, and others as unlike each other as can be.

The medoid is the cell that lies nearest to the cluster's centre. Each further exemplar is the
one farthest from all before it in the scaled space (Gonzalez 1985, "Clustering to minimize the
maximum intercluster distance", Theoretical Computer Science 38), among the nine tenths of the
cluster that lie nearest to its centre: what is shown is the breadth of a cluster, not its
outliers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from terrapatch.maps.points import point_qml, write_points

__all__ = [
    "COLUMNS",
    "Exemplar",
    "exemplars_csv",
    "farthest_first",
    "find_exemplars",
    "pool",
    "write_exemplars",
]

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

MOST_IN_POOL = 1500
"""Cells of a cluster that are compared with each other, at most."""

COLUMNS: dict[str, type] = {
    "cluster": int, "name": str, "rank": int, "kind": str, "row": int, "col": int,
    "x": float, "y": float, "lon": float, "lat": float, "distance": float,
}  # fmt: skip
_INNER = 0.9
_POOL_BYTES = 256 << 20
_LABEL = "CASE WHEN \"kind\" = 'medoid' THEN \"name\" ELSE '' END"


@dataclass(frozen=True)
class Exemplar:
    """A cell that stands for its cluster.

    Attributes:
        cluster: Id of the cluster.
        rank: 1 for the medoid, then in the order they were chosen.
        row: Row of cells, from 0.
        col: Column of cells, from 0.
        x: Centre of the cell in the scene's CRS (pixels of the scene without one).
        y: The same, northing or latitude.
        lon: Longitude, ``None`` where it is not known.
        lat: Latitude, ``None`` where it is not known.
        distance: Distance to the centre of the cluster in the scaled space.
    """

    cluster: int
    rank: int
    row: int
    col: int
    x: float
    y: float
    lon: float | None
    lat: float | None
    distance: float

    @property
    def kind(self) -> str:
        """``medoid`` for the most typical cell, else ``exemplar``."""
        return "medoid" if self.rank == 1 else "exemplar"


def pool(ranked: Numbers, n: int, most: int = MOST_IN_POOL, seed: Sequence[int] = (0,)) -> Numbers:
    """Return the cells that exemplars are chosen among, the nearest to the centre first.

    Args:
        ranked: Cells of a cluster, the nearest to its centre first.
        n: Exemplars that will be chosen.
        most: Cells to return at most; of more, the ``n`` nearest stay and others are drawn.
        seed: Seed of the draw.
    """
    inner = ranked[: int(np.ceil(len(ranked) * _INNER))]
    most = max(most, n)
    if len(inner) <= most:
        return inner
    drawn = np.random.default_rng(seed).choice(len(inner) - n, most - n, replace=False)
    return np.asarray(inner[np.concatenate([np.arange(n), n + np.sort(drawn)])])


def farthest_first(rows: Floats, n: int, typical: int = 1) -> list[int]:
    """Choose rows: the first ones, then each time the one farthest from all before it.

    Args:
        rows: Descriptors ``(m, d)``, the nearest to the centre first.
        n: Rows to choose at most.
        typical: How many are taken from the front.

    Returns:
        Places of rows, each once; of equally far ones the first is taken.
    """
    chosen = list(range(min(n, typical, len(rows))))
    if not chosen:
        return []
    places = rows.astype(np.float64)
    gap = np.full(len(places), np.inf)
    for start in chosen:
        gap = np.minimum(gap, np.square(places - places[start]).sum(axis=1))
    gap[chosen] = -1.0
    while len(chosen) < min(n, len(places)):
        pick = int(np.argmax(gap))
        chosen.append(pick)
        gap = np.minimum(gap, np.square(places - places[pick]).sum(axis=1))
        gap[chosen] = -1.0
    return chosen


def find_exemplars(
    labels: npt.NDArray[np.integer[Any]],
    distance: npt.NDArray[np.float32],
    geobox: GeoBox,
    width: int,
    rows_of: Callable[[Numbers], Floats],
    n: int,
    *,
    seed: int = 0,
) -> tuple[Exemplar, ...]:
    """Find the medoid and diverse exemplars of every cluster that occurs.

    Args:
        labels: Cluster ids ``(rows, cols)``, 0 in empty cells.
        distance: Distances to the centres ``(rows, cols)``.
        geobox: The grid of the cells.
        width: Numbers in a scaled descriptor; decides how many cells are compared.
        rows_of: Gives scaled descriptors ``(m, d)`` of cells, given ascending. Called once.
        n: Exemplars of a cluster at most, its medoid among them.
        seed: Seed of the draw of cells to compare, where a cluster has many.

    Returns:
        Exemplars in the order of cluster and rank.
    """
    pools = _pools(labels, distance, n, width, seed)
    wanted = np.sort(np.concatenate(list(pools.values()))) if pools else np.zeros(0, np.int64)
    rows = rows_of(wanted)
    found = []
    for id, members in pools.items():
        places = np.searchsorted(wanted, members)
        found += [
            (id, rank, int(members[i]))
            for rank, i in enumerate(farthest_first(rows[places], n), start=1)
        ]
    return _placed(found, distance, geobox)


def exemplars_csv(exemplars: Sequence[Exemplar], names: Mapping[int, str]) -> str:
    """Return the text of ``exemplars.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in exemplars:
        degrees = ["" if v is None else f"{v:.7f}" for v in (e.lon, e.lat)]
        writer.writerow(
            [e.cluster, names[e.cluster], e.rank, e.kind, e.row, e.col,
             f"{e.x:.10g}", f"{e.y:.10g}", *degrees, f"{e.distance:.6g}"]
        )  # fmt: skip
    return text.getvalue()


def write_exemplars(
    path: Path,
    exemplars: Sequence[Exemplar],
    names: Mapping[int, str],
    colours: Mapping[int, str],
    geobox: GeoBox,
) -> None:
    """Write exemplars as points in the colours of their clusters; medoids bear their names.

    Args:
        path: The GeoPackage; must not exist.
        exemplars: The exemplars.
        names: Name of each cluster.
        colours: Colour of each cluster, ``#rrggbb``.
        geobox: The grid whose CRS the coordinates are in.

    Raises:
        OSError: If GDAL cannot write the file.
    """
    fields: dict[str, tuple[type, list[Any]]] = {
        column: (of, [names[e.cluster] if column == "name" else getattr(e, column)
                      for e in exemplars])
        for column, of in COLUMNS.items()
    }  # fmt: skip
    kinds = {str(id): (names[id], colours[id], "circle") for id in names}
    places = [(e.x, e.y) for e in exemplars]
    write_points(path, "exemplars", places, fields, geobox, point_qml("cluster", kinds, _LABEL))


def _pools(
    labels: npt.NDArray[np.integer[Any]],
    distance: npt.NDArray[np.float32],
    n: int,
    width: int,
    seed: int,
) -> dict[int, Numbers]:
    """Return the cells to compare in each cluster that occurs, bounded in all."""
    flat, gaps = labels.ravel(), distance.ravel()
    cells = np.flatnonzero(flat > 0).astype(np.int64)
    order = cells[np.lexsort((cells, gaps[cells], flat[cells]))]
    ids, starts = np.unique(flat[order], return_index=True)
    share = _POOL_BYTES // (4 * max(1, width) * max(1, len(ids)))
    most = int(np.clip(share, 4 * n, MOST_IN_POOL))
    parts = np.split(order, starts[1:]) if len(ids) else []
    return {
        int(id): pool(part, n, most, (seed, int(id))) for id, part in zip(ids, parts, strict=True)
    }


def _placed(
    found: Sequence[tuple[int, int, int]], distance: npt.NDArray[np.float32], geobox: GeoBox
) -> tuple[Exemplar, ...]:
    """Give chosen cells (cluster, rank, number) their coordinates."""
    rows, cols = np.divmod(np.array([cell for *_, cell in found], np.int64), distance.shape[1])
    t = geobox.affine
    x = t.a * (cols + 0.5) + t.b * (rows + 0.5) + t.c
    y = t.d * (cols + 0.5) + t.e * (rows + 0.5) + t.f
    lon, lat = _degrees(geobox, x, y)
    return tuple(
        Exemplar(id, rank, int(rows[i]), int(cols[i]), float(x[i]), float(y[i]),
                 _known(lon[i]), _known(lat[i]), float(distance.flat[cell]))
        for i, (id, rank, cell) in enumerate(found)
    )  # fmt: skip


def _degrees(
    geobox: GeoBox, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[Any, Any]:
    """Return longitudes and latitudes (WGS 84), not finite where they are not known."""
    unknown = np.full(len(x), np.nan)
    if geobox.crs is None:
        return unknown, unknown
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(geobox.crs.to_wkt())
    if crs.geodetic_crs is None:
        return unknown, unknown
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return lon, lat


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
