"""A named cluster model on another scene or date, and which of its cells are unlike all it saw."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import RecipeError, SceneError, StoreError
from terrapatch.features import FeatureRaster
from terrapatch.learn.model import Clusters
from terrapatch.learn.unlike import QUANTILE, Unlike, fit_unlike
from terrapatch.maps import ClassMap, ValueMap
from terrapatch.scene import Scene
from terrapatch.studies._named_map import NAMED_FILES, NamedRow, unnamed_notes, write_named
from terrapatch.studies._names_backup import keep_names
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies._unlike_class import (
    UNLIKE,
    describe,
    read_unlike,
    unlike_rows,
    write_named_unlike,
    write_unlike,
)
from terrapatch.studies.names import Names
from terrapatch.studies.result_folder import NAMES, SOURCE, ClusterFolder, write_source
from terrapatch.studies.settlements import FILES as CLUSTER_FILES
from terrapatch.studies.settlements import cluster

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["REPORT", "ApplyResult", "apply", "seen_by"]

Progress = Callable[[str, int, int], None]

REPORT = "apply.html"
"""Every file that ``apply`` can write, the map last."""


@dataclass(frozen=True, eq=False)
class ApplyResult:
    """What ``apply`` made.

    Attributes:
        folder: The folder it wrote.
        files: Every file in it, the named map first.
        notes: Sentences a person should know.
        clusters: Raw ids and distances.
        class_map: The map of raw clusters.
        named: The map of named classes, the last one for cells that are unlike anything seen.
        names: The names, taken over from the model's folder.
        table: One row a class of the named map.
        ratio: Distance over threshold ``(rows, cols)``, above 1 where unlike, NaN where empty;
            ``None`` if unlike cells were not asked for.
        unlike: The thresholds, likewise.
        unlike_share: Share of the cells that are unlike, 0 to 1; ``None`` likewise.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    clusters: Clusters
    class_map: ClassMap
    named: ClassMap
    names: Names
    table: tuple[NamedRow, ...]
    ratio: NDArray[np.float32] | None
    unlike: Unlike | None
    unlike_share: float | None


def apply(
    folder: str | os.PathLike[str],
    features: FeatureRaster | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    scene: str | os.PathLike[str] | xr.DataArray | Scene | None = None,
    unlike: bool = True,
    quantile: float = QUANTILE,
    seed: int = 0,
    polygons: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ApplyResult:
    """Apply the named clusters of a folder to the features of another scene or date.

    ``out`` becomes a folder of clusters like any other (``clusters.tif`` with raw ids,
    ``distance.tif``, model, names), with ``named.tif``: names, colours and merges of ``folder``,
    and a last class for cells that are unlike anything seen (see ``learn.unlike``).
    ``unlike_ratio.tif`` holds distance over threshold; ``apply.html`` tells what was found.

    Args:
        folder: A folder that ``cluster`` or ``apply`` wrote.
        features: Features of the model's space, or the path of their store.
        out: Folder to write; the map appears in it last.
        scene: The scene of the features, for pictures; looked for beside the store if left out.
        unlike: Whether cells that are unlike anything seen get a class of their own.
        quantile: Share of the home scene's own cells that are not unlike. A folder that ``apply``
            wrote keeps its thresholds, and their quantile.
        seed: Seed of the calibration.
        polygons: Whether to write classes as polygons too.
        overwrite: Whether older results in the folder are replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        RecipeError: If the features were made by another recipe, or the folder holds no clusters.
        ClusterError: If the quantile is out of range.
        OutputError: If the folder exists or cannot be written.
    """
    home = ClusterFolder.open(folder)
    raster = features if isinstance(features, FeatureRaster) else FeatureRaster.open(features)
    place = Path(out)
    refuse_existing(place, overwrite, "apply or cluster")
    _refuse_itself(home.path, place)
    home.model.check(raster)
    names = home.names
    seen, notes = seen_by(home, quantile, seed, progress) if unlike else (None, ())
    with staging(place) as stage:
        made = stage / "made"
        first = cluster(
            raster,
            made,
            model=home.path,
            scene=scene,
            polygons=polygons,
            report=False,
            progress=progress,
        )
        result = ApplyResult(
            place,
            (),
            (*notes, *first.notes),
            first.clusters,
            first.class_map,
            first.class_map,
            names,
            (),
            None if seen is None else seen.ratio(raster, first.clusters, progress),
            seen,
            None,
        )
        areas = {row.id: row.hectares for row in first.table}
        result = _write(result, made, raster, home, areas, polygons)
        kept = keep_names(place, names)
        if place.exists():
            (place / "model").mkdir(exist_ok=True)
        files = publish(made, place, CLUSTER_FILES)
    noted = tuple(dict.fromkeys((*kept, *result.notes)))
    return replace(result, files=tuple(sorted(files, key=_named_first)), notes=noted)


def seen_by(
    home: ClusterFolder,
    quantile: float = QUANTILE,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Unlike, tuple[str, ...]]:
    """Return from where on a cell is unlike all that the model of a folder has seen.

    Taken over from the folder where ``apply`` wrote it, else learned from its features, else from
    its map of distances.

    Returns:
        The thresholds, and sentences a person should know.
    """
    stored = read_unlike(home.path)
    if stored is not None:
        if stored.quantile == quantile:
            return stored, ()
        told = (
            f"the thresholds are those {home.path} was made with (quantile {stored.quantile:g}, "
            f"not {quantile:g}); apply the model's own folder to have others"
        )
        return stored, (told,)
    try:
        features = home.cells(home.features())
    except (StoreError, RecipeError) as fault:
        made = Unlike.from_distance_map(home.clusters_labels, home.distance, home.model.k, quantile)
        return made, (
            f"unlike cells were told by {home.path / 'distance.tif'} alone, since its features "
            f"cannot be read ({fault}); such thresholds are tighter for cells of the same kind, "
            "and hardly tell another kind: put the store back for a better answer",
        )
    made = fit_unlike(features, home.model, quantile=quantile, seed=seed, progress=progress)
    if made.how == "held out":
        return made, ()
    return made, (
        f"{home.path} holds too few cells to be cut in two, so thresholds come from the cells the "
        "clusters were made from; they are tighter than they should be and call more unlike",
    )


def _refuse_itself(home: Path, place: Path) -> None:
    from terrapatch.errors import OutputError

    if home.resolve() == place.resolve():
        raise OutputError(
            f"{place} is the folder of the model itself, which would be lost; choose another"
        )


def _write(
    result: ApplyResult,
    made: Path,
    raster: FeatureRaster,
    home: ClusterFolder,
    areas: Mapping[int, float | None],
    polygons: bool,
) -> ApplyResult:
    """Replace the named map, add what is unlike, the report, and where all comes from."""
    for name in NAMED_FILES:
        (made / name).unlink(missing_ok=True)
    (made / NAMES).write_text(result.names.as_csv(), encoding="utf-8")
    result = _write_maps(result, made, raster, areas, polygons)
    notes = [*result.notes, *unnamed_notes(result.names)]
    opened = ClusterFolder.open(made)
    try:
        scene = opened.scene()
    except SceneError as fault:
        scene = None
        notes.append(f"the report shows no patches: {fault}")
    result = replace(result, notes=tuple(dict.fromkeys(notes)))
    from terrapatch.studies._apply_report import report

    report(result, opened, home, scene).save(made / REPORT)
    stated = opened.scene_path
    write_source(made, raster.path, stated, home=result.folder)
    return result


def _write_maps(
    result: ApplyResult,
    made: Path,
    raster: FeatureRaster,
    areas: Mapping[int, float | None],
    polygons: bool,
) -> ApplyResult:
    if result.unlike is None or result.ratio is None:
        named, table, _, more = write_named(
            made, result.class_map, result.names, areas, polygons=polygons
        )
        return replace(result, named=named, table=table, notes=(*result.notes, *more))
    beyond = np.nan_to_num(result.ratio, nan=0.0) > 1
    told = {**result.class_map.provenance, "unlike": describe(result.unlike)}
    known = replace(result.class_map, provenance=told)
    rows = unlike_rows(known, beyond, raster)
    ratio = ValueMap(
        result.ratio,
        known.geobox,
        "distance over threshold",
        "",
        told,
        range=(0.5, 1.5),
        title=f"How {UNLIKE}: above 1",
    )
    write_unlike(made, result.unlike, ratio, rows)
    beyond_areas = {id: area for id, _, area in rows}
    named, table, _, more = write_named_unlike(
        made, known, result.names, areas, beyond, beyond_areas, polygons=polygons
    )
    return replace(
        result,
        named=named,
        table=table,
        unlike_share=table[-1].share,
        notes=(*result.notes, *_told(result.unlike, table[-1].share), *more),
    )


def _told(unlike: Unlike, share: float) -> tuple[str, ...]:
    """Say what the share of unlike cells means, where it is more than at home."""
    home = 1 - unlike.quantile
    if share <= 3 * home:
        return ()
    many = "most of this scene is" if share > 0.5 else "a part of this scene is"
    return (
        f"{100 * share:.1f} % of the cells are {UNLIKE} (at home it would be "
        f"{100 * home:.1f} %): {many} another kind of ground, or was taken in another season, "
        "light or by another sensor; cluster it anew before you trust the names",
    )


def _named_first(path: Path) -> tuple[bool, bool, str]:
    return path.name != "named.tif", path.name in (SOURCE, NAMES), str(path)
