"""Real cubes become maps by the command line alone, and real QGIS opens them right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate

import terrapatch as tp
from qgis_client import ask_qgis, require_qgis
from study_files import SVM, offline_text

pytestmark = [pytest.mark.slow, pytest.mark.data]

COVER = ("roof", "pavement", "low vegetation", "tree", "soil", "water")
ENMAP = ",".join(f"{i}={name}" for i, name in enumerate(COVER, start=1))
RALEIGH = ("agriculture", "developed", "forest", "herbaceous", "sediment", "shrubland", "water")


def command(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("terrapatch")
    return subprocess.run(
        [tool, "pixels", *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )


def done(folder: Path, *words: object) -> str:
    """Run a command that has to succeed, and return what it said."""
    run = command(folder, *words)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def result(folder: Path, *words: object) -> dict[str, Any]:
    """Run a command for machines, and return its result."""
    run = command(folder, *words, "--json")
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert found["type"] == "result"
    return found


def seen_by_qgis(folder: Path) -> tuple[dict[str, Any], NDArray[np.uint8], list[dict[str, Any]]]:
    """Open a map, its companions and polygons from a copy; draw the map pixel by pixel."""
    copy = folder.with_name(f"{folder.name}_copy")
    shutil.copytree(folder, copy)  # QGIS writes beside what it opens
    with rasterio.open(folder / "map.tif") as src:
        size = [src.width, src.height]
    drawn = copy.with_name(f"{folder.name}.png")
    tasks: list[dict[str, Any]] = [
        {"path": str(copy / "map.tif"), "picture": str(drawn), "size": size}
    ]
    names = ("map_confidence.tif", "map_margin.tif", "map_polygons.gpkg")
    tasks += [{"path": str(copy / name)} for name in names]
    raster, *others = ask_qgis(tasks)
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(drawn) as file:
        return raster, np.moveaxis(file.read(), 0, -1), others


def check_map(folder: Path, names: tuple[str, ...], authid: str) -> tp.ClassMap:
    """Check names, colours, CRS and gaps of a map in QGIS; return the map."""
    made = tp.ClassMap.open(folder / "map.tif")
    assert made.legend.names == names
    raster, drawn, (confidence, margin, areas) = seen_by_qgis(folder)
    assert raster["valid"]
    assert raster["renderer"] == "paletted"
    assert raster["classes"] == [[e.id, e.name, e.colour, 255] for e in made.legend]
    assert raster["crs_valid"]
    assert raster["authid"] == authid
    assert raster["nodata"]
    assert raster["nodata_value"] == 0
    inside = made.values != 0
    assert 0.05 < inside.mean() < 0.95
    np.testing.assert_array_equal(drawn[..., 3], np.where(inside, 255, 0))  # gaps are transparent
    colours = np.array([(0, 0, 0), *made.legend.rgb], np.uint8)
    np.testing.assert_array_equal(drawn[inside][:, :3], colours[made.values[inside]])
    for companion in (confidence, margin):
        assert companion["valid"]
        assert companion["crs_valid"]
        assert companion["renderer"] == "singlebandpseudocolor"
        assert companion["range"] == [0, 1]
    assert areas["renderer"] == "categorizedSymbol"
    assert areas["crs_valid"]
    assert areas["count"] > 100
    for name in ("map.tif", "map_confidence.tif", "map_margin.tif"):
        valid, errors, _ = cog_validate(folder / name, strict=True)
        assert valid, errors
    return made


@pytest.mark.qgis
def test_enmap_of_potsdam(data_dir: Callable[..., Path], tmp_path: Path) -> None:
    require_qgis()
    cube = data_dir("enmap_potsdam", "potsdam_images.tif")
    truth = data_dir("enmap_potsdam", "potsdam_labels.tif")
    said = done(tmp_path, "train", cube, "--labels", truth, "--names", ENMAP, "--feature",
                "pca:components=10", "--feature", "mean:window=3,of=pca,components=10",
                "--learner", SVM, "--smooth", "gaussian:sigma=1", "--protocols", "random,blocks",
                "--seeds", "1", "-o", "model")  # fmt: skip
    assert "216 of 224 bands kept" in said
    assert "dropped 130-135: bad-band list" in said
    assert "dropped 164-165: water vapour" in said
    done(tmp_path, "classify", cube, "--model", "model", "-o", "out/map.tif")
    made = check_map(tmp_path / "out", COVER, "EPSG:32633")
    with rasterio.open(cube) as src, rasterio.open(truth) as labels:
        assert made.geobox.affine == src.transform
        empty = src.read_masks(50) == 0
        ids = labels.read(1)
    assert (made.values[empty] == 0).all()
    known = (ids > 0) & (made.values > 0)
    assert (made.values == ids)[known].mean() > 0.75
    assert "Under blocks" in offline_text(tmp_path / "model" / "report.html")


@pytest.mark.qgis
def test_landsat_of_raleigh(data_dir: Callable[..., Path], tmp_path: Path) -> None:
    require_qgis()
    cube = data_dir("landsat_raleigh", "landsat7_2000_6band_float32.tif")
    polygons = data_dir("landsat_raleigh", "landsat96_polygons.shp")
    given = (cube, "--labels", polygons, "--column", "label")
    short = command(tmp_path, "train", *given, "-o", "model")
    assert short.returncode == 2  # the only field lies where band 6 has no data
    last = short.stderr.strip().splitlines()[-1]
    assert last.startswith("error: no pixel of landsat7_2000_6band_float32.tif has the class 'agr")
    assert "--drop" in last
    assert not (tmp_path / "model").exists()
    recipe = ("--feature", "spectra", "--learner", SVM, "--smooth", "gaussian:sigma=1")
    made = result(tmp_path, "train", *given, "--drop", "6", *recipe, "--protocols", "fields",
                  "--seeds", "2", "-o", "model")  # fmt: skip
    assert tuple(made["classes"]) == RALEIGH
    (row,) = made["protocols"]
    assert row["untestable"] == ["agriculture"]  # one polygon alone
    assert row["overall_low"] < row["overall"] < row["overall_high"]
    done(tmp_path, "classify", cube, "--drop", "6", "--model", "model", "-o", "out/map.tif")
    mapped = check_map(tmp_path / "out", RALEIGH, "")  # its Lambert CRS has no code
    with rasterio.open(cube) as src:
        assert mapped.geobox.affine == src.transform
        empty = src.read_masks(1) == 0
    np.testing.assert_array_equal(mapped.values == 0, empty)


@pytest.mark.parametrize(
    ("name", "words", "counts"),
    [
        ("labelled_pixels.tif", (), {"1": 427, "2": 65, "3": 609, "4": 290, "5": 939}),
        ("landsat96_points.shp", ("--column", "label"), {}),
    ],
)
def test_labels_of_raleigh_as_raster_and_as_points(
    data_dir: Callable[..., Path],
    tmp_path: Path,
    name: str,
    words: tuple[str, ...],
    counts: dict[str, int],
) -> None:
    cube = data_dir("landsat_raleigh", "landsat7_2000_6band_float32.tif")
    labels = data_dir("landsat_raleigh", name)
    run = command(tmp_path, "evaluate", cube, "--labels", labels, *words, "--drop", "6",
                  "--feature", "spectra", "--learner", SVM, "--smooth", "none", "--seeds", "1",
                  "--protocols", "random,blocks")  # fmt: skip
    assert run.returncode == 0, run.stderr
    for value, n in counts.items():
        assert f"{value} {n}" in run.stderr
    table = [line.split() for line in run.stdout.splitlines()[:3]]
    assert [row[0] for row in table] == ["protocol", "random", "blocks"]
    assert float(table[2][3]) > float(table[2][-2])  # better than the majority class
    assert not list(tmp_path.iterdir())
