"""One answer to "is this pixel valid?", whatever the format and the kind of nodata."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from terrapatch.errors import CorruptBlockError, SceneNotFoundError
from terrapatch.reading import RECYCLE_BYTES, ReaderPool, SceneReader, find_valid, read_sample
from terrapatch.scene import Scene

MakeRaster = Callable[..., Path]
Read = tuple[NDArray[Any], NDArray[np.bool_]]


def read(source: Any, **options: Any) -> Read:
    """Read a whole scene; validity as an array even where all is valid."""
    scene = source if isinstance(source, Scene) else Scene.open(source, **options)
    with SceneReader(scene) as reader:
        pixels, valid = reader.read(*(slice(0, n) for n in scene.shape))
    return pixels, np.ones(scene.shape, bool) if valid is None else valid


def row(*values: Any) -> Callable[[int, int, int], NDArray[Any]]:
    """Return values for ``make_raster``: one list a band, along a single row."""
    return lambda bands, height, width: np.array(values, np.float64).reshape(bands, 1, width)


def validity(make_raster: MakeRaster, *bands: Any, **options: Any) -> list[bool]:
    """Write bands of one row, read them, and return which pixels are valid."""
    opening = {k: options.pop(k) for k in ("bands_chosen", "nodata_said") if k in options}
    after = options.pop("nodata_tag", None)
    path = make_raster(
        bands=len(bands), height=1, width=len(bands[0]), values=row(*bands), **options
    )
    if after is not None:
        with rasterio.open(path, "r+") as raster:
            raster.nodata = after
    chosen, said = opening.get("bands_chosen"), opening.get("nodata_said")
    return [bool(v) for v in read(path, bands=chosen, nodata=said)[1][0]]


@pytest.mark.parametrize("nodata", [None, 0, "mask", "alpha"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_kinds_of_nodata(make_raster: MakeRaster, dtype: str, nodata: Any) -> None:
    path = make_raster(dtype=dtype, nodata=nodata, height=20, width=30)
    pixels, valid = read(path)
    expected = np.ones((20, 30), bool)
    if nodata is not None:
        expected[:10, :15] = False
    assert np.array_equal(valid, expected)
    with rasterio.open(path) as src:
        assert np.array_equal(pixels, src.read([1, 2, 3]))


def test_eight_bit_nodata_takes_all_bands(make_raster: MakeRaster) -> None:
    """Black roofs and shadows hold a 0 in one band; only 0 in all of them is nodata."""
    bands = [0, 0, 0, 5], [0, 0, 7, 5], [0, 9, 8, 5]
    assert validity(make_raster, *bands, nodata_tag=0) == [False, True, True, True]


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_other_nodata_takes_any_band(make_raster: MakeRaster, dtype: str) -> None:
    bands = [0, 0, 0, 5], [0, 0, 7, 5], [0, 9, 8, 5]
    found = validity(make_raster, *bands, dtype=dtype, nodata_tag=0)
    assert found == [False, False, False, True]


def test_only_chosen_bands_decide(make_raster: MakeRaster) -> None:
    bands = [0, 1, 2], [1, 0, 2]
    found = validity(make_raster, *bands, dtype="uint16", nodata_tag=0, bands_chosen=[2])
    assert found == [True, False, True]


def test_nan_and_infinities_are_never_valid(make_raster: MakeRaster) -> None:
    bands = [np.nan, 1, np.inf, 4, 5], [1, 2, 3, -np.inf, 5]
    for tag in (None, np.nan, 1e9):
        found = validity(make_raster, *bands, dtype="float32", nodata_tag=tag)
        assert found == [False, True, False, False, True]


def test_nan_nodata_beside_a_declared_one(make_raster: MakeRaster) -> None:
    bands = ([np.nan, -9999, 3],)
    found = validity(make_raster, *bands, dtype="float32", nodata_tag=np.nan, nodata_said=-9999)
    assert found == [False, False, True]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int16", -32768),
        ("int16", -7),
        ("int8", -1),
        ("uint32", 4294967295),
        ("float32", -3.4e38),
        ("float32", -3.4028234663852886e38),
        ("float32", -3.40282346638529e38),
        ("float32", 0.1),
        ("float64", -1.7976931348623157e308),
    ],
)
def test_nodata_at_the_ends_of_a_type(make_raster: MakeRaster, dtype: str, value: float) -> None:
    assert validity(make_raster, [value, 1, 2], dtype=dtype, nodata_tag=value) == [
        False,
        True,
        True,
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 256), ("uint8", -9999), ("uint16", 0.5), ("float32", 1e39)]
)
def test_nodata_that_a_type_cannot_hold_hides_nothing(
    make_raster: MakeRaster, dtype: str, value: float
) -> None:
    path = make_raster(dtype=dtype, bands=1, height=1, width=3, values=row([0, 1, 255]))
    assert read(path, nodata=value)[1].all()


def test_nodata_said_by_the_user_replaces_the_files(make_raster: MakeRaster) -> None:
    bands = ([0, 9, 5],)
    assert validity(make_raster, *bands, nodata_tag=0, nodata_said=9) == [True, False, True]
    path = make_raster(bands=1, height=1, width=3, values=row([0, 9, 5]))
    assert read(Scene.open(Scene.open(path), nodata=9))[1].tolist() == [[True, False, True]]


def test_an_alpha_band_chosen_as_data_is_data(make_raster: MakeRaster) -> None:
    """Four-band uint8 files written without care carry near infrared tagged as alpha."""
    path = make_raster(nodata="alpha", height=8, width=8)
    assert Scene.open(path).bands == (1, 2, 3)
    assert not read(path)[1].all()
    pixels, valid = read(path, bands=[4, 1, 2])
    assert valid.all()
    assert not pixels[0].all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_mask_in_a_file_beside(tmp_path: Path, make_raster: MakeRaster, dtype: str) -> None:
    path = make_raster(dtype=dtype, height=6, width=6)
    expected = np.eye(6, dtype=bool)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as src:
        src.write_mask(expected)
    assert (tmp_path / "scene.tif.msk").exists()
    assert np.array_equal(read(path)[1], expected)


def test_nodata_stated_for_the_bands_together(make_raster: MakeRaster) -> None:
    """The metadata item NODATA_VALUES: invalid where every band holds its own value."""
    path = make_raster(height=1, width=3, values=row([1, 1, 9], [2, 0, 2], [3, 3, 3]))
    with rasterio.open(path, "r+") as src:
        src.update_tags(NODATA_VALUES="1 2 3")
    assert read(path)[1].tolist() == [[False, True, True]]


def test_alpha_and_nodata_together(make_raster: MakeRaster) -> None:
    path = make_raster(nodata="alpha", height=4, width=8, dtype="uint16", values="constant")
    assert read(path, nodata=100)[1].sum() == 0
    assert read(path, nodata=99)[1].sum() == 4 * 8 - 2 * 4


def test_nodata_of_each_band(tmp_path: Path, make_raster: MakeRaster) -> None:
    """A VRT may state one value a band; a band that states none hides nothing."""
    values = row([1, 2, 3, 9], [1, 2, 3, 9])
    for dtype, gdal, expected in [
        ("uint16", "UInt16", [False, False, True, True]),
        ("uint8", "Byte", [True, True, True, True]),
    ]:
        make_raster(f"{gdal}.tif", dtype=dtype, bands=2, height=1, width=4, values=values)
        path = vrt(tmp_path / f"{gdal}.vrt", f"{gdal}.tif", gdal, (1, 4), nodata=(1, 2))
        scene = Scene.open(path)
        assert scene.nodata == (1, 2)
        assert read(scene)[1].tolist() == [expected]
        assert scene.with_bands([2, 1]).nodata == (2, 1)
        path = vrt(tmp_path / f"{gdal}1.vrt", f"{gdal}.tif", gdal, (1, 4), nodata=(1, None))
        assert read(path)[1].tolist() == [[False, True, True, True]]


def vrt(
    path: Path,
    source: str,
    types: str | tuple[str, ...],
    shape: tuple[int, int],
    nodata: tuple[float | None, ...] = (None, None),
) -> Path:
    """Write a VRT over the bands of a file beside it."""
    types = (types,) * len(nodata) if isinstance(types, str) else types
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}">'
        + (f"<NoDataValue>{value}</NoDataValue>" if value is not None else "")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        + f"<SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (kind, value) in enumerate(zip(types, nodata, strict=True), 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{shape[1]}" rasterYSize="{shape[0]}"><SRS>EPSG:32643</SRS>'
        f"<GeoTransform>280000, 0.5, 0, 2110000, 0, -0.5</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def test_bands_of_unlike_types_are_read_in_the_wider_one(
    tmp_path: Path, make_raster: MakeRaster
) -> None:
    make_raster("s.tif", dtype="uint8", bands=3, height=5, width=6, layout="strips", block=1)
    path = vrt(tmp_path / "s.vrt", "s.tif", ("Byte", "UInt16", "Float32"), (5, 6), (None,) * 3)
    scene = Scene.open(path)
    assert scene.dtype == "float32"
    assert scene.units is None
    pixels, _ = read(scene)
    assert pixels.dtype == np.float32
    with rasterio.open(tmp_path / "s.tif") as src:
        assert np.array_equal(pixels, src.read().astype(np.float32))
        assert np.array_equal(read(scene.with_bands([1]))[0][0], src.read(1))
    assert len(read_sample(scene).values) == 3
    assert Scene.open(vrt(path, "s.tif", ("Byte", "UInt16"), (5, 6))).dtype == "uint16"


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "strips", "block": 1},
        {"layout": "strips", "block": 1000},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
        {"interleave": "band"},
        {"compress": "lzw", "predictor": 2},
        {"compress": "webp", "WEBP_LOSSLESS": "YES"},
        {"compress": "zstd"},
        {"compress": None},
    ],
)
def test_flavours_of_geotiff(make_raster: MakeRaster, options: dict[str, Any]) -> None:
    plain, flavoured = make_raster("a.tif", height=70), make_raster("b.tif", height=70, **options)
    assert np.array_equal(read(plain)[0], read(flavoured)[0])


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "int32"])
def test_big_endian_files(make_raster: MakeRaster, dtype: str) -> None:
    options: dict[str, Any] = {"dtype": dtype, "nodata": -1 if dtype[0] != "u" else 3}
    little, big = make_raster("a.tif", **options), make_raster("b.tif", ENDIANNESS="BIG", **options)
    for one, other in zip(read(little), read(big), strict=True):
        assert np.array_equal(one, other)


def test_jpeg_in_tiff_reads_as_rgb(make_raster: MakeRaster) -> None:
    path = make_raster(
        compress="jpeg", photometric="YCBCR", JPEG_QUALITY=95, values="gradient", nodata="mask"
    )
    pixels, valid = read(path)
    assert pixels.shape == (3, 64, 64)
    assert not valid[:32, :32].any()
    assert valid[32:].all()
    ramp = np.linspace(1, 250, 4096).reshape(64, 64)
    assert np.abs(pixels[:, 40:, :].astype(float) - ramp[40:]).mean() < 3


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_png_with_a_world_file(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster("p.png", driver="PNG", crs=None, transform=None)
    (tmp_path / "p.pgw").write_text("0.5\n0\n0\n-0.5\n100.25\n199.75\n")
    scene = Scene.open(path)
    assert tuple(scene.geobox.affine)[:6] == (0.5, 0, 100, 0, -0.5, 200)
    assert scene.geobox.crs is None
    assert read(scene)[0].shape == (3, 64, 64)


def test_tiles_of_odd_sizes_through_a_vrt(make_raster: MakeRaster, tmp_path: Path) -> None:
    make_raster("s.tif", bands=2, height=301, width=277, layout="strips", block=13)
    path = vrt(tmp_path / "s.vrt", "s.tif", "Byte", (301, 277))
    text = path.read_text().replace('band="', 'blockXSize="33" blockYSize="57" band="')
    path.write_text(text)
    assert Scene.open(path).block_shape == (57, 33)
    assert np.array_equal(read(path)[0], read(tmp_path / "s.tif")[0])


def test_a_file_inside_a_zip(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster("z.tif")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(path, "deep/z.tif")
    pixels = read(path)[0]
    for name in (f"/vsizip/{tmp_path}/z.zip/deep/z.tif", f"zip://{tmp_path}/z.zip!deep/z.tif"):
        assert np.array_equal(read(name)[0], pixels)


def test_overviews_are_not_pixels(make_raster: MakeRaster) -> None:
    path = make_raster(height=256, width=256)
    before = read(path)[0]
    with rasterio.open(path, "r+") as src:
        src.build_overviews([2, 4], Resampling.average)
    assert np.array_equal(read(path)[0], before)


@pytest.mark.parametrize("nodata", [None, 7])
def test_sparse_files(tmp_path: Path, nodata: int | None) -> None:
    """Blocks that were never written are 0, or nodata where there is one."""
    profile = {"driver": "GTiff", "height": 4096, "width": 4096, "count": 1, "dtype": "uint8"}
    profile |= {"tiled": True, "SPARSE_OK": True, "nodata": nodata}
    profile |= {"transform": rasterio.Affine(1, 0, 5e5, 0, -1, 2e6), "crs": "EPSG:32643"}
    with rasterio.open(tmp_path / "s.tif", "w", **profile):
        pass
    assert (tmp_path / "s.tif").stat().st_size < 100_000
    scene = Scene.open(tmp_path / "s.tif")
    with SceneReader(scene) as reader:
        pixels, valid = reader.read(slice(1000, 1100), slice(0, 50))
    assert (pixels == (nodata or 0)).all()
    assert valid is None if nodata is None else not valid.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
def test_tiny_scenes(make_raster: MakeRaster, shape: tuple[int, int], layout: str) -> None:
    path = make_raster(height=shape[0], width=shape[1], layout=layout, nodata=None)
    assert read(path)[0].shape == (3, *shape)
    assert find_valid(Scene.open(path)) is not None


def test_a_repeated_band_is_read_as_often_as_asked(make_raster: MakeRaster) -> None:
    pixels, _ = read(make_raster(bands=2), bands="2,2,1")
    assert np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])


def test_a_file_that_goes_away(make_raster: MakeRaster) -> None:
    path = make_raster()
    scene = Scene.open(path)
    path.unlink()
    with pytest.raises(SceneNotFoundError, match="there is no file"):
        SceneReader(scene)


def test_a_file_cut_short_names_itself(make_raster: MakeRaster) -> None:
    path = make_raster("cut.tif", height=512, width=512, block=64)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        CorruptBlockError, match=r"cut.tif is damaged: block \d,\d \(pixels"
    ) as fault:
        read(path)
    assert "See previous exception" not in str(fault.value)
    with pytest.raises(CorruptBlockError, match=r"cut.tif is damaged: block \d,\d \(pixels"):
        read_sample(Scene.open(path))


@pytest.mark.parametrize("nodata", [None, 0, "mask", "alpha"])
def test_samples_hold_valid_values_only(make_raster: MakeRaster, nodata: Any) -> None:
    path = make_raster(height=1500, width=700, bands=1, nodata=nodata, values="constant")
    values = read_sample(Scene.open(path)).values[0]
    assert set(values) == {100.0}
    assert values.size <= 1024 * 1024
    assert values.size == pytest.approx(1024 * 478 * (1 if nodata is None else 0.75), rel=0.01)


def test_samples_carry_scale_and_offset(make_raster: MakeRaster) -> None:
    path = make_raster(dtype="uint16", bands=2)
    with rasterio.open(path, "r+") as src:
        src.scales, src.offsets = (1e-4, 2e-4), (-0.1, 0.0)
    sample = read_sample(Scene.open(path, bands=[2, 1]))
    assert sample.scales == (2e-4, 1e-4)
    assert sample.offsets == (0.0, -0.1)
    assert Scene.open(path, units="reflectance").units is not None


def test_finding_a_valid_pixel(make_raster: MakeRaster) -> None:
    hole = (slice(0, 1990), slice(0, 3000))
    path = make_raster(
        height=2000, width=3000, bands=1, nodata=0, hole=hole, values="constant", block=256
    )
    scene = Scene.open(path)
    place = find_valid(scene)
    assert place is not None
    assert read(scene)[1][place]
    empty = make_raster("e.tif", nodata=0, hole=(slice(None), slice(None)))
    assert find_valid(Scene.open(empty)) is None


def test_a_pool_opens_one_reader_a_thread_and_renews_it(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.open(make_raster())
    pool = ReaderPool(scene)
    first = pool.reader()
    assert pool.reader() is first
    first.bytes_read = RECYCLE_BYTES + 1
    second = pool.reader()
    assert second is not first
    kept = ReaderPool(scene, recycle=False)
    reader = kept.reader()
    reader.bytes_read = RECYCLE_BYTES + 1
    assert kept.reader() is reader
    for each in (pool, kept):
        each.close()
    with pytest.raises(ValueError, match="closed"):
        second.read(slice(0, 1), slice(0, 1))
