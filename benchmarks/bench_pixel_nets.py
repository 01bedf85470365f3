"""Networks for pixels beside an SVM, on Indian Pines: random pixels, and blocks of ground.

Random pixels are leaky and never stand alone: 10 % of each class train, the rest is tested.
Blocks: a random half of the squares of 20 pixels trains, without the strip of 5 pixels around
tested ones, 1,025 pixels drawn in proportion. Classes without a training pixel count as wrong.
Components are those of the whole scene (no label is looked at). Hyper-parameters of the SVM
are chosen inside the training part; networks have their defaults. Reads
``$TERRAPATCH_DATA/indian_pines``. Usage:

    python benchmarks/bench_pixel_nets.py [--seeds 1] [--learner TEXT@FEATURES …] [--out FILE]

``--learner net:ssrn,epochs=20@pca:components=30`` runs that in place of the usual list;
several features are joined by ``+``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe

from terrapatch.cubes import Cube
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.learn.pixels.cached import CachedPixels
from terrapatch.learn.pixels.evaluating import Evaluated, evaluate_splits
from terrapatch.learn.pixels.labels import PixelLabels, read_labels
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.splits import PixelSplit, block_split, random_split

SHARE, SIDE, BUFFER, N_TRAIN = 0.1, 20, 5, 1025
USUAL = (
    "rbf-svm@spectra",
    "rbf-svm@pca:components=30",
    "rbf-svm@mean:window=9",
    "net:spectral1d@spectra",
    "net:spectralformer,patch=1@spectra",
    "net:spectralformer@spectra",
    "net:cnn2d@pca:components=30",
    "net:cnn3d@pca:components=30",
    "net:hybridsn@pca:components=30",
    "net:ssrn@pca:components=30",
)
HEADING = (
    "| learner | features | window | random (leaky): OA, AA | blocks: OA, AA | fit, s | test, s |",
    "|---|---|---|---|---|---|---|",
)


def data_file() -> Path:
    """Return the file of Indian Pines."""
    root = os.environ.get("TERRAPATCH_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    return Path(root) / "indian_pines" / "indian_pines_8bit.npz"


def splits(labels: PixelLabels, seeds: int) -> dict[str, dict[int, PixelSplit]]:
    """Return the split of each protocol and seed."""
    return {
        "random": {s: random_split(labels, SHARE, seed=s) for s in range(seeds)},
        "blocks": {s: block_split(labels, SIDE, BUFFER, N_TRAIN, seed=s) for s in range(seeds)},
    }


def told(results: list[Evaluated]) -> str:
    """Return overall and average accuracy in percent, and the spread of the first over seeds."""
    overall = 100 * np.array([one.accuracy.overall for one in results])
    average = 100 * np.mean([one.accuracy.average for one in results])
    spread = f" ± {overall.std(ddof=1):.1f}" if len(overall) > 1 else ""
    return f"{overall.mean():.1f}{spread}, {average:.1f}"


def row(asked: str, cube: Cube, labels: PixelLabels, made: dict[str, dict[int, PixelSplit]]) -> str:
    """Evaluate one learner under both protocols; return its row of the table."""
    text, _, features = asked.partition("@")
    stack = FeatureStack.fit(features.split("+"), cube)
    with stack.over(cube) as live:
        values = CachedPixels(live)
        found = {
            name: evaluate_splits(
                values,
                labels,
                by_seed,
                lambda seed: parse_learner(text, seed),
                window=stack.window,
                mode="flag",
                bootstrap=0,
            )
            for name, by_seed in made.items()
        }
    every = [one for results in found.values() for one in results]
    for one in found["blocks"]:
        print(f"  {text} blocks seed {one.seed}: {one.told()}", flush=True)
    fit, predict = (
        np.median([getattr(one, f"{what}_seconds") for one in every]) for what in ("fit", "predict")
    )
    return (
        f"| {text} | {features} | {every[0].window} | {told(found['random'])} | "
        f"{told(found['blocks'])} | {fit:.0f} | {predict:.1f} |"
    )


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--learner", action="append")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cube = Cube.open(data_file(), variable="cube")
    labels = read_labels(cube, f"{data_file()}:gt")
    made = splits(labels, given.seeds)
    print(describe(), f"load {os.getloadavg()[0]:.1f}", flush=True)
    for name, by_seed in made.items():
        for split in by_seed.values():
            print(f"{name}: {split.told}", flush=True)
    begun, lines = time.perf_counter(), list(HEADING)
    print(*lines, sep="\n", flush=True)
    for asked in given.learner or USUAL:
        lines.append(row(asked, cube, labels, made))
        print(lines[-1], flush=True)
    print(f"{(time.perf_counter() - begun) / 60:.1f} min, load {os.getloadavg()[0]:.1f}")
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
