"""The geometry of cells and patches; no pixel is read here.

Cells of ``stride`` pixels tile the scene from its upper-left corner; the last
row and column hang over. Each cell owns its pixels, every pixel has one cell.
A patch is a window of ``size >= stride`` pixels centred on its cell, so a cell of
the output and the patch it came from share their centre, and overlapping patches
need no stitching.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.errors import GridError

EDGES = ("reflect", "nodata", "drop")
Length = int | str | tuple[int, int]

_METRES = re.compile(r"^\s*([\d.]+)\s*(m|km)\s*$")
_PIXELS = re.compile(r"^\s*(\d+)\s*(px)?\s*$")


@dataclass(frozen=True)
class Ground:
    """Height and width of one pixel on the ground, in metres, at one place."""

    y: float
    x: float


@dataclass(frozen=True)
class CellBlock:
    """A rectangle of cells: the unit that is read, embedded and written whole."""

    index: tuple[int, int]
    rows: slice
    cols: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    def within(self, other: CellBlock) -> tuple[slice, slice]:
        """Return rows and columns of this rectangle, counted from where another begins."""
        top, left = other.rows.start, other.cols.start
        return (
            slice(self.rows.start - top, self.rows.stop - top),
            slice(self.cols.start - left, self.cols.stop - left),
        )


@dataclass(frozen=True)
class PatchGrid:
    """Cells and patches over a scene.

    Attributes:
        scene: GeoBox of the scene.
        size: Height and width of a patch in pixels.
        stride: Height and width of a cell in pixels.
        edge: What a patch holds outside the scene: ``reflect`` mirrors the scene,
            ``nodata`` counts it as invalid, ``drop`` leaves such cells empty.
        size_text: The size as it was asked for, e.g. ``"60m"``.
        stride_text: The stride as it was asked for.
    """

    scene: GeoBox
    size: tuple[int, int]
    stride: tuple[int, int]
    edge: str
    size_text: str
    stride_text: str

    @classmethod
    def over(
        cls,
        scene: GeoBox,
        size: Length,
        stride: Length | None = None,
        edge: str = "reflect",
    ) -> PatchGrid:
        """Lay a grid over a scene.

        Args:
            scene: GeoBox of the scene.
            size: Patch size: pixels (``120``, ``"120px"``, ``(rows, cols)``) or
                metres on the ground (``"60m"``, ``"1.2km"``), taken at the scene's
                centre and rounded to whole pixels.
            stride: Cell size, likewise; as large as the patch by default.
            edge: ``reflect``, ``nodata`` or ``drop``.

        Returns:
            The grid; a scene smaller than a patch has one cell, not none.

        Raises:
            GridError: If a length is not understood, metres are asked of a scene
                without CRS, a patch is smaller than a pixel, or ``stride > size``.
        """
        if edge not in EDGES:
            raise GridError(f"edge rule {edge!r} is not known; choose {', '.join(EDGES)}")
        stride = size if stride is None else stride
        patch = to_pixels(size, scene, "size")
        cell = to_pixels(stride, scene, "stride")
        if _in_metres(size):
            # Give the patch its cell's parity, so that their centres coincide.
            patch = (_match_parity(patch[0], cell[0]), _match_parity(patch[1], cell[1]))
        if cell[0] > patch[0] or cell[1] > patch[1]:
            raise GridError(
                f"stride {_text(stride)} is larger than patch size {_text(size)}, which would "
                "leave pixels that no patch sees; make the stride at most the size"
            )
        return cls(scene, patch, cell, edge, _text(size), _text(stride))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        height, width = (int(n) for n in self.scene.shape)
        return -(-height // self.stride[0]), -(-width // self.stride[1])

    @property
    def geobox(self) -> GeoBox:
        """The coarse GeoBox of the output: one pixel a cell."""
        down, across = self.stride
        t = self.scene.affine
        coarse = Affine(t.a * across, t.b * down, t.c, t.d * across, t.e * down, t.f)
        return GeoBox(self.shape, coarse, self.scene.crs)

    @property
    def margin(self) -> tuple[int, int]:
        """Pixels by which a patch reaches beyond its cell upward and to the left.

        Where ``size - stride`` is odd the patch lies half a pixel down and right
        of its cell's centre.
        """
        return (self.size[0] - self.stride[0]) // 2, (self.size[1] - self.stride[1]) // 2

    def cell_window(self, row: int, col: int) -> tuple[slice, slice]:
        """Return the pixels of the scene that a cell owns."""
        height, width = (int(n) for n in self.scene.shape)
        top, left = row * self.stride[0], col * self.stride[1]
        return (
            slice(top, min(top + self.stride[0], height)),
            slice(left, min(left + self.stride[1], width)),
        )

    def patch_window(self, row: int, col: int) -> tuple[slice, slice]:
        """Return the pixels of a cell's patch; they may lie outside the scene."""
        top = row * self.stride[0] - self.margin[0]
        left = col * self.stride[1] - self.margin[1]
        return slice(top, top + self.size[0]), slice(left, left + self.size[1])

    def block_window(self, block: CellBlock) -> tuple[slice, slice]:
        """Return the pixels that all patches of a block need, outside the scene too."""
        first = self.patch_window(block.rows.start, block.cols.start)
        last = self.patch_window(block.rows.stop - 1, block.cols.stop - 1)
        return slice(first[0].start, last[0].stop), slice(first[1].start, last[1].stop)

    def inside(self, row: int, col: int) -> bool:
        """Whether a cell's patch lies wholly inside the scene."""
        height, width = (int(n) for n in self.scene.shape)
        rows, cols = self.patch_window(row, col)
        reach = rows.stop <= height and cols.stop <= width
        return bool(rows.start >= 0 and cols.start >= 0 and reach)

    def blocks(self, side: int) -> Iterator[CellBlock]:
        """Cut the grid into blocks of ``side`` x ``side`` cells, row by row."""
        n_rows, n_cols = self.shape
        for i, top in enumerate(range(0, n_rows, side)):
            for j, left in enumerate(range(0, n_cols, side)):
                yield CellBlock(
                    (i, j),
                    slice(top, min(top + side, n_rows)),
                    slice(left, min(left + side, n_cols)),
                )

    def ground_size(self) -> tuple[float, float] | None:
        """Height and width of a patch in metres at the scene's centre, if that is known."""
        ground = ground_resolution(self.scene)
        return None if ground is None else (self.size[0] * ground.y, self.size[1] * ground.x)

    def describe(self) -> str:
        """Say in one line what sizes and strides came to."""
        text = f"patches of {_by(self.size)} px"
        ground = self.ground_size()
        if ground is not None:
            text += f" ({_by(ground)} m)"
        text += f", one every {_by(self.stride)} px"
        return f"{text}: {self.shape[0]} x {self.shape[1]} cells"

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the geometry, for a recipe."""
        return {
            "size": self.size_text,
            "stride": self.stride_text,
            "size_px": list(self.size),
            "stride_px": list(self.stride),
            "edge": self.edge,
            "shape": list(self.shape),
        }


def to_pixels(length: Length, scene: GeoBox, what: str) -> tuple[int, int]:
    """Turn a length into whole pixels down and across.

    Args:
        length: Pixels, or metres on the ground as text such as ``"60m"``.
        scene: GeoBox of the scene.
        what: The option's name, for messages.

    Returns:
        Rows and columns of pixels.

    Raises:
        GridError: If it is not understood, is less than a pixel, or cannot be
            metres because the scene has no CRS.
    """
    if isinstance(length, Integral) or (isinstance(length, str) and _PIXELS.match(length)):
        rows = cols = int(str(length).replace("px", ""))
    elif isinstance(length, str) and (match := _METRES.match(length)):
        rows, cols = _metres_to_pixels(_number(match, length, what), scene, what, length)
    elif isinstance(length, tuple) and [isinstance(n, Integral) for n in length] == [True] * 2:
        rows, cols = (int(n) for n in length)
    else:
        raise GridError(
            f"{what} {length!r} is not understood; give whole pixels (120) or metres on the "
            "ground (60m)"
        )
    if rows < 1 or cols < 1:
        raise GridError(f"{what} {_text(length)} is less than one pixel; make it larger")
    return rows, cols


def _number(match: re.Match[str], length: str, what: str) -> float:
    try:
        return float(match[1]) * (1000.0 if match[2] == "km" else 1.0)
    except ValueError:
        raise GridError(f"{what} {length!r} is not a number of metres; write 60m") from None


def _metres_to_pixels(metres: float, scene: GeoBox, what: str, text: str) -> tuple[int, int]:
    ground = ground_resolution(scene)
    if ground is None:
        raise GridError(
            f"{what} {text} is in metres but the scene has no CRS, so a pixel has no size on the "
            f"ground; give the {what} in pixels, or assign a CRS with gdal_edit.py -a_srs"
        )
    return _round(metres / ground.y), _round(metres / ground.x)


def _round(value: float) -> int:
    """Round halves up; the small term absorbs the noise of geodesic arithmetic."""
    return math.floor(value + 0.5 + 1e-6)


def _match_parity(size: int, stride: int) -> int:
    return size if (size - stride) % 2 == 0 else size + 1


def _in_metres(length: Length) -> bool:
    return isinstance(length, str) and _METRES.match(length) is not None


def _text(length: Length) -> str:
    if isinstance(length, tuple):
        return _by(length) + "px"
    if isinstance(length, str) and not _PIXELS.match(length):
        return length.replace(" ", "")
    return f"{int(str(length).replace('px', ''))}px"


def _by(pair: tuple[float, float]) -> str:
    first, second = (str(v) if isinstance(v, int) else f"{v:.4g}" for v in pair)
    return first if first == second else f"{first} x {second}"


def ground_resolution(
    scene: GeoBox, row: float | None = None, col: float | None = None
) -> Ground | None:
    """Measure one pixel on the ground, geodesically.

    This takes degrees and the local scale of a projection into account: a pixel of
    Web Mercator at 60 degrees north is half as large as its number says.

    Args:
        scene: GeoBox of the scene.
        row: Row of the place; the centre by default.
        col: Column of the place; the centre by default.

    Returns:
        Height and width of the pixel in metres on the CRS's ellipsoid (in a local CRS
        without one, in the plane), or ``None`` without a CRS or outside its reach.
    """
    if scene.crs is None:
        return None
    row = scene.shape[0] / 2 if row is None else row
    col = scene.shape[1] / 2 if col is None else col
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(scene.crs.to_wkt())
    geod, t = crs.get_geod(), scene.affine
    if geod is None or crs.geodetic_crs is None:
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return Ground(math.hypot(t.b, t.e) * unit, math.hypot(t.a, t.d) * unit)
    steps = ((0, -0.5), (0, 0.5), (-0.5, 0), (0.5, 0))
    places = [(col + dx, row + dy) for dx, dy in steps]
    points = [(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for x, y in places]
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(
        [p[0] for p in points], [p[1] for p in points]
    )
    # Some CRSs count angles in grads.
    degree = math.degrees(crs.geodetic_crs.axis_info[0].unit_conversion_factor)
    lon, lat = ([angle * degree for angle in angles] for angles in (lon, lat))
    if not all(map(math.isfinite, (*lon, *lat))):
        return None
    _, _, tall = geod.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, wide = geod.inv(lon[2], lat[2], lon[3], lat[3])
    return Ground(float(tall), float(wide)) if tall and wide else None
