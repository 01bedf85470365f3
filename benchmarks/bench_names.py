"""How many cells keep their name when clusters are made again with another seed.

Clusters of the first seed are named by the class most of their labelled cells have, and those
of one name are merged, as an analyst would. The names are then carried over to the clusters of
each other seed by ``terrapatch.learn.matching``, and compared cell by cell. Beside it stands
how far the names agree when the other seed's clusters are named by the labels anew. Usage:

    python benchmarks/bench_names.py [--scene mumbai_g1_1 ...] [--k 12] [--seeds 5]
                                     [--size 60m] [--consensus]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import terrapatch as tp
from terrapatch.learn import majority_class, name_by_majority, truth_on_cells
from terrapatch.learn.matching import RULES, match
from terrapatch.studies.settlements import default_scaling

CLASSES = 6


def data_folder() -> Path:
    """Return the folder with the data sets."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside)) / "mumbai"


def truth_of(labels: Path, features: tp.FeatureRaster) -> np.ndarray:
    """Return the class of most labelled pixels of each cell ``(rows, cols)``, 0 for none."""
    with rasterio.open(labels) as src:
        pixels = src.read(1)
    stride = tuple(features.recipe.grid["stride_px"])
    counts = truth_on_cells(pixels, stride, features.shape, CLASSES, ignore=(0, 255))
    return majority_class(counts)


def groups_of(names: np.ndarray) -> np.ndarray:
    """Return the first cluster of each one's name; clusters without a name stay alone."""
    first: dict[int, int] = {}
    return np.array(
        [first.setdefault(int(n), i) if n else i for i, n in enumerate(names)], np.int64
    )


def survival(
    features: tp.FeatureRaster, truth: np.ndarray, k: int, seeds: int, consensus: bool
) -> dict:
    """Return for each rule the share of cells with the same name, first seed against the rest."""
    scaling, fit = default_scaling(features), tp.fit_clusters
    if consensus:
        from terrapatch.learn.stability import consensus as fit
    ids = [fit(features, k, seed=s, scaling=scaling).predict(features).labels for s in range(seeds)]
    names = name_by_majority(ids[0], truth, k)
    groups = groups_of(names)
    occupied = ids[0] > 0
    found: dict[str, list[float]] = {rule: [] for rule in (*RULES, "named by the labels")}
    for other in ids[1:]:
        for rule in RULES:
            taken = match(ids[0], other, k, k, groups=groups, rule=rule).taken
            same = (groups[ids[0]] == taken[other]) & (taken[other] > 0)
            found[rule].append(float(same[occupied].mean()))
        told = name_by_majority(other, truth, k)[other]
        found["named by the labels"].append(float((told == names[ids[0]])[occupied].mean()))
    return found


def main() -> None:
    """Embed, cluster with several seeds, and print one row a scene and rule."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scene", nargs="+", default=["mumbai_g1_1"])
    parser.add_argument("--k", type=int, nargs="+", default=[12])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", default="60m")
    parser.add_argument("--consensus", action="store_true", help="combine seeds in each run")
    args = parser.parse_args()
    folder = data_folder()
    if not folder.is_dir():
        print("skipped: the Mumbai data are not here; name their folder with TERRAPATCH_DATA")
        return
    print(
        f"share of cells of {args.size} that keep their name, seed 0 against 1 to {args.seeds - 1}"
    )
    print("| scene | k | rule | mean | lowest | highest |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for scene in args.scene:
            image, labels = (folder / f"{scene}_{kind}.tif" for kind in ("rgb", "labels"))
            features = tp.embed(image, f"{scratch}/{scene}.zarr", size=args.size)
            truth = truth_of(labels, features)
            for k in args.k:
                found = survival(features, truth, k, args.seeds, args.consensus)
                for rule, shares in found.items():
                    row = f"| {scene} | {k} | {rule} | {np.mean(shares):.3f} |"
                    print(f"{row} {min(shares):.3f} | {max(shares):.3f} |", flush=True)


if __name__ == "__main__":
    main()
