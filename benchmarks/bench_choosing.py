"""Choosing k, consensus and labels of medoids, with the figures they are to reach.

    python benchmarks/bench_choosing.py choose   what choose_k recommends: Mumbai, UC Merced, RSSCN7
    python benchmarks/bench_choosing.py mumbai   IoU of informal, plain k-means and consensus
    python benchmarks/bench_choosing.py ucm      21 clusters against 21 classes
    python benchmarks/bench_choosing.py medoid   one label for each cluster, given to its medoid
    python benchmarks/bench_choosing.py stable   stability of each cluster, Mumbai at k = 12

Protocol of Mumbai: bench_settlements.py. Of UC Merced: all 2,100 images, each one cell, clustered
without their classes; Hungarian accuracy, NMI and ARI in percent, mean over seeds (sd). Labels of
medoids: the image nearest to each centre gives its class to its cluster; accuracy over all images.
Features are kept in --cache; those of --average d4 take eight times as long.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from bench_settlements import data_folder, informal_cells
from odc.geo.geobox import GeoBox

import terrapatch as tp
from terrapatch.features.images import ImageFeatures, embed_images
from terrapatch.learn import (
    ClusterModel,
    adjusted_rand,
    fit_clusters,
    iou,
    mask_by_majority,
    matched_accuracy,
    normalised_mutual_information,
)
from terrapatch.learn.choosing import choose_k
from terrapatch.learn.image_folder import find_images
from terrapatch.learn.stability import cluster_stability, consensus

SCALINGS = ("standardise-layer-l2", "standardise-pca64-half", "pca64-half")
LAYERS = {
    "all layers": None,
    "stage5, 7, head": ("stage5", "stage7", "head"),
    "head": ("head",),
}
CACHE = str(Path(tempfile.gettempdir()) / "terrapatch-bench")
Maker = Callable[..., ClusterModel]
MAKERS: dict[str, Maker] = {"k-means": fit_clusters, "consensus": consensus}


@dataclass(frozen=True)
class Block:
    """Cells of one block."""

    rows: slice
    cols: slice
    values: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Images:
    """Descriptors of images as a feature raster of one row."""

    values: np.ndarray
    groups: tuple[tuple[str, int, int], ...]
    recipe: Any

    @classmethod
    def of(cls, features: ImageFeatures, layers: Sequence[str] | None) -> Images:
        """Take over some layers of embedded images, all if ``None``."""
        parts, groups, at = [], [], 0
        for name, start, stop in features.groups:
            if layers is None or name in layers:
                parts.append(features.values[:, start:stop])
                groups.append((name, at, at + stop - start))
                at += stop - start
        return cls(np.concatenate(parts, axis=1)[None], tuple(groups), features.recipe)

    @property
    def shape(self) -> tuple[int, int]:
        """One row of cells."""
        return (1, self.values.shape[1])

    @property
    def n_features(self) -> int:
        """Numbers of an image."""
        return int(self.values.shape[2])

    @property
    def geobox(self) -> GeoBox:
        """A grid that lies nowhere."""
        return GeoBox(self.shape, Affine.identity(), None)

    def valid(self) -> np.ndarray:
        """All images are whole."""
        return np.ones(self.shape, np.float32)

    def blocks(self) -> Iterator[Block]:
        """One block holds them all."""
        yield Block(slice(0, 1), slice(0, self.shape[1]), self.values, self.valid())


def images(name: str, cache: str, **options: Any) -> tuple[ImageFeatures, np.ndarray]:
    """Embed a folder of images; return the features and the class of each, from 1."""
    found = find_images(data_folder().parent / name)
    features = embed_images(found.paths, precision="fp32", batch=16, cache=cache, **options)
    classes = [Path(path).parent.name for path in found.paths]
    return features, np.unique(classes, return_inverse=True)[1] + 1


def mumbai(scene: str, folder: str, **options: Any) -> tuple[tp.FeatureRaster, np.ndarray]:
    """Embed a scene of Mumbai in cells of 60 m; return the features and the informal cells."""
    base = data_folder()
    features = tp.embed(base / f"{scene}_rgb.tif", folder, size="60m", **options)
    return features, informal_cells(base / f"{scene}_labels.tif", features)


def spread(values: Sequence[float], scale: float = 100.0) -> str:
    """Write mean and deviation."""
    return f"{scale * np.mean(values):.1f} ({scale * np.std(values):.1f})"


def choose(args: argparse.Namespace) -> None:
    """Print what ``choose_k`` recommends at several seeds."""
    print("| cells | scaling | recommended at each seed | what the measures take at seed 0 |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        rasters: dict[str, Any] = {
            "UC Merced": Images.of(images("ucmerced/images", args.cache)[0], None),
            "RSSCN7": Images.of(images("rsscn7_sample", args.cache, input_size=256)[0], None),
        }
        for scene in args.scenes:
            rasters[scene] = mumbai(scene, f"{scratch}/{scene}.zarr")[0]
        for name, features in rasters.items():
            for scaling in SCALINGS[:2]:
                found = [
                    choose_k(features, seed=seed, scaling=scaling) for seed in range(args.seeds)
                ]
                taken = ", ".join(f"{c.recommended}" for c in found)
                print(f"| {name} | {scaling} | {taken} | {found[0].picks()} |", flush=True)


def settlements(args: argparse.Namespace) -> None:
    """Print the IoU of informal of plain k-means and of the consensus, and how far seeds agree."""
    recipes: dict[str, dict[str, Any]] = {
        "all layers": {},
        "last layer, mean": {"layers": "last", "pooling": "mean"},
        "imagestats": {"backbone": "imagestats"},
    }
    if args.average:
        recipes |= {"all layers, d4": {"average": "d4"}}
    print("| scene | features | scaling | how | IoU | ARI of seeds | same cells | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for scene, (name, options) in itertools.product(args.scenes, recipes.items()):
            features, truth = mumbai(scene, f"{scratch}/{scene}-{name}.zarr", **options)
            few = features.n_features < 100
            for scaling, how in itertools.product(
                ("standardise",) if few else args.scalings, args.how
            ):
                row = settlement_row(features, truth, MAKERS[how], scaling, args)
                print(f"| {scene} | {name} | {scaling} | {how} | {row} |", flush=True)


def settlement_row(
    features: tp.FeatureRaster,
    truth: np.ndarray,
    make: Maker,
    scaling: str,
    args: argparse.Namespace,
) -> str:
    """Cluster with each seed and compare with the truth and with each other."""
    start = time.perf_counter()
    labels = [
        make(features, args.k, seed=seed, scaling=scaling).predict(features).labels
        for seed in range(args.seeds)
    ]
    took = (time.perf_counter() - start) / args.seeds
    scores = [iou(mask_by_majority(ids, truth, args.k), truth, where=ids > 0) for ids in labels]
    pairs = list(itertools.combinations(labels, 2))
    agree = np.mean([adjusted_rand(one, other) for one, other in pairs])
    same = np.mean([matched_accuracy(one, other) for one, other in pairs])
    return f"{np.mean(scores):.3f} ({np.std(scores):.3f}) | {agree:.2f} | {same:.2f} | {took:.1f}"


def ucm(args: argparse.Namespace) -> None:
    """Print how well 21 clusters are the 21 classes."""
    print("| features | scaling | how | accuracy | NMI | ARI | seconds |")
    print("|---|---|---|---|---|---|---|")
    for average, name in itertools.product(averages(args), args.layers):
        found, truth = images("ucmerced/images", args.cache, average=average)
        features = Images.of(found, LAYERS[name])
        for scaling, how in itertools.product(args.scalings, args.how):
            start = time.perf_counter()
            labels = [
                MAKERS[how](features, 21, seed=s, scaling=scaling).predict(features).labels[0]
                for s in range(args.seeds)
            ]
            took = (time.perf_counter() - start) / args.seeds
            scores = " | ".join(
                spread([measure(ids, truth) for ids in labels])
                for measure in (matched_accuracy, normalised_mutual_information, adjusted_rand)
            )
            turned = "" if average == "none" else f", {average}"
            print(f"| {name}{turned} | {scaling} | {how} | {scores} | {took:.0f} |", flush=True)


def averages(args: argparse.Namespace) -> tuple[str, ...]:
    """Return how images are averaged."""
    return ("none", args.average) if args.average else ("none",)


def medoid(args: argparse.Namespace) -> None:
    """Print how many images the labels of the medoids get right."""
    print("| features | scaling | how | " + " | ".join(f"k = {k}" for k in args.ks) + " |")
    print("|---|---|---|" + "---|" * len(args.ks))
    for average, name in itertools.product(averages(args), args.layers):
        found, truth = images("ucmerced/images", args.cache, average=average)
        features = Images.of(found, LAYERS[name])
        for scaling, how in itertools.product(args.scalings, args.how):
            cells = []
            for k in args.ks:
                models = [
                    MAKERS[how](features, k, seed=s, scaling=scaling) for s in range(args.seeds)
                ]
                cells.append(spread([right_by_medoid(model, features, truth) for model in models]))
            turned = "" if average == "none" else f", {average}"
            print(f"| {name}{turned} | {scaling} | {how} | {' | '.join(cells)} |", flush=True)


def right_by_medoid(model: ClusterModel, features: Images, truth: np.ndarray) -> float:
    """Give each cluster the class of the image nearest to its centre; return the share right."""
    found = model.predict(features)
    ids, distance = found.labels[0], found.distance[0]
    named = np.zeros(len(ids), truth.dtype)
    for i in range(1, model.k + 1):
        own = np.flatnonzero(ids == i)
        if own.size:
            named[own] = truth[own[np.argmin(distance[own])]]
    return float((named == truth).mean())


def stable(args: argparse.Namespace) -> None:
    """Print the stability of each cluster, plain and by consensus."""
    print("| scene | how | Jaccard of each cluster | stable, pattern, doubtful |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for scene in args.scenes:
            features, _ = mumbai(scene, f"{scratch}/{scene}.zarr")
            for how, make in MAKERS.items():
                model = make(features, args.k, scaling=SCALINGS[0])
                found = cluster_stability(features, model)
                verdicts = found.as_dict()["verdicts"]
                counted = [verdicts.count(v) for v in ("stable", "pattern", "doubtful")]
                scores = " ".join(f"{v:.2f}" for v in found.jaccard)
                print(f"| {scene} | {how} | {scores} | {counted} |", flush=True)


PARTS = {"choose": choose, "mumbai": settlements, "ucm": ucm, "medoid": medoid, "stable": stable}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenes", nargs="+", default=["mumbai_g1_1"])
    parser.add_argument("--k", type=int, default=12)
    parser.add_argument("--ks", type=int, nargs="+", default=[42, 105, 210])
    parser.add_argument("--scalings", nargs="+", default=SCALINGS)
    parser.add_argument("--layers", nargs="+", choices=list(LAYERS), default=list(LAYERS))
    parser.add_argument("--how", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--average", choices=["d4"], help="also features averaged like this")
    parser.add_argument("--cache", default=CACHE)
    args = parser.parse_args()
    if not data_folder().is_dir():
        print("skipped: the data are not here; name their folder with TERRAPATCH_DATA")
        return
    PARTS[args.part](args)


if __name__ == "__main__":
    main()
