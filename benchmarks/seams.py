"""How far tiles of the dense mode differ from one piece, where one ends and the next begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from terrapatch.features import prepare
from terrapatch.features.engine import run

NETWORKS = ("resnet18:random", "efficientnet_lite0")


def measure(scene: Path, scratch: Path, networks: int) -> Iterator[tuple[str, float]]:
    """Embed a scene in one piece and in tiles of 8 x 8 cells, and compare every number.

    Args:
        scene: The scene.
        scratch: Where stores are written.
        networks: How many networks are tried.

    Yields:
        Network, and the largest difference relative to the root mean square of the
        cell's descriptor.
    """
    for name in NETWORKS[:networks]:
        options = {"size": 224, "stride": 32, "backbone": name, "mode": "dense"}
        options |= {"precision": "fp32", "dtype": "float32"}
        plan = prepare(scene, scratch / "seam.zarr", **options)
        whole, tiles = (_embedded(plan, scratch / "seam.zarr", side) for side in (256, 8))
        length = np.sqrt(np.square(whole.astype(np.float64)).mean(-1))
        yield name, float((np.abs(whole - tiles).max(-1) / length).max())


def _embedded(plan: Any, out: Path, side: int) -> np.ndarray:
    dense = dataclasses.replace(plan.dense, side=side)
    cut = dataclasses.replace(plan, side=side, tile=(1, 1), dense=dense)
    return run(cut, out, overwrite=True).read(slice(None), slice(None))
