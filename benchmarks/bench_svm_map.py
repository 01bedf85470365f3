"""A map of 52 classes at full size: our support vector machine against scikit-learn's own.

Trains on 33,396 pixels of a generated scene of 614 x 2,166 pixels and 200 bands, maps all
1,329,924 pixels in a process of its own, whose peak memory is measured, and lets
scikit-learn's ``predict`` decide some thousand pixels drawn from the same scene in the same
run; what it would take for all of them is extrapolated. On a machine that is busy with other
work the seconds of the processor are the fair ones, and both are printed. Usage:

    python benchmarks/bench_svm_map.py [--quick] [--sample 4000] [--learner rbf-svm:C=100]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from full_scene import FullScene, write_full_scene
from machine import PEAK, describe

from terrapatch.cubes import Cube
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.learn.accuracy import assess
from terrapatch.learn.pixels.base import LabelledPixels
from terrapatch.learn.pixels.fast_svm import FastSvm
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.model import PixelModel

MAP = """
import json, sys, time
import numpy as np
from terrapatch.cubes import Cube
from terrapatch.learn.pixels.mapping import map_pixels
from terrapatch.learn.pixels.model import PixelModel

model, cube = PixelModel.load(sys.argv[1]), Cube.open(sys.argv[2])
began = peak() / 2**20
start, cpu = time.perf_counter(), time.process_time()
mapped = map_pixels(cube, model, smooth=sys.argv[4] or None)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
np.save(sys.argv[3], mapped.ids)
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak() / 2**20, "began": began}))
"""


def mapped(
    model: Path, scene: FullScene, out: Path, threads: int, smooth: str = ""
) -> dict[str, Any]:
    """Map the scene in a process of its own; return seconds, MiB and class ids."""
    command = [sys.executable, "-c", PEAK + MAP, str(model), str(scene.path), str(out), smooth]
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1]) | {"ids": np.load(out)}


def trained(scene: FullScene, learner: str, folder: Path) -> tuple[PixelModel, float]:
    """Train on the training pixels and save the model; return it and the seconds."""
    cube, (rows, cols) = Cube.open(scene.path), np.nonzero(scene.train)
    ids = scene.ids[rows, cols].astype(np.int32)
    pixels = LabelledPixels(rows, cols, ids, scene.names)
    stack, start = FeatureStack.fit(["spectra"], cube), time.perf_counter()
    with stack.over(cube) as values:
        fitted = parse_learner(learner).fit(values, pixels)
    seconds = time.perf_counter() - start
    model = PixelModel.of(stack, fitted, pixels, cube)
    model.save(folder)
    return model, seconds


def theirs(scene: FullScene, model: PixelModel, n: int) -> tuple[Any, Any, Any, Any]:
    """Let scikit-learn decide pixels drawn at random.

    Where several classes have most votes, ``predict`` takes the first, and with ``break_ties`` the
    surest, as the map does; ours is compared with both.

    Returns:
        Rows, columns, seconds of plain ``predict`` by the clock and of the processor, and what
        it says without and with ``break_ties``.
    """
    cube, rng = Cube.open(scene.path), np.random.default_rng(0)
    places = np.sort(rng.choice(scene.ids.size, n, replace=False))
    rows, cols = np.divmod(places, scene.ids.shape[1])
    with model.features.over(cube) as values:
        pairs = zip(rows, cols, strict=True)
        block = np.stack([values.read(slice(r, r + 1), slice(c, c + 1))[0, 0] for r, c in pairs])
    scaled = model.learner.pipeline[:-1].transform(block.astype(np.float64))  # type: ignore[attr-defined]
    svc = model.learner.pipeline[-1].set_params(break_ties=False)  # type: ignore[attr-defined]
    start, cpu = time.perf_counter(), time.process_time()
    said = svc.predict(scaled)
    took = time.perf_counter() - start, time.process_time() - cpu
    same = float((FastSvm.of(svc).predict(scaled) == said).mean())
    print(f"our votes and theirs: the same class on {100 * same:.2f} % of {n:,} pixels", flush=True)
    return rows, cols, took, (said, svc.set_params(break_ties=True).predict(scaled))


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a 16th of the pixels")
    parser.add_argument("--sample", type=int, default=4000, help="pixels for scikit-learn")
    parser.add_argument("--learner", default="rbf-svm:C=100,gamma=scale")
    parser.add_argument("--smooth", default="gaussian:sigma=2")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    print(describe(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_full_scene(folder, 4 if args.quick else 1)
        model, seconds = trained(scene, args.learner, folder / "model")
        svc = model.learner.pipeline[-1]  # type: ignore[attr-defined]
        print(
            f"trained on {int(scene.train.sum()):,} pixels in {seconds:.0f} s: "
            f"{int(svc.n_support_.sum()):,} support vectors of {len(svc.classes_)} classes",
            flush=True,
        )
        rows, cols, took, said = theirs(scene, model, args.sample)
        clock, cpu = (scene.ids.size / args.sample * seconds for seconds in took)
        print(
            f"scikit-learn's predict: {1e3 * took[1] / args.sample:.2f} ms of the processor a "
            f"pixel over {args.sample:,} pixels; for all {scene.ids.size:,} (extrapolated) "
            f"{cpu:.0f} s of it, {clock:.0f} s by the clock",
            flush=True,
        )
        for smooth in ("", args.smooth):
            got = mapped(folder / "model", scene, folder / "map.npy", args.threads, smooth)
            print(
                f"ours, {args.threads} threads, smoothing {smooth or 'none'}: {got['cpu']:.0f} s "
                f"of the processor, {got['seconds']:.0f} s by the clock, "
                f"peak {got['peak']:.0f} MiB ({got['began']:.0f} before it began); "
                f"{cpu / got['cpu']:.1f}x by the processor, "
                f"{clock / got['seconds']:.1f}x by the clock",
                flush=True,
            )
            judge(scene, got["ids"], "the map")
            if not smooth:
                same = [100 * float((got["ids"][rows, cols] == one).mean()) for one in said]
                print(
                    f"the map and predict: the same class on {same[0]:.2f} % of {args.sample:,} "
                    f"pixels, with break_ties on {same[1]:.2f} %",
                    flush=True,
                )


def judge(scene: FullScene, ids: Any, what: str) -> None:
    """Print the accuracy on the test pixels beside that of the most frequent class."""
    test = (scene.ids > 0) & ~scene.train
    got = assess(scene.ids[test], ids[test], scene.names, bootstrap=0)
    print(
        f"{what} on {got.n:,} test pixels (random, so leaky): OA {100 * got.overall:.1f} %, AA "
        f"{100 * got.average:.1f} %, kappa {got.kappa:.3f}; most frequent class "
        f"{100 * got.majority:.1f} %",
        flush=True,
    )


if __name__ == "__main__":
    main()
