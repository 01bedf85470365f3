"""Cells own every pixel once; patches sit on their cells; metres are metres on the ground."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from terrapatch.errors import GridError
from terrapatch.grid import PatchGrid, ground_resolution, to_pixels

side = st.integers(1, 40)


@st.composite
def grids(draw: st.DrawFn) -> PatchGrid:
    shape = draw(side), draw(side)
    stride = draw(st.tuples(st.integers(1, 15), st.integers(1, 15)))
    size = tuple(s + draw(st.integers(0, 12)) for s in stride)
    box = GeoBox(shape, Affine(2, 0, 100, 0, -3, 900), "EPSG:32643")
    return PatchGrid.over(box, size, stride, draw(st.sampled_from(["reflect", "nodata", "drop"])))


def utm(height: int = 100, width: int = 100, pixel: float = 1.0) -> GeoBox:
    return GeoBox((height, width), Affine(pixel, 0, 5e5, 0, -pixel, 2e6), "EPSG:32643")


@given(grids())
def test_every_pixel_has_one_cell(grid: PatchGrid) -> None:
    owners = np.zeros(grid.scene.shape, int)
    for row in range(grid.shape[0]):
        for col in range(grid.shape[1]):
            window = grid.cell_window(row, col)
            assert owners[window].size > 0
            owners[window] += 1
    assert (owners == 1).all()


@given(grids())
def test_a_patch_is_centred_on_its_cell(grid: PatchGrid) -> None:
    """Exactly, or half a pixel down and right where size - stride is odd."""
    row, col = grid.shape[0] - 1, grid.shape[1] - 1
    for axis, (window, index) in enumerate(
        zip(grid.patch_window(row, col), (row, col), strict=True)
    ):
        size, stride = grid.size[axis], grid.stride[axis]
        assert window.stop - window.start == size
        centre = (window.start + window.stop) / 2
        assert centre - (index + 0.5) * stride == ((size - stride) % 2) / 2
        assert window.start <= index * stride
        assert window.stop >= min((index + 1) * stride, grid.scene.shape[axis])


@given(grids(), st.integers(1, 9))
def test_blocks_tile_the_cells_row_by_row(grid: PatchGrid, n: int) -> None:
    seen = np.zeros(grid.shape, int)
    blocks = list(grid.blocks(n))
    for block in blocks:
        seen[block.rows, block.cols] += 1
        assert seen[block.rows, block.cols].shape == block.shape
        window = grid.block_window(block)
        inner = grid.patch_window(block.rows.start, block.cols.stop - 1)
        assert window[0].start == inner[0].start
        assert window[1].stop == inner[1].stop
    assert (seen == 1).all()
    assert [b.index for b in blocks] == sorted(b.index for b in blocks)


@given(grids())
def test_the_output_grid_is_the_cells(grid: PatchGrid) -> None:
    box, fine = grid.geobox, grid.scene
    assert box.crs == fine.crs
    assert tuple(box.shape) == grid.shape
    for row, col in [(0, 0), (grid.shape[0] - 1, grid.shape[1] - 1)]:
        rows, cols = grid.cell_window(row, col)
        assert box.affine * (col, row) == fine.affine * (cols.start, rows.start)


@given(grids())
def test_inside_is_a_patch_within_the_scene(grid: PatchGrid) -> None:
    for row in range(grid.shape[0]):
        rows, cols = grid.patch_window(row, 0)
        clear = rows.start >= 0 and cols.start >= 0
        clear = clear and rows.stop <= grid.scene.shape[0] and cols.stop <= grid.scene.shape[1]
        assert grid.inside(row, 0) == clear


def test_a_scene_smaller_than_a_patch_has_one_cell() -> None:
    grid = PatchGrid.over(utm(3, 5), 224)
    assert grid.shape == (1, 1)
    assert grid.cell_window(0, 0) == (slice(0, 3), slice(0, 5))


@pytest.mark.parametrize(
    ("crs", "affine", "expected"),
    [
        ("EPSG:32643", Affine(0.5, 0, 5e5, 0, -0.5, 2e6), (120, 120)),
        ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 0), (5, 5)),
        ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 60), (5, 11)),
        ("EPSG:3857", Affine(1, 0, 1e6, 0, -1, 0), (60, 60)),
        ("EPSG:3857", Affine(1, 0, 1e6, 0, -1, 8399738), (120, 120)),  # 60 degrees north
        ("EPSG:2263", Affine(1, 0, 1e6, 0, -1, 2e5), (197, 197)),  # US survey feet
        ("EPSG:27572", Affine(1, 0, 6e5, 0, -1, 2.4e6), (60, 60)),  # a datum in grads
        ("EPSG:4807", Affine(1e-4, 0, 2, 0, -1e-4, 0), (6, 6)),  # grads themselves
        ("EPSG:7415", Affine(1, 0, 155000, 0, -1, 463000), (60, 60)),  # with heights
        ('LOCAL_CS["site",UNIT["foot",0.3048]]', Affine(1, 0, 0, 0, -1, 0), (197, 197)),
    ],
)
def test_sixty_metres_on_the_ground(crs: str, affine: Affine, expected: tuple[int, int]) -> None:
    assert to_pixels("60m", GeoBox((10, 10), affine, crs), "size") == expected


@given(st.integers(1, 400), st.floats(-65, 65), st.sampled_from([0.3, 1.0, 10.0]))
def test_web_mercator_agrees_with_its_own_formula(metres: int, lat: float, pixel: float) -> None:
    """On the sphere the scale is 1 / cos(lat); the ellipsoid moves it by under a percent."""
    north = 6378137 * math.asinh(math.tan(math.radians(lat)))
    box = GeoBox((2, 2), Affine(pixel, 0, 0, 0, -pixel, north + pixel), "EPSG:3857")
    ground = ground_resolution(box)
    assert ground is not None
    assert ground.x == pytest.approx(pixel * math.cos(math.radians(lat)), rel=0.007)
    assert ground.y == pytest.approx(pixel * math.cos(math.radians(lat)), rel=0.007)
    wanted = metres / ground.x
    if wanted > 1:
        assert abs(to_pixels(f"{metres}m", box, "size")[1] - wanted) <= 0.5 + 1e-5


def test_ground_resolution_at_a_place() -> None:
    box = GeoBox((1000, 10), Affine(0.01, 0, 0, 0, -0.06, 60), "EPSG:4326")
    top, bottom = ground_resolution(box, 0, 5), ground_resolution(box, 1000, 5)
    assert top is not None
    assert bottom is not None
    assert top.x == pytest.approx(bottom.x / 2, rel=0.01)


def test_the_antimeridian_is_no_wall() -> None:
    box = GeoBox((4, 4), Affine(0.1, 0, 179.8, 0, -0.1, 0.2), "EPSG:4326")
    ground = ground_resolution(box)
    assert ground is not None
    assert ground.x == pytest.approx(11132, rel=0.01)


def test_metres_outside_the_reach_of_a_projection_are_refused() -> None:
    box = GeoBox((4, 4), Affine(1, 0, 1e12, 0, -1, 1e12), "EPSG:3035")
    with pytest.raises(GridError, match="metres"):
        PatchGrid.over(box, "60m")


@pytest.mark.parametrize(
    ("size", "stride"),
    [("60m", "31m"), ("61m", "30m"), ("60m", "60m"), ("59.4m", "1m"), ("1.2km", "0.9km")],
)
def test_sizes_in_metres_take_their_cells_parity(size: str, stride: str) -> None:
    grid = PatchGrid.over(utm(), size, stride)
    assert (grid.size[0] - grid.stride[0]) % 2 == 0
    assert (
        grid.size[0] - float(size.replace("km", "000").replace("1.2000", "1200").rstrip("m")) <= 1
    )


def test_metres_round_halves_up_whatever_the_noise() -> None:
    at_the_meridian = GeoBox((2, 2), Affine(2, 0, 5e5, 0, -2, 2e6), "EPSG:32643")
    ground = ground_resolution(at_the_meridian)
    assert ground is not None
    assert to_pixels(f"{ground.y * 2.5:.9f}m", at_the_meridian, "size")[0] == 3


@pytest.mark.parametrize(
    ("length", "pixels"),
    [
        (64, (64, 64)),
        (np.int64(64), (64, 64)),
        ("64", (64, 64)),
        (" 64 px ", (64, 64)),
        ((3, 5), (3, 5)),
        ("64 m", (64, 64)),
        ("0.064km", (64, 64)),
        ("100000", (100000, 100000)),
    ],
)
def test_lengths_as_people_write_them(length: Any, pixels: tuple[int, int]) -> None:
    grid = PatchGrid.over(utm(), length)
    assert grid.size == pixels
    assert grid.stride == grid.size
    # What is written into a recipe stands for the same length.
    if not isinstance(length, tuple):
        assert PatchGrid.over(utm(), grid.size_text).size == pixels


@pytest.mark.parametrize(
    ("size", "stride", "words"),
    [
        ("60", 61, "stride 61px is larger than patch size 60px"),
        ((60, 20), (60, 21), "stride 60 x 21px is larger"),
        ("0", None, "size 0px is less than one pixel"),
        ("0.2m", None, "less than one pixel"),
        (-5, None, "less than one pixel"),
        ("-60m", None, "not understood"),
        ("60 miles", None, "not understood"),
        ("1.2.3m", None, "not a number of metres"),
        ("", None, "not understood"),
        (60.5, None, "not understood"),
        ((60,), None, "not understood"),
        ([60, 60], None, "not understood"),
        (60, "nan", "stride 'nan' is not understood"),
    ],
)
def test_lengths_that_are_refused(size: Any, stride: Any, words: str) -> None:
    with pytest.raises(GridError, match=words):
        PatchGrid.over(utm(), size, stride)


def test_metres_without_a_crs_are_refused() -> None:
    bare = GeoBox((9, 9), Affine.identity(), None)
    with pytest.raises(GridError, match=r"size 60m is in metres but the scene has no CRS"):
        PatchGrid.over(bare, "60m")
    assert PatchGrid.over(bare, 3).shape == (3, 3)
    assert PatchGrid.over(bare, 3).ground_size() is None


def test_an_unknown_edge_rule_is_refused() -> None:
    with pytest.raises(GridError, match="choose reflect, nodata, drop"):
        PatchGrid.over(utm(), 3, edge="wrap")


def test_the_grid_says_what_sizes_came_to() -> None:
    box = GeoBox((100, 100), Affine(0.5, 0, 5e5, 0, -0.5, 2e6), "EPSG:32643")
    said = PatchGrid.over(box, "30m", "15m").describe()
    assert said == "patches of 60 px (30.01 m), one every 30 px: 4 x 4 cells"
    assert "12345 x 54321px" in PatchGrid.over(box, (12345, 54321)).size_text
    described = PatchGrid.over(box, "30m").as_dict()
    assert described["size"] == "30m"
    assert described["size_px"] == [60, 60]


def test_utm_metres_differ_from_map_metres_by_the_scale_factor() -> None:
    ground = ground_resolution(utm(pixel=1000.0))
    crs = CRS("EPSG:32643")
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(5.5e5, 1.95e6)
    assert ground is not None
    assert 75 < lon < 76
    assert 17 < lat < 18
    assert ground.x == pytest.approx(1000 / 0.9996, rel=1e-4)
