"""From features to a folder of clusters that opens in QGIS."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from terrapatch.errors import ClusterError, OutputError, writing
from terrapatch.features import FeatureRaster
from terrapatch.ground import pixel_hectares
from terrapatch.learn import ClusterModel, Clusters, fit_clusters
from terrapatch.maps import ClassMap, ValueMap, preview
from terrapatch.scene import Scene

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[str, int, int], None]

DEFAULT_K = 12
# Every file a folder of clusters can hold, the map last; nothing else in it is touched.
FILES = (
    "model/head.safetensors",
    "model/model.json",
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
class ClusterRow:
    """One line of the table of clusters.

    Attributes:
        id: Cluster id, from 1.
        name: Its name.
        colour: Its colour, ``#rrggbb``.
        cells: How many cells it has.
        share: Its share of all non-empty cells, 0 to 1.
        hectares: The area of its valid pixels, ``None`` without a CRS.
    """

    id: int
    name: str
    colour: str
    cells: int
    share: float
    hectares: float | None


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
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    clusters: Clusters
    class_map: ClassMap
    value_map: ValueMap
    model: ClusterModel
    table: tuple[ClusterRow, ...]


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
    k: int = DEFAULT_K,
    *,
    seed: int = 0,
    scaling: str | None = None,
    algorithm: Literal["auto", "kmeans", "minibatch"] = "auto",
    n_init: int = 10,
    model: ClusterModel | str | os.PathLike[str] | None = None,
    scene: str | os.PathLike[str] | xr.DataArray | Scene | None = None,
    polygons: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ClusterResult:
    """Cluster the cells of a feature raster and write maps, table, model and picture.

    Args:
        features: A feature raster, or the path of its store.
        out: Folder to write; the map appears in it last, when all else is there.
        k: Number of clusters.
        seed: Seed of everything random; the same seed gives the same bytes.
        scaling: How features are scaled first (see ``terrapatch.learn.scaling``);
            by default what measured best for features of their kind.
        algorithm: ``kmeans``, ``minibatch``, or ``auto`` by size.
        n_init: Starts of k-means.
        model: A model made earlier (or its folder, or the folder of its clusters)
            to apply as it is; ``k``, ``seed`` and ``scaling`` are then not used.
        scene: The scene, if the picture is to show it under the clusters.
        polygons: Whether to write clusters as polygons too.
        overwrite: Whether older clusters in the folder are replaced; other files in it
            are left alone.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was made.

    Raises:
        ClusterError: If the features cannot be clustered as asked.
        RecipeError: If the model was made with other features.
        OutputError: If the folder exists or cannot be written.
    """
    raster = features if isinstance(features, FeatureRaster) else FeatureRaster.open(features)
    folder = Path(out)
    _refuse_existing(folder, overwrite)
    if model is None:
        name = scaling or default_scaling(raster)
        fitted = fit_clusters(
            raster,
            k,
            seed=seed,
            scaling=name,
            algorithm=algorithm,
            n_init=n_init,
            progress=progress,
        )
    else:
        fitted = model if isinstance(model, ClusterModel) else load_model(model)
    clusters = fitted.predict(raster, progress)
    provenance = _provenance(clusters, raster)
    class_map = clusters.to_class_map(provenance=provenance)
    value_map = clusters.to_value_map(provenance=provenance)
    table = _table(class_map, raster)
    result = ClusterResult(folder, (), (), clusters, class_map, value_map, fitted, table)
    return _write(result, None if scene is None else _as_embedded(scene, raster), polygons)


def load_model(path: str | os.PathLike[str]) -> ClusterModel:
    """Load a cluster model from its folder, or from the folder of clusters it lies in."""
    folder = Path(path)
    inner = folder / "model"
    return ClusterModel.load(inner if (inner / "model.json").exists() else folder)


def _as_embedded(
    scene: str | os.PathLike[str] | xr.DataArray | Scene, raster: FeatureRaster
) -> Scene:
    """Open the scene with the bands and units it was embedded with, where these can be shown."""
    recipe = raster.recipe.scene
    if isinstance(scene, Scene) or len(recipe["bands"]) not in (1, 3):
        return Scene.open(scene)
    return Scene.open(scene, bands=recipe["bands"], units=recipe["units"]["text"])


def _provenance(clusters: Clusters, raster: FeatureRaster) -> dict[str, Any]:
    taken = raster.recipe.scene.get("datetime")
    return {**clusters.provenance, **({"datetime": taken} if taken else {})}


def _table(class_map: ClassMap, raster: FeatureRaster) -> tuple[ClusterRow, ...]:
    counts = class_map.counts()
    total = max(1, int(counts[1:].sum()))
    areas = pixel_hectares(raster.geobox)
    hectares: npt.NDArray[np.float64] = np.zeros(len(counts))
    if areas is not None:
        weights = raster.valid().astype(np.float64) * areas[:, None]
        ids = class_map.values.ravel()
        hectares = np.bincount(ids, weights.ravel(), len(counts)).astype(np.float64)
    return tuple(
        ClusterRow(
            entry.id,
            entry.name,
            entry.colour,
            int(counts[entry.id]),
            int(counts[entry.id]) / total,
            None if areas is None else float(hectares[entry.id]),
        )
        for entry in class_map.legend
    )


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise OutputError(f"{folder} is a file; give the name of a folder to write")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} exists already and is not empty; pass --overwrite to replace the clusters "
            "in it, or another name"
        )


def _write(result: ClusterResult, scene: Scene | None, polygons: bool) -> ClusterResult:
    folder = result.folder
    with writing(folder):
        home = folder if folder.exists() else folder.parent
        home.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".clusters.", suffix=".part", dir=home))
        try:
            stage.chmod(0o755)
            files, notes = _write_all(result, stage, scene, polygons)
            _publish(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    placed = tuple(folder / file.relative_to(stage) for file in files)
    return replace(result, files=placed, notes=notes)


def _write_all(
    result: ClusterResult, stage: Path, scene: Scene | None, polygons: bool
) -> tuple[list[Path], tuple[str, ...]]:
    saved = result.class_map.save(stage / "clusters.tif", polygons=polygons)
    distance = result.value_map.save(stage / "distance.tif")
    files = [*saved.files, *distance.files]
    table = stage / "clusters.csv"
    table.write_text(_csv(result.table), encoding="utf-8")
    result.model.save(stage / "model")
    base = None if scene is None else thumbnail(scene)
    picture = preview(
        result.class_map,
        stage / "preview.png",
        base=base,
        base_geobox=None if scene is None else scene.geobox,
    )
    files += [table, picture, stage / "model" / "model.json", stage / "model" / "head.safetensors"]
    return files, tuple(dict.fromkeys((*saved.notes, *distance.notes)))


def _csv(table: tuple[ClusterRow, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "colour", "cells", "share", "hectares"])
    for row in table:
        area = "" if row.hectares is None else f"{row.hectares:.4f}"
        writer.writerow([row.id, row.name, row.colour, row.cells, f"{row.share:.6f}", area])
    return text.getvalue()


def _publish(stage: Path, folder: Path) -> None:
    """Put finished files into place: first the older map goes, last the new one comes."""
    if not folder.exists():
        os.replace(stage, folder)
        return
    for name in reversed(FILES):
        (folder / name).unlink(missing_ok=True)
    (folder / "model").mkdir(exist_ok=True)
    for name in FILES:
        if (stage / name).exists():
            os.replace(stage / name, folder / name)


def thumbnail(scene: Scene, pixels: int = 1600) -> npt.NDArray[np.uint8]:
    """Read a small picture of a scene: ``(rows, cols, 3)`` uint8, white where invalid.

    Raises:
        ClusterError: If one or three bands cannot be chosen.
    """
    from terrapatch.reading import read_thinned

    shown = scene if len(scene.bands) in (1, 3) else scene.for_channels(3)
    if len(shown.bands) not in (1, 3):
        raise ClusterError(f"{scene.name} cannot be shown; choose three bands of it")
    values, mask = read_thinned(shown, pixels)
    image = shown.require_units().to_eight_bit(values).astype(np.uint8)
    if mask is not None:
        image[:, ~mask] = 255
    return np.ascontiguousarray(np.moveaxis(np.repeat(image, 3 // len(image), axis=0), 0, -1))
