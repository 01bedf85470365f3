"""Which bands a cube keeps, what it says about them, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

import cube_files as files
from terrapatch.cubes import Cube
from terrapatch.errors import BandError, CorruptBlockError, CubeError, SceneError

ALL = slice(None)


def noise(rows: int = 8, cols: int = 9, bands: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, cols, bands)).astype("float32") + 1


def reasons(cube: Cube) -> dict[int, str]:
    return {d.band.number: d.reason for d in cube.dropped}


def test_dead_bands_are_left_out() -> None:
    values = noise()
    values[..., 1] = 7
    values[..., 3] = np.nan
    cube = Cube.of_array(values)
    assert reasons(cube) == {2: "constant (7)", 4: "no data"}
    with cube.reader() as reader:
        np.testing.assert_array_equal(reader.read(ALL, ALL).values, values[..., [0, 2, 4, 5]])


def test_one_varying_pixel_saves_a_band(tmp_path: Path) -> None:
    """A thin sample misses it; the whole file does not."""
    values = np.ones((900, 1200, 6), "float32")
    values[..., 3:] = np.random.default_rng(0).random((900, 1200, 3))
    values[457, 3, 1] = 2
    values[..., 2] = np.nan
    place = {"height": 900, "width": 1200, "crs": files.CRS, "transform": files.TRANSFORM}
    with rasterio.open(
        tmp_path / "c.tif", "w", driver="GTiff", count=6, dtype="float32", **place
    ) as out:
        out.write(values.transpose(2, 0, 1))
    for cube in (Cube.open(tmp_path / "c.tif"), Cube.of_array(values)):
        assert reasons(cube) == {1: "constant (1)", 3: "no data"}


def test_a_single_pixel_is_no_constant() -> None:
    assert Cube.of_array(np.ones((1, 1, 4))).n_bands == 4


def test_water_vapour_takes_narrow_bands_only() -> None:
    waves = [1300, 1349, 1350, 1400, 1420, 1421, 1799, 1800, 1950, 1951]
    values = noise(bands=10)
    cube = Cube.of_array(values, wavelengths=waves, fwhm=[10] * 10)
    assert reasons(cube) == dict.fromkeys((3, 4, 5, 8, 9), "water vapour")
    assert Cube.of_array(values, wavelengths=waves, fwhm=[31] * 10).n_bands == 10
    assert Cube.of_array(values, wavelengths=waves, fwhm=[9] * 10, water_vapour=False).n_bands == 10
    assert Cube.of_array(values).n_bands == 10
    coarse = Cube.of_array(noise(), wavelengths=[500, 700, 900, 1400, 1850, 2200])
    assert coarse.n_bands == 6, "their spacing says that they are broad"


def test_what_a_person_drops() -> None:
    waves = np.linspace(400, 900, 6)
    cube = Cube.of_array(noise(), wavelengths=waves, band_names=["a", "b", "c", "d", "e", "f"])

    def left(drop: Any) -> list[int]:
        return [b.number for b in Cube.open(cube, drop=drop).bands]

    assert left("1-2, 5") == [3, 4, 6]
    assert left("550-750nm") == [1, 2, 5, 6]
    assert left("0.55-0.75um,a") == [2, 5, 6]
    assert left([1, "f"]) == [2, 3, 4, 5]
    assert left(3) == [1, 2, 4, 5, 6]
    for drop, words in {
        "7": "has no bands 7 to drop",
        "4-2": "has no bands 4-2",
        "x": "names no bands",
        "750-550nm": "runs backwards",
        "1-6": "no band of array is left: all 6 are dropped (6 asked to drop)",
    }.items():
        with pytest.raises(CubeError, match=words.replace("(", r"\(").replace(")", r"\)")):
            left(drop)
    with pytest.raises(CubeError, match="states no wavelengths"):
        Cube.open(Cube.of_array(noise()), drop="400-500nm")


def test_bands_in_the_order_asked_for() -> None:
    cube = Cube.of_array(noise(), band_names=["blue", "green", "red", "NIR", "s1", "s2"])
    some = Cube.open(cube, bands="nir,red,1-2")
    assert [b.number for b in some.bands] == [4, 3, 1, 2]
    assert some.roles == ("nir", "red", "blue", "green")
    with some.reader() as reader, cube.reader() as whole:
        part, full = reader.read(ALL, ALL).values, whole.read(ALL, ALL).values
    np.testing.assert_array_equal(part, full[..., [3, 2, 0, 1]])
    with pytest.raises(CubeError, match="chosen twice"):
        Cube.open(cube, bands="1,1")
    with pytest.raises(BandError, match="no band 9"):
        Cube.open(cube, bands="9")


def test_pixels_that_miss_some_bands_are_invalid_and_said() -> None:
    values = noise()
    values[:4, :, 2] = np.nan
    cube = Cube.of_array(values)
    assert cube.valid_share == 0.5
    assert cube.notes[0].startswith("50.0 % of the sampled pixels miss some bands")
    assert "dropping it (drop=3)" in cube.notes[1]
    with cube.reader() as reader:
        block = reader.read(ALL, ALL)
    assert not block.valid[:4].any()
    assert np.isnan(block.values[:4]).all()
    assert Cube.open(cube, drop="3").valid_share == 1


def test_unstated_nodata_is_found_and_said() -> None:
    values = noise()
    values[0, :, 1] = -9999
    cube = Cube.of_array(values)
    assert "-9999 in band 2 is taken for nodata" in cube.notes[0]
    assert cube.as_dict()["fills"] == [None, -9999.0, None, None, None, None]
    with cube.reader() as reader:
        assert reader.read(ALL, ALL).valid.sum() == 63
    decided = Cube.of_array(values, nodata=-1)
    assert decided.valid_share == 1
    near = noise() * 5000
    near[0, :, 1] = -9999
    near[1, :, 1] = -4000
    assert Cube.of_array(near).valid_share == 1, "other values lie near it"


def test_zeros_in_every_band_are_mentioned() -> None:
    values = noise()
    values[:2] = 0
    assert any(
        "25 % of the sampled pixels are 0 in every band" in n for n in Cube.of_array(values).notes
    )
    assert Cube.of_array(values, nodata=0).valid_share == 0.75


def test_nodata_counts_before_scaling_and_in_the_bands_own_type(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    cube = Cube.open(path, scale=0.5)
    with cube.reader() as reader, Cube.open(path).reader() as usual:
        np.testing.assert_allclose(
            reader.read(ALL, ALL).values, usual.read(ALL, ALL).values * 5000, rtol=1e-6
        )
    huge = noise()
    huge[0, 0] = np.float32(-3.4e38)
    assert Cube.of_array(huge, nodata=-3.4e38).valid_share == pytest.approx(71 / 72)
    assert Cube.of_array((huge * 0 + noise(seed=2) * 9).astype("uint8"), nodata=-1).valid_share == 1


def test_wavelengths_in_every_unit(tmp_path: Path) -> None:
    values = noise(bands=3)
    for name, numbers in {
        "wl_um": [0.5, 0.6, 0.7],
        "wavenumber": [20000, 1e7 / 600, 1e7 / 700],
    }.items():
        np.savez(tmp_path / "c.npz", cube=values, **{name: numbers})
        np.testing.assert_allclose(Cube.open(tmp_path / "c.npz").wavelengths, [500, 600, 700])
    np.savez(tmp_path / "c.npz", cube=values, wavelength=[0.5, 0.6, 0.7])
    cube = Cube.open(tmp_path / "c.npz")
    np.testing.assert_allclose(cube.wavelengths, [500, 600, 700])
    assert "by its size it is um" in cube.notes[0]
    (tmp_path / "w.txt").write_text("500\n600\n700\n")
    listed = Cube.open(tmp_path / "c.npz", wavelengths=tmp_path / "w.txt")
    np.testing.assert_allclose(listed.wavelengths, [500, 600, 700])


def test_wavelengths_from_names_and_from_imagery_tags(tmp_path: Path) -> None:
    path = tmp_path / "c.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=9, count=2, dtype="float32"
    ) as out:
        out.write(noise(bands=2).transpose(2, 0, 1))
        out.set_band_description(1, "band 1 (429.294 Nanometers)")
        out.update_tags(2, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.665", FWHM_UM="0.03")
    cube = Cube.open(path)
    np.testing.assert_allclose(cube.wavelengths, [429.294, 665])
    assert [b.fwhm for b in cube.bands] == [None, 30]


def test_the_nearest_band() -> None:
    cube = Cube.of_array(noise(), wavelengths=np.linspace(400, 900, 6))
    assert cube.nearest_band(690) == 3
    with pytest.raises(CubeError, match=r"no band within 20 nm of 1000 nm: .* band 6 \(900 nm\)"):
        cube.nearest_band(1000)
    with pytest.raises(CubeError, match="states no wavelengths"):
        Cube.of_array(noise()).nearest_band(500)


def test_describe_says_what_was_left_out(tmp_path: Path) -> None:
    text = Cube.open(files.write_tif(tmp_path / "c.tif")).describe()
    assert text.splitlines()[:3] == [
        "c.tif: 13 x 11 pixels, 5 of 7 bands kept",
        "dropped 3: bad-band list",
        "dropped 5: no data",
    ]


def test_all_bands_bad(tmp_path: Path) -> None:
    path = files.write_envi(tmp_path / "c.dat", bbl="{0, 0, 0, 0, 0, 0, 0}")
    with pytest.raises(CubeError, match=r"no band of c.dat is left.*7 bad-band list"):
        Cube.open(path)
    assert Cube.open(path, keep_bad=True).n_bands == 6, "the empty one stays out"
    with pytest.raises(CubeError, match=r"6 no data"):
        Cube.of_array(noise() * np.nan)


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({"a": noise(), "b": noise()}, {}, "holds 2 cubes: a 8 x 9 x 6, b 8 x 9 x 6; name one"),
        ({"gt": noise()[..., 0]}, {}, "no array of numbers with three axes, but gt 8 x 9"),
        ({"a": noise()}, {}, "does not tell bands from rows and columns; say it with axes='yxb'"),
        ({"a": noise()}, {"variable": "b"}, "no variable named 'b'; it holds a 8 x 9 x 6"),
        ({"a": noise()}, {"axes": "yx"}, "axes 'yx' do not fit"),
        ({"a": noise(), "wl": np.arange(1, 9)}, {"axes": "yxb"}, "look swapped"),
        ({"a": noise(), "wl": np.arange(1, 10)}, {}, "is it axes='ybx'"),
        ({"a": noise(), "wl": np.arange(1, 6)}, {"axes": "yxb"}, "lists 5 wavelengths for 6 bands"),
        (
            {"a": noise(8, 8, 6), "wl": np.arange(1, 9), "gt": np.ones((8, 8))},
            {},
            "look swapped: the 8 wavelengths fit byx, but the labels beside it fit yxb",
        ),
        ({"a": noise()}, {"axes": "yxb", "wavelengths": [1.0] * 5}, "5 wavelengths are given"),
        ({"a": np.array([[["x"]]], object)}, {"variable": "a"}, "Python objects, which is not"),
        ({"a": noise() + 1j}, {"variable": "a"}, "complex numbers, which is not opened"),
    ],
)
def test_what_an_archive_is_refused_for(
    arrays: dict[str, Any], options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(CubeError) as caught:
        Cube.open(tmp_path / "c.npz", **options)
    assert words in str(caught.value)


def test_labels_tell_the_axes(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", cube=noise().transpose(2, 0, 1), gt=np.ones((8, 9)))
    assert Cube.open(tmp_path / "c.npz").shape == (8, 9)


def test_what_an_array_is_refused_for() -> None:
    for options, words in [
        ({"wavelengths": [1.0] * 8}, "its axes look swapped"),
        ({"wavelengths": [1.0] * 5}, "5 wavelengths do not fit array of 6 bands"),
        ({"fwhm": [1.0] * 5}, "5 widths are given for the 6 bands"),
        ({"band_names": ["a"]}, "1 names are given for the 6 bands"),
        ({"geobox": GeoBox((9, 8), files.TRANSFORM, files.CRS)}, "8 x 9 pixels but its grid 9 x 8"),
    ]:
        with pytest.raises(CubeError, match=words):
            Cube.of_array(noise(), **options)
    for values, words in [
        (noise()[0], "has 2 axes"),
        (noise().astype(complex), "holds complex128"),
        (noise()[:0], "is empty"),
        (np.ma.masked_less(noise(), 1.5), "is a masked array"),
    ]:
        with pytest.raises(CubeError, match=words):
            Cube.of_array(values)


def test_reading_outside_is_refused() -> None:
    with Cube.of_array(noise()).reader() as reader:
        for rows in (slice(0, 9), slice(3, 3), slice(-1, 2), slice(0, 8, 2)):
            with pytest.raises(CubeError, match=r"rows .* are not inside array, which has 8 rows"):
                reader.read(rows, ALL)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"wavelength": "{1, 2, 3}"}, "lists 3 values of 'wavelength' for 7 bands"),
        ({"bbl": "{1, x}"}, "something that is no number"),
        ({"wavelength units": "Furlongs"}, "in 'Furlongs', which is not understood"),
        ({"lines": 14}, "is cut short"),
        ({"bands": None}, "does not state bands"),
        (
            {
                "map info": "{UTM, 1, 1, 364095, 5809965, 30, 30, 33, North, WGS-84, "
                "units=Meters, rotation=30}"
            },
            "is rotated",
        ),
    ],
)
def test_what_a_header_is_refused_for(entries: dict[str, Any], words: str, tmp_path: Path) -> None:
    files.write_envi(tmp_path / "c.dat", **entries)
    with pytest.raises(SceneError, match=words):
        Cube.open(tmp_path / "c.hdr")


def test_a_header_alone_and_a_header_of_two(tmp_path: Path) -> None:
    pixels = files.write_envi(tmp_path / "c.dat")
    (tmp_path / "c.img").write_bytes(pixels.read_bytes())
    with pytest.raises(CubeError, match=r"may belong to c\.dat, c\.img"):
        Cube.open(tmp_path / "c.hdr")
    for file in ("c.img", "c.dat"):
        (tmp_path / file).unlink()
    with pytest.raises(CubeError, match=r"there are no pixels beside c\.hdr"):
        Cube.open(tmp_path / "c.hdr")


@pytest.mark.parametrize("suffix", ["npz", "npy", "mat", "h5", "nc", "tif", "hdr", "lan"])
def test_missing_and_broken_files_end_in_a_sentence(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"c.{suffix}"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Cube.open(path)
    path.write_bytes(b"not what it says" * 100)
    with pytest.raises(SceneError, match=r"c\.|npz"):
        Cube.open(path)


@pytest.mark.parametrize("name", ["npz", "NetCDF 3", "NetCDF 4", "MATLAB 5", "MATLAB 7.3", "HDF5"])
def test_files_that_are_cut_short(name: str, tmp_path: Path) -> None:
    file, write, options = files.FORMATS[name]
    path = write(tmp_path / file)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SceneError, match=r"c\.") as caught:
        Cube.open(path, **options)
    assert isinstance(caught.value, CubeError | CorruptBlockError)


def test_a_raster_takes_no_variable_and_no_axes(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    for option in ({"variable": "cube"}, {"axes": "yxb"}):
        with pytest.raises(CubeError, match="is a raster"):
            Cube.open(path, **option)
    with pytest.raises(CubeError, match="makes nothing"):
        Cube.open(path, scale=0)
    with pytest.raises(CubeError, match="no file of wavelengths"):
        Cube.open(path, wavelengths="nowhere.txt")


def test_nothing_in_a_matlab_file_is_opened_but_numbers(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "c.mat", {"s": {"f": 1}, "t": "text"})
    with pytest.raises(CubeError, match="s holds a structure, which is not opened"):
        Cube.open(tmp_path / "c.mat")
    with pytest.raises(CubeError, match=r"t in c\.mat holds text"):
        Cube.open(tmp_path / "c.mat", variable="t")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    np.save(tmp_path / "c.npy", np.array([[[Trap()]]], object), allow_pickle=True)
    np.savez(tmp_path / "c.npz", cube=noise(), wavelength=np.array([Trap()] * 6, object))
    with pytest.raises(CubeError, match="Python objects"):
        Cube.open(f"{tmp_path / 'c.npy'}", variable="c.npy")
    Cube.open(tmp_path / "c.npz", axes="yxb")
    assert not (tmp_path / "ran").exists()


def test_signatures_follow_the_content(tmp_path: Path) -> None:
    path = files.write_npz(tmp_path / "a.npz")
    again = files.write_npz(tmp_path / "b.npz")
    assert Cube.open(path).signature == Cube.open(again).signature
    assert Cube.of_array(noise()).signature == Cube.of_array(noise()).signature
    assert Cube.of_array(noise()).signature != Cube.of_array(noise(seed=1)).signature
