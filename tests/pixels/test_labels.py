from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import h5py
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  (registers rio)
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.io import savemat
from shapely.geometry import Point, box

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import OutsideError, SamplesError, SceneNotFoundError
from terrapatch.learn.pixels._class_names import read_class_names
from terrapatch.learn.pixels.labels import PixelLabels, read_labels, valid_pixels

TRANSFORM = Affine(30.0, 0.0, 364_000.0, 0.0, -30.0, 5_810_000.0)
GEOBOX = GeoBox((60, 50), TRANSFORM, "EPSG:32633")


@pytest.fixture(scope="module")
def truth() -> np.ndarray[Any, Any]:
    ids = painted_cube()[1]
    ids[:5] = 0
    return ids


@pytest.fixture(scope="module")
def cube() -> Cube:
    """A placed cube with a hole of invalid pixels."""
    values, _, waves = painted_cube()
    values[20:30, 10:20] = np.nan
    return Cube.of_array(values, geobox=GEOBOX, wavelengths=waves, name="scene.tif")


@pytest.fixture(scope="module")
def bare() -> Cube:
    """The same without a place."""
    values, _, waves = painted_cube()
    return Cube.of_array(values, wavelengths=waves, name="bare.mat")


def write(
    path: Path,
    values: np.ndarray[Any, Any],
    *,
    transform: Affine | None = TRANSFORM,
    crs: str | None = "EPSG:32633",
    nodata: float | None = None,
    **tags: str,
) -> Path:
    options: dict[str, Any] = {"nodata": nodata, "crs": crs}
    if transform is not None:
        options["transform"] = transform
    rows, cols = values.shape
    with rasterio.open(
        path, "w", "GTiff", width=cols, height=rows, count=1, dtype=values.dtype.name, **options
    ) as dst:
        dst.write(values, 1)
        dst.update_tags(**tags)
    return path


def hole(ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    out = ids.copy()
    out[20:30, 10:20] = 0
    return out


def test_a_raster_of_whole_floats_with_nodata(tmp_path: Path, cube: Cube, truth: Any) -> None:
    stored = np.where(truth == 0, -1, truth).astype("float32")
    stored[6, 6] = 0
    path = write(tmp_path / "l.tif", stored, nodata=-1, classes="1 roof,2 road,3 tree,4 soil")
    labels = read_labels(cube, path)
    expected = hole(truth)
    expected[6, 6] = 0
    np.testing.assert_array_equal(labels.ids, expected)
    assert labels.classes == ("roof", "road", "tree", "soil")
    assert labels.left_out == {"invalid in the cube": 100}
    assert "100" in labels.describe()
    assert labels.fields is None


def test_invalid_pixels_keep_their_labels_if_asked_to(cube: Cube, truth: Any) -> None:
    labels = read_labels(cube, truth, check_valid=False)
    np.testing.assert_array_equal(labels.ids, truth)
    np.testing.assert_array_equal(valid_pixels(cube, truth > 0), hole(truth) > 0)


def test_only_the_part_with_labels_is_read(cube: Cube, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = type(cube.reader()).read

    def counted(self: Any, rows: slice, cols: slice) -> Any:
        read.append((rows.stop - rows.start) * (cols.stop - cols.start))
        return original(self, rows, cols)

    monkeypatch.setattr(type(cube.reader()), "read", counted)
    wanted = np.zeros(cube.shape, bool)
    wanted[21, 9:13] = True
    np.testing.assert_array_equal(valid_pixels(cube, wanted)[21, 8:14], [0, 1, 0, 0, 0, 0])
    assert sum(read) == 4


def test_values_with_gaps_are_numbered_in_order(cube: Cube, truth: Any) -> None:
    labels = read_labels(cube, truth * 10)
    np.testing.assert_array_equal(labels.ids, hole(truth))
    assert labels.classes == ("10", "20", "30", "40")


def test_ignored_negative_and_missing_values_are_unlabelled(bare: Cube, truth: Any) -> None:
    values = truth.astype(float)
    values[7, :3] = (-7, np.nan, 2)
    labels = read_labels(bare, values, ignore=(0, 2))
    assert labels.classes == ("1", "3", "4")
    assert not labels.ids[7, :3].any()
    assert labels.counts == {str(v): int((values == v).sum()) for v in (1, 3, 4)}


@pytest.mark.parametrize(
    "classes",
    [
        "1=roof, 2=road,3=tree,4=roof",
        {1: "roof", 2: "road", 3: "tree", 4: "roof"},
        ("roof", "road", "tree", "roof"),
    ],
)
def test_names_may_be_given_and_merge_classes(bare: Cube, truth: Any, classes: Any) -> None:
    labels = read_labels(bare, truth, classes=classes)
    assert labels.classes == ("roof", "road", "tree")
    np.testing.assert_array_equal(labels.ids, np.where(truth == 4, 1, truth))
    with pytest.raises(SamplesError, match="values 4, which have no name"):
        read_labels(bare, truth, classes="1=roof,2=road,3=tree")


def test_names_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("value;name\n1;roof\n2;low, green\n", "utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"1": "roof", "2": "low, green"}), "utf-8")
    (tmp_path / "c.json").write_text(json.dumps(["roof", "low, green"]), "utf-8")
    legend = {"classes": [{"id": 1, "name": "roof"}, {"id": 2, "name": "low, green"}]}
    (tmp_path / "d.json").write_text(json.dumps(legend), "utf-8")
    for name in ("a.csv", "b.json", "c.json", "d.json"):
        assert read_class_names(tmp_path / name) == {1: "roof", 2: "low, green"}
    (tmp_path / "e.csv").write_text("1,roof\nroad\n", "utf-8")
    for text, words in (
        (tmp_path / "e.csv", "line 2 of"),
        (tmp_path / "f.csv", "no file"),
        ("1=roof,road", "'road' in the class names"),
        ("1=", "not understood"),
        ({"roof": 1}, "no whole number"),
        ([], "no name was given"),
    ):
        with pytest.raises(SamplesError, match=words):
            read_class_names(text)


def test_arrays_in_files_are_one_and_the_same(tmp_path: Path, bare: Cube, truth: Any) -> None:
    names = ["none", "roof", "road", "tree", "soil"]
    np.savez(tmp_path / "a.npz", gt=truth, other=truth.T, class_names=names)
    np.save(tmp_path / "b.npy", truth)
    savemat(tmp_path / "c.mat", {"indian_gt": truth.astype("uint8")})
    with h5py.File(tmp_path / "d.mat", "w", userblock_size=512) as file:
        file["gt"] = truth.T.astype("float64")  # as MATLAB writes it
        file["gt"].attrs["MATLAB_class"] = np.bytes_("double")
    with (tmp_path / "d.mat").open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    for source in ("a.npz:gt", "b.npy", "c.mat", "c.mat:indian_gt", "d.mat:gt"):
        labels = read_labels(bare, f"{tmp_path}/{source}")
        np.testing.assert_array_equal(labels.ids, truth)
    assert read_labels(bare, tmp_path / "a.npz:gt").classes == ("roof", "road", "tree", "soil")
    with pytest.raises(SamplesError, match=r"2 arrays with rows and columns.*a.npz:gt"):
        read_labels(bare, tmp_path / "a.npz")
    with pytest.raises(SamplesError, match="no array 'labels'"):
        read_labels(bare, tmp_path / "a.npz:labels")


def test_labels_in_netcdf_lie_where_their_coordinates_say(
    tmp_path: Path, cube: Cube, truth: Any
) -> None:
    xs = 364_015.0 + 30 * np.arange(50)
    ys = 5_809_985.0 - 30 * np.arange(60)
    array = xr.DataArray(
        truth.astype("int16"), {"y": ys, "x": xs}, ("y", "x"), "gt", {"_FillValue": 3}
    )
    array.sortby("y").rio.write_crs("EPSG:32633").to_netcdf(tmp_path / "up.nc", engine="h5netcdf")
    labels = read_labels(cube, tmp_path / "up.nc")
    expected = hole(truth)
    expected[expected == 3] = 0
    np.testing.assert_array_equal(labels.ids, np.where(expected == 4, 3, expected))
    moved = array.assign_coords(x=xs + 45).rio.write_crs("EPSG:32633")
    moved.to_netcdf(tmp_path / "moved.nc", engine="h5netcdf")
    with pytest.raises(OutsideError, match=r"moved.nc does not lie on the pixels of scene.tif"):
        read_labels(cube, tmp_path / "moved.nc")


def test_files_with_objects_are_not_opened(tmp_path: Path, bare: Cube, truth: Any) -> None:
    np.savez(tmp_path / "o.npz", gt=np.array([[{"a": 1}] * 50] * 60, dtype=object))
    with pytest.raises(SamplesError, match="no array of numbers"):
        read_labels(bare, tmp_path / "o.npz")
    with pytest.raises(SceneNotFoundError):
        read_labels(bare, tmp_path / "missing.tif")


def test_labels_of_another_size_are_refused(tmp_path: Path, cube: Cube, truth: Any) -> None:
    with pytest.raises(OutsideError, match=r"60 x 49 pixels .* scene.tif has 60 x 50; give"):
        read_labels(cube, truth[:, :-1])
    with pytest.raises(OutsideError, match="looks like swapped axes; transpose"):
        read_labels(cube, truth.T)
    with pytest.raises(OutsideError, match="looks like swapped axes"):
        read_labels(cube, write(tmp_path / "t.tif", truth.T))


def test_labels_of_another_grid_are_refused_with_the_command(
    tmp_path: Path, cube: Cube, truth: Any
) -> None:
    moved = TRANSFORM * Affine.translation(3, 0)
    with pytest.raises(OutsideError, match="does not lie on the pixels") as caught:
        read_labels(cube, write(tmp_path / "moved.tif", truth, transform=moved))
    assert "gdalwarp -r near -t_srs EPSG:32633 -te 364000 5808200 365500 5810000" in str(
        caught.value
    )
    assert "-ts 50 60 moved.tif" in str(caught.value)
    with pytest.raises(OutsideError, match="its CRS is WGS 84 / UTM zone 32N, the cube's"):
        read_labels(cube, write(tmp_path / "crs.tif", truth, crs="EPSG:32632"))
    with pytest.raises(OutsideError, match="states no CRS"):
        read_labels(cube, write(tmp_path / "none.tif", truth, crs=None))
    same = rasterio.crs.CRS.from_epsg(32633).to_wkt(version="WKT1_ESRI")
    assert len(read_labels(cube, write(tmp_path / "esri.tif", truth, crs=same)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_where_one_has_no_place_the_size_decides_and_it_is_said(
    tmp_path: Path, cube: Cube, bare: Cube, truth: Any
) -> None:
    placed = write(tmp_path / "placed.tif", truth)
    plain = write(tmp_path / "plain.tif", truth, transform=None, crs=None)
    assert "bare.mat has no georeference" in read_labels(bare, placed).notes[0]
    assert "plain.tif has no georeference" in read_labels(cube, plain).notes[0]
    assert not read_labels(bare, plain).notes
    assert not read_labels(cube, placed).notes


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_no_label_raster_is_refused(tmp_path: Path, bare: Cube, truth: Any) -> None:
    for values, words in (
        (truth + 0.5, "fractions such as"),
        (np.zeros_like(truth), "labels no pixel"),
        (np.arange(3000).reshape(60, 50), "2999 different values"),
        (truth.astype(str), "give whole numbers"),
    ):
        with pytest.raises(SamplesError, match=words):
            read_labels(bare, values)
    with rasterio.open(
        tmp_path / "two.tif", "w", "GTiff", width=50, height=60, count=2, dtype="uint8"
    ) as dst:
        dst.write(np.ones((2, 60, 50), "uint8"))
    with pytest.raises(SamplesError, match="has 2 bands"):
        read_labels(bare, tmp_path / "two.tif")


def frame(shapes: list[Any], **columns: list[Any]) -> gpd.GeoDataFrame:
    moved = gpd.GeoSeries(shapes, crs="EPSG:32633").to_crs(4326)
    return gpd.GeoDataFrame(columns, geometry=moved)


def square(row: int, col: int, side: int) -> Any:
    x, y = TRANSFORM * (col, row)
    return box(x, y - 30 * side, x + 30 * side, y)


def test_polygons_of_any_crs_keep_their_numbers(tmp_path: Path, cube: Cube) -> None:
    table = frame(
        [square(2, 2, 6), square(2, 12, 4), square(18, 8, 8)], kind=["tree", "roof", "tree"]
    )
    table.to_file(tmp_path / "p.gpkg", layer="truth")
    labels = read_labels(cube, tmp_path / "p.gpkg")
    assert labels.classes == ("roof", "tree")
    expected = np.zeros(cube.shape, int)
    expected[2:8, 2:8], expected[2:6, 12:16], expected[18:26, 8:16] = 1, 2, 3
    expected = hole(expected)
    np.testing.assert_array_equal(labels.fields, expected)
    np.testing.assert_array_equal(labels.ids, np.array([0, 2, 1, 2])[expected])
    assert labels.left_out == {"invalid in the cube": 36}
    assert read_labels(cube, table, column="kind").counts == labels.counts


def test_points_are_no_fields_and_numbers_take_names(cube: Cube) -> None:
    points = [Point(TRANSFORM * (c + 0.5, 3.5)) for c in range(6)]
    table = frame(points, code=[1, 1, 2, 2, 3, 3])
    labels = read_labels(cube, table, classes="1=roof,2=road,3=roof")
    assert labels.fields is None
    assert labels.counts == {"roof": 4, "road": 2}
    with pytest.raises(SamplesError, match="3, which have no name"):
        read_labels(cube, table, classes="1=roof,2=road")


def test_polygons_have_no_place_in_a_bare_cube(bare: Cube) -> None:
    with pytest.raises(SamplesError, match=r"bare.mat has no georeference, so polygons"):
        read_labels(bare, frame([square(2, 2, 6)], kind=["tree"]))


def test_labels_all_on_invalid_pixels_are_refused(cube: Cube) -> None:
    ids = np.zeros(cube.shape, int)
    ids[22:25, 12:15] = 1
    with pytest.raises(SamplesError, match="all 9 labelled pixels are left out"):
        read_labels(cube, ids)


def test_a_class_that_is_lost_is_said(cube: Cube, truth: Any) -> None:
    ids = np.where(truth == 4, 0, truth)
    ids[22:25, 12:15] = 4
    labels = read_labels(cube, ids)
    assert labels.counts["4"] == 0
    assert labels.notes == ("No pixel of this cube has the class 4.",)


def test_pixels_are_listed_row_by_row(truth: Any) -> None:
    labels = PixelLabels(truth, ("a", "b", "c", "d"), truth * 7)
    mask = np.zeros(truth.shape, bool)
    mask[4:7, 3:6] = True
    pixels = labels.pixels(mask)
    assert len(pixels) == 6
    np.testing.assert_array_equal(pixels.rows, [5, 5, 5, 6, 6, 6])
    np.testing.assert_array_equal(pixels.cols, [3, 4, 5] * 2)
    np.testing.assert_array_equal(pixels.ids, truth[5:7, 3:6].ravel())
    assert pixels.fields is not None
    np.testing.assert_array_equal(pixels.fields, 7 * pixels.ids)
    assert labels.counted(mask) == np.bincount(pixels.ids, minlength=5)[1:].tolist()
    with pytest.raises(SamplesError, match="no labelled pixel lies in the mask"):
        labels.pixels(truth == 0)


def test_ids_have_to_fit_the_names() -> None:
    ids = np.array([[0, 1, 3]])
    for arguments, words in (
        ((ids, ("a", "b")), "the id 3, and there are classes 1 to 2"),
        ((-ids, ("a", "b", "c")), "the id -3"),
        ((ids.astype(float), ("a", "b", "c")), "give integer class ids"),
        ((ids, ("a", "b", "c"), ids.T), "give each pixel its field"),
        ((ids, ("a", "a", "c")), "each name once"),
    ):
        with pytest.raises(SamplesError, match=words):
            PixelLabels(*arguments)


@pytest.mark.data
def test_real_labels(data_dir: Callable[..., Path]) -> None:
    potsdam = Cube.open(data_dir("enmap_potsdam", "potsdam_images.tif"))
    names = "1=roof,2=pavement,3=low vegetation,4=tree,5=soil,6=water"
    labels = read_labels(potsdam, data_dir("enmap_potsdam", "potsdam_labels.tif"), classes=names)
    assert list(labels.counts.values()) == [505, 953, 1694, 2070, 91, 359]
    raleigh = Cube.open(data_dir("landsat_raleigh", "landsat7_2000_6band_float32.tif"))
    polygons = read_labels(
        raleigh, data_dir("landsat_raleigh", "landsat96_polygons.shp"), column="label"
    )
    assert polygons.fields is not None
    assert len(polygons.classes) == 7
    assert len(np.unique(polygons.fields)) > 25
    assert ((polygons.fields > 0) == polygons.labelled).all()
    raster = read_labels(raleigh, data_dir("landsat_raleigh", "labelled_pixels.tif"))
    assert len(raster) + sum(raster.left_out.values()) == 2872
    archive = data_dir("indian_pines", "indian_pines_8bit.npz")
    pines = read_labels(Cube.open(f"{archive}:cube"), f"{archive}:gt")
    assert (len(pines), len(pines.classes), pines.classes[0]) == (10249, 16, "Alfalfa")
