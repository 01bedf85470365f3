"""The files that names make of a map of clusters: the named map, its table, and samples."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies.names import Names

__all__ = ["NAMED_FILES", "NamedRow", "named_map", "named_rows", "samples_map", "write_named"]

NAMED_FILES = (
    "samples.json",
    "samples.qml",
    "samples.tif.aux.xml",
    "samples.tif",
    "named.csv",
    "named.json",
    "named_polygons.gpkg",
    "named.qml",
    "named.tif.aux.xml",
    "named.tif",
)
"""Every file that names can make, the map last."""


@dataclass(frozen=True)
class NamedRow:
    """One line of the table of named classes.

    Attributes:
        id: Id in the named map, from 1, the largest first.
        name: Its name, ``Cluster 7`` where nobody gave one.
        colour: Its colour, ``#rrggbb``.
        clusters: Raw clusters it is made of.
        named: Whether a person named it.
        cells: How many cells it has.
        share: Its share of all non-empty cells, 0 to 1.
        hectares: The area of its valid pixels, ``None`` without a CRS.
    """

    id: int
    name: str
    colour: str
    clusters: tuple[int, ...]
    named: bool
    cells: int
    share: float
    hectares: float | None


def named_map(class_map: ClassMap, names: Names) -> ClassMap:
    """Return the map after names and merges: ids from 1, the largest class first."""
    legend, lookup = names.legend(class_map.counts())
    return _relabelled(class_map, legend, lookup, "Named clusters")


def samples_map(class_map: ClassMap, names: Names) -> ClassMap | None:
    """Return the named classes alone, every other cell without data; ``None`` without names."""
    everything, lookup = names.legend(class_map.counts())
    kept = sorted(int(lookup[id]) for id in names.named)
    if not kept:
        return None
    legend = Legend.of([everything[i].name for i in kept], [everything[i].colour for i in kept])
    again = np.zeros(len(everything) + 1, np.int64)
    again[kept] = np.arange(1, len(kept) + 1)
    return _relabelled(class_map, legend, again[lookup], "Named clusters as samples")


def _relabelled(
    class_map: ClassMap, legend: Legend, lookup: NDArray[np.int64], title: str
) -> ClassMap:
    """Apply ``lookup`` (raw id to new id) and note which clusters each name holds."""
    held = {e.name: [int(i) for i in np.flatnonzero(lookup == e.id)] for e in legend}
    provenance = {**class_map.provenance, "names": held}
    values = lookup.astype(np.uint16)[class_map.values]
    return ClassMap(values, class_map.geobox, legend, provenance, title=title)


def named_rows(
    named: ClassMap, names: Names, hectares: Mapping[int, float | None]
) -> tuple[NamedRow, ...]:
    """Return one row a class of the named map.

    Args:
        named: The named map.
        names: The names it was made with.
        hectares: Area of each raw cluster by id.
    """
    counts = named.counts()
    total = max(1, int(counts[1:].sum()))
    rows = []
    for entry in named.legend:
        clusters = tuple(named.provenance["names"][entry.name])
        areas = [hectares.get(id) for id in clusters]
        known = [area for area in areas if area is not None]
        root = int(names.roots[clusters[0]])
        rows.append(
            NamedRow(
                entry.id,
                entry.name,
                entry.colour,
                clusters,
                root in names.named,
                int(counts[entry.id]),
                int(counts[entry.id]) / total,
                sum(known) if len(known) == len(areas) else None,
            )
        )
    return tuple(rows)


def write_named(
    stage: Path,
    class_map: ClassMap,
    names: Names,
    hectares: Mapping[int, float | None],
    *,
    polygons: bool = True,
) -> tuple[ClassMap, tuple[NamedRow, ...], list[Path], tuple[str, ...]]:
    """Write the named map with its bundle, its table, and the samples, into an empty folder.

    Args:
        stage: Where to write.
        class_map: The map of raw clusters.
        names: Names, colours and merges.
        hectares: Area of each raw cluster by id.
        polygons: Whether to write polygons of the named map.

    Returns:
        The named map, its table, the files (the map first), and notes.
    """
    named = named_map(class_map, names)
    rows = named_rows(named, names, hectares)
    saved = named.save(stage / "named.tif", polygons=polygons)
    table = stage / "named.csv"
    table.write_text(_csv(rows), encoding="utf-8")
    files = [*saved.files, table]
    samples = samples_map(class_map, names)
    if samples is not None:
        files += samples.save(stage / "samples.tif", polygons=False).files
    return named, rows, files, saved.notes


def _csv(rows: tuple[NamedRow, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "colour", "clusters", "cells", "share", "hectares"])
    for row in rows:
        area = "" if row.hectares is None else f"{row.hectares:.4f}"
        clusters = " ".join(map(str, row.clusters))
        writer.writerow(
            [row.id, row.name, row.colour, clusters, row.cells, f"{row.share:.6f}", area]
        )
    return text.getvalue()


def unnamed_notes(names: Names) -> list[str]:
    """Say which clusters have no name, and which names are not shown."""
    notes = []
    if not names.named:
        notes.append(
            "no cluster has a name yet; fill in names.csv, then run terrapatch name on the folder"
        )
    elif names.unnamed:
        many = len(names.unnamed) > 1
        shown = ", ".join(f"Cluster {id}" for id in names.unnamed)
        notes.append(
            f"{len(names.unnamed)} cluster{'s have' if many else ' has'} no name and "
            f"{'are' if many else 'is'} shown as {shown}; samples.tif leaves "
            f"{'them' if many else 'it'} out"
        )
    for entry in names.entries:
        root = int(names.roots[entry.id])
        if root != entry.id and entry.name and not names[root].name:
            notes.append(
                f"cluster {entry.id} {entry.name!r} is merged into cluster {root}, which has no "
                f"name, so the class is shown as Cluster {root}; give cluster {root} the name"
            )
    return notes
