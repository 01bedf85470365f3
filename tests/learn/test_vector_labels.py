"""Labels of cells: against areas worked out exactly, and on real polygons, points and rasters."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.features import shapes as traced
from shapely import Point, box

from terrapatch.errors import SamplesError, SceneError
from terrapatch.grid import PatchGrid
from terrapatch.learn import _vector_burn, _vector_windows
from terrapatch.learn.vector_labels import CellLabels, label_cells, label_cells_by_raster

UTM = "EPSG:32643"
LEFT, TOP = 280_000.0, 2_110_000.0


def cells(rows=4, cols=4, side=10.0, crs=UTM, left=LEFT, top=TOP):
    return GeoBox((rows, cols), Affine(side, 0, left, 0, -side, top), crs)


def square(row, col, tall=1.0, wide=1.0, side=10.0):
    """Return a rectangle given in rows and columns of ``cells()``."""
    x, y = LEFT + side * col, TOP - side * row
    return box(x, y - side * tall, x + side * wide, y)


def table(*pairs, crs=UTM, column="class"):
    """Return a table of ``(geometry, class)`` pairs."""
    return gpd.GeoDataFrame(
        {column: [c for _, c in pairs]}, geometry=[g for g, _ in pairs], crs=crs
    )


def test_majority_centre_and_share_by_hand():
    # Of four cells a covers 100, 40, 0 and 30 %, b none, 20, 45 and 40 %; a sub-pixel's
    # width is 6.25 %.
    shapes = table(
        (square(0, 0, 1, 1.4), "a"),
        (square(0, 1.4, 1, 0.2), "b"),
        (square(0, 2, 1, 0.45), "b"),
        (square(0, 3, 1, 0.3), "a"),
        (square(0, 3.3, 1, 0.4), "b"),
    )
    grid = cells(1, 4)
    assert label_cells(grid, shapes).labels.tolist() == [[1, 1, 0, 2]]
    assert label_cells(grid, shapes, rule="centre").labels.tolist() == [[1, 2, 0, 2]]
    assert label_cells(grid, shapes, rule="share").labels.tolist() == [[1, 0, 0, 0]]
    shared = label_cells(grid, shapes, rule="share", minimum=0.36)
    assert shared.labels.tolist() == [[1, 1, 2, 2]]
    assert shared.feature_ids.tolist() == [[0, 0, 2, 4]]
    assert (shared.classes, shared.counts) == (("a", "b"), {"a": 2, "b": 2})
    major = label_cells(grid, shapes)
    assert major.left_out == {"below the minimum share": 1}
    assert major.labels.dtype == major.feature_ids.dtype == np.int32
    assert major.features_used == 5
    assert "a 2, b 1" in major.describe()
    assert "below the minimum share 1" in major.describe()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shares_are_within_the_promised_error_of_exact_areas(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 2)
    cut = LEFT + 10 * rng.uniform(1, 3)
    tip = Point(LEFT + 10 * corner, TOP - 10 * rng.uniform(0, 4)).buffer(14, quad_segs=3)
    shapes = [tip.intersection(box(0, 0, cut, 9e9)), tip.intersection(box(cut, 0, 9e9, 9e9))]
    pairs = [(s, name) for s, name in zip(shapes, "ab", strict=True) if not s.is_empty]
    minimum = rng.uniform(0.2, 0.8)
    result = label_cells(cells(), table(*pairs), rule="share", minimum=minimum)
    for row, col in np.ndindex(4, 4):
        exact = {n: s.intersection(square(row, col)).area / 100 for s, n in pairs}
        name = max(exact, key=exact.__getitem__)
        label = result.labels[row, col]
        near_tie = len(exact) > 1 and abs(exact["a"] - exact["b"]) < 0.13
        if exact[name] > minimum + 0.07 and not near_tie:
            assert result.classes[label - 1] == name
        if exact[name] < minimum - 0.07:
            assert label == 0


def rasters_as_polygons(pixels, transform, crs=UTM):
    pairs = [
        (shapely.geometry.shape(geometry), f"class {int(value)}")
        for geometry, value in traced(pixels, mask=pixels > 0, transform=transform)
    ]
    return table(*pairs, crs=crs)


def write_labels(path, pixels, transform, crs=UTM, nodata=None, tags=None):
    height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype=pixels.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
    ) as dst:
        dst.write(pixels, 1)
        dst.update_tags(**(tags or {}))
    return path


@pytest.mark.parametrize("stride", [16, 32])
def test_polygons_traced_from_a_raster_say_what_the_raster_says(tmp_path, stride):
    # With a stride of 16 sub-pixels are pixels; with 32 the borders run through their centres.
    rng = np.random.default_rng(stride)
    coarse = rng.integers(0, 4, (12, 15)).astype(np.uint8)
    pixels = np.kron(coarse, np.ones((24, 24), np.uint8))
    scene = GeoBox(pixels.shape, Affine(0.5, 0, LEFT, 0, -0.5, TOP), UTM)
    grid = PatchGrid.over(scene, stride).geobox
    path = write_labels(tmp_path / "labels.tif", pixels, scene.affine)
    names = {1: "class 1", 2: "class 2", 3: "class 3"}
    drawn = label_cells(grid, rasters_as_polygons(pixels, scene.affine), minimum=0.3)
    counted = label_cells_by_raster(grid, path, classes=names, minimum=0.3)
    assert drawn.classes == counted.classes
    assert not any("overlap" in note for note in drawn.notes)
    whole = (slice(0, pixels.shape[0] // stride), slice(0, pixels.shape[1] // stride))
    same = drawn.labels[whole] == counted.labels[whole]
    assert same.all() if stride == 16 else same.mean() > 0.9


def test_borders_through_the_centres_of_sub_pixels_leave_no_gap_and_no_overlap():
    # Half a sub-pixel off the grid in both directions (exactly, in binary), either way round.
    off = 0.5 / 16
    parts = [square(r - off, c - off, side=16.0) for r in range(6) for c in range(6)]
    parts = [p.reverse() if i % 2 else p for i, p in enumerate(parts)]
    shapes = table(*((p, str(i)) for i, p in enumerate(parts)))
    result = label_cells(cells(5, 5, side=16.0), shapes, "class", minimum=1.0)
    assert (result.labels > 0).all()
    assert not any("overlap" in note for note in result.notes)
    assert result.classes[:4] == ("0", "1", "2", "3")


def test_overlaps_count_for_neither_and_are_told():
    shapes = table((square(0, 0, 1, 2), "a"), (square(0, 1, 1, 2), "b"), (square(0, 1, 1, 1), "a"))
    result = label_cells(cells(1, 3), shapes)
    assert result.labels.tolist() == [[1, 0, 2]]
    assert result.left_out == {"overlap of classes": 1}
    assert any("overlap in 1 cells" in note for note in result.notes)
    # The order of the file decides nothing.
    again = label_cells(cells(1, 3), shapes.iloc[::-1].reset_index(drop=True))
    assert np.array_equal(again.labels, result.labels)
    same_class = table((square(0, 0, 1, 2), "a"), (square(0, 0, 1, 1), "a"))
    assert label_cells(cells(1, 3), same_class).labels.tolist() == [[1, 1, 0]]


def test_equal_classes_leave_a_cell_without_label():
    shapes = table((square(0, 0, 1, 1.5), "a"), (square(0, 1.5, 1, 1), "b"))
    for rule in ("majority", "share"):
        result = label_cells(cells(1, 3), shapes, rule=rule)
        assert result.labels.tolist() == [[1, 0, 2]]
        assert result.left_out == {"tie between classes": 1}


def test_the_polygon_that_covers_most_of_a_cell_gave_its_label():
    shapes = table((square(0, 0, 1, 0.3), "a"), (square(0, 0.3, 1, 0.5), "a"))
    result = label_cells(cells(1, 1), shapes)
    assert result.feature_ids.tolist() == [[1]]
    assert any("1 of 2 polygons" in note for note in result.notes)


def test_a_larger_window_counts_the_whole_patch():
    shapes = table((square(0, 0, 3, 3), "a"), (square(1, 1, 1, 1), "a"), (square(0, 3, 3, 2), "b"))
    grid = cells(3, 5)
    one = label_cells(grid, shapes, minimum=1.0)
    assert one.labels.tolist() == [[1, 1, 1, 2, 2]] * 3
    wide = label_cells(grid, shapes, rule="share", minimum=0.7, size=3)
    # The cells beside the border see a third of the other class.
    assert wide.labels.tolist() == [[1, 1, 0, 0, 2]] * 3
    assert label_cells(grid, shapes, size=(1.0, 3.0)).labels.tolist() == one.labels.tolist()


def test_a_window_counts_nothing_beyond_the_cells():
    shapes = table((square(0, 0, 0.8, 1), "a"), (square(0.8, -1, 1.2, 3), "b"))
    result = label_cells(cells(1, 1), shapes, minimum=1.0, size=3)
    assert result.labels.tolist() == [[1]]


def blobs(n, seed):
    """Return round polygons of many vertices, four of them invalid."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 300, (n, 2))
    shapes = [
        Point(LEFT + x, TOP - y).buffer(r, quad_segs=100)
        for (x, y), r in zip(places, rng.uniform(5, 60, n), strict=True)
    ]
    for i in range(4):
        x, y = LEFT + 70 * i, TOP - 70 * i
        bow = [(x, y), (x + 40, y - 40), (x + 40, y), (x, y - 40)]
        shapes.append(shapely.Polygon(bow))
    return table(*((s, "abc"[i % 3]) for i, s in enumerate(shapes)))


@pytest.mark.parametrize("size", [None, 1.7])
def test_blocks_do_not_change_the_labels(monkeypatch, size):
    shapes = blobs(20, seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(_vector_burn, "_MANY_VERTICES", 10**9)  # nothing is cut off
        whole = label_cells(cells(30, 30), shapes, minimum=0.2, size=size)
    monkeypatch.setattr(_vector_windows, "_BLOCK_PIXELS", 16 * 16 * 40)
    cut = label_cells(cells(30, 30), shapes, minimum=0.2, size=size)
    assert np.array_equal(cut.labels, whole.labels)
    assert np.array_equal(cut.feature_ids, whole.feature_ids)
    assert (cut.left_out, cut.notes) == (whole.left_out, whole.notes)
    assert set(np.unique(whole.labels)) == {0, 1, 2, 3}


def test_long_edges_are_bent_by_the_reprojection():
    # A rectangle in degrees, 110 km wide: its parallels are curves in UTM.
    grid = cells(60, 60, side=2000.0, left=600_000.0, top=6_660_000.0, crs="EPSG:32633")
    shapes = table((box(16.9, 59.3, 18.8, 59.9), "a"), crs="EPSG:4326")
    result = label_cells(grid, shapes, rule="centre")
    x = 600_000 + 2000 * (np.arange(60) + 0.5)
    y = 6_660_000 - 2000 * (np.arange(60) + 0.5)
    places = gpd.GeoSeries(gpd.points_from_xy(*(a.ravel() for a in np.meshgrid(x, y))))
    degrees = places.set_crs("EPSG:32633").to_crs("EPSG:4326")
    truth = degrees.within(shapes.geometry[0]).to_numpy().reshape(60, 60)
    assert 0.2 < truth.mean() < 0.9
    assert np.array_equal(result.labels > 0, truth)


@pytest.mark.parametrize("name", ["shapes.gpkg", "shapes.shp", "shapes.geojson"])
def test_files_in_another_crs(tmp_path, name):
    shapes = table((square(0, 0, 2, 2), "fields"), (square(2, 2, 2, 2), "town"))
    shapes["id"], shapes["area"] = [5, 6], [0.5, 0.25]
    expected = label_cells(cells(), shapes).labels
    shapes.to_crs("EPSG:4326").to_file(tmp_path / name)
    result = label_cells(cells(), tmp_path / name)
    assert np.array_equal(result.labels, expected)
    assert result.classes == ("fields", "town")
    assert any("'class'" in note and name in note for note in result.notes)


def at(row, col):
    return Point(LEFT + 10 * col, TOP - 10 * row)


def test_points_label_the_cell_that_holds_them():
    shapes = table(
        (at(0.5, 0.5), 9),
        (at(0.6, 0.5), 10),
        (at(0.7, 0.5), 10),
        (at(1.5, 1.5), 10),
        (at(1.6, 1.6), 9),
        (shapely.MultiPoint([at(2.5, 0.1), at(2.5, 3.1), at(9, 9)]), 10),
        (at(4.1, 0.5), 9),
        (at(4.0, 0.5), 9),
        (Point(), 9),
        (at(3.0, 3.0), 9),
        (at(0.5, 3.5), None),
    )
    result = label_cells(cells(), shapes, minimum=1.0)
    assert result.classes == ("9", "10")
    assert result.labels.tolist() == [[2, 0, 0, 0], [0, 0, 0, 0], [2, 0, 0, 2], [0, 0, 0, 1]]
    assert result.feature_ids[0, 0] == 1
    assert result.feature_ids[2].tolist() == [5, -1, -1, 5]
    expected = {"outside the scene": 2, "empty geometry": 1, "no class": 1}
    assert result.left_out == expected | {"tie between classes": 1}
    assert result.features_used == 7
    assert "2 cells hold points of several classes." in result.notes


def test_cells_that_are_not_in_use_get_no_label():
    shapes = table((square(0, 0, 4, 4), "a"), (square(9, 9), "b"))
    usable = np.arange(16).reshape(4, 4) > 5
    result = label_cells(cells(), shapes, where=usable)
    assert np.array_equal(result.labels > 0, usable)
    assert np.array_equal(result.feature_ids >= 0, usable)
    assert result.left_out == {"outside the scene": 1, "cell not in use": 6}
    assert result.counts == {"a": 10, "b": 0}
    assert "No cell of this scene has the class b." in result.notes


def test_the_column_is_found_or_asked_for():
    shapes = table((square(0, 0), "a"), (square(1, 1), "b"))
    assert label_cells(cells(), shapes.assign(fid=[1, 2], drawn=[True, False])).classes == (
        "a",
        "b",
    )
    two = shapes.assign(kind=[3, 4])
    with pytest.raises(SamplesError, match=r"several columns of the table.*class, kind"):
        label_cells(cells(), two)
    assert label_cells(cells(), two, "kind").classes == ("3", "4")
    gaps = shapes.assign(kind=[7.0, np.nan])
    assert label_cells(cells(), gaps, "kind").left_out == {"no class": 1}
    many = table(*((square(r, 0), f"parcel {r}") for r in range(25)))
    with pytest.raises(SamplesError, match="no column of the table looks like classes"):
        label_cells(cells(30), many)
    assert len(label_cells(cells(30), many, "class").classes) == 25


ONE = table((square(0, 0), "a"))
LINE = shapely.LineString([(LEFT, TOP), (LEFT + 5, TOP - 5)])
FAR = table((box(500_000, 10_000, 500_100, 10_100), "a"))


@pytest.mark.parametrize(
    ("shapes", "options", "grid", "says"),
    [
        ("nowhere.gpkg", {}, cells(), "there is no file nowhere.gpkg"),
        ([1, 2], {}, cells(), "not list"),
        (ONE, {"column": "kind"}, cells(), "no column 'kind'; its columns: class"),
        (ONE, {"layer": "fields"}, cells(), "'fields' is for files"),
        (ONE, {"rule": "most"}, cells(), "choose one of majority, centre, share"),
        (ONE, {"minimum": 0}, cells(), "above 0 and at most 1"),
        (ONE, {"size": 0.5}, cells(), "1 or more"),
        (ONE, {"where": np.ones((2, 2))}, cells(), "there are 4 x 4 cells"),
        (table((square(0, 0), "a"), crs=None), {}, cells(), r"no CRS but the scene .*EPSG:32643"),
        (ONE, {}, cells(crs=None), r"the scene states no CRS but the table .*EPSG:32643"),
        (ONE, {}, cells(crs=None, left=0, top=0, side=-1), "no georeference"),
        (FAR, {}, cells(), "x 280000 to 280040, y 2109960 to 2110000.*x 500000 to 500100, y 10000"),
        (table((box(1e9, 1e9, 2e9, 2e9), "a"), crs="EPSG:3857"), {}, cells(), "outside"),
        (table((shapely.Polygon(), "a"), (None, "b")), {}, cells(), "none of the 2 features"),
        (table((square(0, 0), "a"), (LINE, "b")), {}, cells(), r"feature 1 .*LineString"),
        (
            table((shapely.GeometryCollection([square(0, 0), LINE]), "a")),
            {},
            cells(),
            "GeometryCollection",
        ),
        (table((square(0, 0), "a"), (at(1, 1), "b")), {}, cells(), "1 points and 1 polygons"),
        (ONE.iloc[:0], {"column": "class"}, cells(), "no features"),
        (table((square(0, 0), 0.5)), {"column": "class"}, cells(), "holds values such as 0.5"),
        (table((square(0, 0), None)), {"column": "class"}, cells(), "is empty"),
        (table((square(0, 0), "  ")), {"column": "class"}, cells(), "is blank"),
        (table((square(0, 0, 0.2, 0.2), "a")), {}, cells(), "no cell .below the minimum share 1"),
    ],
)
def test_refusals(shapes, options, grid, says):
    with pytest.raises(SamplesError, match=says):
        label_cells(grid, shapes, **options)


def test_files_that_cannot_be_meant(tmp_path):
    path = tmp_path / "two.gpkg"
    ONE.to_file(path, layer="fields")
    FAR.to_file(path, layer="far")
    with pytest.raises(SamplesError, match=r"2 layers.*fields, far"):
        label_cells(cells(), path)
    with pytest.raises(SamplesError, match="no layer 'towns' with shapes; its layers: fields, far"):
        label_cells(cells(), path, layer="towns")
    assert label_cells(cells(), path, layer="fields").labels[0, 0] == 1
    (tmp_path / "broken.gpkg").write_bytes(b"no database")
    with pytest.raises(SamplesError, match=r"broken.gpkg cannot be read as vectors"):
        label_cells(cells(), tmp_path / "broken.gpkg")
    (tmp_path / "plain.csv").write_text("class\na\n")
    with pytest.raises(SamplesError, match=r"plain.csv holds no shapes"):
        label_cells(cells(), tmp_path / "plain.csv")


def label_pixels():
    pixels = np.zeros((9, 10), np.uint8)
    pixels[:4, :4] = 20
    pixels[:4, 4:6], pixels[:4, 6:8] = 20, 30
    pixels[4:8, :3], pixels[4:8, 4:8] = 7, 255
    pixels[8], pixels[:, 8:] = 30, 30
    return pixels


def test_a_label_raster_by_hand(tmp_path):
    grid = PatchGrid.over(GeoBox((9, 10), Affine(1, 0, LEFT, 0, -1, TOP), UTM), 4).geobox
    path = tmp_path / "labels.tif"
    tags = {"classes": "0 none, 7 water,20 town"}
    write_labels(path, label_pixels(), Affine(1, 0, LEFT, 0, -1, TOP), nodata=255, tags=tags)
    result = label_cells_by_raster(grid, path)
    assert result.classes == ("30", "town", "water")
    assert result.labels.tolist() == [[2, 0, 1], [3, 0, 1], [1, 1, 1]]
    assert result.left_out == {"tie between classes": 1}
    assert (result.feature_ids == -1).all()
    strict = label_cells_by_raster(grid, path, minimum=0.8)
    assert strict.labels[1, 0] == 0
    assert strict.left_out["below the minimum share"] == 1
    merged = label_cells_by_raster(grid, path, classes={7: "open", 20: "built", 30: "open"})
    assert merged.labels.tolist() == [[1, 0, 2], [2, 0, 2], [2, 2, 2]]
    with pytest.raises(SamplesError, match="the values 30, which have no name"):
        label_cells_by_raster(grid, path, classes={7: "open", 20: "built"})
    named = label_cells_by_raster(grid, path, classes={0: "none", 7: "w", 20: "t", 30: "r"})
    assert named.classes == ("r", "t", "w")
    ignored = label_cells_by_raster(grid, path, ignore=(0, 30))
    assert ignored.labels.tolist() == [[1, 1, 0], [2, 0, 0], [0, 0, 0]]


def test_names_stand_in_a_sidecar(tmp_path):
    grid = PatchGrid.over(GeoBox((9, 10), Affine(1, 0, LEFT, 0, -1, TOP), UTM), 4).geobox
    pixels = label_pixels() // 10
    path = write_labels(tmp_path / "labels.tif", pixels, Affine(1, 0, LEFT, 0, -1, TOP))
    names = "".join(f"<Category>{n}</Category>" for n in ("none", "", "town", "road"))
    text = f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{names}</CategoryNames>"
    Path(f"{path}.aux.xml").write_text(f"{text}</PAMRasterBand></PAMDataset>")
    assert label_cells_by_raster(grid, path).classes == ("25", "road", "town")


def test_label_rasters_that_do_not_fit_are_refused(tmp_path):
    transform = Affine(1, 0, LEFT, 0, -1, TOP)
    grid = PatchGrid.over(GeoBox((9, 10), transform, UTM), 4).geobox
    pixels = label_pixels()
    path = tmp_path / "labels.tif"
    with pytest.raises(SceneError, match="there is no file"):
        label_cells_by_raster(grid, path)
    for other in (Affine(1, 0, LEFT + 0.5, 0, -1, TOP), Affine(1.5, 0, LEFT, 0, -1.5, TOP)):
        write_labels(path, pixels, other)
        with pytest.raises(SamplesError, match=r"not on the scene's own pixels.*gdalwarp -r near"):
            label_cells_by_raster(grid, path)
    write_labels(path, pixels, transform, crs="EPSG:32644")
    with pytest.raises(SamplesError, match="not on the scene's own pixels"):
        label_cells_by_raster(grid, path)
    write_labels(path, pixels, transform, crs=None)
    with pytest.raises(SamplesError, match=r"labels.tif states no CRS but the scene has one"):
        label_cells_by_raster(grid, path)
    write_labels(path, pixels + 0.5, transform)
    with pytest.raises(SamplesError, match="not whole numbers"):
        label_cells_by_raster(grid, path)
    write_labels(path, pixels * 0, transform)
    with pytest.raises(SamplesError, match="only ignored values"):
        label_cells_by_raster(grid, path)


@pytest.mark.data
def test_real_polygons_and_points(data_dir):
    folder = data_dir("landsat_raleigh")
    with rasterio.open(folder / "landsat7_2000_6band_float32.tif") as src:
        scene = GeoBox(src.shape, src.transform, src.crs)
    with rasterio.open(folder / "labelled_pixels.tif") as src:
        truth = src.read(1)
    polygons = label_cells(scene, folder / "landsat96_polygons.shp", rule="centre")
    assert len(polygons.classes) == 7
    assert (polygons.features_used, polygons.left_out) == (33, {"outside the scene": 1})
    # Whoever made the data burned them too, with every pixel they touch, numbered by their id.
    ids = gpd.read_file(folder / "landsat96_polygons.shp").set_index("label")["id"].to_dict()
    numbers = np.array([0, *(ids[name] for name in polygons.classes)])[polygons.labels]
    assert np.array_equal(numbers[numbers > 0], truth[numbers > 0])
    assert 0.75 < (numbers > 0).sum() / (truth > 0).sum() < 1
    points = label_cells(scene, folder / "landsat96_points.shp", "label")
    table = gpd.read_file(folder / "landsat96_points.shp").to_crs(32119)
    left, bottom, right, top = scene.extent.boundingbox.bbox
    held = table.cx[left:right, bottom:top]
    assert points.left_out["outside the scene"] == 1000 - len(held)
    names = np.array(points.classes)[points.labels[points.labels > 0] - 1]
    origin = table["label"].to_numpy()[points.feature_ids[points.labels > 0]]
    assert np.array_equal(names, origin)
    assert 850 < points.features_used == len(held)


@pytest.mark.data
def test_a_real_label_raster_and_its_polygons(data_dir):
    path = data_dir("mumbai", "mumbai_g4_1_labels.tif")
    with rasterio.open(path) as src:
        pixels, transform, crs = src.read(1), src.transform, src.crs
    pixels[pixels == 255] = 0
    grid = PatchGrid.over(GeoBox(pixels.shape, transform, crs), "60m").geobox
    counted = label_cells_by_raster(grid, path)
    assert isinstance(counted, CellLabels)
    assert "informal_settlement" in counted.classes
    drawn = label_cells(grid, rasters_as_polygons(pixels, transform, crs))
    names = np.array(["", *(f"class {i}" for i in range(1, 7))])
    stated = ["unlabelled", "informal_settlement", "built_up", "impervious"]
    stated += ["vegetation", "barren", "water"]
    ours = np.array(["", *counted.classes])[counted.labels]
    theirs = np.array(["", *drawn.classes])[drawn.labels]
    renamed = {"": "", **dict(zip(names[1:], stated[1:], strict=True))}
    same = np.array([renamed[n] for n in theirs.ravel()]).reshape(ours.shape) == ours
    assert same.mean() > 0.97
