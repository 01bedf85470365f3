"""From features to a folder of clusters that opens in QGIS."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from terrapatch.errors import ClusterError, OutputError
from terrapatch.features import FeatureRaster
from terrapatch.learn import ClusterModel, Clusters, fit_clusters
from terrapatch.learn._features import Features
from terrapatch.learn.subclusters import cells_of
from terrapatch.maps import ClassMap, ValueMap, preview
from terrapatch.scene import Scene
from terrapatch.studies._carrying import names_for
from terrapatch.studies._cluster_table import ClusterRow, cluster_rows, table_csv
from terrapatch.studies._embedded_scene import as_embedded, for_looking, scene_of
from terrapatch.studies._named_map import NAMED_FILES, write_named
from terrapatch.studies._names_backup import keep_names
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies._unlike_class import UNLIKE_FILES
from terrapatch.studies.looking import LOOK_FILES, look
from terrapatch.studies.names import Names
from terrapatch.studies.result_folder import NAMES, SOURCE, stated_scene, write_source

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[str, int, int], None]
Procedure = Literal["consensus", "auto", "kmeans", "minibatch"]

DEFAULT_K = 12
# Every file a folder of clusters can hold, the map last; nothing else in it is touched.
FILES = (
    "model/head.safetensors",
    "model/model.json",
    SOURCE,
    NAMES,
    *NAMED_FILES,
    *LOOK_FILES,
    "apply.html",
    *UNLIKE_FILES,
    "preview.png",
    "clusters.csv",
    "distance.json",
    "distance.qml",
    "distance.tif.aux.xml",  # written by QGIS, stale once the map is another
    "distance.tif",
    "clusters.json",
    "clusters_polygons.gpkg",
    "clusters.qml",
    "clusters.tif.aux.xml",
    "clusters.tif",
)
FEW_FEATURES = 32


@dataclass(frozen=True)
class ClusterResult:
    """What ``cluster`` made.

    Attributes:
        folder: The folder it wrote.
        files: Every file in it, the map first.
        notes: Sentences a person should know.
        clusters: Ids and distances.
        class_map: The map of clusters.
        value_map: The map of distances to the centres.
        model: The model, for other scenes.
        table: One row a cluster.
        names: What a person has said of the clusters, taken over from an earlier result;
            nobody's names in a fresh folder.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    clusters: Clusters
    class_map: ClassMap
    value_map: ValueMap
    model: ClusterModel
    table: tuple[ClusterRow, ...]
    names: Names


def default_scaling(features: FeatureRaster) -> str:
    """Return the scaling that measured best for features of this kind.

    Descriptors of a network are standardised, then each layer brought to unit
    length; a handful of band statistics, where direction alone says little, are
    only standardised.
    """
    few = features.n_features < FEW_FEATURES
    return "standardise" if few else "standardise-layer-l2"


def cluster(
    features: FeatureRaster | str | os.PathLike[str],
    out: str | os.PathLike[str],
    k: int | Literal["auto"] = DEFAULT_K,
    *,
    seed: int = 0,
    scaling: str | None = None,
    algorithm: Procedure = "consensus",
    n_init: int = 10,
    model: ClusterModel | str | os.PathLike[str] | None = None,
    within: str | os.PathLike[str] | None = None,
    id: int | None = None,
    scene: str | os.PathLike[str] | xr.DataArray | Scene | None = None,
    names_from: str | os.PathLike[str] | None = None,
    polygons: bool = True,
    report: bool | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ClusterResult:
    """Cluster the cells of a feature raster and write maps, table, model and picture.

    Names that a person gave (``terrapatch name``) outlive another run: they are taken over from
    ``names_from``, else from the folder of ``model``, else from what ``overwrite`` replaces. A
    note says what moved, and names that are replaced are kept in ``names.csv.bak``.

    Args:
        features: A feature raster, or the path of its store.
        out: Folder to write; the map appears in it last, when all else is there.
        k: Number of clusters, or ``auto`` for the one that ``learn.choosing`` recommends.
        seed: Seed of everything random; the same seed gives the same bytes.
        scaling: How features are scaled first (see ``terrapatch.learn.scaling``);
            by default what measured best for features of their kind.
        algorithm: ``consensus`` of many runs of k-means (see ``learn.stability``), which other
            seeds change little; or one run: ``kmeans``, ``minibatch``, or ``auto`` by size.
        n_init: Starts of that one run.
        model: A model made earlier (or its folder, or the folder of its clusters)
            to apply as it is; ``k``, ``seed`` and ``scaling`` are then not used.
        within: Folder of an earlier result, one cluster of which is looked into: only its cells
            are clustered, by what tells them apart from each other.
        id: That cluster.
        scene: The scene, if the picture is to show it under the clusters. Its place is noted in
            ``source.json``; left out, it is looked for where it was
            before, and beside the store.
        names_from: Folder of an earlier result whose names are taken over to the clusters that
            lie in the same cells.
        polygons: Whether to write clusters as polygons too.
        report: Whether to write the report, contact sheet and exemplars of ``look`` too; by
            default where the scene is known.
        overwrite: Whether older clusters in the folder are replaced; other files in it
            are left alone.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was made.

    Raises:
        ClusterError: If the features cannot be clustered as asked.
        RecipeError: If the model was made with other features.
        OutputError: If the folder exists or cannot be written, or is that of ``within``.
    """
    raster = features if isinstance(features, FeatureRaster) else FeatureRaster.open(features)
    folder = Path(out)
    refuse_existing(folder, overwrite, "cluster")
    if (within is None) != (id is None):
        raise ClusterError("within and id belong together: a folder of clusters, and one of them")
    if within is not None and Path(within).resolve() == folder.resolve():
        raise OutputError(
            f"{folder} is the folder of the cluster that is looked into, which would be lost; "
            "choose another"
        )
    if model is not None:
        fitted = _given(model, k, within)
        notes = within_notes(fitted)
        clusters = fitted.predict(raster, progress)
    else:
        cells = raster if within is None else cells_of(raster, load_model(within), id or 0)
        shared = {"seed": seed, "scaling": scaling or default_scaling(raster)}
        fitted, notes = _fitted(cells, k, algorithm, n_init, progress, shared)
        if within is not None:
            fitted = replace(fitted, description={**fitted.description, "within": id})
        clusters = fitted.predict(cells, progress)
    provenance = _provenance(clusters, raster)
    class_map = clusters.to_class_map(provenance=provenance)
    value_map = clusters.to_value_map(provenance=provenance)
    names, told = names_for(folder, names_from, model, raster, class_map, progress)
    result = ClusterResult(
        folder,
        (),
        (*notes, *told),
        clusters,
        class_map,
        value_map,
        fitted,
        cluster_rows(class_map, raster),
        names,
    )
    result, known = _write(result, raster, scene, polygons)
    if not (known if report is None else report):
        return result
    seen = look(folder, seed=seed, progress=progress)
    noted = tuple(dict.fromkeys((*result.notes, *seen.notes)))
    return replace(result, files=(*result.files, *seen.files), notes=noted)


def _given(
    model: ClusterModel | str | os.PathLike[str],
    k: int | Literal["auto"],
    within: str | os.PathLike[str] | None,
) -> ClusterModel:
    """Return a model that is to be applied as it is."""
    if k == "auto" or within is not None:
        asked = "k auto" if k == "auto" else "within"
        raise ClusterError(
            f"a model is applied as it is, so {asked} has no meaning with it; leave one of the "
            "two out"
        )
    return model if isinstance(model, ClusterModel) else load_model(model)


def _fitted(
    cells: Features,
    k: int | Literal["auto"],
    algorithm: Procedure,
    n_init: int,
    progress: Progress | None,
    shared: dict[str, Any],
) -> tuple[ClusterModel, list[str]]:
    """Fit a model as asked; say how many clusters were chosen and why."""
    if algorithm not in get_args(Procedure):
        raise ClusterError(
            f"there is no algorithm {algorithm!r}; choose {', '.join(get_args(Procedure))}"
        )
    notes: list[str] = []
    if k == "auto":
        from terrapatch.learn.choosing import choose_k

        choice = choose_k(cells, progress=progress, **shared)
        k, notes = int(choice.recommended), list(choice.words())
    if algorithm != "consensus":
        fitted = fit_clusters(
            cells, k, algorithm=algorithm, n_init=n_init, progress=progress, **shared
        )
        return fitted, notes
    from terrapatch.learn.stability import consensus

    return consensus(cells, k, progress=progress, **shared), notes


def within_notes(model: ClusterModel) -> list[str]:
    """Say what a model that was made within one cluster does not know."""
    id = model.description.get("within")
    if id is None:
        return []
    return [
        f"the model was made within one cluster (cluster {id} of its scene) and knows no other "
        "cells, but puts all cells of a scene into its clusters: only those of that kind of "
        "ground mean anything"
    ]


def load_model(path: str | os.PathLike[str]) -> ClusterModel:
    """Load a cluster model from its folder, or from the folder of clusters it lies in."""
    folder = Path(path)
    inner = folder / "model"
    return ClusterModel.load(inner if (inner / "model.json").exists() else folder)


def _provenance(clusters: Clusters, raster: FeatureRaster) -> dict[str, Any]:
    taken = raster.recipe.scene.get("datetime")
    return {**clusters.provenance, **({"datetime": taken} if taken else {})}


def _write(
    result: ClusterResult,
    raster: FeatureRaster,
    scene: str | os.PathLike[str] | xr.DataArray | Scene | None,
    polygons: bool,
) -> tuple[ClusterResult, bool]:
    """Write all but the report; return the result, and whether the scene is known."""
    folder = result.folder
    opened = (
        scene if scene is None or isinstance(scene, Scene) else as_embedded(scene, raster.recipe)
    )
    place, told = scene_of(scene, opened, raster, stated_scene(folder))
    with staging(folder) as stage:
        files, notes = _write_all(result, stage, opened, polygons)
        files.append(write_source(stage, raster.path, place, home=folder))
        kept = keep_names(folder, result.names)
        if folder.exists():
            (folder / "model").mkdir(exist_ok=True)
        publish(stage, folder, FILES)
    placed = tuple(folder / file.relative_to(stage) for file in files)
    noted = (*result.notes, *kept, *told, *notes)
    return replace(result, files=placed, notes=noted), place is not None


def _write_all(
    result: ClusterResult, stage: Path, scene: Scene | None, polygons: bool
) -> tuple[list[Path], tuple[str, ...]]:
    saved = result.class_map.save(stage / "clusters.tif", polygons=polygons)
    distance = result.value_map.save(stage / "distance.tif")
    files = [*saved.files, *distance.files]
    table = stage / "clusters.csv"
    table.write_text(table_csv(result.table), encoding="utf-8")
    result.model.save(stage / "model")
    base = None if scene is None else thumbnail(scene)
    picture = preview(
        result.class_map,
        stage / "preview.png",
        base=base,
        base_geobox=None if scene is None else scene.geobox,
    )
    names = stage / NAMES
    names.write_text(result.names.as_csv(), encoding="utf-8")
    files += [table, names, picture]
    files += [stage / "model" / "model.json", stage / "model" / "head.safetensors"]
    if result.names.touched:
        areas = {row.id: row.hectares for row in result.table}
        files += write_named(stage, result.class_map, result.names, areas, polygons=polygons)[2]
    return files, tuple(dict.fromkeys((*saved.notes, *distance.notes)))


def thumbnail(scene: Scene, pixels: int = 1600) -> npt.NDArray[np.uint8]:
    """Read a small picture of a scene: ``(rows, cols, 3)`` uint8, white where invalid.

    Raises:
        ClusterError: If one or three bands cannot be chosen.
    """
    from terrapatch.reading import read_thinned

    shown = for_looking(scene)
    values, mask = read_thinned(shown, pixels)
    image = shown.require_units().to_eight_bit(values).astype(np.uint8)
    if mask is not None:
        image[:, ~mask] = 255
    return np.ascontiguousarray(np.moveaxis(np.repeat(image, 3 // len(image), axis=0), 0, -1))
