"""The benchmark suite: ratios of our engine to its limit and to what people use, in one run.

    make bench                       # all of it; about 40 minutes on two cores
    make bench BENCH_ARGS=--quick    # the same rows on small scenes; under three minutes

Every contender is a process of its own; they take turns on one scene, one at a time, and
the table gives medians, ranges and ratios. Written to ``bench-out/`` as markdown and JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_kmeans
import bench_memory
import costs
import machine
import seams
import torch
from scenes import large_scene, painted_tile

NETWORK = "resnet18:random"
SIZE, STRIDE = 224, 32


class Table:
    """Rows of the result, printed as they come."""

    def __init__(self) -> None:
        """Begin with no row."""
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, value: str, ratio: float | None = None, target: str = "") -> None:
        """Add a row and print it."""
        self.rows.append({"what": what, "value": value, "ratio": ratio, "target": target})
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row: dict[str, Any]) -> str:
        """Write a row as markdown."""
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        return f"| {row['what']} | {row['value']} | {ratio} | {row['target']} |"

    def markdown(self, facts: dict[str, Any], command: str) -> str:
        """Write the whole table with the machine above it."""
        about = ", ".join(f"{key}: {value}" for key, value in facts.items())
        head = "| what | measured | ratio | at least / aim |\n|---|---|---|---|"
        lines = "\n".join(self.line(row) for row in self.rows)
        return f"`{command}`\n\n{about}\n\n{head}\n{lines}\n"


def exact(table: Table, scene: Path, scratch: Path, rounds: int, workers: tuple[int, ...]) -> float:
    """Compare the exact mode with its limit and its peers; return torchgeo's best rate."""
    task = {"scene": str(scene), "scratch": str(scratch)}
    auto = {"backbone": NETWORK, "size": SIZE, "compile": "off"}
    tasks: dict[str, dict[str, Any]] = {
        "engine": task | {"kind": "engine", "options": auto},
        "forward": task | {"kind": "forward", "options": auto},
        "engine-compiled": task | {"kind": "engine", "options": auto | {"compile": "on"}},
        "engine-fp32": task | {"kind": "engine", "options": auto | {"precision": "fp32"}},
        "forward-fp32": task | {"kind": "forward", "options": auto | {"precision": "fp32"}},
        "rasterio": task | {"kind": "rasterio", "options": auto},
    }
    if rounds == 1:
        del tasks["engine-compiled"]  # compiling alone takes longer than all of a small scene
    for n in workers:
        tasks[f"torchgeo-{n}"] = task | {"kind": "torchgeo", "options": auto, "workers": n}
    got = machine.turns(tasks, rounds)
    for name, one in got.items():
        table.add(f"{name} ({one.what['precision']}), patches a second", one.spread())
    peer = max((one for name, one in got.items() if "torchgeo" in name), key=lambda c: c.median)
    ours = [name for name in ("engine", "engine-compiled") if name in got]
    best = max(ours, key=lambda name: got[name].median)
    table.add(
        f"exact ({got[best].what['precision']}) against {peer.name}",
        "",
        got[best].median / peer.median,
        "7 / 10 (CPU with bf16 units)",
    )
    fp32 = got["engine-fp32"].median
    table.add(f"fp32 against {peer.name}", "", fp32 / peer.median, "1.4 / 1.8")
    loop = got["rasterio"].median
    table.add("exact against a rasterio loop", "", got[best].median / loop)
    table.add(
        f"end to end against forward only ({got['engine'].what['precision']})",
        "",
        got["engine"].median / got["forward"].median,
        "0.95 / 0.98",
    )
    table.add(
        "end to end against forward only (fp32)", "", fp32 / got["forward-fp32"].median, "same"
    )
    return peer.median


def dense(table: Table, scene: Path, small: Path, scratch: Path, rounds: int, peer: float) -> None:
    """Compare the dense mode with our exact mode and torchgeo's pipeline, at stride 32."""
    options = {"backbone": NETWORK, "size": SIZE, "stride": STRIDE, "compile": "off"}
    tasks = {}
    for precision in ("fp32", "auto"):
        for mode, where in (("dense", scene), ("exact", small)):
            how = options | {"mode": mode, "precision": precision}
            task = {"kind": "engine", "scene": str(where), "scratch": str(scratch), "options": how}
            tasks[f"{mode}-{precision}"] = task
    got = machine.turns(tasks, rounds)
    for name, one in got.items():
        table.add(f"{name} ({one.what['precision']}), cells a second at stride 32", one.spread())
    for precision in ("fp32", "auto"):
        ratio = got[f"dense-{precision}"].median / got[f"exact-{precision}"].median
        said = got[f"dense-{precision}"].what["precision"]
        table.add(f"dense against our exact mode ({said})", "", ratio, "25 / 45")
    best = max(got["dense-fp32"].median, got["dense-auto"].median)
    table.add("dense against torchgeo's pipeline, stride 32", "", best / peer, "150 / 400")


def gpu(table: Table, scene: Path, scratch: Path, rounds: int) -> None:
    """Compare end to end with forward only in fp16 on a GPU, where there is one."""
    what = "GPU: end to end against forward only (fp16)"
    if not torch.cuda.is_available():
        table.add(what, "no GPU here", None, "0.85 / 0.95")
        return
    options = {"backbone": NETWORK, "size": SIZE, "device": "cuda", "precision": "fp16"}
    task = {"scene": str(scene), "scratch": str(scratch), "options": options}
    kinds = ("engine", "forward")
    got = machine.turns({f"gpu-{kind}": task | {"kind": kind} for kind in kinds}, rounds)
    for name, one in got.items():
        table.add(f"{name}, patches a second", one.spread())
    table.add(what, "", got["gpu-engine"].median / got["gpu-forward"].median, "0.85 / 0.95")


def growth(table: Table, scratch: Path, tile: Any, sides: tuple[int, int], share: float) -> None:
    """Compare memory of sparse scenes, and time of whole ones of 16 times the area."""
    small, large = (
        bench_memory.measure(large_scene(scratch / f"sparse{side}.tif", tile, side, share), scratch)
        for side in sides
    )
    for side, got in zip(sides, (small, large), strict=True):
        said = f"{got['peak']:.0f} MiB, {got['seconds']:.0f} s, {got['embedded']:,} patches"
        table.add(f"sparse {side:,}², peak memory", said)
    table.add("memory, large over small", "", large["peak"] / small["peak"], "1.15 / 1.05")


def area(table: Table, scratch: Path, tile: Any, side: int, rounds: int) -> None:
    """Compare the time of two scenes, one of 16 times the area of the other."""
    options = {"backbone": NETWORK, "size": 256, "compile": "off", "precision": "fp32"}
    scenes = {n: large_scene(scratch / f"area{n}.tif", tile, n) for n in (side, 4 * side)}
    tasks = {
        f"area-{n}": {
            "kind": "engine",
            "scene": str(scene),
            "scratch": str(scratch),
            "options": options,
        }
        for n, scene in scenes.items()
    }
    small, large = machine.turns(tasks, rounds).values()
    table.add(
        f"time of {4 * side:,}² over {side:,}² (fp32)",
        f"{small.median:.1f} and {large.median:.1f} patches a second",
        16 * small.median / large.median,
        "16.5 / 16",
    )


def suite(table: Table, args: argparse.Namespace, scratch: Path) -> None:
    """Run all rows."""
    tile = painted_tile(scratch)
    (scratch / "scene").mkdir()
    scene = large_scene(scratch / "scene" / "large.tif", tile, args.side)
    small = large_scene(scratch / "small.tif", tile, 1024 if not args.quick else 320)
    peer = exact(table, scene, scratch, args.rounds, (0,) if args.quick else (0, 2, 4))
    dense(table, scene, small, scratch, args.rounds, peer)
    seam = large_scene(scratch / "seam.tif", tile, args.seam)
    for name, worst in seams.measure(seam, scratch, 1 if args.quick else 2):
        table.add(f"largest seam of dense, {name}", f"{worst:.1e}", None, "1e-3 / 1e-4")
    growth(table, scratch, tile, args.sides, 0.1)
    area(table, scratch, tile, args.area, 1)
    sparse = None if args.quick else scratch / f"sparse{args.sides[1]}.tif"
    for name, ratio in costs.measure(scene, sparse, scratch):
        table.add(f"--dry-run over what happened, {name}", "", ratio, "0.7 to 1.3")
    for cells in args.cells:
        with tempfile.TemporaryDirectory() as folder:
            got = bench_kmeans.measure(cells, args.features, args.memory, Path(folder))
        said = f"fit {got['fit']:.0f} s, map {got['predict']:.0f} s, {got['peak']:.0f} MiB"
        gigabytes = got["bytes"] / 1e9
        table.add(f"k-means, {got['cells']:,} cells, {gigabytes:.2f} GB on disk", said)
    gpu(table, scene, scratch, args.rounds)


def main() -> None:
    """Run the suite and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small scenes, one round")
    parser.add_argument("--side", type=int, help="side of the scene in pixels")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seam", type=int, help="side of the scene whose seams are measured")
    parser.add_argument("--sides", type=int, nargs=2, help="sides of the sparse scenes")
    parser.add_argument("--area", type=int, help="side of the smaller scene of the time row")
    parser.add_argument("--cells", type=int, nargs="*", help="cells of the k-means stores")
    parser.add_argument("--features", type=int, default=4128)
    parser.add_argument("--memory", type=int, default=512, help="MiB for k-means beside a block")
    parser.add_argument("-o", "--out", type=Path, default=Path("bench-out"))
    args = parser.parse_args()
    full = {"side": 8192, "rounds": 3, "seam": 2048, "sides": [4000, 40000], "area": 4096}
    quick = {"side": 1344, "rounds": 1, "seam": 768, "sides": [1000, 4000], "area": 512}
    for name, value in (quick if args.quick else full).items():
        setattr(args, name, getattr(args, name) or value)
    args.cells = args.cells or ([1024] if args.quick else [62_500, 1_000_000])
    table, began, facts = Table(), time.time(), machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        suite(table, args, Path(folder))
    args.out.mkdir(parents=True, exist_ok=True)
    command = "python benchmarks/bench.py " + " ".join(sys.argv[1:])
    facts["minutes"] = round((time.time() - began) / 60, 1)
    (args.out / "bench.md").write_text(table.markdown(facts, command.strip()))
    text = json.dumps({"machine": facts, "command": command, "rows": table.rows}, indent=1)
    (args.out / "bench.json").write_text(text + "\n")
    print(f"\n{args.out / 'bench.md'}, {args.out / 'bench.json'}: {facts['minutes']} minutes")


if __name__ == "__main__":
    main()
