"""Classes of a map by zone: hectares, shares, and whether they go with a column of the zones."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import OutputError, SamplesError
from terrapatch.learn._vector_source import read_table
from terrapatch.learn.association import Association, Kind, associate
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies._map_areas import open_map
from terrapatch.studies._staging import publish, staging
from terrapatch.studies._zone_areas import ZoneAreas, zone_areas
from terrapatch.writing import gdal_writing

Floats = NDArray[np.float64]

_WHOLE = 0.999
"""A zone of which this share has a class is covered: outlines are no sharper."""
_OVERLAP = 0.001
_NAMED = 5


@dataclass(frozen=True, eq=False)
class ZonesResult:
    """What ``zones`` found.

    Attributes:
        files: GeoPackage, table and report; empty if nothing was written.
        notes: Sentences a person should know.
        names: What each zone is called (n,), all different.
        legend: Classes of the map.
        areas: Hectares of each class in each zone, and what is covered.
        dominant: Id of the class with most area in each zone (n,), 0 where there is none.
        column: Name of the column that the classes were held against, ``None`` for none.
        values: What the column holds (n,), ``None`` where nothing; empty without a column.
        association: By dominant class and by area of classes; empty without a column.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    names: tuple[str, ...]
    legend: Legend
    areas: ZoneAreas
    dominant: NDArray[np.int64]
    column: str | None
    values: tuple[Any, ...]
    association: tuple[Association, ...]

    @property
    def share(self) -> Floats:
        """Share of each class in what has a class in the zone (n, K); NaN where nothing has."""
        total = self.areas.hectares.sum(axis=1, keepdims=True)
        out = np.full(self.areas.hectares.shape, np.nan)
        np.divide(self.areas.hectares, total, out=out, where=total > 0)
        return out

    def dominant_name(self, zone: int) -> str:
        """Return the name of the dominant class of a zone, empty where there is none."""
        id = int(self.dominant[zone])
        return self.legend[id].name if id else ""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the table as it is written, one array a column."""
        found: dict[str, NDArray[Any]] = {"zone": np.array(self.names, dtype=object)}
        if self.column is not None:
            found["value"] = _tidy(self.values)
        names = [self.dominant_name(i) or None for i in range(len(self.names))]
        found |= {
            "zone_ha": self.areas.zone,
            "covered_share": self.areas.covered,
            "dominant": np.array(names, dtype=object),
            "dominant_id": self.dominant.astype(np.int32),
        }
        keys = class_columns(self.legend)
        share = self.share
        for i, key in enumerate(keys):
            found[f"{key}_ha"] = self.areas.hectares[:, i]
        for i, key in enumerate(keys):
            found[f"{key}_share"] = share[:, i]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        share = self.share
        return {
            "column": self.column,
            "zones": [
                {
                    "zone": name,
                    "zone_ha": float(self.areas.zone[i]),
                    "covered_share": float(self.areas.covered[i]),
                    "dominant": self.dominant_name(i) or None,
                    "hectares": dict(
                        zip(self.legend.names, self.areas.hectares[i].tolist(), strict=True)
                    ),
                    "share": dict(zip(self.legend.names, share[i].tolist(), strict=True)),
                }
                for i, name in enumerate(self.names)
            ],
            "association": [one.as_dict() for one in self.association],
        }


def zones(
    class_map: ClassMap | str | Path,
    zones: str | Path | Any,
    out: str | Path | None = None,
    *,
    id: str | None = None,
    value: str | None = None,
    kind: Literal["auto", "category", "number"] = "auto",
    layer: str | None = None,
    permutations: int = 999,
    seed: int = 0,
    overwrite: bool = False,
) -> ZonesResult:
    """Measure the classes of a map in each zone, and hold them against a column of the zones.

    Cells that a boundary cuts count by the part that lies inside (exactextract); areas are
    those on the ellipsoid. Polygons of any CRS are brought to the map.

    Args:
        class_map: A class map, or its GeoTIFF.
        zones: File of polygons, or a ``GeoDataFrame``.
        out: GeoPackage to write; a table ``.csv`` and a report ``.html`` stand beside it.
            ``None`` writes nothing.
        id: Column that names the zones; by default they are numbered from 1.
        value: Column to hold the classes against: see ``terrapatch.learn.association``.
        kind: Whether that column holds categories or numbers; by default as its type says.
        layer: Layer of the file of zones, if there are several.
        permutations: How often the column is permuted over the zones.
        seed: Seed of the permutations.
        overwrite: Whether older outputs of that name give way.

    Raises:
        MapError: If the map cannot be read or measured.
        SamplesError: If the zones cannot be read, have no CRS or not that column, two have one
            name, or nothing can be held against the column.
        OutsideError: If no zone reaches the map.
        OutputError: If an output exists already or cannot be written.
    """
    target = None if out is None else _target(Path(out), overwrite)
    held, map_name = open_map(class_map)
    table, name = read_table(zones, layer)
    for column in (id, value):
        _check_column(table, column, name)
    names = _names(table, id, name)
    areas = zone_areas(held, table, map_name, name)
    notes = _notes(areas, names, map_name)
    dominant = np.where(areas.hectares.any(axis=1), areas.hectares.argmax(axis=1) + 1, 0)
    values: tuple[Any, ...] = ()
    association: tuple[Association, ...] = ()
    if value is not None:
        values = tuple(_plain(table[value]))
        association, more = _associated(areas, values, value, kind, permutations, seed)
        notes += more
    result = ZonesResult(
        (), tuple(notes), names, held.legend, areas, dominant, value, values, association
    )
    if target is None:
        return result
    return _written(result, table, target, f"{map_name} by the zones of {name}")


def class_columns(legend: Legend) -> list[str]:
    """Return a name for the columns of each class: letters and digits, all different."""
    taken = {"zone", "covered", "dominant"}
    found = []
    for entry in legend:
        plain = re.sub(r"\W+", "_", entry.name.casefold()).strip("_")[:40] or "class"
        key = plain if plain not in taken else f"{plain}_{entry.id}"
        while key in taken:
            key += "_"
        taken.add(key)
        found.append(key)
    return found


def _target(path: Path, overwrite: bool) -> Path:
    """Refuse what cannot be written before anything is measured."""
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"cannot write zones to {path}: give it a name that ends in .gpkg")
    for file in (path, path.with_suffix(".csv"), path.with_suffix(".html")):
        if file.is_dir():
            raise OutputError(f"cannot write {file}: it is a folder; choose another output path")
        if file.exists() and not overwrite:
            raise OutputError(f"{file} exists already; choose another name, or pass --overwrite")
    return path


def _check_column(table: Any, column: str | None, name: str) -> None:
    if column is None:
        return
    columns = [str(c) for c in table.columns if c != table.geometry.name]
    if column not in columns:
        raise SamplesError(
            f"{name} has no column {column!r}; its columns: {', '.join(columns) or 'none'}"
        )


def _names(table: Any, id: str | None, name: str) -> tuple[str, ...]:
    if id is None:
        return tuple(str(i) for i in range(1, len(table) + 1))
    given = ["" if v is None else _shown(v).strip() for v in _plain(table[id])]
    if "" in given:
        raise SamplesError(
            f"zone {given.index('') + 1} of {name} has nothing in the column {id!r}; fill it in, "
            "or name another column with --id"
        )
    first: dict[str, int] = {}
    for i, text in enumerate(given):
        if text in first:
            raise SamplesError(
                f"zones {first[text] + 1} and {i + 1} of {name} are both called {text!r} in the "
                f"column {id!r}; dissolve them by it in QGIS, or name another column with --id"
            )
        first[text] = i
    return tuple(given)


def _plain(series: Any) -> list[Any]:
    """Return the values of a column as plain Python ones, ``None`` where there is none."""
    missing = np.asarray(series.isna(), bool)
    return [None if gone else v for v, gone in zip(series.tolist(), missing, strict=True)]


def _shown(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _tidy(values: Iterable[Any]) -> NDArray[Any]:
    """Return values as an array that GDAL can write: numbers, else texts."""
    held = list(values)
    if all(v is None or _is_number(v) for v in held):
        return np.array([np.nan if v is None else float(v) for v in held])
    return np.array([None if v is None else _shown(v) for v in held], dtype=object)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _notes(areas: ZoneAreas, names: tuple[str, ...], map_name: str) -> list[str]:
    """Say which zones are not covered, and what is counted twice or not at all."""
    notes = []
    outside = [n for n, share in zip(names, areas.covered, strict=True) if share == 0]
    partly = [n for n, share in zip(names, areas.covered, strict=True) if 0 < share < _WHOLE]
    if outside:
        notes.append(f"{_few(outside)} lie where {map_name} has no class; nothing is known of them")
    if partly:
        notes.append(
            f"{_few(partly)} are covered in part only: shares are those of the covered part, and "
            "hectares are too few by what is not covered"
        )
    total = float(areas.hectares.sum())
    if areas.twice > _OVERLAP * total:
        notes.append(
            f"zones overlap: {areas.twice:,.1f} ha lie in more than one and count in each, so do "
            "not add zones up"
        )
    if areas.missed > _OVERLAP * total:
        notes.append(f"{areas.missed:,.1f} ha of classes lie in no zone")
    if areas.mended:
        notes.append(f"outlines that cross themselves were mended: {areas.mended} zone(s)")
    return notes


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} zone(s) ({shown}{more})"


def _associated(
    areas: ZoneAreas, values: tuple[Any, ...], column: str, kind: str, rounds: int, seed: int
) -> tuple[tuple[Association, ...], list[str]]:
    """Hold classes against a column over the zones that have both."""
    notes = []
    filled = np.array([v is not None and _shown(v).strip() != "" for v in values])
    mapped = areas.hectares.any(axis=1)
    for gone, why in ((~filled, f"nothing in {column!r}"), (filled & ~mapped, "no class")):
        if gone.any():
            notes.append(f"{int(gone.sum())} zone(s) with {why} take no part in the association")
    used = np.flatnonzero(filled & mapped)
    held = [values[i] for i in used]
    numbers = all(_is_number(v) for v in held)
    if kind == "number" and not numbers:
        odd = next(v for v in held if not _is_number(v))
        raise SamplesError(
            f"the column {column!r} holds {odd!r}, which is no number; hold it against the classes "
            "as a category"
        )
    measured: Kind = "number" if kind == "number" or (kind == "auto" and numbers) else "category"
    data = np.array(held, float) if measured == "number" else np.array([_shown(v) for v in held])
    if measured == "number" and not np.isfinite(data).all():
        raise SamplesError(f"the column {column!r} holds infinite numbers; mend them")
    found = associate(areas.hectares[used], data, measured, permutations=rounds, seed=seed)
    return found, notes


def _written(result: ZonesResult, table: Any, target: Path, title: str) -> ZonesResult:
    """Write GeoPackage, table and report, the GeoPackage last."""
    from terrapatch.studies._zone_file import write_zones
    from terrapatch.studies._zone_report import report, zone_shapes, zone_style

    names = [target.with_suffix(suffix).name for suffix in (".csv", ".html")] + [target.name]
    with gdal_writing(target), staging(target.parent) as stage:
        (stage / names[0]).write_text(_csv(result), encoding="utf-8")
        report(result, title).save(stage / names[1])
        write_zones(
            stage / names[2],
            target.stem,
            zone_shapes(table),
            result.columns(),
            table.crs.to_wkt(),
            zone_style(result.legend),
        )
        files = publish(stage, target.parent, names)
    return replace(result, files=files[::-1])


def _csv(result: ZonesResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = result.columns()
    writer.writerow(columns)
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        writer.writerow([_cell(v) for v in row])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return "" if value is None else value
    return "" if np.isnan(value) else f"{value:.6g}" if abs(value) < 1e4 else f"{value:.2f}"
