"""Peak memory must be bounded by the block, not by the scene.

Embeds two sparse scenes in processes of their own and compares their peaks. Usage:

    python benchmarks/bench_memory.py [--sides 4000 20000] [--share 0.1]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import PEAK
from scenes import large_scene, painted_tile

CHILD = """
import json, sys, time
import terrapatch as tp
start = time.perf_counter()
features = tp.embed(sys.argv[1], sys.argv[2], size=224, precision="fp32", compile="off")
high = peak() / 2**20
print(json.dumps({"peak": high, "seconds": time.perf_counter() - start,
                  "cells": features.shape[0] * features.shape[1],
                  "embedded": int((features.valid() > 0).sum())}))
"""


def measure(scene: Path, scratch: Path) -> dict[str, float]:
    """Embed a scene in a process of its own; return its peak, seconds, cells and patches."""
    command = [sys.executable, "-c", PEAK + CHILD, str(scene), str(scratch / f"{scene.stem}.zarr")]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(out.stdout.splitlines()[-1]))


def main() -> None:
    """Run both scenes and print their peaks and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sides", type=int, nargs=2, default=[4000, 20000])
    parser.add_argument("--share", type=float, default=0.1)
    args = parser.parse_args()
    print("| scene | cells | embedded | seconds | peak memory |")
    print("|---|---|---|---|---|")
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tile = painted_tile(scratch)
        for side in args.sides:
            scene = large_scene(scratch / f"{side}.tif", tile, side, args.share)
            got = measure(scene, scratch)
            peaks.append(got["peak"])
            print(
                f"| {side:,} x {side:,} | {got['cells']:,} | {got['embedded']:,} | "
                f"{got['seconds']:.0f} | {got['peak']:.0f} MiB |",
                flush=True,
            )
    print(f"\nratio of the peaks: {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
