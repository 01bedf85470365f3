"""One way of embedding a scene, in a process of its own: ours, its limit, or what others do.

The suite (``bench.py``) starts one process for each contender and lets them take turns.
A process gets its task as JSON, answers ``ready`` with what it is, and then, for every
line it is given, measures once and answers with patches a second.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from terrapatch.backbones import get_backbone
from terrapatch.backbones.build import built
from terrapatch.features import prepare
from terrapatch.features._memory import kept_memory
from terrapatch.features.engine import run

Measure = Callable[[], float]
LOOP_SECONDS = 4.0


def engine(task: dict[str, Any]) -> tuple[Measure, dict[str, Any]]:
    """Ours, from the file to the finished store, as ``embed`` runs it after its trials."""
    out = Path(task["scratch"]) / f"{task['name']}.zarr"
    plan = prepare(task["scene"], out, **task["options"])

    def measure() -> float:
        start = time.perf_counter()
        run(plan, out, overwrite=True)
        return plan.n_cells / (time.perf_counter() - start)

    return measure, dict(plan.recipe.execution)


def forward(task: dict[str, Any]) -> tuple[Measure, dict[str, Any]]:
    """The limit: our network and taps over random tensors that lie on the device already."""
    plan = prepare(task["scene"], Path(task["scratch"]) / "none.zarr", **task["options"])
    network: Any = plan.embedder
    pixels = np.random.default_rng(0).integers(0, 255, (plan.batch, 3, 224, 224), np.uint8)
    x = network.scaled(pixels)

    def measure() -> float:
        done = 0
        with torch.inference_mode():
            network._described(x)  # memory is had before the clock starts
            start = time.perf_counter()
            while time.perf_counter() - start < LOOP_SECONDS:
                network._described(x).cpu()
                done += plan.batch
            return done / (time.perf_counter() - start)

    return measure, dict(plan.recipe.execution)


class Plain(nn.Module):
    """The same network, weights and descriptor, as one writes it oneself."""

    def __init__(self, name: str) -> None:
        """Build the network and hang a hook on every layer that is tapped."""
        super().__init__()
        backbone = get_backbone(name).ready()
        self.network = built(backbone)[0].eval()
        self.caught: list[torch.Tensor] = []
        for layer in backbone.default.layers:
            module = self.network.get_submodule(backbone.architecture.path(layer))
            module.register_forward_hook(self._catch)
        self.mean = torch.tensor(backbone.contract.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(backbone.contract.std).view(1, -1, 1, 1)

    def _catch(self, _module: nn.Module, _given: Any, made: torch.Tensor) -> None:
        self.caught += [made.mean((2, 3)), made.std((2, 3), unbiased=False)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Describe patches in 0–255."""
        self.caught = []
        self.network((x.float() - self.mean) / self.std)
        return torch.cat(self.caught, 1)


def torchgeo(task: dict[str, Any]) -> tuple[Measure, dict[str, Any]]:
    """What torchgeo's users write: a grid sampler, a data loader, a network."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    scene = Path(task["scene"])

    class Scenes(RasterDataset):
        filename_glob = scene.name

    warnings.simplefilter("ignore")
    dataset, size = Scenes(str(scene.parent)), task["options"]["size"]
    sampler = GridGeoSampler(dataset, size=size, stride=task["options"].get("stride", size))
    network = Plain(task["options"]["backbone"])

    def measure() -> float:
        loader = DataLoader(
            dataset,
            sampler=sampler,
            batch_size=32,
            num_workers=task["workers"],
            collate_fn=stack_samples,
        )
        start, done = time.perf_counter(), 0
        with torch.inference_mode():
            for sample in loader:
                network(sample["image"]).numpy()
                done += len(sample["image"])
        return done / (time.perf_counter() - start)

    return measure, {"device": "cpu", "precision": "fp32"}


def rasterio_loop(task: dict[str, Any]) -> tuple[Measure, dict[str, Any]]:
    """What a GIS user writes: read a window, embed it, read the next."""
    import rasterio
    from rasterio.windows import Window

    network, size = Plain(task["options"]["backbone"]), task["options"]["size"]

    def measure() -> float:
        start, done = time.perf_counter(), 0
        with rasterio.open(task["scene"]) as src, torch.inference_mode():
            for top in range(0, src.height - size + 1, size):
                for left in range(0, src.width - size + 1, size):
                    pixels = src.read([1, 2, 3], window=Window(left, top, size, size))
                    network(torch.from_numpy(pixels)[None]).numpy()
                    done += 1
        return done / (time.perf_counter() - start)

    return measure, {"device": "cpu", "precision": "fp32"}


KINDS = {
    "engine": engine,
    "forward": forward,
    "torchgeo": torchgeo,
    "rasterio": rasterio_loop,
}


def main() -> None:
    """Get ready, then measure once for every line."""
    task = json.loads(sys.argv[1])
    ours = task["kind"] in ("engine", "forward")
    with kept_memory() if ours else nullcontext():  # one process, one setting of its allocator
        measure, what = KINDS[task["kind"]](task)
        print(json.dumps(what), flush=True)
        for _ in sys.stdin:
            print(json.dumps(measure()), flush=True)


if __name__ == "__main__":
    main()
