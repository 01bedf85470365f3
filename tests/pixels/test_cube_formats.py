"""The same cube reads back equal from every format."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rioxarray

import cube_files as files
from terrapatch.cubes import Cube
from terrapatch.errors import SceneError
from terrapatch.scene import Scene

ALL = slice(None)


def check(cube: Cube, *, wide: bool, placed: bool) -> None:
    values, valid = files.truth()
    assert cube.shape == (files.ROWS, files.COLS)
    assert tuple(b.number for b in cube.bands) == files.KEPT
    assert {d.band.number for d in cube.dropped} == {3, 5}
    kept = [n - 1 for n in files.KEPT]
    np.testing.assert_allclose(cube.wavelengths, files.WAVES[kept])
    if wide:
        np.testing.assert_allclose([b.fwhm for b in cube.bands], files.WIDTHS[kept])
    assert cube.georeferenced is placed
    if placed:
        assert cube.geobox.crs.to_epsg() == 32633
        np.testing.assert_allclose(cube.geobox.affine[:6], files.TRANSFORM[:6])
    else:
        assert cube.geobox.crs is None
        assert cube.geobox.affine.is_identity
    with cube.reader() as reader:
        block = reader.read(ALL, ALL)
        np.testing.assert_array_equal(block.valid, valid)
        np.testing.assert_allclose(block.values, values, rtol=1e-6)
        assert block.values.dtype == np.float32
        part = reader.read(slice(2, 9), slice(4, 11))
    np.testing.assert_array_equal(part.values, block.values[2:9, 4:11])
    np.testing.assert_array_equal(part.valid, block.valid[2:9, 4:11])


@pytest.mark.parametrize("name", files.FORMATS)
def test_every_format_reads_the_same(name: str, tmp_path: Path) -> None:
    file, write, options = files.FORMATS[name]
    path = write(tmp_path / file)
    wide, placed = name.startswith(files.WIDE), name.startswith(files.PLACED)
    cube = Cube.open(path, **options)
    check(cube, wide=wide, placed=placed)
    again = pickle.loads(pickle.dumps(cube))
    check(again, wide=wide, placed=placed)
    assert again.signature == cube.signature == Cube.open(path, **options).signature
    assert again == cube
    assert again.as_dict() == cube.as_dict()


@pytest.mark.parametrize("suffix", ["", ".dat", ".img", ".bsq", ".IMG"])
def test_either_file_of_an_envi_pair_opens_it(suffix: str, tmp_path: Path) -> None:
    pixels = files.write_envi(tmp_path / f"scene{suffix}")
    for path in (pixels, tmp_path / "scene.hdr"):
        check(Cube.open(path), wide=True, placed=True)


def test_a_header_named_after_the_whole_file(tmp_path: Path) -> None:
    pixels = files.write_envi(tmp_path / "scene.dat")
    header = tmp_path / "scene.hdr"
    header.rename(tmp_path / "scene.dat.hdr")
    for path in (pixels, tmp_path / "scene.dat.hdr"):
        check(Cube.open(path), wide=True, placed=True)


@pytest.mark.parametrize(
    "dims", [("wavelength", "y", "x"), ("y", "x", "wavelength"), ("x", "wavelength", "y")]
)
def test_data_arrays_in_any_order(dims: tuple[str, ...]) -> None:
    box = files.data_set()
    array = box.set_coords(["fwhm", "good_wavelengths", "crs"]).reflectance.transpose(*dims)
    check(Cube.open(array), wide=True, placed=True)


def test_a_scene_and_a_cube_are_sources(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    cube = Cube.open(Scene.open(path))
    check(cube, wide=True, placed=True)
    assert Cube.open(cube) is cube
    assert Cube.open(cube, drop="1,2").bands == cube.bands[2:]
    some = Cube.open(Scene.open(path, bands=[4, 1]))
    assert [b.number for b in some.bands] == [4, 1]
    np.testing.assert_allclose(some.wavelengths, [850, 450])
    box = Scene.open(files.data_set().set_coords("crs").reflectance, bands=[4, 1])
    assert Cube.open(box).n_bands == 2


def test_an_envi_scene_keeps_its_header(tmp_path: Path) -> None:
    path = files.write_envi(tmp_path / "c.dat")
    some = Cube.open(Scene.open(path, bands=[7, 2]))
    np.testing.assert_allclose(some.wavelengths, [2200, 550])
    assert some.scale == (0.0001, 0.0001)


def test_npy_is_mapped_and_told_its_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", files.values().transpose(2, 0, 1))
    options = {"axes": "byx", "drop": "3", "nodata": files.NODATA, "scale": files.SCALE}
    cube = Cube.open(tmp_path / "c.npy", wavelengths=files.WAVES, **options)
    check(cube, wide=False, placed=False)
    told = Cube.open(tmp_path / "c.npy", axes="byx")
    assert told.wavelengths is None


def test_south_up_rows_are_turned(tmp_path: Path) -> None:
    box = files.data_set().isel(y=slice(None, None, -1), x=slice(None, None, -1))
    box.to_netcdf(tmp_path / "up.nc", engine="h5netcdf")
    cube = Cube.open(tmp_path / "up.nc")
    check(cube, wide=True, placed=True)
    assert sum("turned" in note for note in cube.notes) == 2


def test_latitude_and_longitude_without_a_crs(tmp_path: Path) -> None:
    box = files.data_set().drop_vars("crs").rename(y="lat", x="lon")
    box = box.assign_coords(lat=48 - 0.01 * np.arange(files.ROWS))
    box = box.assign_coords(lon=11 + 0.01 * np.arange(files.COLS))
    del box.reflectance.attrs["grid_mapping"]
    box.lat.attrs["units"], box.lon.attrs["units"] = "degrees_north", "degrees_east"
    box.to_netcdf(tmp_path / "deg.nc", engine="h5netcdf")
    cube = Cube.open(tmp_path / "deg.nc")
    assert cube.geobox.crs.to_epsg() == 4326
    assert any("WGS 84" in note for note in cube.notes)


def test_dimensions_without_coordinates_give_no_place(tmp_path: Path) -> None:
    files.data_set().drop_vars(["x", "y", "crs"]).to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    cube = Cube.open(tmp_path / "c.nc")
    assert cube.georeferenced is False
    assert tuple(b.number for b in cube.bands) == files.KEPT


def test_a_time_of_one_is_no_axis(tmp_path: Path) -> None:
    box = files.data_set()
    box["reflectance"] = box.reflectance.expand_dims("time")
    box.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    check(Cube.open(tmp_path / "c.nc"), wide=True, placed=True)


def test_a_swath_with_its_lists_in_groups(tmp_path: Path) -> None:
    """Rows and columns named as the satellite flies, wavelengths in another group (EMIT)."""
    with h5py.File(tmp_path / "c.nc", "w") as out:
        cube = out.create_dataset("reflectance", data=files.values().astype("float32"))
        cube.attrs["_FillValue"] = np.array([files.NODATA], "float32")
        for axis, name in enumerate(("downtrack", "crosstrack", "bands")):
            scale = out.create_dataset(name, data=np.zeros(cube.shape[axis], "float32"))
            scale.make_scale("This is a netCDF dimension but not a netCDF variable.         7")
            cube.dims[axis].attach_scale(scale)
        group = out.create_group("sensor_band_parameters")
        group["wavelengths"], group["fwhm"] = files.WAVES, files.WIDTHS
        group["good_wavelengths"] = files.GOOD.astype("uint8")
        out["location/lat"] = np.zeros((files.ROWS, files.COLS))
    check(Cube.open(tmp_path / "c.nc", scale=files.SCALE), wide=True, placed=False)


def test_a_raster_beside_the_header_of_another_file(tmp_path: Path) -> None:
    files.write_tif(tmp_path / "c.tif")
    (tmp_path / "c.hdr").write_text(files.envi_header(lines=9999, wavelength="{1, 2}"))
    check(Cube.open(tmp_path / "c.tif"), wide=True, placed=True)


def test_a_gis_file_of_eight_bit_numbers(tmp_path: Path) -> None:
    head = bytearray(128)
    head[:6], head[8:10] = b"HEAD74", np.array([1], "<i2").tobytes()
    head[16:24] = np.array([5, 4], "<i4").tobytes()
    (tmp_path / "c.gis").write_bytes(bytes(head) + bytes(range(20)))
    with Cube.open(tmp_path / "c.gis").reader() as reader:
        values = reader.read(ALL, ALL).values
    np.testing.assert_array_equal(values[..., 0], np.arange(20).reshape(4, 5))


def test_wavelengths_in_the_names_that_rioxarray_reads(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    with rasterio.open(path, "r+") as out:
        for i, nm in enumerate(files.WAVES, 1):
            out.set_band_description(i, f"band {i} ({nm} Nanometers)")
    cube = Cube.open(rioxarray.open_rasterio(path), drop="3")
    check(cube, wide=False, placed=True)


def test_damage_is_located(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    cube = Cube.open(path)
    path.write_bytes(path.read_bytes()[:600])
    with (
        pytest.raises(SceneError, match=r"c\.tif"),
        cube.reader() as reader,
    ):
        reader.read(ALL, ALL)


@pytest.mark.data
def test_the_real_cubes(data_dir) -> None:
    enmap = Cube.open(data_dir("enmap_potsdam", "potsdam_images.tif"))
    assert enmap.shape == (192, 160)
    reasons = {d.band.number: d.reason for d in enmap.dropped}
    assert {n for n, why in reasons.items() if why == "bad-band list"} == set(range(130, 136))
    assert all(
        1350 <= d.band.wavelength <= 1420 or 1800 <= d.band.wavelength <= 1950
        for d in enmap.dropped
        if d.reason == "water vapour"
    )
    assert enmap.n_bands + len(enmap.dropped) == 224
    assert enmap.geobox.crs.to_epsg() == 32633
    assert enmap.valid_share == pytest.approx(0.61, abs=0.02)
    kept = Cube.open(enmap, keep_bad=True, water_vapour=False)
    assert {d.reason for d in kept.dropped} == {"no data"}
    assert kept.n_bands == 218
    with enmap.reader() as reader:
        block = reader.read(slice(0, 60), slice(0, 60))
    assert 0 < np.nanmedian(block.values) < 0.6


@pytest.mark.data
def test_indian_pines(data_dir) -> None:
    path = data_dir("indian_pines", "indian_pines_8bit.npz")
    cube = Cube.open(path)
    assert cube.shape == (145, 145)
    assert cube.georeferenced is False
    assert Cube.open(path, water_vapour=False).n_bands == 200
    assert Cube.open(f"{path}:cube").bands == cube.bands
    assert cube.nearest_band(650) == int(np.abs(cube.wavelengths - 650).argmin())


@pytest.mark.data
def test_landsat_holds_a_nodata_value_that_it_does_not_state(data_dir) -> None:
    path = data_dir("landsat_raleigh", "landsat7_2000_6band_float32.tif")
    cube = Cube.open(path)
    assert cube.roles == ("blue", "green", "red", "nir", "swir1", "swir2")
    assert cube.wavelengths is None
    assert any(note.startswith("-32768 in band 6") for note in cube.notes)
    with cube.reader() as reader:
        block = reader.read(ALL, ALL)
    assert np.nanmin(block.values) > 0
    assert block.valid.mean() == pytest.approx(0.6236, abs=1e-3)
    with Cube.open(path, drop="swir2").reader() as reader:
        assert reader.read(ALL, ALL).valid.mean() == pytest.approx(0.8467, abs=1e-3)
