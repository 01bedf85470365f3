"""Many scenes classified in one call: a map each, one legend, and one mosaic over all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import MapError, OutputError, SamplesError
from terrapatch.features import FeatureRaster
from terrapatch.features.layout import is_store
from terrapatch.maps.bundle import BundleNames
from terrapatch.maps.vrt import mosaic_files, write_mosaic
from terrapatch.studies._classify_maps import (
    ClassifyResult,
    How,
    maps_of,
    refuse_itself,
    write_maps,
)
from terrapatch.studies.classifying import embedded, kept_features

if TYPE_CHECKING:
    from terrapatch.legend import Legend
    from terrapatch.studies.classifying import Classifier

log = logging.getLogger("terrapatch")

MOSAIC = "mosaic.vrt"
# Names listed in a sentence before it only counts the rest.
MOST_NAMES = 5


@dataclass(frozen=True, eq=False)
class ManyResult:
    """What ``classify`` made of several scenes.

    Attributes:
        maps: What was made of each, in the order given.
        names: Their stems, which are those of the maps.
        legend: The classes of all maps.
        counts: Cells of each id in all maps ``(classes + 1,)``, 0 first.
        mosaic: One file over all maps; ``None`` where they do not fit together.
        files: Every file written, the mosaic first.
        notes: Sentences a person should know.
    """

    maps: tuple[ClassifyResult, ...]
    names: tuple[str, ...]
    legend: Legend
    counts: NDArray[np.int64]
    mosaic: Path | None
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One of several scenes: what it is, and where its map and features go."""

    scene: Any
    name: str
    path: Path
    store: Path


def classify_many(
    scenes: Sequence[Any],
    loading: Callable[[], tuple[Classifier, How]],
    out: Path,
    store: Path | None,
    how: How,
) -> ManyResult:
    """Classify several scenes; see ``terrapatch.studies.classifying.classify``.

    All that can be refused is refused before anything is computed. All scenes are embedded
    before the first map is written.

    Args:
        scenes: Scenes, features or their stores.
        loading: Loads the model, when all names have been checked.
        out: Folder of the maps.
        store: Folder of the features; that of the maps if ``None``.
        how: How they are classified.

    Raises:
        SamplesError: If there is no scene.
        OutputError: If two scenes have one name, or maps are there already.
        RecipeError: If features were made by another recipe than the model's.
    """
    tasks = plan_tasks(scenes, out, store)
    _refuse_taken(tasks, out, how.overwrite)
    for task in tasks:
        _look(task, how)
    model, how = loading()
    kept = [kept_features(task.scene, model, task.store, how) for task in tasks]
    rasters = []
    for n, (task, raster) in enumerate(zip(tasks, kept, strict=True), 1):
        log.info("scene %d of %d: %s", n, len(tasks), task.name)
        rasters.append(raster or embedded(task.scene, model, task.store, how))
    made = [
        write_maps(raster, model, task.path, how)
        for task, raster in zip(tasks, rasters, strict=True)
    ]
    counts = np.sum([one.counts for one in made], axis=0)
    mosaic, more = _mosaic(made, model.legend, counts, out / MOSAIC, how.overwrite)
    return ManyResult(
        maps=tuple(made),
        names=tuple(task.name for task in tasks),
        legend=model.legend,
        counts=counts,
        mosaic=mosaic[0] if mosaic else None,
        files=(*mosaic, *(file for one in made for file in one.files)),
        notes=(*_notes(tasks, made), *more),
    )


def plan_tasks(scenes: Sequence[Any], out: Path, store: Path | None) -> list[Task]:
    """Give every scene its map and its store.

    Raises:
        SamplesError: If there is no scene.
        OutputError: If the folder is none, or two scenes would write one file.
    """
    if not scenes:
        raise SamplesError("there is no scene to classify; name at least one")
    if out.suffix.lower() in (".tif", ".tiff") or out.is_file():
        raise OutputError(
            f"{out} cannot hold the maps of {len(scenes)} scenes; name a folder, such as maps/"
        )
    tasks: list[Task] = []
    taken: dict[Path, Task] = {}
    for scene in scenes:
        name = _stem(scene)
        if name == Path(MOSAIC).stem:
            raise OutputError(
                f"the map of {scene} would share its style with {MOSAIC}; give the scene another "
                "name, or classify it by itself"
            )
        task = Task(scene, name, out / f"{name}.tif", (store or out) / f"{name}.zarr")
        for path in maps_of(task.path):
            if path in taken:
                raise OutputError(
                    f"{_called(taken[path])} and {_called(task)} would both write {path}; "
                    "classify them in two calls, into two folders"
                )
            taken[path] = task
        refuse_itself(scene, task.path)
        tasks.append(task)
    return tasks


def _stem(scene: Any) -> str:
    if isinstance(scene, FeatureRaster):
        return scene.path.stem
    if isinstance(scene, str | os.PathLike):
        return Path(scene).stem
    from terrapatch.scene import Scene

    return Path(Scene.open(scene).name).stem


def _called(task: Task) -> str:
    return str(task.scene) if isinstance(task.scene, str | os.PathLike) else task.name


def _refuse_taken(tasks: Sequence[Task], out: Path, overwrite: bool) -> None:
    """Refuse at the start what would be refused after hours, naming all of it."""
    if overwrite:
        return
    wanted = [BundleNames(path).present() for task in tasks for path in maps_of(task.path)]
    taken = [files[0].name for files in wanted if files]
    taken += [path.name for path in mosaic_files(out / MOSAIC) if path.exists()]
    if taken:
        listed = ", ".join(taken[:MOST_NAMES])
        rest = f" and {len(taken) - MOST_NAMES} more" if len(taken) > MOST_NAMES else ""
        raise OutputError(
            f"{listed}{rest} exist in {out} already; pass --overwrite to write them anew (features "
            "that are kept there are used again), or name another folder"
        )


def _look(task: Task, how: How) -> None:
    """Open a scene once, so that a wrong path or band is found before any work."""
    scene = task.scene
    if isinstance(scene, FeatureRaster):
        return
    if isinstance(scene, str | os.PathLike) and is_store(Path(scene)):
        return
    from terrapatch.scene import Scene

    Scene.open(scene, bands=how.embedding.get("bands"), nodata=how.embedding.get("nodata"))


def _mosaic(
    made: Sequence[ClassifyResult],
    legend: Legend,
    counts: NDArray[np.int64],
    path: Path,
    overwrite: bool,
) -> tuple[tuple[Path, ...], list[str]]:
    """Write the mosaic, or say why there is none; an older one does not outlive its maps."""
    grids = [(one.files[0], one.class_map.geobox) for one in made]
    try:
        return write_mosaic(path, grids, legend, counts, overwrite=overwrite), []
    except MapError as fault:
        if overwrite:
            for file in mosaic_files(path):
                file.unlink(missing_ok=True)
        return (), [f"no mosaic was written: {fault}"]


def _notes(tasks: Sequence[Task], made: Sequence[ClassifyResult]) -> list[str]:
    """Say once what holds for all scenes, and by its name what holds for one."""
    every = list(dict.fromkeys(note for one in made for note in one.notes))
    shared = [note for note in every if all(note in one.notes for one in made)]
    own = [
        f"{task.name}: {note}"
        for task, one in zip(tasks, made, strict=True)
        for note in one.notes
        if note not in shared
    ]
    return [*shared, *own]
