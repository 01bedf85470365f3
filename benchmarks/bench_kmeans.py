"""k-means and the map of a store that memory does not hold: time, and memory bounded by the block.

Writes stores of random cells around some centres, clusters them with a bound on the
memory, and applies the model, each in a process of its own. Usage:

    python benchmarks/bench_kmeans.py [--cells 62500 1000000] [--features 4128] [--memory 512]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr
from affine import Affine
from machine import PEAK
from odc.geo.geobox import GeoBox

from terrapatch.features.layout import create_layout
from terrapatch.features.recipe import Recipe

SIDE = 32
LAYERS = 8
CENTRES = 20
CHILD = """
import json, sys, time
from terrapatch.features import FeatureRaster
from terrapatch.learn import fit_clusters

features = FeatureRaster.open(sys.argv[1])
start = time.perf_counter()
model = fit_clusters(features, 12, memory_bytes=int(sys.argv[2]) << 20)
fitted = time.perf_counter()
labels = model.predict(features).labels
print(json.dumps({"fit": fitted - start, "predict": time.perf_counter() - fitted,
                  "peak": peak() / 2**20, "algorithm": model.description["algorithm"],
                  "labels": int(labels.max())}))
"""


def make_store(path: Path, cells: int, n_features: int) -> Path:
    """Write a store of random cells around centres, float16, cut as ``embed`` cuts it."""
    side = int(cells**0.5) // SIDE * SIDE
    step = n_features // LAYERS
    groups = [(f"stage{i + 1}", i * step, (i + 1) * step) for i in range(LAYERS - 1)]
    groups.append((f"stage{LAYERS}", (LAYERS - 1) * step, n_features))
    recipe = Recipe(
        scene={"name": "random", "datetime": None},
        grid={"size": "224px", "stride": "32px", "shape": [side, side]},
        backbone={"name": "random", "weights": None, "input_size": 224, "bands": ["red"]},
        descriptor={"layers": [n for n, _, _ in groups], "pooling": ["mean"], "l2": False},
        execution={"mode": "dense", "block": SIDE},
        versions={},
    )
    geobox = GeoBox((side, side), Affine(16.0, 0.0, 284_000.0, 0.0, -16.0, 2_109_000.0), 32643)
    path.mkdir()
    create_layout(path, recipe, geobox, groups, SIDE, "float16")
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (CENTRES, n_features)).astype(np.float32)
    for top in range(0, side, SIDE):
        for left in range(0, side, SIDE):
            noise = rng.standard_normal((SIDE, SIDE, n_features), dtype=np.float32)
            picked = centres[rng.integers(CENTRES, size=(SIDE, SIDE))]
            group["features"][top : top + SIDE, left : left + SIDE] = picked + noise
    group["valid"][:] = 1.0
    zarr.consolidate_metadata(path)
    return path


def measure(cells: int, n_features: int, memory: int, scratch: Path) -> dict[str, object]:
    """Make a store, cluster it in a process of its own, and return what it took."""
    store = make_store(scratch / f"{cells}.zarr", cells, n_features)
    n_bytes = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
    command = [sys.executable, "-c", PEAK + CHILD, str(store), str(memory)]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    got = json.loads(out.stdout.splitlines()[-1])
    return got | {"cells": (int(cells**0.5) // SIDE * SIDE) ** 2, "bytes": n_bytes}


def main() -> None:
    """Cluster stores of several sizes and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[62_500, 1_000_000])
    parser.add_argument("--features", type=int, default=4128)
    parser.add_argument("--memory", type=int, default=512, help="MiB beside a block")
    args = parser.parse_args()
    print("| cells | store | algorithm | fit | map | peak memory |")
    print("|---|---|---|---|---|---|")
    for cells in args.cells:
        with tempfile.TemporaryDirectory() as folder:
            got = measure(cells, args.features, args.memory, Path(folder))
        print(
            f"| {got['cells']:,} | {got['bytes'] / 1e9:.2f} GB | {got['algorithm']} | "
            f"{got['fit']:.0f} s | {got['predict']:.0f} s | {got['peak']:.0f} MiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
