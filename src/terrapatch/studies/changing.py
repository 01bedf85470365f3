"""Two dates of one place compared: what became of what, and what of it is more than noise."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from terrapatch.errors import BackboneError, MapError, RecipeError, SceneError, WeightsError
from terrapatch.ground import pixel_hectares
from terrapatch.learn.transitions import NoiseFloor, Transitions, count_transitions
from terrapatch.learn.unlike import QUANTILE, Unlike
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies import _change_map as tables
from terrapatch.studies._change_sides import Given, Side, find_side, on_grid, one_legend
from terrapatch.studies._noise_floor import noise_floor
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.applying import seen_by
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import within_notes

__all__ = ["ChangeResult", "change", "noise_floor"]

Progress = Callable[[str, int, int], None]

FILES = (
    "change.html",
    "classes.csv",
    "matrix_hectares.csv",
    "matrix_cells.csv",
    "transitions.csv",
    "change.json",
    "change_polygons.gpkg",
    "change.qml",
    "change.tif.aux.xml",
    "change.tif",
)
"""Every file that ``change`` can write, the map last."""

OFFSET, MOST = 0.5, 12


@dataclass(frozen=True, eq=False)
class ChangeResult:
    """What ``change`` made.

    Attributes:
        folder: The folder it wrote; ``None`` if nothing was written.
        files: Every file in it, the map first.
        notes: Sentences a person should know.
        words: What was found, in sentences.
        legend: The classes of both dates.
        transitions: What went from which class to which.
        noise: What changes on the first date alone when its patches are moved; ``None`` where
            that could not be measured.
        class_map: The map of changes.
        before: Class ids of the first date ``(rows, cols)``.
        after: Those of the second on the grid of the first.
        sides: What the two dates were made from.
    """

    folder: Path | None
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    words: tuple[str, ...]
    legend: Legend
    transitions: Transitions
    noise: NoiseFloor | None
    class_map: ClassMap
    before: NDArray[Any]
    after: NDArray[Any]
    sides: tuple[Side, Side]


def change(
    before: Given,
    after: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    scene: str | os.PathLike[str] | None = None,
    noise: bool = True,
    offset: float | tuple[float, float] = OFFSET,
    most: int = MOST,
    embedding: Mapping[str, Any] | None = None,
    polygons: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ChangeResult:
    """Compare the classes of two dates.

    Written are ``change.tif`` (unchanged, the most frequent changes, other changes) with style,
    polygons and STAC item, ``transitions.csv``, ``matrix_cells.csv``, ``matrix_hectares.csv``,
    ``classes.csv`` (gains and losses), and ``change.html``.

    Args:
        before: The first date: a folder that ``cluster`` or ``apply`` wrote, the GeoTIFF of a
            class map, or features, to which ``model`` is applied.
        after: The second date, likewise. Its map is brought to the grid of the first where CRS
            and cell size are the same.
        out: Folder to write; ``None`` writes nothing.
        model: Folder of a named model, where features are given.
        scene: The scene of the first date, for the noise, if it is not where it was.
        noise: Whether the noise floor is measured: the first date is embedded and classified
            again with its patches moved. A note says why where it cannot be.
        offset: How far they are moved, in cells, 0 to below 1; or down and across.
        most: Changes that get a class of their own in the map.
        embedding: Further options of ``embed`` for it: weights, device, offline …
        polygons: Whether to write changes as polygons too.
        overwrite: Whether an older comparison in the folder is replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        MapError: If a map cannot be read, or the two do not lie on grids that fit.
        LegendError: If their classes are not the same.
        RecipeError: If features are of another space than the model.
        OutputError: If the folder exists or cannot be written.
    """
    if most < 1:
        raise MapError(f"a map of {most} changes shows nothing; ask for 1 or more")
    folder = None if out is None else Path(out)
    if folder is not None:
        refuse_existing(folder, overwrite, "change")
    home, unlike, notes = _model(model, progress)
    first = find_side(before, home, unlike, scene, progress)
    second = find_side(after, home, unlike, None, progress)
    first, second, more = one_legend(first, second)
    values, moved = on_grid(second, first)
    notes += [*more, *moved]
    legend, geobox = first.class_map.legend, first.class_map.geobox
    areas = pixel_hectares(geobox)
    if areas is None:
        notes.append("the maps have no CRS that tells the size of a cell, so areas are left out")
    found = count_transitions(first.class_map.values, values, len(legend), areas)
    if not found.n:
        raise MapError(
            f"no cell has a class in both {first.name} and {second.name}; compare maps of one place"
        )
    floor, told = _noise(first, offset, noise, embedding, progress)
    result = _mapped(first, second, values, found, floor, most)
    result = replace(result, notes=tuple(dict.fromkeys([*notes, *told, *_holes(found)])))
    return result if folder is None else _write(result, folder, polygons)


def _model(
    model: str | os.PathLike[str] | None, progress: Progress | None
) -> tuple[ClusterFolder | None, Unlike | None, list[str]]:
    """Open the folder of a model and what it has seen, if one is given."""
    if model is None:
        return None, None, []
    home = ClusterFolder.open(model)
    unlike, notes = seen_by(home, QUANTILE, progress=progress)
    return home, unlike, [*within_notes(home.model), *notes]


def _noise(
    first: Side,
    offset: float | tuple[float, float],
    wanted: bool,
    embedding: Mapping[str, Any] | None,
    progress: Progress | None,
) -> tuple[NoiseFloor | None, list[str]]:
    """Measure the noise floor, or say why not."""
    if not wanted:
        return None, ["the noise floor was not measured, so nobody knows how much of this is noise"]
    parts = (offset, offset) if isinstance(offset, int | float) else offset
    if not all(0 <= part < 1 for part in parts):
        raise MapError(f"patches cannot be moved by {offset} cells; give 0 to below 1")
    try:
        return noise_floor(first, offset, progress=progress, **(embedding or {})), []
    except (BackboneError, MapError, RecipeError, SceneError, WeightsError) as fault:
        return None, [
            f"the noise floor could not be measured, so nobody knows how much of this is noise: "
            f"{fault}"
        ]


def _holes(found: Transitions) -> list[str]:
    if not (found.only_before or found.only_after):
        return []
    return [
        f"left out are {found.only_before:,} cells with a class on the first date alone and "
        f"{found.only_after:,} on the second alone"
    ]


def _mapped(
    first: Side,
    second: Side,
    values: NDArray[Any],
    found: Transitions,
    floor: NoiseFloor | None,
    most: int,
) -> ChangeResult:
    legend, own = first.class_map.legend, first.class_map
    clear = None if floor is None else floor.clear(found)
    ids, changes = tables.change_classes(own.values, values, legend, found, clear, most)
    provenance: dict[str, Any] = {
        "before": first.name,
        "after": second.name,
        "cells": found.n,
        "changed": found.changed,
        "noise": None if floor is None else {"offset": floor.offset, "share": floor.share},
    }
    taken = second.class_map.provenance.get("datetime")
    if taken:
        provenance["datetime"] = taken
    class_map = ClassMap(ids, own.geobox, changes, provenance, title="Changes between two dates")
    words = tuple(_words(found, floor, legend))
    return ChangeResult(
        None, (), (), words, legend, found, floor, class_map, own.values, values, (first, second)
    )


def _words(found: Transitions, floor: NoiseFloor | None, legend: Legend) -> list[str]:
    """Say how much changed, how much of it is noise, and which changes are more than that."""
    share = 100 * found.share
    words = [f"{found.changed:,} of {found.n:,} cells ({share:.1f} %) have another class."]
    if floor is None:
        return words
    noise = 100 * floor.share
    moved = " and ".join(f"{part:.2g}" for part in floor.offset)
    words.append(
        f"Noise floor: {noise:.1f} % of the cells get another class on the first date alone when "
        f"its patches are moved by {moved} of a cell, though nothing changed on the ground."
    )
    clear = floor.clear(found)
    pairs = [(old, new) for old, new in found.pairs() if clear[old - 1, new - 1]]
    if not pairs:
        words.append("No change from one class to another is more frequent than that noise.")
        return words
    listed = ", ".join(f"{legend[a].name} → {legend[b].name}" for a, b in pairs[:8])
    more = f" and {len(pairs) - 8} more" if len(pairs) > 8 else ""
    words.append(f"More frequent than noise: {listed}{more}.")
    within = len(found.pairs()) - len(pairs)
    if within:
        cells = found.changed - int(found.cells[clear].sum())
        words.append(
            f"The other {within} changes ({cells:,} cells) are no more frequent than noise and "
            "should not be reported."
        )
    return words


def _write(result: ChangeResult, folder: Path, polygons: bool) -> ChangeResult:
    from terrapatch.studies._change_report import report

    found, legend, floor = result.transitions, result.legend, result.noise
    with staging(folder) as stage:
        saved = result.class_map.save(stage / "change.tif", polygons=polygons)
        texts = {
            "transitions.csv": tables.table_text(
                tables.PAIR_COLUMNS, tables.pair_rows(found, floor, legend)
            ),
            "matrix_cells.csv": tables.wide_table(found.cells, legend),
            "classes.csv": tables.table_text(
                tables.CLASS_COLUMNS, tables.class_rows(found, floor, legend)
            ),
        }
        if found.hectares is not None:
            texts["matrix_hectares.csv"] = tables.wide_table(found.hectares, legend)
        for name, text in texts.items():
            (stage / name).write_text(text, encoding="utf-8")
        result = replace(
            result, folder=folder, notes=tuple(dict.fromkeys([*result.notes, *saved.notes]))
        )
        report(result).save(stage / "change.html")
        files = publish(stage, folder, FILES)
    return replace(result, files=tuple(reversed(files)))
