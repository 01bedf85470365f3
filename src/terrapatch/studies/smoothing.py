"""Smoothing a class map, and saying what it changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import MapError, OutputError
from terrapatch.learn.dissolving import dissolve_small
from terrapatch.learn.smoothing import majority_filter
from terrapatch.maps import ClassMap
from terrapatch.studies._map_areas import open_map, row_hectares


@dataclass(frozen=True)
class Move:
    """Cells that went from one class to another.

    Attributes:
        source: Name of the class they had.
        target: Name of the class they have now.
        cells: How many.
        hectares: Their area, ``None`` for a map without a CRS.
    """

    source: str
    target: str
    cells: int
    hectares: float | None


@dataclass(frozen=True, eq=False)
class SmoothResult:
    """What ``smooth`` made.

    Attributes:
        files: The files of the map, the GeoTIFF first; empty if nothing was written.
        notes: Sentences a person should know.
        class_map: The smoothed map.
        cells: Cells with a class.
        changed: Those of them that have another class now.
        moves: Which went where, the most cells first.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    class_map: ClassMap
    cells: int
    changed: int
    moves: tuple[Move, ...]


def smooth(
    class_map: ClassMap | str | Path,
    out: str | Path | None = None,
    *,
    size: int = 3,
    min_hectares: float | None = None,
    polygons: bool = True,
    overwrite: bool = False,
) -> SmoothResult:
    """Smooth a class map: the commonest class around each cell, then no small patches.

    What is no data stays so and has no say; no cell is given a class where there was none. The
    legend is kept, also of classes that vanish.

    Args:
        class_map: A class map, or its GeoTIFF.
        out: GeoTIFF to write, with its companions; ``None`` writes nothing.
        size: Side of the square whose commonest class a cell takes, odd; 0 for none.
        min_hectares: Patches smaller than this become part of their largest neighbour; see
            ``terrapatch.learn.dissolving``.
        polygons: Whether to write classes as polygons too.
        overwrite: Whether an older map of that name gives way; never the map itself.

    Raises:
        MapError: If the map cannot be read, or there is nothing to do, or hectares are asked
            for where they are not known.
        SamplesError: If the side is even.
        OutputError: If the map exists already or cannot be written.
    """
    given = None if isinstance(class_map, ClassMap) else Path(class_map).resolve()
    if out is not None and Path(out).resolve() == given:
        raise OutputError(
            f"{out} is the map itself, which smoothing would destroy; choose another name"
        )
    if size == 0 and min_hectares is None:
        raise MapError("there is nothing to smooth: give --size 3, or --min-hectares, or both")
    if min_hectares is not None and not 0 < min_hectares < np.inf:
        raise MapError(f"patches below {min_hectares:g} ha do not exist; give a positive area")
    held, name = open_map(class_map)
    known = held.geobox.crs is not None
    hectares = row_hectares(held, name) if known or min_hectares is not None else None
    labels, notes = held.values, []
    if size:
        labels = majority_filter(labels, len(held.legend), size).labels
    if min_hectares is not None and hectares is not None:
        done = dissolve_small(labels, hectares, min_hectares)
        labels = done.labels
        small = f"below {min_hectares:g} ha"
        notes.append(f"patches {small} that became part of a neighbour: {done.dissolved:,}")
        if done.kept:
            notes.append(f"patches {small} that stay, no data being all around: {done.kept:,}")
    result = _compared(held, labels, hectares, notes)
    how = {"of": name, "size": size, "min_hectares": min_hectares}
    smoothed = replace(
        held,
        values=labels,
        provenance={**held.provenance, "smoothing": how},
        title=f"{held.title}, smoothed" if held.title else "",
    )
    result = replace(result, class_map=smoothed)
    if out is None:
        return result
    saved = smoothed.save(out, polygons=polygons, overwrite=overwrite)
    return replace(result, files=saved.files, notes=(*result.notes, *saved.notes))


def _compared(
    before: ClassMap, after: NDArray[Any], hectares: NDArray[np.float64] | None, notes: list[str]
) -> SmoothResult:
    """Count what went from which class to which."""
    k = len(before.legend)
    cells, area = np.zeros((k + 1) ** 2, np.int64), np.zeros((k + 1) ** 2)
    for i, (old, new) in enumerate(zip(before.values, after, strict=True)):
        pairs = np.bincount(old.astype(np.int64) * (k + 1) + new, minlength=len(cells))
        cells += pairs
        area += pairs * (0.0 if hectares is None else hectares[i])
    names = ("", *before.legend.names)
    moves = [
        Move(
            names[pair // (k + 1)],
            names[pair % (k + 1)],
            int(cells[pair]),
            None if hectares is None else float(area[pair]),
        )
        for pair in np.argsort(-cells, kind="stable").tolist()
        if cells[pair] and pair // (k + 1) != pair % (k + 1)
    ]
    counts = cells.reshape(k + 1, k + 1)
    gone = [names[i] for i in range(1, k + 1) if counts[i].sum() and not counts[:, i].sum()]
    if gone:
        notes.append(f"no cell is left of {', '.join(gone)}; the legend keeps the name")
    return SmoothResult(
        (),
        tuple(notes),
        before,
        int(counts[1:].sum()),
        sum(move.cells for move in moves),
        tuple(moves),
    )
