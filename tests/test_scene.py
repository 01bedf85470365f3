"""What a raster is to us: bands, units, grid, and the sentences that refuse the rest."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from terrapatch.errors import BandError, CorruptBlockError, SceneError, UnitsError
from terrapatch.errors import SceneNotFoundError as NotFound
from terrapatch.grid import PatchGrid
from terrapatch.reading import SceneReader, find_valid, read_sample
from terrapatch.scene import Scene
from terrapatch.stream import read_blocks

MakeRaster = Callable[..., Path]
Data = Callable[..., Path]


def test_what_a_scene_says_of_a_file(make_raster: MakeRaster) -> None:
    path = make_raster(dtype="uint16", bands=4, descriptions=["blue", "green", "Red", "NIR"])
    with rasterio.open(path, "r+") as src:
        src.update_tags(TIFFTAG_DATETIME="2021:06:05 10:20:30")
    scene = Scene.open(path)
    with rasterio.open(path) as src:
        assert scene.geobox.affine == src.transform
        assert scene.geobox.crs == src.crs
    assert scene.shape == (64, 64)
    assert scene.name == "scene.tif"
    assert scene.bands == (1, 2, 3, 4)
    assert scene.roles == ("blue", "green", "red", "nir")
    assert scene.block_shape == (32, 32)
    assert scene.units is None
    assert scene.datetime == "2021-06-05T10:20:30Z"
    described = Scene.open(path, units="0:3000").as_dict()
    assert described["bands"] == [1, 2, 3, 4]
    assert described["units"]["high"] == [3000.0] * 4
    assert described["nodata_rule"] == "any band"
    for value in (float("nan"), float("inf"), -9999.0, None):
        recipe = Scene.open(path, units="0:3000", nodata=value).as_dict()
        assert json.loads(json.dumps(recipe, allow_nan=False)) == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-06-05 10:20:30", "2021-06-05T10:20:30Z"),
        ("0000:00:00 00:00:00", None),
        ("2021:13:05 10:20:30", None),
        ("June 2021", None),
        ("", None),
    ],
)
def test_dates_that_are_no_dates_are_left_out(
    make_raster: MakeRaster, text: str, expected: str | None
) -> None:
    path = make_raster()
    with rasterio.open(path, "r+") as src:
        src.update_tags(TIFFTAG_DATETIME=text)
    assert Scene.open(path).datetime == expected


@pytest.mark.parametrize("nodata", [None, 0, "nan", "alpha", "mask"])
def test_scenes_are_values(make_raster: MakeRaster, nodata: Any) -> None:
    dtype = "float32" if nodata == "nan" else "uint8"
    path = make_raster(dtype=dtype, nodata=nodata)
    one, other = Scene.open(path), Scene.open(str(path))
    assert one == other
    assert hash(one) == hash(other)
    back = pickle.loads(pickle.dumps(one))
    assert back == one
    assert hash(back) == hash(one)
    assert back.signature == one.signature
    assert pickle.loads(pickle.dumps(back)) == other
    assert one.with_bands([1]) != one
    with pytest.raises(FrozenInstanceError):
        one.dtype = "int8"  # type: ignore[misc]


def test_the_signature_is_of_the_content(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster(height=500, width=500)
    first = Scene.open(path)
    copy = shutil.copy(path, tmp_path / "elsewhere.tif")
    assert Scene.open(copy).signature == first.signature
    assert Scene.open(path, bands=[2]).signature == first.signature
    for i, options in enumerate([{"seed": 1}, {"width": 499}, {"dtype": "uint16"}]):
        other = make_raster(f"{i}.tif", **({"height": 500, "width": 500} | options))
        assert Scene.open(other).signature != first.signature


def test_the_signature_of_a_vrt_is_of_its_pixels(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster("s.tif", bands=1, compress=None)
    (tmp_path / "s.vrt").write_text(VRT.format(band=BAND.format("Byte", "s.tif")))
    before = Scene.open(tmp_path / "s.vrt").signature
    make_raster("s.tif", bands=1, compress=None, seed=5)
    assert source.exists()
    assert Scene.open(tmp_path / "s.vrt").signature != before


VRT = (
    '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32643</SRS>'
    "<GeoTransform>280000, 0.5, 0, 2110000, 0, -0.5</GeoTransform>{band}</VRTDataset>"
)
BAND = (
    '<VRTRasterBand dataType="{}" band="1"><SimpleSource><SourceFilename relativeToVRT="1">{}'
    "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
)


def test_choosing_bands(make_raster: MakeRaster) -> None:
    names = ["blue", "green", "red", "nir"]
    path = make_raster(bands=4, dtype="uint16", nodata=0, descriptions=names)
    assert Scene.open(path, bands="rgb").bands == (3, 2, 1)
    assert Scene.open(path, bands="cir").roles == ("nir", "red", "green")
    chosen = Scene.open(path, bands=[4, "red"])
    assert chosen.bands == (4, 3)
    assert chosen.chosen
    assert chosen.nodata == (0, 0)
    assert Scene.open(path, bands="1-3").bands == (1, 2, 3)
    with pytest.raises(BandError, match=r"scene.tif has no band named 'swir'; choose from 1 blue"):
        Scene.open(path, bands="swir")


def test_alpha_is_no_band_unless_chosen(make_raster: MakeRaster) -> None:
    for dtype in ("uint8", "uint16"):
        scene = Scene.open(make_raster(dtype=dtype, nodata="alpha"))
        assert scene.bands == (1, 2, 3)
        assert scene.alpha == 4
        assert scene.with_bands([4]).bands == (4,)


def test_a_band_named_nir_is_no_alpha(make_raster: MakeRaster) -> None:
    """GDAL tags the fourth of four eight-bit bands as alpha unless told otherwise."""
    path = make_raster(bands=4, descriptions=["red", "green", "blue", "nir"])
    with rasterio.open(path) as src:
        assert src.colorinterp[3].name == "alpha"
    scene = Scene.open(path)
    assert scene.alpha is None
    assert scene.bands == (1, 2, 3, 4)
    assert not scene.has_mask


def test_bands_for_a_network(make_raster: MakeRaster) -> None:
    named = Scene.open(make_raster(bands=4, descriptions=["blue", "green", "red", "nir"]))
    assert named.for_channels(None) is named
    assert named.for_channels(4) is named
    assert named.for_channels(3).bands == (3, 2, 1)
    assert not named.for_channels(3).chosen
    assert named.for_channels(3).units is not None
    with pytest.raises(BandError, match=r"4 bands are chosen .* takes 3; choose 3"):
        named.with_bands("1-4").for_channels(3)
    bare = make_raster("bare.tif", bands=6, colorinterp=["gray"] + ["undefined"] * 5)
    with pytest.raises(
        BandError, match=r"named red, green and blue, .* --bands, for example 3,2,1"
    ):
        Scene.open(bare).for_channels(3)
    grey = Scene.open(make_raster("grey.tif", bands=1))
    with pytest.raises(BandError, match="1,1,1 to show one band as grey"):
        grey.for_channels(3)
    assert Scene.open(grey, bands="1,1,1").for_channels(3).bands == (1, 1, 1)
    turned = Scene.open(make_raster("t.tif", bands=3, descriptions=["blue", "green", "red"]))
    assert turned.for_channels(3).bands == (3, 2, 1), "names count, not the order of the file"
    each = turned.with_units("0:10,0:20,0:30").for_channels(3).require_units()
    assert (each.text, each.high) == ("0:30,0:20,0:10", (30, 20, 10))
    sentinel = ["B01", "B02", "B8A"]
    s2 = Scene.open(make_raster("s2.tif", bands=3, descriptions=sentinel))
    assert s2.for_channels(2, ("b8a", "b01")).bands == (3, 1)
    with pytest.raises(BandError, match=r"takes 2 bands, in this order: b8a, b09; choose them"):
        s2.for_channels(2, ("b8a", "b09"))
    ranged = Scene.open(make_raster("u.tif", bands=4, dtype="uint16", descriptions=["b", "g", "r"]))
    assert ranged.with_units("0:3000").for_channels(3).require_units().high == (3000.0,) * 3


def test_units_are_declared_or_refused(make_raster: MakeRaster) -> None:
    eight = Scene.open(make_raster("a.tif"))
    assert eight.require_units().is_eight_bit
    assert Scene.open(eight, units="10:200").require_units().low == (10, 10, 10)
    wide = Scene.open(make_raster("b.tif", dtype="uint16"))
    with pytest.raises(
        UnitsError, match=r"units of b.tif \(uint16\) .* --units, for example 0:3000"
    ):
        wide.require_units()
    for text in wide.suggestions():
        assert Scene.open(wide, units=text).units is not None
    with pytest.raises(UnitsError, match=r"b.tif holds uint16, .* write 0:255"):
        wide.with_units("uint8")
    assert wide.with_units("0:255").require_units().high == (255.0,) * 3
    assert Scene.open(wide.with_units("0:9"), bands=[1]).require_units().high == (9.0,)
    with pytest.raises(UnitsError, match="2 ranges but 3 bands"):
        wide.with_units("0:1,0:2")


def test_a_scene_opened_again_keeps_what_is_not_said(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster(dtype="uint16"), bands=[3, 1], units="0:9", nodata=7)
    assert Scene.open(scene) is scene
    assert Scene.open(scene, nodata=8).band_nodata == (8, 8, 8)
    assert Scene.open(scene, nodata=8).bands == (3, 1)
    assert Scene.open(scene, nodata=8).units == scene.units
    assert Scene.open(scene, bands=[2]).nodata == (7,)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"transform": Affine(0.5, 0.1, 0, 0.1, -0.5, 9)},
            "rotated: .*gdalwarp scene.tif north_up",
        ),
        ({"transform": Affine(0.5, 0.1, 0, 0, -0.5, 9), "crs": None}, "rotated: .*assign its CRS"),
        ({"transform": Affine(0.5, 0, 0, 0, 0.5, 9)}, "stored south-up: .*gdalwarp"),
        ({"transform": Affine(-0.5, 0, 0, 0, -0.5, 9)}, "east to west"),
        ({"transform": None}, "a CRS but no position: .*-a_ullr"),
        ({"dtype": "complex64", "values": "constant"}, "complex numbers"),
        ({"dtype": "complex_int16"}, "complex numbers"),
        ({"photometric": "palette", "bands": 1}, "palette image: .*-expand rgb"),
    ],
)
def test_rasters_refused_by_name(
    tmp_path: Path, make_raster: MakeRaster, options: dict[str, Any], words: str
) -> None:
    if options.get("dtype") == "complex_int16":
        profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "complex_int16"}
        with rasterio.open(tmp_path / "scene.tif", "w", **profile):
            path = tmp_path / "scene.tif"
    else:
        path = make_raster(**options)
    if "photometric" in options:
        with rasterio.open(path, "r+") as src:
            src.write_colormap(1, {1: (255, 0, 0, 255)})
    with pytest.raises(SceneError, match=words) as fault:
        Scene.open(path)
    assert "scene.tif" in str(fault.value)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_and_polynomials_alone_are_refused(make_raster: MakeRaster) -> None:
    gcps = make_raster("gcps.tif", crs=None, transform=None)
    points = [GroundControlPoint(r, c, 7 + c / 99, 9 - r / 99) for r, c in [(0, 0), (9, 0), (0, 9)]]
    with rasterio.open(gcps, "r+") as src:
        src.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    with pytest.raises(SceneError, match=r"only by 3 ground control points; .*gdalwarp gcps.tif"):
        Scene.open(gcps)
    rpcs = make_raster("rpcs.tif", crs=None, transform=None)
    flat = [1.0] + [0.0] * 19
    with rasterio.open(rpcs, "r+") as src:
        src.rpcs = RPC(1, 1, 1, 1, flat, flat, 1, 1, 1, 1, flat, flat, 1, 1)
    with pytest.raises(SceneError, match=r"rational polynomials \(RPC\); .*gdalwarp -rpc rpcs.tif"):
        Scene.open(rpcs)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_plain_picture_without_any_position_is_a_scene(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("p.png", driver="PNG", crs=None, transform=None))
    assert scene.geobox.crs is None
    assert scene.geobox.affine == Affine.identity()


def test_what_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^there is no file .*nowhere.tif; check the path$"):
        Scene.open(tmp_path / "nowhere.tif")
    with pytest.raises(SceneError, match="is a folder, not a raster"):
        Scene.open(tmp_path)
    for name, content in [
        ("e.tif", b""),
        ("t.txt", b"hello"),
        ("h.tif", b"II*\x00\x08\x00\x00\x00"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SceneError, match=f"{name} cannot be opened as a raster"):
            Scene.open(tmp_path / name)
    with pytest.raises(SceneError, match="cannot be opened as a raster"):
        Scene.open("/vsizip/nowhere.zip/a.tif")


def test_a_file_of_sub_datasets_names_them(tmp_path: Path) -> None:
    with rasterio.Env() as env:
        if "GPKG" not in env.drivers():
            pytest.skip("this GDAL has no GPKG")
    profile = {"driver": "GPKG", "width": 8, "height": 8, "count": 1, "dtype": "uint8"}
    profile |= {"crs": "EPSG:3857", "transform": Affine(1, 0, 0, 0, -1, 0)}
    for i, table in enumerate(("a", "b")):
        options = {"RASTER_TABLE": table} | ({"APPEND_SUBDATASET": "YES"} if i else {})
        with rasterio.open(tmp_path / "two.gpkg", "w", **profile, **options) as dst:
            dst.write(np.full((1, 8, 8), i + 1, np.uint8))
    with pytest.raises(
        SceneError, match="holds no bands of its own; name one of its 2 sub-datasets"
    ):
        Scene.open(tmp_path / "two.gpkg")
    assert Scene.open(f"GPKG:{tmp_path}/two.gpkg:b").shape == (8, 8)


def test_a_vrt_without_bands_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.vrt").write_text(VRT.format(band=""))
    with pytest.raises(SceneError, match=r"none\.vrt"):
        Scene.open(tmp_path / "none.vrt")


def test_a_vrt_whose_source_is_gone_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "s.vrt").write_text(VRT.format(band=BAND.format("Byte", "gone.tif")))
    scene = Scene.open(tmp_path / "s.vrt")
    with SceneReader(scene) as reader, pytest.raises(CorruptBlockError, match=r"gone\.tif"):
        reader.read(slice(0, 64), slice(0, 64))


def test_a_read_only_folder_is_enough(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster("folder/a.tif", bands=1)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        scene = Scene.open(path)
        assert scene.signature
        assert read_sample(scene).values[0].size == 64 * 64
        assert [p.name for p in path.parent.iterdir()] == ["a.tif"]
    finally:
        path.parent.chmod(0o700)


def array(
    shape: tuple[int, ...] = (3, 6, 8),
    dims: tuple[str, ...] = ("band", "y", "x"),
    dtype: str = "uint8",
    crs: str | None = "EPSG:32643",
) -> xr.DataArray:
    """Return an array with coordinates of pixel centres, 2 m apart, north up."""
    places = {
        d: 1000 - 2.0 * np.arange(n) if d in ("y", "lat", "latitude") else 500 + 2.0 * np.arange(n)
        for d, n in zip(dims, shape, strict=True)
        if d in ("y", "x", "lat", "lon", "latitude", "longitude")
    }
    values = np.random.default_rng(0).integers(1, 200, shape).astype(dtype)
    made = xr.DataArray(values, dims=dims, coords=places, name="made")
    if crs is None:
        return made
    import rioxarray  # noqa: F401

    return made.rio.write_crs(crs)


@pytest.mark.parametrize(
    "dims",
    [
        ("y", "x"),
        ("band", "y", "x"),
        ("y", "x", "band"),
        ("x", "y"),
        ("lat", "lon"),
        ("time", "latitude", "longitude"),
        ("lon", "lat", "wavelength"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<f4", "float64"])
def test_arrays_of_any_order(dims: tuple[str, ...], dtype: str) -> None:
    sizes = {"x": 8, "lon": 8, "longitude": 8, "y": 6, "lat": 6, "latitude": 6}
    source = array(tuple(sizes.get(d, 3) for d in dims), dims, dtype)
    scene = Scene.open(source, units=None if dtype == "uint8" else "0:255")
    across = next(d for d in dims if sizes.get(d) == 8)
    down = next(d for d in dims if sizes.get(d) == 6)
    extra = [d for d in dims if d not in sizes]
    assert scene.geobox.affine == Affine(2, 0, 499, 0, -2, 1001)
    assert scene.geobox.crs.to_epsg() == 32643
    assert scene.dtype == np.dtype(dtype).name
    assert scene.driver == "array"
    with SceneReader(scene) as reader:
        pixels, valid = reader.read(slice(1, 5), slice(2, 8))
    expected = source.transpose(*extra, down, across).values.reshape(-1, 6, 8)
    assert valid is None
    assert pixels.dtype.isnative
    assert np.array_equal(pixels, expected[:, 1:5, 2:8])


def test_arrays_carry_their_own_nodata_and_names() -> None:
    source = array(dtype="int16")
    source[0, 0, 0] = -5
    source.attrs["_FillValue"] = -5
    source = source.assign_coords(band=["red", "green", "nir"])
    scene = Scene.open(source, bands=["nir", "red"], units="0:200")
    assert scene.nodata == (-5, -5)
    assert scene.bands == (3, 1)
    with SceneReader(scene) as reader:
        valid = reader.read(slice(0, 6), slice(0, 8))[1]
    assert valid is not None
    assert not valid[0, 0]
    assert valid.sum() == 47
    assert scene.signature != Scene.open(array(dtype="int16")).signature
    with_names = array().assign_attrs(long_name=("Blue", "Green", "Red"))
    assert Scene.open(with_names, bands="rgb").bands == (3, 2, 1)


def test_arrays_embed_like_the_file_they_came_from(make_raster: MakeRaster) -> None:
    import rioxarray

    path = make_raster(dtype="uint16", nodata=0, height=50, width=40, block=16)
    from_file = Scene.open(path, units="0:3000")
    for opened in (rioxarray.open_rasterio(path), rioxarray.open_rasterio(path, masked=True)):
        from_array = Scene.open(opened, units="0:3000")
        assert from_array.geobox == from_file.geobox
        grid = PatchGrid.over(from_file.geobox, 12, 9)
        pairs = zip(read_blocks(from_file, grid, 2), read_blocks(from_array, grid, 2), strict=True)
        for one, other in pairs:
            assert np.allclose(one.pixels, other.pixels, rtol=1e-5)
            assert np.array_equal(one.valid, other.valid)
            assert np.array_equal(one.share, other.share)


def test_dask_arrays_are_read_chunk_by_chunk() -> None:
    pytest.importorskip("dask.array")
    source = array((3, 64, 48)).chunk({"y": 16, "x": 48})
    scene = Scene.open(source)
    assert scene.block_shape == (16, 48)
    with SceneReader(scene) as reader:
        pixels, _ = reader.read(slice(10, 40), slice(5, 9))
    assert np.array_equal(pixels, source.values[:, 10:40, 5:9])
    assert find_valid(scene) == (32, 24)


def test_arrays_without_a_crs_and_of_one_row() -> None:
    assert Scene.open(array(crs=None)).geobox.crs is None
    assert Scene.open(array((1, 8), ("y", "x"))).geobox.affine == Affine(2, 0, 499, 0, -2, 1001)
    assert Scene.open(array((6, 1), ("y", "x"))).geobox.affine == Affine(2, 0, 499, 0, -2, 1001)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (array().isel(y=slice(None, None, -1)), "made is not north-up .*sortby"),
        (array().isel(x=slice(None, None, -1)), "made is not north-up"),
        (array().drop_vars("y"), "made has no regular coordinates"),
        (array().isel(x=[0, 1, 3, 4]), "made has no regular coordinates"),
        (array((1, 1), ("y", "x")), "made has no regular coordinates"),
        (array().astype(complex), "made holds complex128"),
        (array().astype(bool), "made holds bool"),
        (array((2, 3), ("a", "b"), crs=None), r"dimensions of made are \('a', 'b'\)"),
        (array((2, 2, 6, 8), ("time", "band", "y", "x")), "at most one band dimension"),
        (array().to_dataset(), "Dataset is not one raster; pass one of its variables"),
    ],
)
def test_arrays_that_are_refused(source: Any, words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene.open(source)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "bands", "dtype", "suggestion"),
    [
        ("landsat7_olinda_6band.tif", 6, "uint8", None),
        ("manila_drone_10cm_rgb.tif", 3, "uint8", None),
        ("naip_2009_rgbn.tif", 4, "uint8", None),
        ("naip_2020_rgbn.tif", 4, "uint8", None),
        ("sentinel2_bengaluru_4band_uint16_nodata9999.tif", 4, "uint16", "0:3000"),
        ("sentinel2_two_dates_8band_uint16.tif", 8, "uint16", "0:3000"),
    ],
)
def test_real_scenes(
    data_dir: Data, name: str, bands: int, dtype: str, suggestion: str | None
) -> None:
    scene = Scene.open(data_dir("scenes", name))
    assert len(scene.bands) == bands
    assert scene.dtype == dtype
    if suggestion is None:
        assert scene.require_units().is_eight_bit
    else:
        with pytest.raises(UnitsError, match=f"for example {suggestion} or reflectance:10000"):
            scene.require_units()
    for text in scene.suggestions():
        assert scene.with_units(text).require_units().text == text
    assert find_valid(scene) is not None
    assert PatchGrid.over(scene.geobox, "300m").ground_size() == pytest.approx((300, 300), rel=0.06)


TRICKY = {
    "31band_uint8_1800px_nodata255.tif": None,
    "4band_nodata0_no_alpha_interp.tif": None,
    "all_nodata_uint16_4band.tif": None,
    "antimeridian_4326_float32.tif": None,
    "esri_wkt_crs.tif": None,
    "float64_nan_nodata_nan.tif": None,
    "gcps210_no_transform_uint16.tif": "only by 210 ground control points",
    "internal_mask_rgb.tif": None,
    "jpeg_cog_corrupt_tiles.tif": None,
    "jpeg_cog_internal_mask_ovr.tif": None,
    "palette_custom_laea.tif": "is a palette image",
    "rgba_uint16_alpha.tif": None,
    "rotated_20px.tif": "is rotated",
    "rotated_no_crs_packbits.tif": "is rotated",
    "rpcs_uint16.tif": "RPC",
    "south_up_float32.tif": "is stored south-up",
    "webp_rgb.tif": None,
}


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", TRICKY)
def test_tricky_files_work_or_are_refused_by_name(data_dir: Data, name: str) -> None:
    path, words = data_dir("tricky", name), TRICKY[name]
    if words is not None:
        with pytest.raises(SceneError, match=words) as fault:
            Scene.open(path)
        assert name in str(fault.value)
        return
    scene = Scene.open(path)
    assert pickle.loads(pickle.dumps(scene)) == Scene.open(path)
    rows, cols = (slice(0, min(n, 400)) for n in scene.shape)
    with SceneReader(scene) as reader, rasterio.open(path) as src:
        pixels, valid = reader.read(rows, cols)
        whole = src.read(list(scene.bands))[:, rows, cols] if "corrupt" not in name else pixels
    assert np.array_equal(pixels, whole, equal_nan=scene.dtype[0] == "f")
    if name.startswith("all_nodata"):
        assert valid is not None
        assert not valid.any()
        assert find_valid(scene) is None
        assert scene.suggestions() == ["percentile:2,98"]
    elif "corrupt" in name:
        with pytest.raises(CorruptBlockError, match=f"{name} is damaged: block 1,1 "):
            find_valid(scene)
    else:
        assert find_valid(scene) is not None
