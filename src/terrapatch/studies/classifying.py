"""A trained model on a scene: a map of classes, and of how sure it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.features import FeatureRaster, embed
from terrapatch.features.layout import is_store
from terrapatch.learn.scene_model import Classified, SceneModel
from terrapatch.maps import ClassMap, ValueMap

if TYPE_CHECKING:
    import xarray as xr

    from terrapatch.grid import Length
    from terrapatch.scene import Scene

Progress = Callable[[str, int, int], None]

COMPANIONS = {
    "confidence": "probability of the class",
    "margin": "probability of the class less that of the second",
    "set_size": "classes that cannot be ruled out",
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


def classify(
    scene: str | os.PathLike[str] | xr.DataArray | Scene | FeatureRaster,
    model: SceneModel | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    size: Length | None = None,
    stride: Length | None = None,
    store: str | os.PathLike[str] | None = None,
    embedding: Mapping[str, Any] | None = None,
    min_confidence: float = 0.0,
    smooth: int = 0,
    companions: bool = True,
    polygons: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ClassifyResult:
    """Classify the cells of a scene or of its features and write the map.

    Args:
        scene: A feature raster or its store; or a scene, which is embedded first by the
            model's own recipe.
        model: A model that ``train`` made, or its folder.
        out: The map, ``….tif``; beside it its companions ``…_confidence.tif`` and so on.
        size: Patch size for a scene, in pixels or metres; the model's own by default.
        stride: Cell size for a scene; the patch size by default.
        store: Where the features of a scene are put; ``….zarr`` beside the map by default.
            An unfinished store is gone on with, a finished one of the same recipe is used.
        embedding: More options of ``embed`` for a scene: units, nodata, bands, device …
        min_confidence: Cells below it become no data.
        smooth: Side of the square in cells whose most frequent class a cell takes; 0 for none.
        companions: Whether confidence, margin and set size are written too.
        polygons: Whether classes are written as polygons too.
        overwrite: Whether older maps of that name give way.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        RecipeError: If the features were made by another recipe than the model's.
        OutputError: If a map of that name exists, or the place cannot be written.
    """
    path = Path(out)
    if path.suffix.lower() != ".tif":
        raise OutputError(f"{path} must end in .tif, since the map is a GeoTIFF")
    if not 0.0 <= min_confidence <= 1.0:
        raise SamplesError(f"a confidence of {min_confidence} is none; give one from 0 to 1")
    trained = model if isinstance(model, SceneModel) else SceneModel.load(Path(model))
    _refuse_taken(path, overwrite)
    raster = _features(scene, trained, path, size, stride, store, embedding or {}, progress)
    notes = trained.check(raster)
    found = trained.predict(raster, progress)
    labels, told = _settled(found, len(trained.legend), min_confidence, smooth)
    provenance = _provenance(found, raster, min_confidence, smooth)
    title = "Classes"
    class_map = ClassMap(labels, found.geobox, trained.legend, provenance, title=title)
    saved = class_map.save(path, polygons=polygons, overwrite=overwrite)
    files, notes = [*saved.files], [*notes, *told, *saved.notes]
    for name, values in _companions(found) if companions else ():
        value_map = ValueMap(values, found.geobox, COMPANIONS[name], "", provenance, title=name)
        more = value_map.save(path.with_name(f"{path.stem}_{name}.tif"), overwrite=overwrite)
        files, notes = files + list(more.files), notes + list(more.notes)
    return ClassifyResult(
        files=tuple(files),
        notes=tuple(dict.fromkeys(notes)),
        class_map=class_map,
        classified=found,
        counts=class_map.counts(),
        features=raster.path,
    )


def _refuse_taken(path: Path, overwrite: bool) -> None:
    names = [path, *(path.with_name(f"{path.stem}_{name}.tif") for name in COMPANIONS)]
    taken = [name for name in names if name.exists()]
    if taken and not overwrite:
        raise OutputError(
            f"{taken[0]} exists already; pass --overwrite to replace it, or another name"
        )


def _features(
    scene: Any,
    model: SceneModel,
    path: Path,
    size: Length | None,
    stride: Length | None,
    store: str | os.PathLike[str] | None,
    embedding: Mapping[str, Any],
    progress: Progress | None,
) -> FeatureRaster:
    """Open features, or embed a scene by the model's recipe."""
    if isinstance(scene, FeatureRaster):
        return scene
    if isinstance(scene, str | os.PathLike) and is_store(Path(scene)):
        return FeatureRaster.open(scene)
    where = path.with_suffix(".zarr") if store is None else Path(store)
    options = _own_options(model) | dict(embedding)
    if size is None:
        if model.any_size:
            raise RecipeError(
                "the model was trained on images, which have no size on the ground; say how "
                "large a patch is with --size, so that it shows as much ground as the images did"
            )
        size = str(model.description["space"]["size"])
    if is_store(where):
        return _same_run(FeatureRaster.open(where), scene, size, stride, where)
    return embed(scene, where, size=size, stride=stride, progress=progress, **options)


def _same_run(
    raster: FeatureRaster, scene: Any, size: Length, stride: Length | None, where: Path
) -> FeatureRaster:
    """Use features that are there if they are the scene's, in the cells asked for."""
    from terrapatch.grid import PatchGrid
    from terrapatch.scene import Scene

    told = Scene.open(scene)
    kept = raster.recipe
    grid = PatchGrid.over(told.geobox, size, stride, kept.grid["edge"]).as_dict()
    if kept.scene["name"] != told.name or kept.grid != grid:
        raise OutputError(
            f"{where} holds other features already ({kept.scene['name']}, patches of "
            f"{kept.grid['size']} px every {kept.grid['stride']} px); name another place with "
            "--store, or classify that store as it is"
        )
    return raster


def _own_options(model: SceneModel) -> dict[str, Any]:
    """Return the options of ``embed`` that make features of the model's space."""
    space = model.description["space"]
    return {
        "backbone": space["backbone"],
        "layers": ",".join(space["layers"]),
        "pooling": ",".join(space["pooling"]),
        "l2": space["l2"],
        "input_size": space["input_size"],
        "mode": space["mode"],
        "average": space.get("average", "none"),
    }


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


def _companions(found: Classified) -> list[tuple[str, np.ndarray[Any, Any]]]:
    given = [("confidence", found.confidence), ("margin", found.margin)]
    return given if found.set_size is None else [*given, ("set_size", found.set_size)]


def _provenance(
    found: Classified, raster: FeatureRaster, least: float, smooth: int
) -> dict[str, Any]:
    taken = raster.recipe.scene.get("datetime")
    how = {"min_confidence": least, "smooth": smooth}
    return {**found.provenance, "map": how, **({"datetime": taken} if taken else {})}
