"""Patches a second: the engine end to end, the network alone, and torchgeo's pipeline.

All in one process and on one scene, in turns, with the same network and weights:

* forward only: random tensors, resident and in the network's precision, through
  the network and its pooled taps, as fast as a loop can;
* network alone: the same without pooling;
* engine: ``terrapatch.embed`` from the GeoTIFF to the finished store;
* torchgeo: ``GridGeoSampler`` and a ``DataLoader``, fp32, the same taps.

Usage: python benchmarks/bench_engine.py [--side 8192] [--size 224] [--rounds 3]
       [--precision fp32|bf16|auto] [--workers 0 2]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from scenes import large_scene, painted_tile

from terrapatch.features import prepare
from terrapatch.features.engine import run

LOOP_PATCHES = 512


def forward_only(embedder: object, batch: int, size: int, taps: bool) -> Callable[[], float]:
    """Return a function that measures the network on resident random tensors."""
    dtype, device = embedder._dtype, embedder._device
    x = torch.randn(batch, 3, size, size, device=device).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)

    def measure() -> float:
        start, done = time.perf_counter(), 0
        with torch.inference_mode():
            while done < LOOP_PATCHES:
                if taps:
                    torch.cat(embedder._pooled(x), 1).cpu()
                else:
                    last: list[torch.Tensor] = []
                    embedder._taps.run(x, lambda _name, made: last.append(made))  # noqa: B023
                    last[-1].mean().item()
                done += batch
        return done / (time.perf_counter() - start)

    return measure


def engine(plan: object, scratch: Path) -> Callable[[], float]:
    """Return a function that measures a whole run, from file to store."""

    def measure() -> float:
        start = time.perf_counter()
        features = run(plan, scratch / "engine.zarr", overwrite=True)
        return features.shape[0] * features.shape[1] / (time.perf_counter() - start)

    return measure


def torchgeo_pipeline(
    scene: Path, embedder: object, size: int, batch: int, workers: int
) -> Callable[[], float]:
    """Return a function that measures what a user of torchgeo gets, with the same network."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    class Scenes(RasterDataset):
        filename_glob = scene.name

    warnings.simplefilter("ignore")
    dataset = Scenes(str(scene.parent))
    sampler = GridGeoSampler(dataset, size=size, stride=size)

    def measure() -> float:
        loader = DataLoader(
            dataset,
            sampler=sampler,
            batch_size=batch,
            num_workers=workers,
            collate_fn=stack_samples,
        )
        start, done = time.perf_counter(), 0
        with torch.inference_mode():
            for sample in loader:
                x = (sample["image"].float() - embedder._mean) / embedder._std
                torch.cat(
                    embedder._pooled(x.contiguous(memory_format=torch.channels_last)), 1
                ).cpu()
                done += len(x)
                if done >= LOOP_PATCHES:
                    break
        return done / (time.perf_counter() - start)

    return measure


def main() -> None:
    """Measure all of them in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tile = painted_tile(scratch)
        (scratch / "scene").mkdir()
        scene = large_scene(scratch / "scene" / "large.tif", tile, args.side)
        options = {"size": args.size, "input_size": args.size}
        plan = prepare(scene, scratch / "x.zarr", precision=args.precision, **options)
        plain = prepare(scene, scratch / "y.zarr", precision="fp32", **options)
        runs = {
            "forward only, with pooled taps": forward_only(
                plan.embedder, plan.batch, args.size, taps=True
            ),
            "network alone": forward_only(plan.embedder, plan.batch, args.size, taps=False),
            "engine, end to end": engine(plan, scratch),
        }
        for n in args.workers:
            runs[f"torchgeo fp32, {n} workers"] = torchgeo_pipeline(
                scene, plain.embedder, args.size, plain.batch, n
            )
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, measure in runs.items():
                rates[name].append(measure())
    report(args, plan, rates)


def report(args: argparse.Namespace, plan: object, rates: dict[str, list[float]]) -> None:
    """Print one row a measurement, with the engine's ratio to it."""
    execution = plan.recipe.execution
    threads = torch.get_num_threads()
    print(
        f"{platform.machine()}, {threads} threads, torch {torch.__version__}, "
        f"{execution['device']} {execution['precision']}, batch {execution['batch']}, "
        f"{args.side:,} x {args.side:,} deflate, patches of {args.size} px, {args.rounds} rounds\n"
    )
    mine = statistics.median(rates["engine, end to end"])
    print("| what | patches a second, median (lowest–highest) | engine against it |")
    print("|---|---|---|")
    for name, got in rates.items():
        middle = statistics.median(got)
        print(f"| {name} | {middle:.1f} ({min(got):.1f}–{max(got):.1f}) | {mine / middle:.2f} |")


if __name__ == "__main__":
    main()
