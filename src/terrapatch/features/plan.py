"""Everything that is settled before the first patch is embedded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from terrapatch.backbones import Backbone, Descriptor, Embedder
from terrapatch.backbones.turning import TURNS, TurnedEmbedder, check_average
from terrapatch.errors import RecipeError, SceneError
from terrapatch.features._memory import kept_memory
from terrapatch.features.densely import Dense
from terrapatch.features.recipe import Recipe, package_versions
from terrapatch.features.store import unfinished_recipe
from terrapatch.features.tiles import Tiling
from terrapatch.features.tiling_trial import settle_tiles
from terrapatch.grid import CellBlock, PatchGrid
from terrapatch.reading import Pixels, find_valid
from terrapatch.scene import Scene
from terrapatch.stream import PatchStream, PixelBlock, block_side

if TYPE_CHECKING:
    from terrapatch.backbones.network import NetworkEmbedder

log = logging.getLogger("terrapatch")

MODES = ("exact", "dense")
COMPILING = ("auto", "on", "off")
TRIAL_CELLS = 32


@dataclass(frozen=True)
class Settings:
    """The options of ``embed`` that are not about the scene or the grid."""

    backbone: Backbone
    descriptor: Descriptor
    input_size: int | None
    device: str
    precision: str
    batch: int | None
    dtype: str
    mode: str = "exact"
    average: str = "none"
    compiling: str = "auto"


@dataclass(frozen=True)
class Work:
    """What is read and embedded at once: a block of cells, or a tile of several blocks.

    Attributes:
        cells: All its cells.
        blocks: The blocks of the store it consists of.
    """

    cells: CellBlock
    blocks: tuple[CellBlock, ...]


@dataclass(frozen=True)
class Plan:
    """A settled run: the scene, the grid, an embedder and the recipe.

    Attributes:
        scene: The scene with as many bands as the backbone takes.
        grid: The grid over it.
        embedder: Ready to use.
        recipe: All that decides the numbers.
        side: Cells along each side of a block.
        batch: Patches that go through the network at once.
        rate: Patches a second in a short trial; input pixels a second in the dense mode.
        patches: The patches of the trial.
        dense: What embeds whole tiles, in the dense mode.
        tile: Blocks down and across that are embedded at once.
    """

    scene: Scene
    grid: PatchGrid
    embedder: Embedder
    recipe: Recipe
    side: int
    batch: int
    rate: float
    patches: Pixels = field(repr=False, compare=False)
    dense: Dense | None = None
    tile: tuple[int, int] = (1, 1)

    @property
    def reading(self) -> PatchGrid:
        """The grid that pixels are read by: with halo in the dense mode."""
        return self.grid if self.dense is None else self.dense.tiling.grid

    @property
    def works(self) -> list[Work]:
        """What is embedded at once, tile by tile, row by row."""
        across = -(-self.grid.shape[1] // self.side)
        blocks, made = self.blocks, []
        for top in range(0, len(blocks) // across, self.tile[0]):
            for left in range(0, across, self.tile[1]):
                picked = tuple(
                    blocks[i * across + j]
                    for i in range(top, min(top + self.tile[0], len(blocks) // across))
                    for j in range(left, min(left + self.tile[1], across))
                )
                rows = slice(picked[0].rows.start, picked[-1].rows.stop)
                cols = slice(picked[0].cols.start, picked[-1].cols.stop)
                made.append(Work(CellBlock(picked[0].index, rows, cols), picked))
        return made

    @property
    def blocks(self) -> list[CellBlock]:
        """All blocks of cells, row by row."""
        return list(self.grid.blocks(self.side))

    @property
    def n_cells(self) -> int:
        """Number of cells, empty ones included."""
        return self.grid.shape[0] * self.grid.shape[1]

    @property
    def n_features(self) -> int:
        """Length of a cell's descriptor."""
        return self.embedder.groups[-1][2]


def make_plan(scene: Scene, grid: PatchGrid, settings: Settings, out: Path) -> Plan:
    """Try the backbone on some patches and settle device, precision, batch and recipe.

    A run that goes on with an unfinished store keeps the precision and batch it
    was begun with.

    Raises:
        SceneError: If the scene holds no valid pixel.
        RecipeError: If an unfinished store was begun on another kind of device.
        BackboneError: If the backbone cannot be used here.
    """
    scene.require_units()
    tiling = _tiling(scene, grid, settings)
    patches = _trial_patches(scene, grid)
    begun = unfinished_recipe(out)
    with kept_memory():
        device, precision, batch, rate, embedder = _settle(settings, begun, patches)
        compiled = _compiled(settings, begun, embedder, patches, batch, math.prod(grid.shape), rate)
        if compiled is not None:
            embedder, rate = compiled
        if settings.average != "none":
            embedder, rate = TurnedEmbedder(embedder), rate / TURNS
        n_features = embedder.groups[-1][2]
        itemsize = 1 if scene.dtype == "uint8" and scene.require_units().is_eight_bit else 4
        side = block_side(grid, len(scene.bands), itemsize, n_features)
        how: dict[str, Any] = {"batch": batch} | ({"compiled": True} if compiled else {})
        dense, tile = None, (1, 1)
        if tiling is not None:
            dense, tile, rate = settle_tiles(
                scene, tiling, embedder, settings.descriptor, side, begun
            )
            how = {"tile": list(tile)}
    contract, mixing = settings.backbone.contract, settings.backbone.mixing
    recipe = Recipe(
        scene=scene.as_dict(),
        grid=grid.as_dict(),
        backbone={
            "name": settings.backbone.name,
            "weights": settings.backbone.identity(),
            "input_size": settings.input_size,
            "bands": band_roles(scene, None if contract is None else contract.channels),
            **({} if mixing is None else {"adapt": mixing.as_dict()}),
        },
        descriptor=settings.descriptor.as_dict()
        | ({} if settings.average == "none" else {"average": settings.average}),
        execution={
            "mode": settings.mode,
            "device": device.split(":")[0],
            "precision": precision,
            **how,
            "block": side,
            "dtype": settings.dtype,
        },
        versions=package_versions(settings.backbone.packages),
    )
    return Plan(scene, grid, embedder, recipe, side, batch, rate, patches, dense, tile)


def _tiling(scene: Scene, grid: PatchGrid, settings: Settings) -> Tiling | None:
    """Lay tiles for the dense mode, or refuse what has none."""
    if settings.mode not in MODES:
        raise RecipeError(f"mode {settings.mode!r} is not known; choose {' or '.join(MODES)}")
    check_average(settings.average)
    if settings.mode == "exact":
        return None
    if settings.average != "none":
        raise RecipeError(
            "the dense mode cannot average over turns; use --mode exact, or leave out --average"
        )
    from terrapatch.backbones.dense import taps_of

    side = settings.input_size or 0  # every network has one; what is none is refused
    taps = taps_of(settings.backbone, settings.descriptor, side)
    return Tiling.over(grid, taps, side, holes=scene.may_have_holes or grid.edge != "reflect")


def _settle(
    settings: Settings, begun: Recipe | None, patches: Pixels
) -> tuple[str, str, int, float, Embedder]:
    backbone = settings.backbone
    same = begun is not None and begun.backbone["name"] == backbone.name
    kept: dict[str, Any] = begun.execution if begun is not None and same else {}
    if not backbone.uses_torch:
        embedder = backbone.load(settings.descriptor, settings.input_size)
        embedder.features(patches)
        batch = settings.batch or kept.get("batch", 32)
        return "cpu", "fp64", batch, float("nan"), embedder
    from terrapatch.backbones.precision import choose_device, choose_precision, default_batch

    device = choose_device(settings.device)
    if kept and device.split(":")[0] != kept["device"]:
        raise RecipeError(
            f"the unfinished store was begun on {kept['device']} but this run would "
            f"use {device}; pass --device {kept['device']}, or --restart"
        )
    asked = settings.precision
    if asked == "auto":
        asked = kept.get("precision", "auto")
    choice = choose_precision(
        backbone, settings.descriptor, settings.input_size, device, patches, asked
    )
    log.info("device %s, precision %s", device, choice.describe())
    batch = settings.batch or kept.get("batch", default_batch(device))
    return device, choice.precision, batch, choice.rates[choice.precision], choice.embedder


def _compiled(
    settings: Settings,
    begun: Recipe | None,
    embedder: Embedder,
    patches: Pixels,
    batch: int,
    cells: int,
    rate: float,
) -> tuple[Embedder, float] | None:
    """Compile the network where that is asked for or pays for the run; ``None`` if it is not.

    A run that goes on with an unfinished store does as it was begun.
    """
    if settings.compiling not in COMPILING:
        raise RecipeError(
            f"compile {settings.compiling!r} is not known; choose {', '.join(COMPILING)}"
        )
    asked = settings.compiling
    if settings.mode == "dense" or not settings.backbone.compiles:
        if asked == "on":
            what = "the dense mode" if settings.mode == "dense" else settings.backbone.name
            raise RecipeError(f"{what} is not compiled; pass --compile off")
        return None
    if begun is not None and asked == "auto":
        asked = "on" if begun.execution.get("compiled") else "off"
    if asked == "off":
        return None
    from terrapatch.backbones.compiled import pays, try_compiled

    if asked == "auto" and not pays(cells / rate):
        return None
    return try_compiled(cast("NetworkEmbedder", embedder), patches, batch, rate, asked)


def band_roles(scene: Scene, channels: Sequence[str] | None) -> list[str]:
    """Name the bands by what they are, or by what the network takes them for."""
    if channels is None or len(channels) != len(scene.roles):
        return list(scene.roles)
    known = {"red", "green", "blue", "nir"}
    return [
        role if role in known else channel
        for role, channel in zip(scene.roles, channels, strict=True)
    ]


def _trial_patches(scene: Scene, grid: PatchGrid) -> Pixels:
    """Read some patches that hold valid pixels, near the middle of the scene if possible."""
    place = find_valid(scene)
    blocks = list(grid.blocks(8)) if place is None else [_block_around(grid, place)]
    for pixels in PatchStream(scene, grid, blocks, readers=1):
        cells = nonempty(pixels)
        if cells:
            picked = np.linspace(0, len(cells) - 1, min(TRIAL_CELLS, len(cells))).astype(int)
            return pixels.patches([cells[i] for i in picked])[0]
    if place is not None:
        for pixels in PatchStream(scene, grid, list(grid.blocks(8)), readers=1):
            if cells := nonempty(pixels):
                return pixels.patches(cells[:TRIAL_CELLS])[0]
    bands = ", ".join(map(str, scene.bands))
    raise SceneError(
        f"{scene.name} holds no valid pixel in bands {bands}"
        + (" that a whole patch inside the scene could use" if grid.edge == "drop" else "")
        + ": all of it is nodata, masked or not a number; check its nodata value, or choose "
        "other bands" + (" or another --edge" if grid.edge == "drop" else "")
    )


def _block_around(grid: PatchGrid, place: tuple[int, int]) -> CellBlock:
    spans: list[Any] = []
    for pixel, stride, n in zip(place, grid.stride, grid.shape, strict=True):
        first = max(0, min(pixel // stride - 2, n - 4))
        spans.append(slice(first, min(first + 4, n)))
    return CellBlock((0, 0), spans[0], spans[1])


def nonempty(block: PixelBlock) -> list[tuple[int, int]]:
    """List the cells of a block that own a valid pixel, row by row."""
    return [(int(r), int(c)) for r, c in np.argwhere(block.share > 0)]
