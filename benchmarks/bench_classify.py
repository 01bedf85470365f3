"""Whole-scene classification on UC Merced: the protocols of the literature, from frozen features.

Needs the images in ``$TERRAPATCH_DATA`` (or beside the checkout). Usage:

    python benchmarks/bench_classify.py [--average d4] [--head ridge] [--cache FOLDER]

Hyper-parameters are chosen inside each training part. Temperatures and conformal
thresholds of a tested part come from the other folds.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.images import embed_images
from terrapatch.learn.calibration import expected_calibration_error
from terrapatch.learn.fitting import CrossValidated, cross_validate
from terrapatch.learn.image_folder import find_images, with_split
from terrapatch.learn.samples import Samples, from_images

SEEDS = range(5)
FEW_SEEDS = range(10)


def data() -> Path:
    """Return the folder of UC Merced."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside)) / "ucmerced"


def spread(values: list[float]) -> str:
    """Write mean and standard deviation in percent."""
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values):.2f}"


def accuracy(found: CrossValidated) -> float:
    """Return the overall accuracy."""
    return float((found.predicted == found.ids).mean())


def five_folds(samples: Samples, head: str) -> list[tuple[str, str]]:
    """Cross-validate over five folds and five seeds: accuracy, calibration, conformal sets."""
    found = [cross_validate(samples, head, seed=seed) for seed in SEEDS]
    each = [
        float((one.predicted == one.ids)[one.fold == fold].mean())
        for one in found
        for fold in range(5)
    ]
    errors = [expected_calibration_error(one.probabilities, one.ids) for one in found]
    return [
        ("5 folds, seeds 0–4, overall accuracy (deviation over folds)", spread(each)),
        ("expected calibration error after temperature", spread(errors)),
        ("95 % conformal sets, coverage", spread([float(o.covered.mean()) for o in found])),
        ("their mean size", f"{np.mean([o.set_size.mean() for o in found]):.3f}"),
    ]


def fixed_split(samples: Samples, head: str) -> list[tuple[str, str]]:
    """Train on the training and validation parts of the AiTLAS split, test on its test part."""
    parts = np.array(samples.splits)
    pair = [(np.flatnonzero(parts != "test"), np.flatnonzero(parts == "test"))]
    found = cross_validate(samples, head, folds=pair)
    return [("AiTLAS split, overall accuracy", f"{100 * accuracy(found):.2f}")]


def few(samples: Samples, head: str, n: int) -> list[tuple[str, str]]:
    """Train on n random samples a class, test on all others, over ten seeds."""
    values = []
    for seed in FEW_SEEDS:
        train = drawn(samples.ids, n, seed)
        test = np.setdiff1d(np.arange(len(samples)), train)
        values.append(accuracy(cross_validate(samples, head, folds=[(train, test)], seed=seed)))
    return [(f"{n} labels a class, seeds 0–9", spread(values))]


def drawn(ids: NDArray[np.int32], n: int, seed: int) -> NDArray[np.intp]:
    """Draw n samples of each class."""
    random = np.random.default_rng(seed)
    picked = [random.choice(np.flatnonzero(ids == id), n, replace=False) for id in np.unique(ids)]
    return np.sort(np.concatenate(picked))


def main() -> None:
    """Embed once, then run every protocol and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--average", default="none")
    parser.add_argument("--head", default="ridge")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    images = find_images(data() / "images")
    parts = ("train", "val", "test")
    images = with_split(images, {part: data() / f"split_{part}.csv" for part in parts})
    began = time.time()
    features = embed_images(
        images.paths,
        backbone=args.backbone,
        average=args.average,
        precision="fp32",
        cache=args.cache,
    )
    print(f"{len(images)} images, {features.values.shape[1]:,} features, "
          f"{time.time() - began:.0f} s to embed or to find\n")  # fmt: skip
    samples = from_images(images, features)
    print(f"| {args.backbone}, average {args.average}, {args.head} | % |\n|---|---|", flush=True)
    jobs = [
        lambda: fixed_split(samples, args.head),
        lambda: few(samples, args.head, 5),
        lambda: few(samples, args.head, 20),
        lambda: five_folds(samples, args.head),
    ]
    for job in jobs:
        for what, value in job():
            print(f"| {what} | {value} |", flush=True)


if __name__ == "__main__":
    main()
