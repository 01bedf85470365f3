"""What a run would take: time, bytes and memory, from short trials on the scene itself."""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil
from numcodecs.zstd import Zstd

from terrapatch.features._memory import kept_memory
from terrapatch.features.densely import tile_bytes
from terrapatch.features.layout import ZSTD_LEVEL
from terrapatch.features.plan import Plan
from terrapatch.grid import PatchGrid
from terrapatch.reading import SceneReader
from terrapatch.scene import Scene
from terrapatch.stream import KEEP_BYTES, chunk_shape

# Seconds given to each of the three trials: cells, reading, the network.
TRIAL_SECONDS = 1.0
MOST_SAMPLES = 4096
# Readers are as many as read this much faster than the network takes pixels.
AHEAD_OF = 2.0
MOST_READERS = 16
LINUX = sys.platform == "linux"
# What a tile takes beyond the tensors that are alive at once: holes between them.
FRAGMENTS = 1.55
# Memory that is asked for to see how fast it is had.
TOUCHED = 256 << 20
# Bytes of features that are packed and written in a second beside the network.
WRITING = 200e6


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes:
        cells: Cells of the grid.
        patches: Cells that own a valid pixel, from a sample of them.
        features: Length of a descriptor.
        store_bytes: Size of the store, compressed as trial features are.
        seconds: Time of the run itself, without starting up and the trials.
        rate: Cells a second.
        memory_bytes: Peak memory of the process, the network and libraries included.
    """

    cells: int
    patches: int
    features: int
    store_bytes: int
    seconds: float
    rate: float
    memory_bytes: int


def estimate(plan: Plan) -> Estimate:
    """Say what a settled run would take, after about three seconds of trials."""
    on_gpu = plan.recipe.execution["device"] != "cpu"
    share = _share_of_cells(plan.scene, plan.grid)
    patches = round(share * plan.n_cells)
    itemsize = int(np.dtype(plan.recipe.execution["dtype"]).itemsize)
    plain = patches * plan.n_features * itemsize
    with kept_memory():
        features, rate = _timed(plan)
        here = psutil.Process().memory_info().rss  # while the network's maps are still kept
    working = _padded(plan, share) * patches / rate
    if plan.dense is not None:
        # Tiles are run whole unless little of them holds anything.
        working = min(1.0, share + 0.1 if share < 1.0 else 1.0) * _dense_pixels(plan) / plan.rate
        working += 0.0 if on_gpu else _touching_seconds(_tile(plan))
        features = features if plan.dense.sample is None else plan.dense.sample
    beside = _reading_seconds(plan, TRIAL_SECONDS / 2) + plain / WRITING
    seconds = max(working, beside) if on_gpu else working + beside
    return Estimate(
        cells=plan.n_cells,
        patches=patches,
        features=plan.n_features,
        store_bytes=round(plain * _packed(features, plan.recipe.execution["dtype"])),
        seconds=seconds,
        rate=plan.n_cells / seconds,
        memory_bytes=here + _held(plan, share),
    )


def _timed(plan: Plan) -> tuple[np.ndarray, float]:
    """Embed the trial's patches for about a second; return their features and the rate."""
    starts = range(0, len(plan.patches), plan.batch)
    batches = [plan.patches[i : i + plan.batch] for i in starts]
    features = np.concatenate([plan.embedder.features(batch) for batch in batches])
    start, done = time.perf_counter(), 0
    for batch in itertools.cycle(batches):
        plan.embedder.features(batch)
        done += len(batch)
        if time.perf_counter() - start >= TRIAL_SECONDS:
            break
    return features, done / (time.perf_counter() - start)


def _padded(plan: Plan, share: float) -> float:
    """Return how many patches the network is given for each one, as batches are filled up."""
    if not plan.recipe.backbone["input_size"]:
        return 1.0
    from terrapatch.backbones.network import filled

    held = max(1, round(share * plan.side**2))
    whole, rest = divmod(held, plan.batch)
    return (whole * plan.batch + (filled(rest) if rest else 0)) / held


def _dense_pixels(plan: Plan) -> int:
    """Add up the input pixels of all tiles."""
    if plan.dense is None:
        return 0
    tiling = plan.dense.tiling
    return sum(math.prod(tiling.input_size(work.cells)) for work in plan.works)


def _share_of_cells(scene: Scene, grid: PatchGrid) -> float:
    """Return the share of cells that own a valid pixel, from a seeded sample of them."""
    rows, cols = grid.shape
    if not scene.may_have_holes and grid.edge != "drop":
        return 1.0
    picked = np.random.default_rng(0).permutation(rows * cols)[:MOST_SAMPLES]
    held = tried = 0
    start = time.perf_counter()
    with SceneReader(scene) as reader:
        for number in picked:
            row, col = divmod(int(number), cols)
            if grid.edge != "drop" or grid.inside(row, col):
                _, valid = reader.read(*grid.cell_window(row, col))
                held += valid is None or bool(valid.any())
            tried += 1
            if time.perf_counter() - start > TRIAL_SECONDS and tried >= 64:
                break
    return max(held, 1) / tried


def _chunks(scene: Scene) -> Iterator[tuple[slice, slice]]:
    """Go over the chunks of a scene in a seeded random order."""
    height, width = chunk_shape(scene)
    down, across = (-(-n // c) for n, c in zip(scene.shape, (height, width), strict=True))
    for number in np.random.default_rng(1).permutation(down * across):
        row, col = divmod(int(number), across)
        yield (
            slice(row * height, min((row + 1) * height, scene.shape[0])),
            slice(col * width, min((col + 1) * width, scene.shape[1])),
        )


def suited_readers(plan: Plan) -> int:
    """Choose how many threads read: so many that the network hardly waits for pixels.

    Measured, in a twentieth of a second or one read; how many read changes no number.
    """
    working = plan.n_cells / plan.rate if plan.dense is None else _dense_pixels(plan) / plan.rate
    most = min(MOST_READERS, len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1)
    if math.isnan(working):  # a baseline that takes next to no time
        return most
    wanted = math.ceil(AHEAD_OF * _reading_seconds(plan, TRIAL_SECONDS / 20) / working)
    return max(1, min(wanted, most))


def _reading_seconds(plan: Plan, limit: float) -> float:
    """Return how long one thread reads the scene for, from the chunks it reads in ``limit``."""
    units, area = plan.scene.require_units(), 0
    start = time.perf_counter()
    with SceneReader(plan.scene) as reader:
        for rows, cols in _chunks(plan.scene):
            units.to_eight_bit(reader.read(rows, cols)[0])
            area += (rows.stop - rows.start) * (cols.stop - cols.start)
            if time.perf_counter() - start > limit:
                break
    return (time.perf_counter() - start) * math.prod(plan.scene.shape) / area


def _packed(features: np.ndarray, dtype: str) -> float:
    """Return how far features shrink in the store."""
    with np.errstate(over="ignore"):
        raw = np.ascontiguousarray(features.astype(dtype)).tobytes()
    return len(Zstd(level=ZSTD_LEVEL).encode(raw)) / len(raw)


def _kept(plan: Plan, pixel: int) -> int:
    """Return the bytes of the chunks that two rows of blocks or tiles share; holes take none."""
    height, width = plan.scene.shape
    chunk = chunk_shape(plan.scene)[0]
    overlap = max(0, plan.reading.size[0] - plan.reading.stride[0])
    rows = min(height, chunk * (1 + -(-overlap // chunk)))
    return rows * width * pixel


def _held(plan: Plan, share: float) -> int:
    """Return the memory that blocks, kept chunks and tiles take beside the network."""
    window = plan.reading.block_window(plan.works[0].cells)
    area = math.prod(side.stop - side.start for side in window)
    pixel = len(plan.scene.bands) * (1 if plan.scene.require_units().is_eight_bit else 4) + 1
    held = 3 * area * pixel + min(KEEP_BYTES, round(share * _kept(plan, pixel)))
    if plan.dense is None:
        return int(held + 3 * plan.side**2 * plan.n_features * 4)
    return int(held + _tile(plan))


def _tile(plan: Plan) -> float:
    """Return the memory of one tile in the dense mode."""
    if plan.dense is None:
        return 0.0
    dense = plan.dense
    return FRAGMENTS * tile_bytes(
        dense.tiling, plan.tile, plan.side, dense.pixel_bytes, plan.n_features
    )


def _touching_seconds(n_bytes: float) -> float:
    """Return how long the system takes to hand out so much memory for the first time."""
    start = time.perf_counter()
    np.empty(TOUCHED, np.uint8).fill(1)
    return (time.perf_counter() - start) * n_bytes / TOUCHED
