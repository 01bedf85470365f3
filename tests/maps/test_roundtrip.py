"""Written and read back: the same values, grid, legend and provenance; valid COGs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate

from made_maps import LAMBERT, class_map, value_map
from terrapatch.errors import MapError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, ValueMap

CRSS = [None, "EPSG:32643", "EPSG:4326", "EPSG:3857", "ESRI:54009", LAMBERT]


@st.composite
def geoboxes(draw: st.DrawFn) -> GeoBox:
    shape = draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    crs = draw(st.sampled_from(CRSS))
    size = 0.001 if crs == "EPSG:4326" else 30.0
    place = draw(st.tuples(st.floats(-100, 100), st.floats(-60, 60)))
    affine = Affine.translation(*place) * Affine.scale(
        size * draw(st.floats(0.1, 3)), size * draw(st.sampled_from([-1.0, -0.3, 1.0]))
    )
    turned = affine * Affine.rotation(draw(st.sampled_from([0.0, 0.0, 17.0])))
    return GeoBox(shape, draw(st.sampled_from([turned, affine, Affine.identity()])), crs)


@given(geoboxes(), st.sampled_from([1, 5, 254, 255, 400]), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_class_map_comes_back(geobox: GeoBox, classes: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, classes + 1, tuple(geobox.shape))
    legend = Legend.of([f"ζ{i} & co" for i in range(classes)])
    made = {"seed": seed, "text": "ü <>", "nested": {"list": [1, 2.5, None]}}
    before = ClassMap(values.astype(np.uint16), geobox, legend, made, "Title")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        saved = before.save(path)
        after = ClassMap.open(path)
        assert set(Path(folder).iterdir()) == set(saved.files)
        assert cog_validate(path, strict=True, quiet=True)[0]
    np.testing.assert_array_equal(after.values, values)
    assert after.values.dtype == (np.uint8 if classes <= 254 else np.uint16)
    assert after.geobox == geobox
    assert after.legend == legend
    assert after.provenance == made
    assert after.title == "Title"


@given(geoboxes(), st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_a_value_map_comes_back(geobox: GeoBox, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(0, 1e3, tuple(geobox.shape)).astype(np.float32)
    values[random.random(values.shape) < share] = np.nan
    before = ValueMap(values, geobox, "height", "m", {"seed": seed}, (-10.0, 10.0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        saved = before.save(path)
        after = ValueMap.open(path)
        assert set(Path(folder).iterdir()) == set(saved.files)
        assert cog_validate(path, strict=True, quiet=True)[0]
    np.testing.assert_array_equal(after.values, values)
    assert after.geobox == geobox
    assert (after.name, after.unit, after.range) == ("height", "m", (-10.0, 10.0))
    assert after.provenance == {"seed": seed}


def test_the_legend_is_read_from_the_attribute_table_too(tmp_path: Path) -> None:
    before = class_map(12)
    path = before.save(tmp_path / "map.tif").path
    bare = tmp_path / "bare.tif"
    with rasterio.open(path) as source:
        profile = {**source.profile, "driver": "GTiff"}
        with rasterio.open(bare, "w", **profile) as target:
            target.write(source.read())
    with pytest.raises(MapError, match="no legend"):
        ClassMap.open(bare)
    (tmp_path / "map.tif.aux.xml").rename(tmp_path / "bare.tif.aux.xml")
    assert ClassMap.open(bare).legend == before.legend


def test_overviews_hold_only_classes_of_the_map(tmp_path: Path) -> None:
    values = np.tile(np.array([[1, 1], [1, 9]], np.uint8), (600, 700))
    values[:, :700] = 0
    geobox = GeoBox(values.shape, Affine(1, 0, 0, 0, -1, 0), "EPSG:32643")
    legend = Legend.of([f"c{i}" for i in range(9)])
    path = ClassMap(values, geobox, legend).save(tmp_path / "big.tif", polygons=False).path
    assert cog_validate(path, strict=True, quiet=True)[0]
    with rasterio.open(path) as file:
        assert file.overviews(1)
    with rasterio.open(path, overview_level=0) as file:
        assert set(np.unique(file.read(1))) == {0, 1}


def test_value_overviews_are_averages_and_statistics_are_tags(tmp_path: Path) -> None:
    values = np.tile(np.array([[0, 2], [2, 4]], np.float32), (600, 600))
    geobox = GeoBox(values.shape, Affine(1, 0, 0, 0, -1, 0), "EPSG:32643")
    path = ValueMap(values, geobox, "x").save(tmp_path / "v.tif").path
    with rasterio.open(path) as file:
        tags = file.tags(1)
    assert float(tags["STATISTICS_MINIMUM"]) == 0
    assert float(tags["STATISTICS_MAXIMUM"]) == 4
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(values.mean())
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(values.std())
    with rasterio.open(path, overview_level=0) as file:
        assert (file.read(1) == 2).all()


def test_colour_tables_stand_in_uint8_maps_only(tmp_path: Path) -> None:
    with rasterio.open(class_map(254).save(tmp_path / "a.tif").path) as file:
        table = file.colormap(1)
        assert (file.dtypes[0], file.nodata) == ("uint8", 0)
        assert table[0] == (0, 0, 0, 0)
        assert [table[i][:3] for i in range(1, 255)] == class_map(254).legend.rgb
    with rasterio.open(class_map(255).save(tmp_path / "b.tif").path) as file:
        assert (file.dtypes[0], file.nodata) == ("uint16", 0)
        with pytest.raises(ValueError, match="NULL color table"):
            file.colormap(1)


def test_what_makes_no_map_is_said() -> None:
    geobox = GeoBox((3, 4), Affine.identity(), None)
    legend = Legend.of(["a", "b"])
    ones = np.ones((3, 4), np.uint8)
    for values, says in [
        (ones.astype(np.int8), "int8.*uint8 or uint16"),
        (ones.astype(np.int64), "int64"),
        (ones.astype(np.float32), "float32"),
        (ones[:2], "2 x 4 cells, the grid 3 x 4"),
        (ones[None], "two dimensions"),
        (ones * 3, "hold class 3, the legend ends at 2"),
    ]:
        with pytest.raises(MapError, match=says):
            ClassMap(values, geobox, legend)
    with pytest.raises(MapError, match="no cells"):
        ClassMap(ones[:0], geobox[:0, :], legend)
    with pytest.raises(MapError, match="GeoBox"):
        ClassMap(ones, "EPSG:4326", legend)  # type: ignore[arg-type]
    with pytest.raises(MapError, match="JSON"):
        ClassMap(ones, geobox, legend, {"a": float("nan")})
    with pytest.raises(MapError, match="datetime"):
        ClassMap(ones, geobox, legend, {"datetime": "yesterday"})
    floats = ones.astype(np.float32)
    with pytest.raises(MapError, match="float64"):
        ValueMap(floats.astype(np.float64), geobox, "x")
    with pytest.raises(MapError, match="infinity"):
        ValueMap(floats * np.inf, geobox, "x")
    with pytest.raises(MapError, match="low < high"):
        ValueMap(floats, geobox, "x", range=(1, 1))
    with pytest.raises(MapError, match="needs a name"):
        ValueMap(floats, geobox, " ")


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="there is no map at"):
        ClassMap.open(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(MapError, match="cannot read the map"):
        ClassMap.open(tmp_path / "text.tif")
    path = value_map().save(tmp_path / "v.tif").path
    with pytest.raises(MapError, match="float32"):
        ClassMap.open(path)
