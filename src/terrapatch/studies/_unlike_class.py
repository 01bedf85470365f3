"""The class of cells that are unlike anything seen: its files, and the named map with it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import LegendError, MapError, RecipeError
from terrapatch.features import FeatureRaster
from terrapatch.ground import pixel_hectares
from terrapatch.learn.unlike import Unlike
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, ValueMap
from terrapatch.studies._named_map import (
    NamedRow,
    _csv,
    named_map,
    named_rows,
    samples_map,
    write_named,
)
from terrapatch.studies.names import Names

__all__ = [
    "COLOUR",
    "UNLIKE",
    "UNLIKE_FILES",
    "add_unlike",
    "read_unlike",
    "unlike_cells",
    "unlike_hectares",
    "write_named_again",
    "write_named_unlike",
    "write_unlike",
]

UNLIKE, COLOUR = "unlike anything seen", "#7f7f7f"
UNLIKE_FILES = (
    "unlike.csv",
    "unlike.safetensors",
    "unlike.json",
    "unlike_ratio.json",
    "unlike_ratio.qml",
    "unlike_ratio.tif.aux.xml",
    "unlike_ratio.tif",
)
"""Every file that tells what is unlike, the map last."""

_RATIO = "unlike_ratio.tif"
_FORMAT = "terrapatch unlike"


def add_unlike(named: ClassMap, beyond: NDArray[np.bool_]) -> ClassMap:
    """Give the cells that are unlike anything seen a class of their own, the last one.

    Args:
        named: The named map.
        beyond: Which cells are unlike ``(rows, cols)``.

    Raises:
        LegendError: If a class has that name already.
    """
    if UNLIKE in named.legend.names:
        raise LegendError(
            f"a cluster is named {UNLIKE!r}, which is the name of the cells that no cluster "
            "holds; give the cluster another name"
        )
    legend = Legend.of([*named.legend.names, UNLIKE], [*named.legend.colours, COLOUR])
    values = named.values.astype(np.uint16)
    values[beyond & (values > 0)] = len(legend)
    return replace(named, values=values, legend=legend)


def write_unlike(
    stage: Path, unlike: Unlike, ratio: ValueMap, rows: list[tuple[int, int, float | None]]
) -> list[Path]:
    """Write thresholds, the map of ratios, and what is unlike in each cluster.

    Args:
        stage: Where to write.
        unlike: The thresholds.
        ratio: Distance over threshold of each cell.
        rows: Of each raw cluster its id, cells that are unlike and their hectares.

    Returns:
        The files.
    """
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(a) for name, a in unlike.to_arrays().items()})
    (stage / "unlike.safetensors").write_bytes(data)
    content = {
        "format": _FORMAT,
        **unlike.description(),
        "arrays_sha256": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    (stage / "unlike.json").write_text(text, encoding="utf-8")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "unlike_cells", "unlike_hectares"])
    for id, cells, area in rows:
        writer.writerow([id, cells, "" if area is None else f"{area:.4f}"])
    (stage / "unlike.csv").write_text(table.getvalue(), encoding="utf-8")
    saved = ratio.save(stage / _RATIO)
    return [*saved.files, *(stage / name for name in UNLIKE_FILES[:3])]


def read_unlike(folder: Path) -> Unlike | None:
    """Read the thresholds that ``apply`` left in a folder; ``None`` where there are none.

    Raises:
        RecipeError: If they are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / "unlike.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        data = (folder / "unlike.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
            raise ValueError("unlike.safetensors is not the file it was written with")
        return Unlike.from_arrays(load(data), float(content["quantile"]), content["how"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as fault:
        raise RecipeError(
            f"{path} is damaged ({fault}); apply the model again with --overwrite"
        ) from fault


def unlike_cells(folder: Path, class_map: ClassMap) -> NDArray[np.bool_] | None:
    """Return which cells of a folder's map are unlike ``(rows, cols)``.

    ``None`` where the folder does not say, or says it of an earlier map.
    """
    if not (folder / _RATIO).is_file() or not (folder / "unlike.json").is_file():
        return None
    ratio = ValueMap.open(folder / _RATIO)
    made = ("model", "features")
    same = all(ratio.provenance.get(k) == class_map.provenance.get(k) for k in made)
    if not same or ratio.geobox != class_map.geobox:
        return None
    return np.asarray(ratio.values > 1)


def unlike_hectares(folder: Path) -> dict[int, float | None]:
    """Read from ``unlike.csv`` the hectares that are unlike in each raw cluster."""
    path = folder / "unlike.csv"
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = [(int(row["id"]), row["unlike_hectares"]) for row in csv.DictReader(text)]
        return {id: float(area) if area else None for id, area in rows}
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise RecipeError(
            f"{path} is damaged ({fault}); apply the model again with --overwrite"
        ) from fault


def unlike_rows(
    class_map: ClassMap, beyond: NDArray[np.bool_], raster: FeatureRaster
) -> list[tuple[int, int, float | None]]:
    """Return of each raw cluster its id, cells that are unlike, and their hectares."""
    k = len(class_map.legend)
    ids = class_map.values[beyond]
    cells = np.bincount(ids, minlength=k + 1)
    areas = pixel_hectares(raster.geobox)
    if areas is None:
        return [(i, int(cells[i]), None) for i in range(1, k + 1)]
    weights = (raster.valid().astype(np.float64) * areas[:, None])[beyond]
    hectares = np.bincount(ids, weights, k + 1)
    return [(i, int(cells[i]), float(hectares[i])) for i in range(1, k + 1)]


def write_named_unlike(
    stage: Path,
    class_map: ClassMap,
    names: Names,
    hectares: Mapping[int, float | None],
    beyond: NDArray[np.bool_],
    beyond_hectares: Mapping[int, float | None],
    *,
    polygons: bool = True,
) -> tuple[ClassMap, tuple[NamedRow, ...], list[Path], tuple[str, ...]]:
    """Do what ``write_named`` does, with a last class for cells that are unlike anything seen.

    They are no samples either.

    Args:
        stage: Where to write.
        class_map: The map of raw clusters.
        names: Names, colours and merges.
        hectares: Area of each raw cluster by id.
        beyond: Which cells are unlike ``(rows, cols)``.
        beyond_hectares: Their area in each raw cluster by id.
        polygons: Whether to write polygons of the named map.

    Returns:
        The named map, its table, the files (the map first), and notes.
    """
    named = add_unlike(named_map(class_map, names), beyond)
    rest = {id: _less(area, beyond_hectares.get(id)) for id, area in hectares.items()}
    rows = _rows(named, names, rest, beyond_hectares)
    saved = named.save(stage / "named.tif", polygons=polygons)
    table = stage / "named.csv"
    table.write_text(_csv(rows), encoding="utf-8")
    files = [*saved.files, table]
    samples = samples_map(class_map, names)
    if samples is not None:
        values = np.where(beyond, 0, samples.values).astype(samples.values.dtype)
        kept = replace(samples, values=values)
        files += kept.save(stage / "samples.tif", polygons=False).files
    return named, rows, files, saved.notes


def write_named_again(
    folder: Path,
    stage: Path,
    class_map: ClassMap,
    names: Names,
    hectares: Mapping[int, float | None],
    *,
    polygons: bool = True,
) -> tuple[ClassMap, tuple[NamedRow, ...], list[Path], tuple[str, ...]]:
    """Write the named map of a folder anew, with its unlike cells where ``apply`` found some.

    Arguments and result are those of ``write_named``; ``folder`` is where the clusters stand.

    Raises:
        RecipeError: If what ``apply`` left is damaged.
        LegendError: If a cluster has the name of that class.
    """
    beyond = unlike_cells(folder, class_map)
    unlike = None if beyond is None else read_unlike(folder)
    if beyond is None or unlike is None:
        return write_named(stage, class_map, names, hectares, polygons=polygons)
    told = replace(class_map, provenance={**class_map.provenance, "unlike": describe(unlike)})
    areas = unlike_hectares(folder)
    return write_named_unlike(stage, told, names, hectares, beyond, areas, polygons=polygons)


def _rows(
    named: ClassMap,
    names: Names,
    hectares: Mapping[int, float | None],
    beyond: Mapping[int, float | None],
) -> tuple[NamedRow, ...]:
    """Return one row a class; the last class is made of no cluster."""
    last = len(named.legend)
    own = Legend(named.legend.entries[:-1])
    values = np.where(named.values == last, 0, named.values).astype(named.values.dtype)
    rows = named_rows(replace(named, values=values, legend=own), names, hectares)
    counts = named.counts()
    total = max(1, int(counts[1:].sum()))
    known = [area for area in beyond.values() if area is not None]
    area = sum(known) if len(known) == len(beyond) else None
    unlike = NamedRow(
        last, UNLIKE, COLOUR, (), False, int(counts[last]), int(counts[last]) / total, area
    )
    shared = (replace(row, share=row.cells / total) for row in rows)
    return (*shared, unlike)


def _less(area: float | None, other: float | None) -> float | None:
    return None if area is None or other is None else max(0.0, area - other)


def named_of(legend: Legend, names: Names, k: int) -> NDArray[np.int64]:
    """Return the class of a legend that each raw cluster is shown as ``(k + 1,)``.

    Raises:
        MapError: If the legend lacks a name.
    """
    ids = {entry.name: entry.id for entry in legend}
    shown = [names.shown(int(names.roots[i])) for i in range(1, k + 1)]
    missing = [name for name in shown if name not in ids]
    if missing:
        raise MapError(
            f"the map has no class {missing[0]!r}, which names.csv has; make it anew with: "
            "terrapatch name"
        )
    return np.array([0, *(ids[name] for name in shown)], np.int64)


def describe(unlike: Unlike) -> dict[str, Any]:
    """Return what a map's provenance says of the thresholds."""
    return {key: value for key, value in unlike.description().items() if key != "cells"}
