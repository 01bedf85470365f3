"""The whole way on a painted scene: nothing to download, and the truth is known."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from terrapatch.errors import OutputError, writing
from terrapatch.features import FeatureRaster, embed
from terrapatch.learn import (
    fit_clusters,
    iou,
    majority_class,
    name_by_majority,
    normalised_mutual_information,
    truth_on_cells,
)
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, preview
from terrapatch.scene import Scene
from terrapatch.studies.painted import PaintedScene, paint
from terrapatch.studies.settlements import ClusterResult, cluster, default_scaling, thumbnail

Progress = Callable[[str, int, int], None]
Ids = npt.NDArray[np.int64]

SIZE, STRIDE, K = "60m", "30m", 12
INFORMAL = "informal settlement"
BASELINE = "imagestats"
# Says that a folder is a demonstration, whose files may be replaced; written first.
MARK = "demo.json"
MADE = ("settlements.tif", "preview.png", "clusters", "features.zarr", "scene.tif")


@dataclass(frozen=True)
class Score:
    """How well clusters, each named by most of its cells, match the truth.

    Attributes:
        features: Name of the backbone.
        informal: Intersection over union of informal settlement, 0 to 1.
        mean: Mean intersection over union of all classes.
        nmi: Normalised mutual information of clusters and classes.
    """

    features: str
    informal: float
    mean: float
    nmi: float


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made.

    Attributes:
        folder: Where it lies.
        files: The files a person would open first.
        scores: The network's score, and the baseline's.
        lines: All of it in words.
    """

    folder: Path
    files: tuple[Path, ...]
    scores: tuple[Score, Score]
    lines: tuple[str, ...]


def demo(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    size: tuple[int, int] = (1536, 2048),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DemoResult:
    """Paint a settlement scene, embed and cluster it, and map it beside the truth.

    Args:
        out: Folder to write.
        seed: Seed of the scene and of the clusters.
        size: Rows and columns of the scene, in pixels of 0.5 m.
        overwrite: Whether an older demonstration in the folder is replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was made, how well it matches, and where it lies.

    Raises:
        OutputError: If the folder exists or cannot be written.
    """
    folder = Path(out)
    _make_room(folder, seed, overwrite)
    painted = paint(folder / "scene.tif", seed=seed, size=size, overwrite=overwrite)
    features = embed(
        painted.rgb_path,
        folder / "features.zarr",
        size=SIZE,
        stride=STRIDE,
        overwrite=overwrite,
        restart=overwrite,
        progress=progress,
    )
    result = cluster(
        features,
        folder / "clusters",
        K,
        seed=seed,
        scene=painted.rgb_path,
        overwrite=overwrite,
        progress=progress,
    )
    truth = _truth(painted, features)
    named = _named_map(result, truth, painted.legend)
    saved = named.save(folder / "settlements.tif", overwrite=overwrite)
    scene = Scene.open(painted.rgb_path)
    picture = preview(
        named,
        folder / "preview.png",
        base=thumbnail(scene),
        base_geobox=scene.geobox,
        overwrite=overwrite,
    )
    scores = (
        _score(features.recipe.backbone["name"], result.clusters.labels, truth, painted.legend),
        _baseline(painted, folder, seed, truth),
    )
    files = (picture, saved.path, result.folder / "clusters.tif", features.path)
    lines = _words(result, features, scores, files)
    return DemoResult(folder, files, scores, lines)


def _make_room(folder: Path, seed: int, overwrite: bool) -> None:
    """Refuse a folder in use, unless it is a demonstration that may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give the name of a folder to write")
    there = [name for name in MADE if (folder / name).exists()]
    ours = (folder / MARK).is_file()
    if there and not ours:
        raise OutputError(
            f"{folder} holds {there[-1]}, which no demonstration made; choose another folder"
        )
    if there and not overwrite:
        raise OutputError(
            f"{folder} holds a demonstration already; pass --overwrite to replace it, "
            "or another name"
        )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(json.dumps({"made by": "terrapatch demo", "seed": seed}) + "\n")
        for result in ("settlements.tif", "preview.png", "clusters/clusters.tif"):
            (folder / result).unlink(missing_ok=True)


def _truth(painted: PaintedScene, features: FeatureRaster) -> Ids:
    """Return the class most pixels of each cell have, 0 in empty cells."""
    with rasterio.open(painted.truth_path) as src:
        pixels = src.read(1)
    rows, cols = features.recipe.grid["stride_px"]
    counts = truth_on_cells(pixels, (rows, cols), features.shape, len(painted.legend))
    return np.where(features.valid() > 0, majority_class(counts), 0)


def _named_map(result: ClusterResult, truth: Ids, legend: Legend) -> ClassMap:
    labels = result.clusters.labels
    names = name_by_majority(labels, truth, result.clusters.n_clusters)
    provenance = {**result.class_map.provenance, "names": "each cluster by most of its cells"}
    classes = names[labels].astype(np.uint8)
    return ClassMap(classes, result.clusters.geobox, legend, provenance, title="Settlements")


def _score(name: str, labels: npt.NDArray[np.integer], truth: Ids, legend: Legend) -> Score:
    named = name_by_majority(labels, truth, int(labels.max()))[labels]
    known = truth > 0
    per_class = {e.name: iou(named == e.id, truth == e.id, where=known) for e in legend}
    return Score(
        name,
        per_class[INFORMAL],
        float(np.mean(list(per_class.values()))),
        normalised_mutual_information(labels, truth),
    )


def _baseline(painted: PaintedScene, folder: Path, seed: int, truth: Ids) -> Score:
    """Cluster plain band statistics in the same way, leaving nothing behind."""
    with tempfile.TemporaryDirectory(prefix=".baseline.", dir=folder) as scratch:
        store = Path(scratch) / "imagestats.zarr"
        plain = embed(painted.rgb_path, store, size=SIZE, stride=STRIDE, backbone=BASELINE)
        model = fit_clusters(plain, K, seed=seed, scaling=default_scaling(plain))
        return _score(BASELINE, model.predict(plain).labels, truth, painted.legend)


def _words(
    result: ClusterResult,
    features: FeatureRaster,
    scores: tuple[Score, Score],
    files: tuple[Path, ...],
) -> tuple[str, ...]:
    rows, cols = features.shape
    what = ("a picture of the result", "the map for QGIS", "the clusters", "the embedding")
    return (
        f"painted a scene and embedded it as {rows} x {cols} cells of {features.n_features} "
        f"numbers; made {result.clusters.n_clusters} clusters without labels",
        "each cluster was then named by what most of its cells are in the painted truth:",
        f"  {'features':<20} {'IoU informal':>12} {'mean IoU':>9} {'NMI':>6}",
        *(f"  {s.features:<20} {s.informal:>12.2f} {s.mean:>9.2f} {s.nmi:>6.2f}" for s in scores),
        *(f"{text}: {path}" for path, text in zip(files, what, strict=True)),
    )
