"""A mosaic of class maps: where cells lie, which map is on top, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from qgis_client import ask_qgis, gdalinfo
from terrapatch.errors import MapError, OutputError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.maps.vrt import mosaic_files, write_mosaic

LEGEND = Legend.of(["built", "green & wild", "water"])


def class_map(
    folder: Path,
    name: str,
    values: list[list[int]],
    left: float,
    top: float,
    cell: float = 10.0,
    crs: str | None = "EPSG:32643",
    legend: Legend = LEGEND,
) -> tuple[Path, GeoBox]:
    array = np.array(values, np.uint8)
    box = GeoBox(array.shape, Affine(cell, 0, left, 0, -cell, top), crs)
    path = folder / f"{name}.tif"
    ClassMap(array, box, legend).save(path, polygons=False)
    return path, box


def mosaic(folder: Path, maps: list[tuple[Path, GeoBox]], legend: Legend = LEGEND) -> Path:
    counts = sum(ClassMap.open(path).counts() for path, _ in maps)
    files = write_mosaic(folder / "mosaic.vrt", maps, legend, counts)
    assert files == mosaic_files(folder / "mosaic.vrt")
    return files[0]


def test_cells_lie_where_they_lay_and_the_first_map_is_on_top(tmp_path: Path) -> None:
    first = class_map(tmp_path, "a", [[1, 1, 0], [1, 1, 1]], 1000, 500)
    other = class_map(tmp_path, "b", [[2, 2, 2], [3, 3, 3]], 1020, 490)
    path = mosaic(tmp_path, [first, other])
    expected = [[1, 1, 0, 0, 0], [1, 1, 1, 2, 2], [0, 0, 3, 3, 3]]
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(1), expected)
        assert src.transform == Affine(10, 0, 1000, 0, -10, 500)
        assert src.dtypes == ("uint8",)
        table = src.colormap(1)
        assert table[0] == (0, 0, 0, 0)
        assert [table[e.id] for e in LEGEND] == [(*e.rgb, 255) for e in LEGEND]
    hole = class_map(tmp_path, "c", [[0, 3]], 1000, 500)
    path.unlink()
    path.with_suffix(".qml").unlink()
    with rasterio.open(mosaic(tmp_path, [hole, first])) as src:
        np.testing.assert_array_equal(src.read(1), [[1, 3, 0], [1, 1, 1]])


def test_the_finest_cells_decide(tmp_path: Path) -> None:
    coarse = class_map(tmp_path, "coarse", [[1, 2]], 0, 20, cell=20)
    fine = class_map(tmp_path, "fine", [[3, 1], [1, 3]], 40, 20, cell=10)
    with rasterio.open(mosaic(tmp_path, [coarse, fine])) as src:
        assert src.res == (10, 10)
        np.testing.assert_array_equal(src.read(1), [[1, 1, 2, 2, 3, 1], [1, 1, 2, 2, 1, 3]])


def test_degrees_keep_their_order(tmp_path: Path) -> None:
    one = class_map(tmp_path, "a", [[1, 2]], 72.8, 19.1, cell=0.001, crs="EPSG:4326")
    with rasterio.open(mosaic(tmp_path, [one])) as src:
        assert src.crs.to_epsg() == 4326
        assert src.bounds.left == pytest.approx(72.8)
        assert src.bounds.top == pytest.approx(19.1)


def test_gdal_reads_names_and_counts(tmp_path: Path) -> None:
    maps = [
        class_map(tmp_path, "a", [[1, 2]], 0, 10),
        class_map(tmp_path, "b", [[2, 3]], 20, 10),
    ]
    facts = gdalinfo(mosaic(tmp_path, maps))
    band = facts["bands"][0]
    assert band["categories"] == ["no data", *LEGEND.names]
    assert band["noDataValue"] == 0
    assert [row["f"][:3] for row in facts["rat"]["row"]] == [
        [1, 1, "built"], [2, 2, "green & wild"], [3, 1, "water"]
    ]  # fmt: skip


@pytest.mark.qgis
@pytest.mark.parametrize("styled", [True, False])
def test_qgis_opens_the_mosaic_as_a_class_map(tmp_path: Path, styled: bool) -> None:
    maps = [
        class_map(tmp_path, "a", [[1, 2]], 0, 10),
        class_map(tmp_path, "b", [[2, 3]], 20, 10),
    ]
    path = mosaic(tmp_path, maps)
    if not styled:
        path.with_suffix(".qml").unlink()
    seen = ask_qgis([{"path": str(path)}])[0]
    assert seen["valid"]
    assert seen["renderer"] == "paletted"
    assert seen["authid"] == "EPSG:32643"
    assert seen["nodata"]
    assert seen["size"] == [4, 1]
    shown = [[e.id, e.name, e.colour, 255] for e in LEGEND]
    assert [one for one in seen["classes"] if one[0]] == shown
    assert len(seen["classes"]) == len(shown) or not styled


def test_many_classes_have_no_colour_table(tmp_path: Path) -> None:
    legend = Legend.of([f"class {n}" for n in range(1, 301)])
    one = class_map(tmp_path, "a", [[1, 200]], 0, 10, legend=legend)
    with rasterio.open(mosaic(tmp_path, [one], legend)) as src:
        assert src.dtypes == ("uint16",)
        np.testing.assert_array_equal(src.read(1), [[1, 200]])


def test_what_has_no_common_grid_is_refused(tmp_path: Path) -> None:
    here = class_map(tmp_path, "here", [[1]], 0, 10)
    away = class_map(tmp_path, "away", [[1]], 0, 10, crs="EPSG:3035")
    lost = class_map(tmp_path, "lost", [[1]], 0, 10, crs=None)
    counts = np.array([0, 2, 0, 0])
    for maps, words in (
        ([], "a mosaic of no map"),
        ([here, away], r"here\.tif is in EPSG:32643 and away\.tif in EPSG:3035"),
        ([here, lost], r"lost\.tif has no CRS"),
        (
            [(here[0], GeoBox((1, 1), Affine.rotation(30) @ here[1].affine, "EPSG:32643"))],
            r"the grid of here\.tif is turned",
        ),
    ):
        with pytest.raises(MapError, match=words):
            write_mosaic(tmp_path / "mosaic.vrt", maps, LEGEND, counts)
    path = mosaic(tmp_path, [here])
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"mosaic\.vrt exists"):
        write_mosaic(path, [here], LEGEND, counts)
    write_mosaic(path, [here], LEGEND, np.array([0, 1, 0, 0]), overwrite=True)
    assert path.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]
