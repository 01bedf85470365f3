"""The embedding engine: a scene in, a feature raster out."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.backbones import DEFAULT, Backbone, Embedder, get_backbone
from terrapatch.bands import BandChoice
from terrapatch.errors import BackboneError, RecipeError
from terrapatch.features._memory import kept_memory, resident, trim
from terrapatch.features.costs import suited_readers
from terrapatch.features.fitting import fit_to_scene
from terrapatch.features.layout import DTYPES
from terrapatch.features.plan import Plan, Settings, Work, make_plan, nonempty
from terrapatch.features.raster import FeatureRaster
from terrapatch.features.store import StoreWriter, discard_part, refuse_taken
from terrapatch.grid import Length, PatchGrid
from terrapatch.reading import Mask, Pixels
from terrapatch.scene import Scene
from terrapatch.stream import PatchStream, PixelBlock

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("terrapatch")

# Freed memory is handed back when the process has grown by this much since it got going, at
# most every few blocks, since it costs time to take it up again.
GROWTH, GOING, TRIM_EVERY = 1.1, 4, 8

# Batches under way at once: a GPU computes one while the next is cut and copied.
AHEAD = 2

Cells = list[tuple[int, int]]
Progress = Callable[[str, int, int], None]


def prepare(
    scene: str | os.PathLike[str] | xr.DataArray | Scene,
    out: str | os.PathLike[str],
    *,
    size: Length,
    stride: Length | None = None,
    edge: str = "reflect",
    backbone: str | Backbone = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    layers: str | None = None,
    pooling: str | None = None,
    l2: bool | None = None,
    bands: BandChoice | None = None,
    adapt: str | os.PathLike[str] | None = None,
    units: str | None = None,
    nodata: float | None = None,
    input_size: int | None = None,
    mode: str = "exact",
    average: str = "none",
    compile: str = "auto",  # noqa: A002 (named as in the shell)
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    dtype: str = "float16",
    offline: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Settle a run of ``embed`` without writing anything; takes the same options."""
    if dtype not in DTYPES:
        raise RecipeError(f"stored type {dtype!r} is not known; choose {' or '.join(DTYPES)}")
    if batch is not None and batch < 1:
        raise BackboneError(f"a batch of {batch} patches is too small; give 1 or more")
    network = get_backbone(backbone).ready(weights, offline=offline, progress=progress)
    if network.found is not None and network.found.note:
        log.info("%s", network.found.note)
    opened = Scene.open(scene, bands=bands, units=units, nodata=nodata)
    opened, network = fit_to_scene(opened, network, adapt)
    log.info("%s: %s", opened.name, _reading(opened))
    grid = PatchGrid.over(opened.geobox, size, stride, edge)
    log.info("%s: %s", opened.name, grid.describe())
    settings = Settings(
        backbone=network,
        descriptor=network.describe(layers, pooling, l2),
        input_size=network.input_size(grid.size, input_size),
        device=device,
        precision=precision,
        batch=batch,
        dtype=dtype,
        mode=mode,
        average=average,
        compiling=compile,
    )
    return make_plan(opened, grid, settings, Path(out))


def _reading(scene: Scene) -> str:
    """Say which bands are read, in which units, and what counts as nodata."""
    bands = ", ".join(
        f"{n} {role}" if role != f"band {n}" else str(n)
        for n, role in zip(scene.bands, scene.roles, strict=True)
    )
    units = scene.require_units().text
    text = f"bands {bands}; " + ("values 0 to 255 as they are" if units == "uint8" else units)
    nodata = {f"{v:.10g}" for v in scene.nodata if v is not None}
    rule = "any band" if scene.any_invalid else "all bands"
    text += f"; nodata {', '.join(sorted(nodata))} in {rule}" if nodata else ""
    text += "; the file's mask" if scene.has_mask else ""
    return text + ("; its alpha band" if scene.alpha and scene.alpha not in scene.bands else "")


def embed(
    scene: str | os.PathLike[str] | xr.DataArray | Scene,
    out: str | os.PathLike[str],
    *,
    size: Length,
    stride: Length | None = None,
    edge: str = "reflect",
    backbone: str | Backbone = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    layers: str | None = None,
    pooling: str | None = None,
    l2: bool | None = None,
    bands: BandChoice | None = None,
    adapt: str | os.PathLike[str] | None = None,
    units: str | None = None,
    nodata: float | None = None,
    input_size: int | None = None,
    mode: str = "exact",
    average: str = "none",
    compile: str = "auto",  # noqa: A002 (named as in the shell)
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    dtype: str = "float16",
    offline: bool = False,
    readers: int | None = None,
    overwrite: bool = False,
    restart: bool = False,
    progress: Progress | None = None,
) -> FeatureRaster:
    """Embed every patch of a scene and store the result as a raster of features.

    A run that was interrupted is gone on with by calling it again with the same
    options; the bytes in the end are the same.

    Args:
        scene: Anything GDAL reads, an ``xarray.DataArray`` or a ``Scene``.
        out: Folder of the Zarr store to write, for example ``features.zarr``.
        size: Patch size in pixels (``120``) or metres on the ground (``"60m"``).
        stride: Cell size, likewise; the patch size by default.
        edge: What patches hold beyond the scene: ``reflect``, ``nodata`` or ``drop``.
        backbone: Name in the registry, as ``terrapatch backbones list`` shows them, or a
            ``Backbone``.
        weights: File of weights to use instead of the registered one.
        layers: Layers to tap: names or module paths with commas, ``all`` or ``last``.
        pooling: ``mean``, ``std``, ``max``, ``gem``, ``flatten``, several with commas.
        l2: Whether each layer's numbers are brought to unit length.
        bands: Band names, numbers from 1, or ``rgb``.
        adapt: How more bands than the network takes are mixed into its channels: ``repeat``,
            ``mean``, ``pca``, or a feature store to take the mixing of; mostly worse than
            three well-chosen bands.
        units: ``LOW:HIGH``, ``percentile:2,98``, ``reflectance[:N]`` or ``uint8``.
        nodata: Nodata value, where the file states none.
        input_size: Side in pixels that patches are resized to.
        mode: ``exact`` runs the network over every patch as if it were cut out; ``dense`` runs
            it once over large tiles and pools what each patch's window holds, many times
            faster where patches overlap, in a feature space of its own.
        average: ``d4`` describes a patch by the mean over its eight turns and flips, for
            eight times the work, in a feature space of its own.
        compile: ``auto`` compiles the network (``torch.compile``) where the work left pays
            for it, ``on`` always, ``off`` never.
        device: ``auto``, ``cpu``, ``cuda`` …
        precision: ``auto`` (by a short trial), ``fp32``, ``bf16`` or ``fp16``.
        batch: Patches that go through the network at once.
        dtype: Stored type, ``float16`` or ``float32``.
        offline: Whether to open no socket; ``TERRAPATCH_OFFLINE=1`` does the same.
        readers: Threads that read the scene; as many as it takes, by a short trial, if ``None``.
        overwrite: Whether a finished store may be replaced.
        restart: Whether to discard what an unfinished run has left.
        progress: Called with ``("embed", cells done, cells in all)``, and during a download
            of weights with ``("download", bytes done, bytes in all)``.

    Returns:
        The finished feature raster.

    Raises:
        TerrapatchError: For everything a person can mend, in one sentence.
    """
    path = Path(out)
    if restart:
        discard_part(path)
    refuse_taken(path, overwrite)
    with kept_memory():  # what the trials took serves the run
        plan = prepare(
            scene,
            path,
            size=size,
            stride=stride,
            edge=edge,
            backbone=backbone,
            weights=weights,
            layers=layers,
            pooling=pooling,
            l2=l2,
            bands=bands,
            adapt=adapt,
            units=units,
            nodata=nodata,
            input_size=input_size,
            mode=mode,
            average=average,
            compile=compile,
            device=device,
            precision=precision,
            batch=batch,
            dtype=dtype,
            offline=offline,
            progress=progress,
        )
        return run(plan, path, readers=readers, overwrite=overwrite, progress=progress)


def run(
    plan: Plan,
    out: Path,
    *,
    readers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FeatureRaster:
    """Carry out a settled run (see ``embed``)."""
    groups, dtype = plan.embedder.groups, plan.recipe.execution["dtype"]
    writer = StoreWriter(out, plan.recipe, plan.grid.geobox, groups, plan.side, dtype, overwrite)
    with writer, kept_memory():
        todo = [w for w in plan.works if not all(writer.is_done(b) for b in w.blocks)]
        done = plan.n_cells - sum(w.cells.shape[0] * w.cells.shape[1] for w in todo)
        if done:
            log.info("going on with %s: %d of %d cells are done", out, done, plan.n_cells)
        with ThreadPoolExecutor(1, "terrapatch-write") as pool:
            written: Future[None] | None = None
            threads = readers or suited_readers(plan)
            stream = PatchStream(plan.scene, plan.reading, [w.cells for w in todo], readers=threads)
            for n, (work, pixels) in enumerate(zip(todo, stream, strict=True), 1):
                values = embed_work(plan, pixels, progress, done)
                done += pixels.share.size
                if written is not None:
                    written.result()
                written = pool.submit(_write, writer, work, values, pixels.share)
                del pixels, values
                if n == GOING:
                    going = resident()
                elif n % TRIM_EVERY == 0 and resident() > GROWTH * going:
                    trim()
            if written is not None:
                written.result()
        writer.finish(plan.blocks)
    if progress is not None:
        progress("embed", plan.n_cells, plan.n_cells)
    return FeatureRaster.open(out)


def _write(
    writer: StoreWriter,
    work: Work,
    values: npt.NDArray[np.float32],
    share: npt.NDArray[np.float32],
) -> None:
    """Write the blocks of a tile that are not there yet."""
    for block in work.blocks:
        if writer.is_done(block):
            continue
        rows = slice(
            block.rows.start - work.cells.rows.start, block.rows.stop - work.cells.rows.start
        )
        cols = slice(
            block.cols.start - work.cells.cols.start, block.cols.stop - work.cells.cols.start
        )
        writer.write(block, values[rows, cols], share[rows, cols])


def embed_work(
    plan: Plan, pixels: PixelBlock, progress: Progress | None = None, done: int = 0
) -> npt.NDArray[np.float32]:
    """Embed one block or tile of cells, in the plan's mode.

    Args:
        plan: The settled run.
        pixels: Pixels of the cells.
        progress: Called on the way.
        done: Cells embedded before these.

    Returns:
        ``(rows, cols, features)`` float32, NaN in empty cells.

    Raises:
        BackboneError: If the network gives numbers that are not finite.
    """
    if plan.dense is None:
        return embed_block(plan, pixels, progress, done)
    out = np.full((*pixels.block.shape, plan.n_features), np.nan, np.float32)
    for cells, values in plan.dense.embed(pixels):
        rows = slice(
            cells.rows.start - pixels.block.rows.start, cells.rows.stop - pixels.block.rows.start
        )
        cols = slice(
            cells.cols.start - pixels.block.cols.start, cells.cols.stop - pixels.block.cols.start
        )
        held = pixels.share[rows, cols] > 0
        _refuse_unfinite(plan, values[held])
        out[rows, cols][held] = values[held]
        if progress is not None:
            done += held.size
            progress("embed", done, plan.n_cells)
    return out


def embed_block(
    plan: Plan, block: PixelBlock, progress: Progress | None = None, done: int = 0
) -> npt.NDArray[np.float32]:
    """Embed one block of cells; batches never straddle blocks.

    Args:
        plan: The settled run.
        block: Pixels of the block.
        progress: Called after every batch.
        done: Cells embedded before this block.

    Returns:
        ``(rows, cols, features)`` float32, NaN in empty cells.

    Raises:
        BackboneError: If the network gives numbers that are not finite.
    """
    out = np.full((*block.block.shape, plan.n_features), np.nan, np.float32)
    cells, under_way = nonempty(block), deque[tuple[Cells, Any]]()

    def land() -> None:
        chosen, flight = under_way.popleft()
        features = flight.result()
        _refuse_unfinite(plan, features)
        rows, cols = zip(*chosen, strict=True)
        out[list(rows), list(cols)] = features

    for start in range(0, len(cells), plan.batch):
        chosen = cells[start : start + plan.batch]
        under_way.append((chosen, _begin(plan.embedder, *block.patches(chosen))))
        if len(under_way) == AHEAD:
            land()
        if progress is not None:
            progress("embed", done + start + len(chosen), plan.n_cells)
    while under_way:
        land()
    return out


def _begin(embedder: Embedder, patches: Pixels, valid: Mask | None) -> Any:
    """Start describing patches; what cannot fly is done at once."""
    begin = getattr(embedder, "begin", None)
    return _Landed(embedder.features(patches, valid)) if begin is None else begin(patches)


@dataclass(frozen=True)
class _Landed:
    """Features that are there already."""

    features: npt.NDArray[np.float32]

    def result(self) -> npt.NDArray[np.float32]:
        """Return them."""
        return self.features


def _refuse_unfinite(plan: Plan, features: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(features).all():
        raise BackboneError(
            f"{plan.recipe.backbone['name']} gave numbers that are not finite in precision "
            f"{plan.recipe.execution['precision']}; pass --precision fp32"
        )
