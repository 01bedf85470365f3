"""Real QGIS opens what was saved: classes, colours, CRS, transparency, all by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from made_maps import LAMBERT, class_map, value_map
from qgis_client import ask_qgis, gdalinfo, require_qgis
from terrapatch.maps import ClassMap, ValueMap

pytestmark = pytest.mark.qgis


def _copied(saved: Path) -> Path:
    """Return the map in a copy of its folder: QGIS writes beside what it opens."""
    folder = saved.parent.with_name(saved.parent.name + "_copy")
    shutil.copytree(saved.parent, folder)
    return folder / saved.name


def _picture(path: Path) -> NDArray[np.uint8]:
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def _ask(made: ClassMap | ValueMap, tmp_path: Path) -> list[dict[str, Any]]:
    """Open and draw the raster and, if there are some, the polygons; one pixel a cell."""
    require_qgis()
    path = _copied(made.save(tmp_path / "bundle" / "map.tif").path)
    size = [made.values.shape[1], made.values.shape[0]]
    layers = [path, path.with_name("map_polygons.gpkg")]
    return ask_qgis(
        [
            {"path": str(p), "picture": str(tmp_path / f"{p.suffix[1:]}.png"), "size": size}
            for p in layers
            if p.exists()
        ]
    )


@pytest.mark.parametrize("classes", [1, 12, 254, 300])
def test_qgis_shows_exactly_the_classes_of_the_legend(classes: int, tmp_path: Path) -> None:
    made = class_map(classes)
    raster, polygons = _ask(made, tmp_path)
    expected = [[e.id, e.name, e.colour, 255] for e in made.legend]
    assert raster["renderer"] == "paletted"
    assert raster["classes"] == expected
    assert raster["valid"]
    assert raster["crs_valid"]
    assert raster["authid"] == "EPSG:32643"
    assert raster["nodata"]
    assert raster["nodata_value"] == 0
    assert raster["extent"] == list(made.geobox.extent.boundingbox.bbox)
    assert polygons["renderer"] == "categorizedSymbol"
    assert polygons["attribute"] == "id"
    assert [[int(id), *rest] for id, *rest in polygons["classes"]] == expected
    assert polygons["valid"]
    assert polygons["crs_valid"]
    assert polygons["authid"] == "EPSG:32643"
    assert polygons["fields"] == ["fid", "id", "name", "colour", "cells", "area_ha"]


@pytest.mark.parametrize("classes", [12, 300])
def test_qgis_draws_each_cell_in_its_colour_and_nothing_for_no_data(
    classes: int, tmp_path: Path
) -> None:
    made = class_map(classes)
    _ask(made, tmp_path)
    drawn = _picture(tmp_path / "tif.png")
    colours = np.array([(0, 0, 0), *made.legend.rgb], dtype=np.uint8)
    inside = made.values != 0
    np.testing.assert_array_equal(drawn[..., 3], np.where(inside, 255, 0))
    np.testing.assert_array_equal(drawn[inside][:, :3], colours[made.values[inside]])
    outlined = _picture(tmp_path / "gpkg.png")[1::4, 1::4]  # inside the 4 x 4 blocks
    blocks = made.values[1::4, 1::4]
    assert (outlined[blocks == 0][:, 3] == 0).all()
    same = (outlined[..., :3] == colours[blocks]).all(axis=-1)
    assert same[blocks != 0].mean() > 0.95


def test_qgis_draws_values_as_a_ramp_with_their_unit(tmp_path: Path) -> None:
    made = value_map()
    (facts,) = _ask(made, tmp_path)
    assert facts["renderer"] == "singlebandpseudocolor"
    assert facts["range"] == [0, 80]  # the farthest corner is exactly 80 cells away
    assert facts["items"][0] == [0, "0 cells", "#440154"]
    assert facts["items"][-1] == [80, "80 cells", "#fde725"]
    assert facts["suffix"] == " cells"
    assert facts["crs_valid"]
    drawn = _picture(tmp_path / "tif.png")
    np.testing.assert_array_equal(drawn[..., 3] == 0, np.isnan(made.values))
    middle = drawn[made.values.shape[0] // 2, made.values.shape[1] // 2, :3].astype(int)
    assert np.abs(middle - [0x44, 0x01, 0x54]).max() <= 2


@pytest.mark.parametrize(
    ("affine", "crs", "valid"),
    [
        (Affine(0.001, 0, 15, 0, -0.001, 70), "EPSG:4326", True),
        (Affine(50, 0, 1e5, 0, -50, 2e5), LAMBERT, True),
        (Affine(50, 0, 1e5, 0, 50, 2e6), "EPSG:32643", True),
        (Affine(50, 0, 1e5, 0, -50, 2e6), None, False),
        (Affine.identity(), None, False),
    ],
)
def test_qgis_lays_raster_and_polygons_over_each_other(
    affine: Affine, crs: str | None, valid: bool, tmp_path: Path
) -> None:
    raster, polygons = _ask(class_map(5, GeoBox((40, 60), affine, crs)), tmp_path)
    assert raster["crs_valid"] is valid
    assert len(raster["classes"]) == len(polygons["classes"]) == 5
    a, b = (_picture(tmp_path / f"{kind}.png").astype(int) for kind in ("tif", "gpkg"))
    assert (np.abs(a - b).max(axis=-1) < 2)[1::4, 1::4].mean() > 0.9


def test_gdalinfo_shows_categories_colours_and_attribute_table(tmp_path: Path) -> None:
    made = class_map(12)
    facts = gdalinfo(made.save(tmp_path / "map.tif").path)
    band = facts["bands"][0]
    table = band["colorTable"]["entries"]
    assert band["type"] == "Byte"
    assert band["noDataValue"] == 0
    assert table[0] == [0, 0, 0, 0]
    assert table[1:13] == [[*rgb, 255] for rgb in made.legend.rgb]
    assert band["categories"] == ["no data", *made.legend.names]
    rows = facts["rat"]["row"]
    names = [field["name"] for field in facts["rat"]["fieldDefn"]]
    assert names == ["Value", "Count", "Class", "Red", "Green", "Blue", "Alpha"]
    assert [field["usage"] for field in facts["rat"]["fieldDefn"]] == [5, 1, 2, 6, 7, 8, 9]
    counts = made.counts()
    assert [row["f"] for row in rows] == [
        [e.id, int(counts[e.id]), e.name, *e.rgb, 255] for e in made.legend
    ]
    assert facts["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
