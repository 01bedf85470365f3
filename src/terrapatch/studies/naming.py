"""Names in, a named map out: what an analyst says of clusters flows into every file."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from terrapatch.errors import LegendError, OutputError, RecipeError, StoreError
from terrapatch.maps import ClassMap
from terrapatch.studies._named_map import NAMED_FILES, NamedRow, unnamed_notes
from terrapatch.studies._names_backup import keep_names
from terrapatch.studies._staging import publish, staging
from terrapatch.studies._unlike_class import write_named_again
from terrapatch.studies.names import Name, Names
from terrapatch.studies.names_file import read_names
from terrapatch.studies.result_folder import NAMES, ClusterFolder

Progress = Callable[[str, int, int], None]

REPORT = "report.html"
_OLDER = "still shows the names as they were; to renew it: terrapatch look"

__all__ = ["Name", "NameResult", "NamedRow", "Names", "name", "read_names"]


@dataclass(frozen=True, eq=False)
class NameResult:
    """What ``name`` made.

    Attributes:
        folder: The folder of clusters.
        files: Every file that was written, the named map first.
        notes: Sentences a person should know.
        names: The names it was made with.
        class_map: The named map: ids from 1, the largest class first.
        table: One row a class.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    names: Names
    class_map: ClassMap
    table: tuple[NamedRow, ...]


def name(
    folder: str | os.PathLike[str],
    names: Names | str | os.PathLike[str] | None = None,
    *,
    rename: Mapping[int, str] | None = None,
    colour: Mapping[int, str] | None = None,
    merge: Mapping[int, int | None] | None = None,
    polygons: bool = True,
    report: bool = True,
    overwrite: bool = True,
    progress: Progress | None = None,
) -> NameResult:
    """Give the clusters of a folder their names, and write the named map.

    ``clusters.tif`` keeps the raw ids. Written are ``names.csv``, ``named.tif`` with style,
    polygons and STAC item, ``named.csv``, and ``samples.tif``: the named classes alone, for
    ``terrapatch train``. Either all of them are written, or none.

    Args:
        folder: A folder that ``cluster`` wrote.
        names: Names, or a file of them, to take in place of the folder's own ``names.csv``.
        rename: New name by cluster id; an empty one takes the name away.
        colour: New colour by cluster id.
        merge: The cluster that an id becomes part of; ``None`` undoes a merge.
        polygons: Whether to write polygons of the named map.
        report: Whether a report that ``look`` made is made again with these names.
        overwrite: Whether an older named map gives way.
        progress: Called as ``progress(stage, done, in all)`` while the report is made.

    Returns:
        What was made.

    Raises:
        RecipeError: If the folder holds no clusters.
        LegendError: If the names do not make sense; nothing is written then.
        OutputError: If there is a named map already, or the place is full or not writable.
    """
    result = ClusterFolder.open(folder)
    place = result.path
    if not overwrite and (place / "named.tif").exists():
        raise OutputError(f"{place / 'named.tif'} exists already; pass overwrite to replace it")
    chosen = _chosen(result, names).edited(rename, colour, merge)
    notes: list[str] = []
    with staging(place) as stage:
        named, table, written, more = write_named_again(
            place, stage, result.class_map, chosen, _hectares(place), polygons=polygons
        )
        (stage / NAMES).write_text(chosen.as_csv(), encoding="utf-8")
        if isinstance(names, str | os.PathLike):
            notes += keep_names(place, chosen)
        os.replace(stage / NAMES, place / NAMES)
        publish(stage, place, NAMED_FILES)
    files = (*(place / file.relative_to(stage) for file in written), place / NAMES)
    told = [*notes, *unnamed_notes(chosen), *more]
    if (place / REPORT).exists():
        told += _renewed(place, progress) if report else [f"{REPORT} {_OLDER} {place}"]
    return NameResult(place, files, tuple(dict.fromkeys(told)), chosen, named, table)


def _renewed(place: Path, progress: Progress | None) -> list[str]:
    """Make the report again; the names are kept also where it cannot be made."""
    from terrapatch.studies.looking import look

    try:
        look(place, progress=progress)
    except (RecipeError, StoreError) as fault:
        return [f"{REPORT} {_OLDER} {place} ({fault})"]
    return []


def _chosen(result: ClusterFolder, names: Names | str | os.PathLike[str] | None) -> Names:
    if names is None:
        return result.names
    legend = result.class_map.legend
    chosen = names if isinstance(names, Names) else read_names(names, legend)
    if len(chosen) != len(legend):
        raise LegendError(
            f"there are names for {len(chosen)} clusters but {result.path} holds {len(legend)}; "
            "give one entry for each cluster"
        )
    return chosen


def _hectares(folder: Path) -> dict[int, float | None]:
    """Read the area of each raw cluster from ``clusters.csv``."""
    path = folder / "clusters.csv"
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = [(int(row["id"]), row["hectares"]) for row in csv.DictReader(text)]
        return {id: float(area) if area else None for id, area in rows}
    except (KeyError, TypeError, ValueError) as fault:
        raise RecipeError(f"{path} is damaged ({fault}); cluster again with --overwrite") from fault
