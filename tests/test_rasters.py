"""The raster factory writes what it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("nodata", [None, 0, "nan", "alpha", "mask"])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
def test_validity_is_the_hole(
    make_raster: Callable[..., Path], dtype: str, nodata: Any, layout: str
) -> None:
    if nodata == "nan" and dtype != "float32":
        pytest.skip("integers have no NaN")
    if nodata == "alpha" and dtype in {"int16", "float32"}:
        pytest.skip("GDAL reads alpha from uint8 and uint16 alone")
    path = make_raster(dtype=dtype, nodata=nodata, layout=layout, height=40, width=50)
    with rasterio.open(path) as raster:
        assert raster.shape == (40, 50)
        assert raster.profile["tiled"] == (layout == "tiles")
        invalid = raster.dataset_mask() == 0
        assert raster.count == 3 + (nodata == "alpha")
    expected = np.zeros((40, 50), dtype=bool)
    if nodata is not None:
        expected[:20, :25] = True
    assert np.array_equal(invalid, expected)


def test_names_and_colours(make_raster: Callable[..., Path]) -> None:
    path = make_raster(
        "deep/folder/x.tif",
        bands=4,
        nodata="alpha",
        descriptions=["red", "green", "blue", "nir"],
        colorinterp=["red", "green", "blue", "undefined"],
        values=lambda bands, rows, cols: np.arange(cols),
    )
    with rasterio.open(path) as raster:
        assert raster.descriptions[:4] == ("red", "green", "blue", "nir")
        assert raster.colorinterp[0] is ColorInterp.red
        assert raster.colorinterp[4] is ColorInterp.alpha
        assert np.array_equal(raster.read(4)[0], np.arange(64))


def test_same_seed_same_bytes(make_raster: Callable[..., Path]) -> None:
    first, second, other = make_raster("1.tif"), make_raster("2.tif"), make_raster("3.tif", seed=1)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("driver", "name"), [("PNG", "x.png"), ("JP2OpenJPEG", "x.jp2")])
def test_other_drivers(make_raster: Callable[..., Path], driver: str, name: str) -> None:
    with rasterio.open(make_raster(name, driver=driver, crs=None, transform=None)) as raster:
        assert raster.driver == driver
