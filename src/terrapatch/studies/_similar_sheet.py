"""A contact sheet: the patches of a query and of what was found, with rank, score and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.grid import CellBlock, PatchGrid
from terrapatch.scene import Scene

if TYPE_CHECKING:
    from PIL import ImageDraw

    from terrapatch.features.recipe import Recipe

Picture = npt.NDArray[np.uint8]

TILE = 160
COLUMNS = 6
_GAP, _LINE, _FRAME = 12, 15, 4


@dataclass(frozen=True)
class Tile:
    """One patch of a sheet.

    Attributes:
        picture: uint8 ``(height, width, 3)``.
        lines: What stands below it.
        colour: Colour of its frame, ``#rrggbb``.
    """

    picture: Picture
    lines: tuple[str, ...]
    colour: str


def cut_patches(
    scene: Scene, recipe: Recipe, cells: Sequence[tuple[int, int]], side: int = TILE
) -> list[Picture]:
    """Cut the patches of some cells as the network saw them, scaled to fit a tile.

    Args:
        scene: The scene, with one band or three.
        recipe: How its features were made.
        cells: Row and column of each cell.
        side: Longest side of a picture.

    Returns:
        A uint8 picture ``(height, width, 3)`` a cell, white where the scene is invalid.
    """
    from terrapatch.stream import PatchStream

    grid = _grid(scene, recipe)
    blocks = [
        CellBlock((i, 0), slice(row, row + 1), slice(col, col + 1))
        for i, (row, col) in enumerate(cells)
    ]
    pictures = []
    for block in PatchStream(scene, grid, blocks):
        patches, valid = block.patches([(0, 0)])
        image = np.rint(patches[0]).astype(np.uint8)
        if valid is not None:
            image[:, ~valid[0]] = 255
        pictures.append(fitted(np.moveaxis(np.repeat(image, 3 // len(image), axis=0), 0, -1), side))
    return pictures


def square_of(scene: Scene, side: int = TILE) -> Picture:
    """Return the largest centred square of an image, as ``embed_images`` takes it."""
    from terrapatch.features.image_files import strictly
    from terrapatch.studies.settlements import thumbnail

    with strictly():
        image = thumbnail(scene, 4 * side)
    short = min(image.shape[:2])
    top, left = ((n - short) // 2 for n in image.shape[:2])
    return fitted(image[top : top + short, left : left + short], side)


def fitted(image: Picture, side: int) -> Picture:
    """Scale a picture so that its longest side is ``side``."""
    from PIL import Image

    scale = side / max(image.shape[:2])
    high, wide = (max(1, round(scale * n)) for n in image.shape[:2])
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((wide, high), Image.Resampling.LANCZOS))


def write_sheet(path: Path, sections: Sequence[tuple[str, Sequence[Tile]]]) -> Path:
    """Write tiles as one PNG, section below section; the same tiles give the same bytes.

    Args:
        path: The picture.
        sections: A heading and the tiles below it.

    Returns:
        The path.
    """
    from PIL import Image, ImageDraw, ImageFont

    font, bold = ImageFont.load_default(12), ImageFont.load_default(15)
    shown = [(heading, tiles) for heading, tiles in sections if tiles]
    lines = max(len(tile.lines) for _, tiles in shown for tile in tiles)
    cell = (TILE + _GAP, TILE + _GAP + lines * _LINE)
    heights = [30 + -(-len(tiles) // COLUMNS) * cell[1] for _, tiles in shown]
    sheet = Image.new("RGB", (COLUMNS * cell[0] + _GAP, sum(heights) + _GAP), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for (heading, tiles), height in zip(shown, heights, strict=True):
        draw.text((_GAP, top + 8), heading, fill="#222222", font=bold)
        for i, tile in enumerate(tiles):
            x = _GAP + (i % COLUMNS) * cell[0]
            y = top + 30 + (i // COLUMNS) * cell[1]
            _place(sheet, draw, tile, (x, y), font)
        top += height
    sheet.save(path, format="png")
    return path


def _place(
    sheet: Any, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], font: Any
) -> None:
    """Draw one tile: its frame, its picture, its lines."""
    from PIL import Image

    x, y = corner
    high, wide = tile.picture.shape[:2]
    left, top = x + (TILE - wide) // 2, y + (TILE - high) // 2
    box = (left - _FRAME, top - _FRAME, left + wide + _FRAME - 1, top + high + _FRAME - 1)
    draw.rectangle(box, fill=tile.colour)
    sheet.paste(Image.fromarray(tile.picture), (left, top))
    for i, line in enumerate(tile.lines):
        draw.text((x, y + TILE + _FRAME + 1 + i * _LINE), line, fill="#222222", font=font)


def _grid(scene: Scene, recipe: Recipe) -> PatchGrid:
    told = recipe.grid
    size, stride = (tuple(int(n) for n in told[key]) for key in ("size_px", "stride_px"))
    return PatchGrid(
        scene.geobox,
        (size[0], size[1]),
        (stride[0], stride[1]),
        told["edge"],
        told["size"],
        told["stride"],
    )
