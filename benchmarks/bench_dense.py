"""What the dense mode costs in quality: its distance from exact features, and downstream.

* How near dense features are to those of the cut-out patch (cosine, layer by layer).
* UC Merced laid out at random as one scene, one image a cell: 5-fold accuracy of a linear
  SVM on exact features, on dense ones (whose windows see the neighbouring images: the
  worst case), and across the modes.
* Informal settlements of Mumbai by k-means, as in ``bench_settlements.py``.

Usage: python benchmarks/bench_dense.py [--backbone NAME] [--scenes mumbai_g1_1] [--seeds 5]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from bench_settlements import data_folder, informal_cells
from rasterio.transform import from_origin
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

import terrapatch as tp
from terrapatch.learn import iou, mask_by_majority
from terrapatch.learn.scaling import make_scaling
from terrapatch.studies.settlements import default_scaling

SIDE = 256
MODES = ("exact", "dense")


def mosaic(folder: Path, out: Path) -> tuple[Path, np.ndarray]:
    """Lay all images of UC Merced out at random; return the scene and the class of each cell."""
    rows = []
    for part in ("train", "val", "test"):
        with (folder / f"split_{part}.csv").open() as lines:
            rows += [(row["path"], row["class"]) for row in csv.DictReader(lines)]
    names = sorted({name for _, name in rows})
    rows = [sorted(rows)[i] for i in np.random.default_rng(0).permutation(len(rows))]
    across = 50
    truth = np.full((-(-len(rows) // across), across), -1)
    picture = np.zeros((3, truth.shape[0] * SIDE, across * SIDE), np.uint8)
    for i, (path, name) in enumerate(rows):
        row, col = divmod(i, across)
        truth[row, col] = names.index(name)
        with rasterio.open(folder / "images" / path) as src:
            pixels = src.read(out_shape=(3, SIDE, SIDE))
        y, x = row * SIDE, col * SIDE
        picture[:, y : y + SIDE, x : x + SIDE] = pixels
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "tiled": True}
    profile |= {"height": picture.shape[1], "width": picture.shape[2], "crs": "EPSG:32643"}
    transform = from_origin(284_000.0, 2_109_000.0, 0.3, 0.3)
    with rasterio.open(out, "w", transform=transform, **profile) as dst:
        dst.write(picture)
    return out, truth


def cosines(exact: tp.FeatureRaster, dense: tp.FeatureRaster) -> str:
    """Say how near the modes are, first and last layer and all of them."""
    a, b = (f.read(slice(None), slice(None)).astype(np.float64) for f in (exact, dense))
    held = np.isfinite(a[..., 0])
    a, b = a[held], b[held]
    said = []
    ends = [*exact.groups[:1], *exact.groups[-1:], ("all", 0, exact.n_features)]
    for name, start, stop in ends:
        for word, centre in (("", 0.0), (", centred", 1.0)):
            p, q = (m[:, start:stop] - centre * m[:, start:stop].mean(0) for m in (a, b))
            cosine = (p * q).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1)
            said.append(f"{name}{word} {np.nanmean(cosine):.3f}")
    return "; ".join(said)


def accuracy(train: np.ndarray, test: np.ndarray, labels: np.ndarray, groups: object) -> float:
    """Return 5-fold accuracy of a linear SVM, trained on one set of features, tested on another."""
    folds, right = StratifiedKFold(5, shuffle=True, random_state=0), 0
    for fit, hold in folds.split(train, labels):
        scaling = make_scaling("standardise-layer-l2", groups).fit(train[fit])
        head = LinearSVC(C=10.0, random_state=0).fit(scaling.transform(train[fit]), labels[fit])
        right += int((head.predict(scaling.transform(test[hold])) == labels[hold]).sum())
    return 100 * right / len(labels)


def uc_merced(backbone: str, scratch: Path) -> None:
    """Print accuracy within and across the modes."""
    scene, truth = mosaic(data_folder().parent / "ucmerced", scratch / "ucm.tif")
    made = {}
    for mode in MODES:
        out = scratch / f"ucm_{mode}.zarr"
        options = {"size": SIDE, "input_size": SIDE, "backbone": backbone, "mode": mode}
        made[mode] = tp.embed(scene, out, **options)
    print(f"UC Merced as one scene, cosine of dense to exact: {cosines(*made.values())}")
    held = truth >= 0
    flat = {m: f.read(slice(None), slice(None))[held] for m, f in made.items()}
    print("| trained on | tested on | accuracy |\n|---|---|---|")
    for fit in MODES:
        for test in MODES:
            got = accuracy(flat[fit], flat[test], truth[held], made[fit].groups)
            print(f"| {fit} | {test} | {got:.1f} % |", flush=True)


def settlements(backbone: str, scenes: list[str], seeds: int, scratch: Path) -> None:
    """Print IoU of informal for both modes."""
    print("\n| scene | mode | k = 8 | k = 12 | k = 20 |\n|---|---|---|---|---|")
    for name in scenes:
        scene, labels = (data_folder() / f"{name}_{kind}.tif" for kind in ("rgb", "labels"))
        made = {}
        for mode in MODES:
            out = scratch / f"{name}_{mode}.zarr"
            made[mode] = tp.embed(scene, out, size="60m", backbone=backbone, mode=mode)
            truth, cells = informal_cells(labels, made[mode]), []
            for k in (8, 12, 20):
                scores = []
                for seed in range(seeds):
                    scaling = default_scaling(made[mode])
                    found = tp.fit_clusters(made[mode], k, seed=seed, scaling=scaling)
                    ids = found.predict(made[mode]).labels
                    scores.append(iou(mask_by_majority(ids, truth, k), truth, where=ids > 0))
                cells.append(f"{np.mean(scores):.3f} ({np.std(scores):.3f})")
            counted = f"{name} ({int(truth.sum())} of {truth.size} cells)"
            print(f"| {counted} | {mode} | " + " | ".join(cells) + " |", flush=True)
        print(f"| {name} | cosine | {cosines(*made.values())} | | |", flush=True)


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--scenes", nargs="+", default=["mumbai_g1_1"])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    if not data_folder().is_dir():
        print("skipped: the data are not here; name their folder with TERRAPATCH_DATA")
        return
    with tempfile.TemporaryDirectory() as folder:
        uc_merced(args.backbone, Path(folder))
        settlements(args.backbone, args.scenes, args.seeds, Path(folder))


if __name__ == "__main__":
    main()
