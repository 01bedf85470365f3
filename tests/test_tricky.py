"""Awkward rasters from the wild: each works, or is refused with a sentence that names its quirk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import terrapatch as tp
from terrapatch.errors import TerrapatchError

pytestmark = pytest.mark.data

WORKS = {
    "31band_uint8_1800px_nodata255.tif": {"bands": "1,2,3"},
    "4band_nodata0_no_alpha_interp.tif": {},
    "antimeridian_4326_float32.tif": {"units": "percentile:2,98"},
    "esri_wkt_crs.tif": {"units": "0:3000"},
    "float64_nan_nodata_nan.tif": {"units": "percentile:2,98"},
    "internal_mask_rgb.tif": {},
    "jpeg_cog_internal_mask_ovr.tif": {},
    "rgba_uint16_alpha.tif": {"units": "0:20000"},
    "webp_rgb.tif": {},
}
REFUSED = {
    "all_nodata_uint16_4band.tif": "holds no valid pixel",
    "gcps210_no_transform_uint16.tif": "210 ground control points; warp it",
    "jpeg_cog_corrupt_tiles.tif": "block 1,1 .* cannot be decoded",
    "palette_custom_laea.tif": "gdal_translate -expand rgb",
    "rotated_20px.tif": "is rotated",
    "rotated_no_crs_packbits.tif": "is rotated",
    "rpcs_uint16.tif": "gdalwarp -rpc",
    "south_up_float32.tif": "south-up",
}


@pytest.mark.parametrize("name", WORKS)
def test_works(name: str, data_dir: Callable[..., Path], tmp_path: Path) -> None:
    path = data_dir("tricky", name)
    scene = tp.Scene.open(path)
    made = tp.embed(path, tmp_path / "f.zarr", size=32, backbone="imagestats", **WORKS[name])
    assert made.geobox.crs == scene.geobox.crs
    assert made.geobox.affine.c == scene.geobox.affine.c
    assert made.geobox.affine.f == scene.geobox.affine.f
    assert (made.valid() > 0).any()


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_by_name(name: str, data_dir: Callable[..., Path], tmp_path: Path) -> None:
    path = data_dir("tricky", name)
    units = "0:3000" if "uint16" in name or "float32" in name else None
    with pytest.raises(TerrapatchError, match=REFUSED[name]) as caught:
        tp.embed(path, tmp_path / "f.zarr", size=32, backbone="imagestats", units=units)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_every_file_is_accounted_for(data_dir: Callable[..., Path]) -> None:
    assert {p.name for p in data_dir("tricky").glob("*.tif")} == {*WORKS, *REFUSED}
