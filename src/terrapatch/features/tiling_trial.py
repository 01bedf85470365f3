"""Settling the dense mode by one small tile: its memory, its rate, and how large tiles become."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import psutil

from terrapatch.backbones import Descriptor, Embedder
from terrapatch.features.densely import Dense, Floats, choose_tile
from terrapatch.features.recipe import Recipe
from terrapatch.features.tiles import Tiling
from terrapatch.grid import CellBlock
from terrapatch.reading import find_valid
from terrapatch.scene import Scene
from terrapatch.stream import PatchStream

if TYPE_CHECKING:
    from terrapatch.backbones.network import NetworkEmbedder

log = logging.getLogger("terrapatch")

# Input pixels along each side of the tile that is tried, at least.
TRIAL_SIDE = 768
# Share of the free memory that a tile may take, and the most on a CPU.
MEMORY_SHARE, MOST_BYTES = 0.3, 3 << 30


def settle_tiles(
    scene: Scene,
    tiling: Tiling,
    embedder: Embedder,
    descriptor: Descriptor,
    side: int,
    begun: Recipe | None,
) -> tuple[Dense, tuple[int, int], float]:
    """Try the network on a small tile and choose how large tiles are.

    A run that goes on with an unfinished store keeps the tiles it was begun with.

    Args:
        scene: The scene.
        tiling: Where tiles and windows lie.
        embedder: The network, ready to embed patches.
        descriptor: Its layers and poolings.
        side: Cells along each side of a block of the store.
        begun: Recipe of an unfinished store.

    Returns:
        What embeds tiles, blocks down and across in a tile, and input pixels a second.

    Raises:
        GridError: If not even the smallest tile fits into memory.
    """
    from terrapatch.backbones.dense import DenseEmbedder

    network = cast("NetworkEmbedder", embedder)  # only networks have taps to lay tiles for
    dense = Dense(DenseEmbedder(network, tiling.taps, descriptor), tiling, side)
    pixel_bytes, rate, sample = _tried(scene, dense)
    dense = replace(dense, pixel_bytes=pixel_bytes, sample=sample)
    budget = _budget(network)
    if begun is not None and "tile" in begun.execution:
        tile = (int(begun.execution["tile"][0]), int(begun.execution["tile"][1]))
    else:
        tile = choose_tile(tiling, side, pixel_bytes, dense.n_features, budget)
    down, across = (min(t * side, n) for t, n in zip(tile, tiling.grid.shape, strict=True))
    halo = ", ".join(f"{max(p)}" for p in (tiling.grid.before, tiling.grid.after))
    log.info(
        "dense mode: tiles of %d x %d cells, looking %s px beyond their patches; %.3g million "
        "pixels a second",
        down, across, halo, rate / 1e6,
    )  # fmt: skip
    return dense, tile, rate


def _tried(scene: Scene, dense: Dense) -> tuple[float, float, Floats]:
    """Return bytes an input pixel, input pixels a second, and features of a small tile."""
    from terrapatch.backbones.live import LiveBytes

    tiling = dense.tiling
    cells = _cells_around(tiling, find_valid(scene) or (0, 0))
    tile = next(iter(PatchStream(scene, tiling.grid, [cells], readers=1)))
    area = math.prod(tiling.input_size(cells))
    pixels, size, windows = tile.pixels, tiling.input_size(cells), tiling.windows(cells)
    with LiveBytes() as live:
        dense.embedder.describe(pixels, None, size, windows)
    start = time.perf_counter()
    sample = dense.embedder.describe(pixels, None, size, windows)
    return live.peak / area, area / (time.perf_counter() - start), sample


def _cells_around(tiling: Tiling, place: tuple[int, int]) -> CellBlock:
    """Return some cells around a place whose tile is as large as a trial needs."""
    spans = []
    for axis in (0, 1):
        stride, n = tiling.grid.stride[axis], tiling.grid.shape[axis]
        count = min(n, max(1, math.ceil(TRIAL_SIDE / float(stride * tiling.scale(axis)))))
        first = max(0, min(place[axis] // stride - count // 2, n - count))
        spans.append(slice(first, first + count))
    return CellBlock((0, 0), spans[0], spans[1])


def _budget(embedder: NetworkEmbedder) -> int:
    """Return the bytes that a tile may take where the network is."""
    if embedder.device.type == "cuda":
        import torch

        return int(2 * MEMORY_SHARE * torch.cuda.mem_get_info(embedder.device)[0])
    return min(MOST_BYTES, int(MEMORY_SHARE * psutil.virtual_memory().available))
