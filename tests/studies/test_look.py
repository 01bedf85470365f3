"""Looking at rasters: facts, validity, and sizes to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from terrapatch.errors import SceneError, SceneNotFoundError
from terrapatch.grid import Ground, PatchGrid
from terrapatch.studies.look import info, patch_size, sample_shape

Make = Callable[..., Path]


def test_facts(make_raster: Make) -> None:
    path = make_raster("s.tif", bands=2, dtype="int16", nodata=-5, descriptions=["a", ""])
    seen = info(path)
    assert (seen.driver, seen.height, seen.width) == ("GTiff", 64, 64)
    assert [(b.number, b.name, b.dtype, b.nodata) for b in seen.bands] == [
        (1, "a", "int16", -5),
        (2, "", "int16", -5),
    ]
    assert seen.valid == 0.75
    assert seen.pixel == (0.5, 0.5)
    assert seen.ground == pytest.approx((0.5, 0.5), rel=1e-3)
    assert seen.units is None
    assert seen.obstacle is None
    json.dumps(seen.as_dict(), allow_nan=False)


def test_ranges_are_of_valid_values_band_by_band(make_raster: Make) -> None:
    def values(bands: int, rows: int, cols: int) -> np.ndarray:
        out = np.full((bands, rows, cols), 50)
        out[1] = 0
        return out

    first, empty, third = info(make_raster("s.tif", nodata=0, values=values)).bands
    assert (first.low, first.high) == (third.low, third.high) == (50, 50)
    assert (empty.low, empty.high) == (None, None)


def test_many_bands_of_which_some_are_empty(make_raster: Make) -> None:
    """Only the bands that would be embedded decide whether there is something to embed."""

    def values(bands: int, rows: int, cols: int) -> np.ndarray:
        out = np.random.default_rng(0).integers(1, 900, (bands, rows, cols))
        out[20:] = 0
        return out

    seen = info(make_raster("s.tif", bands=30, dtype="int16", nodata=0, values=values))
    assert seen.valid == 0.75
    assert seen.command is not None
    assert dict(seen.rows())["bands"].splitlines()[-1] == "… 30 in all"


def test_degrees_and_feet(make_raster: Make) -> None:
    path = make_raster("d.tif", crs="EPSG:4326", transform=Affine(0.001, 0, 12, 0, -0.001, 60))
    seen = info(path)
    assert seen.pixel_unit == "degrees"
    assert seen.ground == pytest.approx((111.4, 55.8), rel=1e-2)
    seen = info(make_raster("f.tif", crs="EPSG:2263"))
    assert seen.pixel_unit is not None
    assert "foot" in seen.pixel_unit.lower()


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFoundError):
        info(tmp_path / "none.tif")
    (tmp_path / "empty.vrt").write_text('<VRTDataset rasterXSize="8" rasterYSize="8"/>')
    with pytest.raises(SceneError):
        info(tmp_path / "empty.vrt")


@pytest.mark.parametrize(
    ("pixel", "size"),
    [(0.05, "60m"), (0.5, "60m"), (1.875, "60m"), (2, "65m"), (10, "350m"), (30, "1000m"),
     (500, "20km")],
)  # fmt: skip
def test_sizes_to_begin_with(pixel: float, size: str) -> None:
    assert patch_size((5000, 5000), Ground(pixel, pixel)) == size


@given(st.floats(0.01, 200_000), st.floats(0.5, 2))
def test_every_size_is_understood(pixel: float, ratio: float) -> None:
    size = patch_size((100, 100), Ground(pixel, pixel * ratio))
    metres = float(size.removesuffix("km")) * 1000 if size.endswith("km") else float(size[:-1])
    assert metres >= min(60, 32 * pixel)
    assert metres >= 32 * pixel * (1 - 1e-9) or metres == 60
    assert metres <= 1.5 * max(60, 32 * pixel * max(1, ratio))
    box = GeoBox((100, 100), Affine(1, 0, 3e5, 0, -1, 2e6), "EPSG:32643")
    if metres < 1e5:
        assert PatchGrid.over(box, size).size_text == size


@given(st.integers(1, 30_000), st.integers(1, 30_000))
def test_the_sample_is_small(height: int, width: int) -> None:
    rows, cols = sample_shape((height, width))
    assert 1 <= rows <= min(1024, height)
    assert 1 <= cols <= min(1024, width)


def test_size_without_metres_fits_the_scene() -> None:
    assert patch_size((5000, 5000), None) == "32"
    assert patch_size((2, 50), None) == "2"
