"""More than three bands through a network of three: a triplet against the mixings, measured.

Patches around labelled pixels of the six-band Landsat scene of Raleigh and of the EnMAP scene of
Potsdam, a support vector machine, folds that keep neighbours together (whole polygons; blocks of
960 m). Usage: python benchmarks/bench_bands.py [--repeats 5]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from bench_settlements import data_folder
from scipy import ndimage
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC

from terrapatch.backbones import get_backbone
from terrapatch.features.fitting import fit_to_scene
from terrapatch.reading import SceneReader
from terrapatch.scene import Scene

SIDE, INPUT = 9, 128
MOST = 250  # labelled pixels of a class, spread over its groups
BLOCK = 32  # pixels of a spatial block


@dataclass(frozen=True)
class Task:
    """A scene with labelled pixels.

    Attributes:
        name: What it is called in the table.
        path: The scene.
        pixels: Rows and columns of the labelled pixels, ``(n, 2)``.
        classes: Their classes.
        groups: What must not be cut by a fold.
        bands: Every band that holds data.
        triplets: Named triplets of bands.
    """

    name: str
    path: Path
    pixels: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    bands: str
    triplets: dict[str, str]


def thinned(labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return rows and columns of at most ``MOST`` labelled pixels a class with several groups."""
    random, kept = np.random.default_rng(seed), []
    for one in np.unique(labels[labels > 0]):
        places = np.argwhere(labels == one)
        if len(np.unique(groups[labels == one])) < 2:
            continue  # one field cannot be both learnt from and tested on
        kept.append(random.permutation(places)[:MOST])
    return np.concatenate(kept)


def landsat(folder: Path) -> Task:
    """Return the Landsat scene; a group is one connected field of one class."""
    with rasterio.open(folder / "labelled_pixels.tif") as src:
        labels = src.read(1).astype(int)
    groups = np.zeros(labels.shape, int)
    for one in np.unique(labels[labels > 0]):
        found, _ = ndimage.label(labels == one, np.ones((3, 3)))
        groups[found > 0] = found[found > 0] + groups.max()
    pixels = thinned(labels, groups)
    at = tuple(pixels.T)
    scene = folder / "landsat7_2000_6band_float32.tif"
    triplets = {"rgb": "red,green,blue", "swir1, nir, red": "swir1,nir,red"}
    return Task("Landsat 7, 6 bands", scene, pixels, labels[at], groups[at], "1-6", triplets)


def enmap(folder: Path) -> Task:
    """Return the EnMAP scene; a group is a block of 32 x 32 pixels."""
    with rasterio.open(folder / "potsdam_labels.tif") as src:
        labels = np.maximum(src.read(1), 0).astype(int)
    with rasterio.open(folder / "potsdam_images.tif") as src:
        waves = [float(src.tags(i)["wavelength"]) for i in range(1, src.count + 1)]
        labels[src.read_masks(1) == 0] = 0
    rows, cols = np.indices(labels.shape) // BLOCK
    groups = rows * 1000 + cols
    pixels = thinned(labels, groups)
    at = tuple(pixels.T)

    def nearest(*wanted: float) -> str:
        return ",".join(str(1 + int(np.argmin(np.abs(np.array(waves) - w)))) for w in wanted)

    triplets = {"rgb": nearest(665, 560, 490), "swir, nir, red": nearest(1610, 842, 665)}
    scene = folder / "potsdam_images.tif"
    bands = "1-129,136-224"
    return Task("EnMAP, 218 bands", scene, pixels, labels[at], groups[at], bands, triplets)


def patches(scene: Scene, pixels: np.ndarray) -> np.ndarray:
    """Cut a patch around every pixel, mirrored beyond the scene: ``(n, bands, 9, 9)``."""
    with SceneReader(scene) as reader:
        raw, mask = reader.read(slice(0, scene.shape[0]), slice(0, scene.shape[1]))
    shown = np.asarray(scene.require_units().to_eight_bit(raw), np.float32)
    if mask is not None:
        shown[:, ~mask] = shown[:, mask].mean(axis=1, keepdims=True)
    half = SIDE // 2
    wide = np.pad(shown, ((0, 0), (half, half), (half, half)), mode="reflect")
    return np.stack([wide[:, r : r + SIDE, c : c + SIDE] for r, c in pixels])


def described(task: Task, backbone: str, bands: str, adapt: str | None) -> np.ndarray:
    """Describe the patches of a task by a backbone."""
    scene = Scene.open(task.path, bands=bands, units="percentile:2,98")
    scene, network = fit_to_scene(scene, get_backbone(backbone).ready(), adapt)
    size = None if network.contract is None else INPUT
    embedder = network.load(input_size=size)
    cut = patches(scene, task.pixels)
    return np.concatenate([embedder.features(cut[i : i + 64]) for i in range(0, len(cut), 64)])


def dealt(task: Task, seed: int, folds: int = 3) -> np.ndarray:
    """Deal the groups of every class to the folds in a random order; return each pixel's fold."""
    random = np.random.default_rng(seed)
    groups = np.unique(task.groups)
    main = np.array([np.bincount(task.classes[task.groups == g]).argmax() for g in groups])
    fold = np.zeros(len(groups), int)
    for one in np.unique(main):
        members = random.permutation(np.flatnonzero(main == one))
        fold[members] = (np.arange(len(members)) + random.integers(folds)) % folds
    return fold[np.searchsorted(groups, task.groups)]


def scaled(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise by the training part; bring long descriptors to unit length."""
    steps: list[Any] = [StandardScaler()] + ([Normalizer()] if train.shape[1] > 32 else [])
    pipe = make_pipeline(*steps).fit(train)
    return pipe.transform(train), pipe.transform(test)


def scores(features: np.ndarray, task: Task, repeats: int) -> list[float]:
    """Return the mean class recall over blocked folds, once a repeat."""
    found = []
    for seed in range(repeats):
        told = np.zeros_like(task.classes)
        folds = dealt(task, seed)
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            given, asked = scaled(features[train], features[test])
            gamma = 1 / (given.shape[1] * given.var())  # the "scale" of scikit-learn
            # The kernel by BLAS: libsvm's own takes minutes for thousands of features.
            model = SVC(C=10.0, kernel="precomputed")
            model.fit(rbf_kernel(given, gamma=gamma), task.classes[train])
            told[test] = model.predict(rbf_kernel(asked, given, gamma=gamma))
        found.append(float(balanced_accuracy_score(task.classes, told)))
    return found


def ways(task: Task) -> list[tuple[str, str, str, str | None]]:
    """Return name, backbone, bands and mixing of everything that is compared."""
    net = "efficientnet_lite0"
    found = [(f"triplet {n}", net, bands, None) for n, bands in task.triplets.items()]
    found += [(f"`--adapt {kind}`", net, task.bands, kind) for kind in ("repeat", "mean", "pca")]
    rgb = task.triplets["rgb"]
    return [
        *found,
        ("random twin, triplet rgb", f"{net}:random", rgb, None),
        ("`imagestats`, triplet rgb", "imagestats", rgb, None),
        ("`imagestats`, all bands", "imagestats", task.bands, None),
    ]


def table(repeats: int) -> list[str]:
    """Return the table of both scenes, as Markdown."""
    folder = data_folder().parent
    tasks = (landsat(folder / "landsat_raleigh"), enmap(folder / "enmap_potsdam"))
    columns = []
    for task in tasks:
        column = []
        for name, backbone, bands, adapt in ways(task):
            got = scores(described(task, backbone, bands, adapt), task, repeats)
            column.append((name, f"{100 * np.mean(got):.1f} ({100 * np.std(got):.1f})"))
            print(task.name, *column[-1], flush=True)
        columns.append(column)
    heads = [f"{t.name} ({len(t.pixels)} px, {len(np.unique(t.classes))} classes)" for t in tasks]
    lines = [f"| features | {' | '.join(heads)} |", "|---|---|---|"]
    for i, (name, _) in enumerate(columns[0]):
        second = columns[1][i][0]
        label = name if second == name else f"{name} / {second.removeprefix('triplet ')}"
        lines.append(f"| {label} | {columns[0][i][1]} | {columns[1][i][1]} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if not data_folder().is_dir():
        print("skipped: the data are not here; name the Mumbai folder's parent: TERRAPATCH_DATA")
        return
    print("\n".join(table(args.repeats)))


if __name__ == "__main__":
    main()
