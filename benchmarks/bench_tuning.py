"""Fine-tuning on UC Merced, the fixed split of AiTLAS (60/20/20): test accuracy and minutes.

The network is trained on the training part; the validation part decides when it stops and
which epoch is kept. The test part is looked at once, after the last choice. Reads
``$TERRAPATCH_DATA/ucmerced``. Usage:

    python benchmarks/bench_tuning.py [--backbone efficientnet_lite0] [--size 256]
        [--freeze 6] [--epochs 30] [--augment d4] [--per-class N] [--seed 0] [--out FOLDER]

``--per-class N`` takes the first N images of each class of every part, for a short trial.
``--no-test`` leaves the test part alone, for choosing settings by the validation part.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from terrapatch.backbones import get_backbone
from terrapatch.learn.tuning import Tuned, tune

PARTS = ("train", "val", "test")
# Settings that are handed on as they are.
NUMBERS = (
    ("freeze", int),
    ("epochs", int),
    ("head_epochs", int),
    ("batch", int),
    ("lr", float),
    ("discriminative", float),
    ("dropout", float),
    ("smoothing", float),
    ("decay", float),
    ("patience", int),
    ("seed", int),
)
WORDS = ("strategy", "augment", "precision", "batch_norm")


def data_folder() -> Path:
    """Return the folder of UC Merced."""
    root = os.environ.get("TERRAPATCH_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    return Path(root) / "ucmerced"


def part(folder: Path, name: str, per_class: int | None) -> tuple[list[Path], list[str]]:
    """Return paths and class names of a part of the split."""
    with (folder / f"split_{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    taken: dict[str, int] = {}
    paths, names = [], []
    for row in rows:
        taken[row["class"]] = taken.get(row["class"], 0) + 1
        if per_class is None or taken[row["class"]] <= per_class:
            paths.append(folder / "images" / row["path"])
            names.append(row["class"])
    return paths, names


def accuracy(tuned: Tuned, paths: list[Path], ids: np.ndarray, average: str) -> float:
    """Return the share of images whose class is found, in percent."""
    return 100 * float((tuned.classify(paths, average=average) == ids).mean())


def options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were named."""
    names = [name for name, _ in NUMBERS] + list(WORDS)
    return {name: getattr(given, name) for name in names if getattr(given, name) is not None}


class Told:
    """Prints every epoch, and the frozen stages' maps now and then."""

    def __init__(self) -> None:
        """Begin to count time."""
        self.begun = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Print how far it is."""
        if stage == "tune" or done == total:
            minutes = (time.perf_counter() - self.begun) / 60
            print(f"{stage} {done}/{total}, {minutes:.1f} min", flush=True)


def main() -> None:
    """Tune, then look at the test part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-test", action="store_true")
    for name, kind in NUMBERS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind)
    for name in WORDS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    given = parser.parse_args()
    parts = {name: part(data_folder(), name, given.per_class) for name in PARTS}
    classes = sorted(set(parts["train"][1]))
    ids = {name: np.array([classes.index(c) + 1 for c in parts[name][1]]) for name in PARTS}
    with tempfile.TemporaryDirectory() as scratch:
        told = Told()
        tuned = tune(
            parts["train"][0],
            ids["train"],
            parts["val"][0],
            ids["val"],
            classes,
            get_backbone(given.backbone),
            out=given.out or Path(scratch),
            input_size=given.size,
            progress=told,
            **options(given),
        )
        minutes = (time.perf_counter() - told.begun) / 60
    history = tuned.history
    for i in range(len(history)):
        numbers = (history.train_loss, history.val_loss, history.val_accuracy)
        print(f"epoch {i + 1}: ", *(f"{values[i]:.4f}" for values in numbers))
    best = history.best
    print(f"{given.backbone} {given.size} px, {tuned.description['settings']}")
    print(f"validation {100 * history.val_accuracy[best]:.2f} % in epoch {best + 1}")
    print(f"trained in {minutes:.1f} min on {os.cpu_count()} cores")
    if given.no_test:
        val = accuracy(tuned, parts["val"][0], ids["val"], "d4")
        print(f"validation averaged over turns {val:.2f} %")
        return
    for average in ("none", "d4"):
        share = accuracy(tuned, parts["test"][0], ids["test"], average)
        print(f"test accuracy, average {average}: {share:.2f} % of {len(ids['test'])} images")


if __name__ == "__main__":
    main()
