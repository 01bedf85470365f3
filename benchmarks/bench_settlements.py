"""How well clusters find informal settlements: mean IoU over seeds, beside the baselines.

A cell is informal when more than half of its labelled pixels are; a cluster is
named informal when more than half of its cells are; the figure is the
intersection over union of informal, over all non-empty cells. Usage:

    python benchmarks/bench_settlements.py [--scene mumbai_g1_1] [--k 8 12 20] [--seeds 5]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import terrapatch as tp
from terrapatch.learn import iou, mask_by_majority, truth_on_cells
from terrapatch.studies.settlements import default_scaling

INFORMAL = 1
RECIPES = {
    "all stages, mean and std (default)": {},
    "the same, half-whitened PCA": {"scaling": "pca64-half"},
    "the same in bf16": {"precision": "bf16"},
    "last layer, mean": {"layers": "last", "pooling": "mean", "scaling": "none"},
    "imagestats (baseline)": {"backbone": "imagestats"},
}


def data_folder() -> Path:
    """Return the folder with the data sets."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside)) / "mumbai"


def informal_cells(labels: Path, features: tp.FeatureRaster) -> np.ndarray:
    """Return which cells are informal by the labels, ``(rows, cols)``."""
    with rasterio.open(labels) as src:
        pixels = src.read(1)
    stride = tuple(features.recipe.grid["stride_px"])
    counts = truth_on_cells(pixels, stride, features.shape, 6, ignore=(0, 255))
    return 2 * counts[..., INFORMAL - 1] > counts.sum(axis=-1)


def main() -> None:
    """Embed, cluster and print one row a recipe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scene", default="mumbai_g1_1")
    parser.add_argument("--k", type=int, nargs="+", default=[8, 12, 20])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", default="60m")
    args = parser.parse_args()
    folder = data_folder()
    if not folder.is_dir():
        print("skipped: the Mumbai data are not here; name their folder with TERRAPATCH_DATA")
        return
    scene, labels = (folder / f"{args.scene}_{kind}.tif" for kind in ("rgb", "labels"))
    print(f"{args.scene}, cells of {args.size}, IoU of informal, mean over {args.seeds} seeds (sd)")
    print("| features | " + " | ".join(f"k = {k}" for k in args.k) + " |")
    print("|---|" + "---|" * len(args.k))
    with tempfile.TemporaryDirectory() as scratch:
        for i, (name, options) in enumerate(RECIPES.items()):
            embedding = {key: v for key, v in options.items() if key != "scaling"}
            features = tp.embed(scene, f"{scratch}/{i}.zarr", size=args.size, **embedding)
            truth = informal_cells(labels, features)
            scaling = options.get("scaling", default_scaling(features))
            cells = []
            for k in args.k:
                scores = []
                for seed in range(args.seeds):
                    found = tp.fit_clusters(features, k, seed=seed, scaling=scaling)
                    ids = found.predict(features).labels
                    scores.append(iou(mask_by_majority(ids, truth, k), truth, where=ids > 0))
                cells.append(f"{np.mean(scores):.3f} ({np.std(scores):.3f})")
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
