"""What classified features become: a map, its companions, and what a person should know."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrapatch.errors import OutputError, writing
from terrapatch.features import FeatureRaster
from terrapatch.learn.scene_model import Classified
from terrapatch.maps import ClassMap, ValueMap
from terrapatch.maps.bundle import BundleNames

if TYPE_CHECKING:
    from terrapatch.grid import Length
    from terrapatch.studies.classifying import Classifier, Source

Progress = Callable[[str, int, int], None]

COMPANIONS = {
    "confidence": "probability of the class",
    "margin": "probability of the class less that of the second",
    "set_size": "classes that cannot be ruled out",
    "dissimilarity": "distance to the nearest training sample, in mean distances",
}


@dataclass(frozen=True, eq=False)
class ClassifyResult:
    """What ``classify`` made.

    Attributes:
        files: Every file it wrote, the map first.
        notes: Sentences a person should know.
        class_map: The map.
        classified: Ids and how sure they are, before smoothing and before doubtful cells
            were left empty.
        counts: Cells of each id ``(classes + 1,)``, 0 first.
        features: Store of the features that were classified.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    class_map: ClassMap
    classified: Classified
    counts: np.ndarray[Any, Any]
    features: Path


@dataclass(frozen=True)
class How:
    """How scenes are classified; see ``classify``."""

    size: Length | None = None
    stride: Length | None = None
    embedding: Mapping[str, Any] = field(default_factory=dict)
    min_confidence: float = 0.0
    smooth: int = 0
    companions: bool = True
    polygons: bool = True
    overwrite: bool = False
    progress: Progress | None = None


def maps_of(path: Path) -> tuple[Path, ...]:
    """Return the rasters that may be written for a map, the map first."""
    return (path, *(path.with_name(f"{path.stem}_{name}.tif") for name in COMPANIONS))


def refuse_taken(paths: tuple[Path, ...], overwrite: bool) -> None:
    """Refuse to write where there are maps already.

    Raises:
        OutputError: If there are, and they are not to give way.
    """
    taken = [file for path in paths for file in BundleNames(path).present()]
    if taken and not overwrite:
        raise OutputError(
            f"{taken[0]} exists already; pass --overwrite to replace it, or another name"
        )


def refuse_itself(scene: Source, path: Path) -> None:
    """Refuse to write a map, or one of its companions, over its own scene.

    Raises:
        OutputError: If that is asked for.
    """
    if not isinstance(scene, str | os.PathLike):
        return
    for file in maps_of(path):
        if Path(scene).resolve() == file.resolve():
            raise OutputError(f"{file} is the scene itself; choose another name for the map")


def check_side(side: int) -> None:
    """Refuse a square to smooth by that has no middle, before anything is embedded.

    Raises:
        SamplesError: If it has none.
    """
    from terrapatch.learn.smoothing import majority_filter

    majority_filter(np.zeros((1, 1), np.uint8), 0, side)


def write_maps(raster: FeatureRaster, model: Classifier, path: Path, how: How) -> ClassifyResult:
    """Classify features, and write the map with its companions.

    Raises:
        RecipeError: If the features were made by another recipe than the model's.
        OutputError: If a map of that name exists, or the place cannot be written.
    """
    notes = model.check(raster)
    found = model.predict(raster, how.progress)
    labels, told = _settled(found, len(model.legend), how.min_confidence, how.smooth)
    told += _beyond(found, model.index_threshold)
    provenance = _provenance(found, raster, how)
    class_map = ClassMap(labels, found.geobox, model.legend, provenance, title="Classes")
    saved = class_map.save(path, polygons=how.polygons, overwrite=how.overwrite)
    files, notes = [*saved.files], [*notes, *told, *saved.notes]
    if how.overwrite:
        _clear_companions(path)
    for name, values in _companions(found) if how.companions else ():
        value_map = ValueMap(values, found.geobox, COMPANIONS[name], "", provenance, title=name)
        more = value_map.save(path.with_name(f"{path.stem}_{name}.tif"), overwrite=how.overwrite)
        files, notes = files + list(more.files), notes + list(more.notes)
    return ClassifyResult(
        files=tuple(files),
        notes=tuple(dict.fromkeys(notes)),
        class_map=class_map,
        classified=found,
        counts=class_map.counts(),
        features=raster.path,
    )


def _settled(
    found: Classified, n_classes: int, least: float, smooth: int
) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Smooth, then leave doubtful cells empty; say what changed."""
    from terrapatch.learn.smoothing import majority_filter

    labels, told = found.labels, []
    total = max(1, int((labels > 0).sum()))
    if smooth:
        done = majority_filter(labels, n_classes, smooth)
        labels = done.labels
        told.append(
            f"smoothing over {smooth} x {smooth} cells changed {done.changed:,} of {total:,} cells"
        )
    if least > 0:
        doubtful = (labels > 0) & (found.confidence < least)
        labels = np.where(doubtful, 0, labels).astype(labels.dtype)
        told.append(
            f"{int(doubtful.sum()):,} of {total:,} cells are less than {least:.0%} certain and "
            "were left empty"
        )
    return labels, told


def _beyond(found: Classified, threshold: float | None) -> list[str]:
    """Say how much of a map lies farther from the training samples than the model can vouch for."""
    if found.dissimilarity is None or threshold is None:
        return []
    held = found.labels > 0
    beyond = int((found.dissimilarity[held] > threshold).sum())
    if not beyond:
        return []
    percent = 100 * beyond / int(held.sum())
    share = f"{percent:.0f} %" if percent >= 1 else "fewer than 1 %"
    return [
        f"{share} of cells are farther from all training samples than those were from each other: "
        "do not trust the map there"
    ]


def _companions(found: Classified) -> list[tuple[str, np.ndarray[Any, Any]]]:
    given = [(name, getattr(found, name)) for name in COMPANIONS]
    return [(name, values) for name, values in given if values is not None]


def _clear_companions(path: Path) -> None:
    """Remove the companions of an older map, which would belie the new one."""
    with writing(path):
        for raster in maps_of(path)[1:]:
            for file in BundleNames(raster).present() if raster.exists() else ():
                file.unlink()


def _provenance(found: Classified, raster: FeatureRaster, how: How) -> dict[str, Any]:
    taken = raster.recipe.scene.get("datetime")
    told = {"min_confidence": how.min_confidence, "smooth": how.smooth}
    return {**found.provenance, "map": told, **({"datetime": taken} if taken else {})}
