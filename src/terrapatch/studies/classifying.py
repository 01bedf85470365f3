"""A trained model or a fine-tuned network on scenes: maps of classes, and of how sure it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.features import FeatureRaster, embed
from terrapatch.features.layout import is_store
from terrapatch.learn._model_folder import TUNED, kind_of
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies._classify_maps import (
    ClassifyResult,
    How,
    check_side,
    maps_of,
    refuse_itself,
    refuse_taken,
    write_maps,
)

if TYPE_CHECKING:
    from typing import Unpack

    import xarray as xr

    from terrapatch.grid import Length
    from terrapatch.learn.tuning import Tuned
    from terrapatch.learn.tuning.scenes import SceneNetwork
    from terrapatch.scene import Scene
    from terrapatch.studies._classify_many import ManyResult
    from terrapatch.studies._classify_options import Options

    Place = str | os.PathLike[str]
    Source = str | os.PathLike[str] | xr.DataArray | Scene | FeatureRaster
    Model = SceneModel | Tuned | str | os.PathLike[str]
    Classifier = SceneModel | SceneNetwork

__all__ = ["ClassifyResult", "classify"]

Progress = Callable[[str, int, int], None]


@overload
def classify(
    scene: Source, model: Model, out: Place, **options: Unpack[Options]
) -> ClassifyResult: ...


@overload
def classify(
    scene: list[Any] | tuple[Any, ...], model: Model, out: Place, **options: Unpack[Options]
) -> ManyResult: ...


def classify(
    scene: Source | list[Any] | tuple[Any, ...],
    model: Model,
    out: Place,
    *,
    size: Length | None = None,
    stride: Length | None = None,
    store: str | os.PathLike[str] | None = None,
    average: str | None = None,
    embedding: Mapping[str, Any] | None = None,
    min_confidence: float = 0.0,
    smooth: int = 0,
    companions: bool = True,
    polygons: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ClassifyResult | ManyResult:
    """Classify the cells of scenes or of their features and write the maps.

    Args:
        scene: A feature raster or its store; or a scene, which is embedded first by the
            model's own recipe; or a list of these.
        model: A model that ``train`` made or a network that ``finetune`` made, or its folder.
        out: The map, ``….tif``; beside it its companions ``…_confidence.tif`` and so on. For a
            list a folder, with a map ``STEM.tif`` for each scene ``STEM.…`` and, where all
            have one CRS, ``mosaic.vrt`` over them.
        size: Patch size for a scene, in pixels or metres; the model's own by default.
        stride: Cell size for a scene; the patch size by default.
        store: Where the features of a scene are put; ``….zarr`` beside the map by default. For
            a list a folder. An unfinished store is gone on with, a finished one of the same
            recipe is used.
        average: ``d4`` for the mean over a patch's eight turns and flips, or ``none``; as the
            model was made by default, and a matter of choice for fine-tuned networks only.
        embedding: More options of ``embed`` for a scene: units, nodata, bands, device …
        min_confidence: Cells below it become no data.
        smooth: Side of the square in cells whose most frequent class a cell takes; 0 for none.
        companions: Whether confidence, margin, set size and dissimilarity are written too.
        polygons: Whether classes are written as polygons too.
        overwrite: Whether older maps of that name give way.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was made of the scene; of a list a ``ManyResult``. All features of a list are made
        before its first map is written, so that an interrupted call is simply given again.

    Raises:
        RecipeError: If the features were made by another recipe than the model's.
        OutputError: If a map of that name exists, or the place cannot be written.
    """
    how = How(
        size=size,
        stride=stride,
        embedding=dict(embedding or {}),
        min_confidence=min_confidence,
        smooth=smooth,
        companions=companions,
        polygons=polygons,
        overwrite=overwrite,
        progress=progress,
    )
    if not 0.0 <= min_confidence <= 1.0:
        raise SamplesError(f"a confidence of {min_confidence} is none; give one from 0 to 1")
    if smooth:
        check_side(smooth)
    path, where = Path(out), None if store is None else Path(store)
    if isinstance(scene, list | tuple):
        from terrapatch.studies._classify_many import classify_many

        return classify_many(scene, lambda: load(model, how, average), path, where, how)
    if path.suffix.lower() != ".tif":
        raise OutputError(f"{path} must end in .tif, since the map is a GeoTIFF")
    refuse_taken(maps_of(path), overwrite)
    refuse_itself(scene, path)
    trained, how = load(model, how, average)
    where = where or path.with_suffix(".zarr")
    raster = kept_features(scene, trained, where, how)
    if raster is None:
        raster = embedded(scene, trained, where, how)
    return write_maps(raster, trained, path, how)


def load(model: Model, how: How, average: str | None) -> tuple[Classifier, How]:
    """Load a model of either kind, and settle what it leaves of the options of ``embed``.

    Raises:
        RecipeError: If there is no model, or it was not made with the averaging asked for.
        WeightsError: If the network's own weights are missing.
    """
    from terrapatch.backbones.turning import check_average

    check_average(average or "none")
    folder = Path(model) if isinstance(model, str | os.PathLike) else None
    if isinstance(model, SceneModel) or (folder is not None and kind_of(folder) != TUNED):
        trained = model if isinstance(model, SceneModel) else SceneModel.load(folder or "")
        own = trained.description["space"].get("average", "none")
        if average not in (None, own):
            raise RecipeError(
                f"the model was trained on features made with --average {own}, so scenes are "
                "embedded alike; leave out --average"
            )
        return trained, how
    return _tuned(model, how, average)


def _tuned(model: Any, how: How, average: str | None) -> tuple[SceneNetwork, How]:
    """Load a fine-tuned network; the file of weights is its, not the engine's."""
    from terrapatch.learn.tuning import Tuned
    from terrapatch.learn.tuning.scenes import SceneNetwork

    options = dict(how.embedding)
    weights, offline = options.pop("weights", None), bool(options.get("offline", False))
    if not isinstance(model, Tuned):
        model = Tuned.load(Path(model), weights=weights, offline=offline)
    chosen = average or str(model.description.get("average", "none"))
    return SceneNetwork(model, chosen), replace(how, embedding=options)


def kept_features(scene: Source, model: Classifier, where: Path, how: How) -> FeatureRaster | None:
    """Return features that are there already: given as they are, or kept of an earlier run.

    Raises:
        RecipeError: If the model cannot be applied to them, or a scene's patch size is missing.
        OutputError: If the store holds features of another scene or grid.
    """
    raster = None
    if isinstance(scene, FeatureRaster):
        raster = scene
    elif isinstance(scene, str | os.PathLike) and is_store(Path(scene)):
        raster = FeatureRaster.open(scene)
    elif is_store(where):
        size = patch_size(model, how)
        raster = _same_run(FeatureRaster.open(where), scene, size, how, where)
    else:
        _refuse_other_size(scene, model, how)
    if raster is not None:
        model.check(raster)
    return raster


def patch_size(model: Classifier, how: How) -> Length:
    """Return how large patches of a scene are.

    Raises:
        RecipeError: If the model knows no size on the ground and none is given.
    """
    if how.size is not None:
        return how.size
    if isinstance(model, SceneModel) and not model.any_size:
        return str(model.description["space"]["size"])
    raise RecipeError(
        "the model was trained on images, which have no size on the ground; say how "
        "large a patch is with --size, so that it shows as much ground as the images did"
    )


def _refuse_other_size(scene: Any, model: Classifier, how: How) -> None:
    """Refuse patches that the model was not trained on, before they are embedded."""
    from terrapatch.grid import PatchGrid
    from terrapatch.scene import Scene

    size = patch_size(model, how)
    if not isinstance(model, SceneModel) or model.any_size or how.size is None:
        return
    own = str(model.description["space"]["size"])
    asked = PatchGrid.over(Scene.open(scene).geobox, size, how.stride).size_text
    if asked != own:
        raise RecipeError(
            f"the model was trained on patches of {own} and cannot be applied to patches of "
            f"{asked}; leave out --size, or train a new model"
        )


def embedded(scene: Source, model: Classifier, where: Path, how: How) -> FeatureRaster:
    """Embed a scene by the model's recipe; an unfinished store is gone on with."""
    options = model.embedding_options() | dict(how.embedding)
    source: Any = scene
    size = patch_size(model, how)
    return embed(source, where, size=size, stride=how.stride, progress=how.progress, **options)


def _same_run(
    raster: FeatureRaster, scene: Any, size: Length, how: How, where: Path
) -> FeatureRaster:
    """Use features that are there if they are the scene's, in the cells asked for."""
    from terrapatch.grid import PatchGrid
    from terrapatch.scene import Scene

    told = Scene.open(scene)
    kept = raster.recipe
    grid = PatchGrid.over(told.geobox, size, how.stride, kept.grid["edge"]).as_dict()
    if kept.scene["name"] != told.name or kept.grid != grid:
        raise OutputError(
            f"{where} holds other features already ({kept.scene['name']}, patches of "
            f"{kept.grid['size']} every {kept.grid['stride']}); name another place with "
            "--store, or classify that store as it is"
        )
    if changed := _read_otherwise(kept.scene, scene, how.embedding):
        raise OutputError(
            f"{where} holds features of {told.name} from before its {' and '.join(changed)} "
            "changed; delete that store, or name another place with --store"
        )
    return raster


def _read_otherwise(kept: Mapping[str, Any], scene: Any, asked: Mapping[str, Any]) -> list[str]:
    """Name what a scene would be read by now and was not read by when it was embedded."""
    from terrapatch.scene import Scene

    told = {name: asked.get(name) for name in ("units", "nodata")}
    bands = asked.get("bands")
    now = Scene.open(scene, bands=kept["bands"] if bands is None else bands, **told).as_dict()
    words = {"signature": "pixels", "bands": "bands", "nodata": "nodata", "units": "units"}
    same = [name for name in words if now[name] == kept.get(name, now[name])]
    if now["units"] is None:  # left out, as the features are there already
        same.append("units")
    return [word for name, word in words.items() if name not in same]
