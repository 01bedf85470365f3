"""Pictures of class maps."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from affine import Affine
from matplotlib.image import imread
from odc.geo.geobox import GeoBox

from made_maps import UTM, class_map
from terrapatch.errors import MapError, OutputError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, preview
from terrapatch.maps.preview import render


def test_every_cell_has_the_colour_of_its_class(twelve: ClassMap) -> None:
    drawn = render(twelve, *twelve.values.shape)
    colours = np.array([(0, 0, 0), *twelve.legend.rgb])
    np.testing.assert_array_equal(drawn[..., :3], colours[twelve.values])
    np.testing.assert_array_equal(drawn[..., 3], np.where(twelve.values == 0, 0, 255))


@pytest.mark.parametrize("base", [None, np.random.default_rng(0).random((50, 70, 3))])
def test_the_same_map_gives_the_same_picture(
    base: np.ndarray | None, twelve: ClassMap, tmp_path: Path
) -> None:
    before = dict(matplotlib.rcParams)
    a = preview(twelve, tmp_path / "a.png", base=base)
    b = preview(twelve, tmp_path / "new" / "b.png", base=base)
    assert a.read_bytes() == b.read_bytes()
    assert dict(matplotlib.rcParams) == before
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "new"}
    assert imread(a).shape[1] > 1200


def test_the_map_stands_left_and_its_colours_are_exact(tmp_path: Path) -> None:
    values = np.full((10, 10), 2, np.uint8)
    made = ClassMap(values, UTM[:10, :10], Legend.of(["a", "$roofs$"], ["#ff0000", "#0080ff"]))
    picture = imread(preview(made, tmp_path / "a.png", pixels=300))
    np.testing.assert_allclose(picture[150, 150, :3], [0, 128 / 255, 1], atol=0.003)


def test_an_image_lies_where_its_grid_says(tmp_path: Path) -> None:
    """A map whose last row and column hang over its image leaves the overhang white."""
    made = ClassMap(np.zeros((10, 10), np.uint8), UTM[:10, :10], Legend.of(["a"]))
    image = GeoBox((90, 90), UTM.affine * Affine.scale(0.1), UTM.crs)
    base = np.zeros((90, 90), np.uint8)
    path = preview(made, tmp_path / "a.png", base=base, base_geobox=image, pixels=500)
    picture = imread(path)[30:530, 10:510, :3]
    assert picture[:440, :440].max() < 0.01
    assert picture[460:].min() > 0.99
    assert picture[:, 460:].min() > 0.99


def test_hundreds_of_classes_still_fit(tmp_path: Path) -> None:
    picture = imread(preview(class_map(300), tmp_path / "a.png", pixels=200))
    assert picture.shape[0] < 1200


def test_what_cannot_be_drawn_is_said(twelve: ClassMap, tmp_path: Path) -> None:
    base = np.zeros((9, 9), np.uint8)
    with pytest.raises(MapError, match=r"\(rows, cols, 3\)"):
        preview(twelve, tmp_path / "a.png", base=np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(MapError, match="uint16"):
        preview(twelve, tmp_path / "a.png", base=base.astype(np.uint16))
    with pytest.raises(MapError, match="another CRS"):
        preview(
            twelve,
            tmp_path / "a.png",
            base=base,
            base_geobox=GeoBox((9, 9), UTM.affine, "EPSG:32644"),
        )
    turned = GeoBox((9, 9), UTM.affine * Affine.rotation(10), UTM.crs)
    with pytest.raises(MapError, match="turned"):
        preview(twelve, tmp_path / "a.png", base=base, base_geobox=turned)
    with pytest.raises(MapError, match="opacity"):
        preview(twelve, tmp_path / "a.png", opacity=2)
    with pytest.raises(OutputError, match="png"):
        preview(twelve, tmp_path / "a.jpg")
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        preview(twelve, tmp_path / "a.png")
    assert not list(tmp_path.glob(".*"))
