"""Which backbone finds informal settlements: networks, their random twins and the baselines.

A cell is informal when more than half of its labelled pixels are; a cluster is named informal
when more than half of its cells are. Rates are of the whole engine (reading, embedding, writing)
once the network is loaded. Usage:

    python benchmarks/bench_backbones.py [--scene mumbai_g4_1 ...] [--k 12] [--seeds 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_settlements import data_folder, informal_cells

import terrapatch as tp
from terrapatch.backbones import get_backbone
from terrapatch.features import prepare
from terrapatch.features.engine import run
from terrapatch.learn import iou, mask_by_majority
from terrapatch.studies.settlements import default_scaling

SIZE, STRIDE = "60m", "60m"
# Backbones with real weights, with the file where no package brings it; then what to beat.
NETWORKS = (
    ("efficientnet_lite0", None),
    ("efficientnet_lite1", None),
    ("efficientnet_lite2", None),
    ("mobilenet_v2:tf", "mobilenet_v2_fp16.pth"),
    ("squeezenet1_0:caffe", "squeezenet1_0_torchvision.pth"),
)
TWINS = tuple((f"{name.split(':')[0]}:random", None) for name, _ in NETWORKS)
BASELINES = (("imagestats", None), ("rcf", None), ("rcf:empirical", None))


@dataclass(frozen=True)
class Row:
    """One backbone on one scene.

    Attributes:
        name: The backbone.
        scores: Informal IoU of every seed.
        rate: Patches a second.
        precision: What it was computed in.
        features: Numbers a cell.
        parameters: Of the network, the classifier included.
        flops: Of one patch at the size it was embedded at.
        share: Share of informal cells.
        cells: Cells that are not empty.
    """

    name: str
    scores: tuple[float, ...]
    rate: float
    precision: str
    features: int
    parameters: int
    flops: int
    share: float
    cells: int

    def score(self) -> str:
        """Write the mean and the deviation over seeds."""
        return f"{np.mean(self.scores):.2f} ({np.std(self.scores):.2f})"


def measure(scene: str, name: str, file: str | None, k: int, seeds: int, scratch: Path) -> Row:
    """Embed a scene with one backbone and cluster it with every seed."""
    folder = data_folder()
    weights = None if file is None else folder.parent / "weights" / file
    store = scratch / f"{scene}-{name.replace(':', '-')}.zarr"
    options: dict[str, Any] = {"size": SIZE, "stride": STRIDE, "weights": weights}
    path = folder / f"{scene}_rgb.tif"
    plan = prepare(path, store, backbone=name, **options)
    begun = time.perf_counter()
    features = run(plan, store)
    rate = plan.n_cells / (time.perf_counter() - begun)
    truth = informal_cells(folder / f"{scene}_labels.tif", features)
    scores = []
    for seed in range(seeds):
        model = tp.fit_clusters(features, k, seed=seed, scaling=default_scaling(features))
        ids = model.predict(features).labels
        scores.append(iou(mask_by_majority(ids, truth, k), truth, where=ids > 0))
    backbone, side = get_backbone(name), plan.recipe.backbone["input_size"]
    facts = None if backbone.architecture is None else backbone.examine(side)
    there = features.valid() > 0
    return Row(
        name,
        tuple(scores),
        rate,
        plan.recipe.execution["precision"],
        features.n_features,
        0 if facts is None else facts.parameters,
        0 if facts is None else facts.flops,
        float(truth[there].mean()),
        int(there.sum()),
    )


def table(scenes: list[str], k: int, seeds: int) -> list[str]:
    """Return the table of all backbones on all scenes, as Markdown."""
    every = (*NETWORKS, *TWINS, *BASELINES)
    rows: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, file in every:
            for scene in scenes:
                rows.setdefault(name, []).append(
                    measure(scene, name, file, k, seeds, Path(scratch))
                )
                print(scene, name, rows[name][-1].score(), flush=True)
    first = rows[every[0][0]]
    heads = [
        f"IoU, {s} ({one.share:.1%} of {one.cells} cells)"
        for s, one in zip(scenes, first, strict=True)
    ]
    lines = [
        f"| backbone | {' | '.join(heads)} | patches a second | features | parameters | GFLOP |",
        "|---|" + "---|" * (len(heads) + 4),
    ]
    for name, found in rows.items():
        last = found[-1]
        cells = " | ".join(one.score() for one in found)
        params = f"{last.parameters / 1e6:.2f} M" if last.parameters else "–"
        flops = f"{last.flops / 1e9:.2f}" if last.flops else "–"
        rate = f"{last.rate:.0f} ({last.precision})"
        lines.append(f"| `{name}` | {cells} | {rate} | {last.features:,} | {params} | {flops} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scene", nargs="+", default=["mumbai_g4_1"])
    parser.add_argument("--k", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    if not data_folder().is_dir():
        print("skipped: the Mumbai data are not here; name their folder with TERRAPATCH_DATA")
        return
    print("\n".join(table(args.scene, args.k, args.seeds)))


if __name__ == "__main__":
    main()
