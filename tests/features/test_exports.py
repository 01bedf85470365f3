"""Exports: read by plain geopandas, rasterio, GDAL and NumPy, whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from rasters import make_raster
from terrapatch.errors import BandError, OutputError, StoreError
from terrapatch.features import FeatureRaster, embed
from terrapatch.features.exports import _components as components
from terrapatch.features.exports import (
    export,
    geoparquet,
    geotiff,
    to_geoparquet,
    to_geotiff,
    to_npy,
    to_npz,
    to_pca_picture,
)
from terrapatch.features.exports.picture import stretch

FILES = ("f.parquet", "f.tif", "f.npz", "f.npy", "f.png")
HOLE = (slice(16, 40), slice(0, 24))  # in cells: rows 2 to 4, columns 0 to 2


@pytest.fixture(scope="module")
def make_features(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FeatureRaster]:
    """Embed a scene of 12 x 10 cells, 9 of them empty, by band statistics."""

    def make(bands: int = 3, **options: Any) -> FeatureRaster:
        folder = tmp_path_factory.mktemp("store")
        scene = make_raster(
            folder / "scene.tif", bands=bands, height=96, width=80, nodata=0, hole=HOLE, **options
        )
        return embed(scene, folder / "f.zarr", size=8, backbone="imagestats", units="uint8")

    return make


@pytest.fixture(scope="module")
def features(make_features: Callable[..., FeatureRaster]) -> FeatureRaster:
    return make_features()


@pytest.fixture(scope="module")
def nowhere(make_features: Callable[..., FeatureRaster]) -> FeatureRaster:
    """Features of a scene without CRS and transform."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return make_features(crs=None, transform=None)


def _values(features: FeatureRaster) -> np.ndarray:
    return features.read(slice(None), slice(None))


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- GeoParquet -----------------------------------------------------------------------------


def test_geopandas_reads_cells_values_and_place(features: FeatureRaster, tmp_path: Path) -> None:
    path = to_geoparquet(features, tmp_path / "f.parquet")
    table = geopandas.read_parquet(path)
    row, col = np.nonzero(features.valid() > 0)
    assert len(table) == 111
    names = ["geometry", "bbox", "row", "col", "valid", "embedding"]
    assert pq.read_schema(path).names == names
    assert table.crs.to_epsg() == 32643
    assert table["row"].tolist() == row.tolist()
    assert table["col"].tolist() == col.tolist()
    np.testing.assert_array_equal(np.stack(table["embedding"]), _values(features)[row, col])
    np.testing.assert_array_equal(table["valid"], features.valid()[row, col])
    x, y = features.geobox.affine * (col, row)
    expected = shapely.box(x, y - 4, x + 4, y)
    assert shapely.equals(table.geometry, expected).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(table.geometry.values)).all()
    sides = pq.read_table(path)["bbox"].combine_chunks().flatten()  # geopandas leaves it out
    boxes = np.stack([side.to_numpy() for side in sides], axis=1)
    np.testing.assert_array_equal(boxes, shapely.bounds(expected))


def test_the_geo_metadata_keeps_to_the_specification(
    features: FeatureRaster, tmp_path: Path
) -> None:
    file = pq.ParquetFile(to_geoparquet(features, tmp_path / "f.parquet"))
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo.keys() == {"version", "primary_column", "columns"}
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["orientation"] == "counterclockwise"
    assert column["edges"] == "planar"
    assert column["crs"]["type"] == "ProjectedCRS"
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32643}
    left, top = features.geobox.affine * (0, 0)
    assert column["bbox"] == [left, top - 48, left + 40, top]
    sides = ("xmin", "ymin", "xmax", "ymax")
    assert column["covering"] == {"bbox": {side: ["bbox", side] for side in sides}}
    schema = file.schema
    assert file.schema_arrow.field("embedding").type.list_size == 6
    paths = [schema.column(i).path for i in range(len(schema))]
    assert paths[:5] == ["geometry", *(f"bbox.{side}" for side in sides)]
    assert schema.column(0).physical_type == "BYTE_ARRAY"
    assert {schema.column(i).physical_type for i in range(1, 5)} == {"DOUBLE"}
    assert [schema.column(i).max_definition_level for i in range(5)] == [0] * 5  # required
    assert [schema.column(i).max_repetition_level for i in range(5)] == [0] * 5


def test_a_validator_of_others_finds_no_fault(
    features: FeatureRaster, nowhere: FeatureRaster, tmp_path: Path
) -> None:
    validator = pytest.importorskip("geoparquet_validator")
    for i, made in enumerate((features, nowhere)):
        path = to_geoparquet(made, tmp_path / f"{i}.parquet")
        assert validator.failed(validator.check(str(path))) == []


def test_the_recipe_and_layers_are_in_the_metadata(features: FeatureRaster, tmp_path: Path) -> None:
    path = to_geoparquet(features, tmp_path / "f.geoparquet")
    metadata = pq.read_metadata(path).metadata
    assert json.loads(metadata[b"terrapatch"]) == features.recipe.as_dict()
    layers = json.loads(metadata[b"terrapatch:layers"])
    assert layers == [{"layer": "bands", "start": 0, "stop": 6}]


def test_without_crs_the_table_has_an_undefined_one(nowhere: FeatureRaster, tmp_path: Path) -> None:
    path = to_geoparquet(nowhere, tmp_path / "f.parquet")
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"] is None  # leaving it out would mean WGS 84
    assert geopandas.read_parquet(path).crs is None


def test_row_groups_hold_the_same_rows_and_serve_boxes(
    features: FeatureRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = geopandas.read_parquet(to_geoparquet(features, tmp_path / "whole.parquet"))
    monkeypatch.setattr(geoparquet, "GROUP_BYTES", 500)
    path = to_geoparquet(replace(features, side=4), tmp_path / "groups.parquet")
    assert pq.read_metadata(path).num_row_groups > 3
    groups = geopandas.read_parquet(path).sort_values(["row", "col"], ignore_index=True)
    assert groups["embedding"].map(tuple).equals(whole["embedding"].map(tuple))
    assert groups.geometry.equals(whole.geometry)
    left, top = features.geobox.affine * (0, 0)
    few = geopandas.read_parquet(path, bbox=(left + 13, top - 7, left + 15, top - 5))
    assert few[["row", "col"]].to_numpy().tolist() == [[1, 3]]


@pytest.mark.parametrize(
    "affine",
    [
        Affine(4, 0, 7, 0, -4, 9),
        Affine(4, 0, 7, 0, 4, 9),
        Affine(-4, 0, 7, 0, -4, 9),
        Affine.rotation(30) * Affine.scale(3, -2),
    ],
)
def test_footprints_are_anticlockwise_on_any_grid(
    affine: Affine, features: FeatureRaster, tmp_path: Path
) -> None:
    turned = replace(features, geobox=GeoBox((12, 10), affine, "EPSG:32643"))
    path = to_geoparquet(turned, tmp_path / "f.parquet")
    table = geopandas.read_parquet(path)
    assert shapely.is_ccw(shapely.get_exterior_ring(table.geometry.values)).all()
    centres = [affine * (c + 0.5, r + 0.5) for r, c in zip(table["row"], table["col"], strict=True)]
    assert shapely.dwithin(table.geometry.values.centroid, shapely.points(centres), 1e-9).all()
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(table.total_bounds)


def test_half_precision_on_request(features: FeatureRaster, tmp_path: Path) -> None:
    table = pq.read_table(to_geoparquet(features, tmp_path / "f.parquet", dtype="float16"))
    assert str(table.schema.field("embedding").type.value_type) == "halffloat"
    held = features.valid() > 0
    stored = np.asarray(table["embedding"].combine_chunks().flatten()).reshape(-1, 6)
    np.testing.assert_array_equal(stored.astype(np.float32), _values(features)[held])


# --- GeoTIFF --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 4, 64])
def test_rasterio_reads_the_same_numbers_in_the_same_place(
    side: int, features: FeatureRaster, tmp_path: Path
) -> None:
    with rasterio.open(to_geotiff(replace(features, side=side), tmp_path / "f.tif")) as file:
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), _values(features))
        assert file.descriptions == features.names
        assert file.transform == features.geobox.affine
        assert file.crs.to_epsg() == 32643
        assert np.isnan(file.nodatavals).all()
        assert set(file.dtypes) == {"float32"}
        assert (file.dataset_mask() > 0).tolist() == (features.valid() > 0).tolist()
        assert json.loads(file.tags()["TERRAPATCH"]) == features.recipe.as_dict()
        assert file.profile["compress"] == "deflate"
        assert file.profile["interleave"] == "band"
        assert file.profile["tiled"]
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    assert _names(tmp_path) == ["f.tif"]


def test_gdalinfo_reads_it_without_a_word(features: FeatureRaster, tmp_path: Path) -> None:
    if shutil.which("gdalinfo") is None:
        pytest.skip("no gdalinfo here")
    path = to_geotiff(features, tmp_path / "f.tif")
    done = subprocess.run(
        ["gdalinfo", "-json", path], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert [b["description"] for b in json.loads(done.stdout)["bands"]] == list(features.names)


def test_without_crs_rasters_have_none_and_nobody_is_warned(
    nowhere: FeatureRaster, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    paths = [to_geotiff(nowhere, tmp_path / "f.tif"), to_pca_picture(nowhere, tmp_path / "p.tif")]
    assert not [w for w in recwarn if "eoreference" in str(w.message)]
    for path in paths:
        with rasterio.open(path) as file:
            assert file.crs is None
            assert file.transform == nowhere.geobox.affine


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        ("bands", [0, 1, 2, 3, 4, 5]),
        ("bands.std", [3, 4, 5]),
        ("bands.std.1,bands.mean.0", [4, 0]),
        (2, [1]),
        ([6, "bands.mean"], [5, 0, 1, 2]),
        ("2-4, 3", [1, 2, 3]),
    ],
)
def test_some_features_in_the_order_asked_for(
    bands: Any, expected: list[int], features: FeatureRaster, tmp_path: Path
) -> None:
    with rasterio.open(to_geotiff(features, tmp_path / "f.tif", bands=bands)) as file:
        assert list(file.descriptions) == [features.names[i] for i in expected]
        np.testing.assert_array_equal(
            np.moveaxis(file.read(), 0, -1), _values(features)[..., expected]
        )


@pytest.mark.parametrize("bands", ["stage9", 0, 7, "5-7", "4-2", [], "bands.mean.", -1])
def test_a_feature_that_is_not_there(bands: Any, features: FeatureRaster, tmp_path: Path) -> None:
    with pytest.raises(BandError, match=r"choose from the layers bands, or by name .* 1 to 6"):
        to_geotiff(features, tmp_path / "f.tif", bands=bands)
    assert _names(tmp_path) == []


def test_more_bands_than_tiff_allows(
    features: FeatureRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert geotiff.MOST_BANDS == 2**16 - 1
    monkeypatch.setattr(geotiff, "MOST_BANDS", 5)
    with pytest.raises(OutputError, match=r"cannot write 6 bands .* holds 5 at most"):
        to_geotiff(features, tmp_path / "f.tif")
    to_geotiff(features, tmp_path / "f.tif", bands="1-5")


def test_a_file_that_reads_back_differently_is_no_file(
    features: FeatureRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = iter(range(100))
    monkeypatch.setattr(geotiff.zlib, "crc32", lambda data: next(sums))
    with pytest.raises(OutputError, match="what came to the disk is not what was written"):
        to_geotiff(features, tmp_path / "f.tif")
    assert _names(tmp_path) == []


# --- NumPy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [4, 16])
def test_npz_holds_the_cells_row_by_row(side: int, features: FeatureRaster, tmp_path: Path) -> None:
    held = features.valid() > 0
    with np.load(to_npz(replace(features, side=side), tmp_path / "f.npz")) as file:
        np.testing.assert_array_equal(file["features"], _values(features)[held])
        np.testing.assert_array_equal(np.stack([file["row"], file["col"]]), np.nonzero(held))
        np.testing.assert_array_equal(file["valid"], features.valid()[held])
        assert file["features"].dtype == np.float32
        assert tuple(file["names"]) == features.names
        assert Affine(*file["transform"]) == features.geobox.affine
        assert rasterio.CRS.from_wkt(str(file["crs"])).to_epsg() == 32643
        assert json.loads(str(file["recipe"])) == features.recipe.as_dict()
    with zipfile.ZipFile(tmp_path / "f.npz") as archive:
        assert {m.date_time[0] for m in archive.infolist()} == {1980}


@pytest.mark.parametrize("side", [4, 16])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_npy_is_the_whole_raster(
    dtype: str, side: int, features: FeatureRaster, tmp_path: Path
) -> None:
    path = to_npy(replace(features, side=side), tmp_path / "f.npy", dtype=dtype)
    stored = np.load(path, mmap_mode="r")
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored, _values(features).astype(dtype))


def test_without_crs_npz_has_an_empty_one(nowhere: FeatureRaster, tmp_path: Path) -> None:
    with np.load(to_npz(nowhere, tmp_path / "f.npz")) as file:
        assert str(file["crs"]) == ""


# --- the picture ----------------------------------------------------------------------------


def test_components_are_those_of_the_correlation_matrix(features: FeatureRaster) -> None:
    cells = _values(features)[features.valid() > 0].astype(np.float64)
    values, vectors = np.linalg.eigh(np.corrcoef(cells.T))
    found = components.fit(replace(features, side=4))
    np.testing.assert_allclose(found.shares, values[::-1][:3] / 6, rtol=1e-6)
    cosines = np.abs(np.sum(found.axes * vectors[:, ::-1][:, :3].T, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    assert (found.axes.max(axis=1) == np.abs(found.axes).max(axis=1)).all()
    np.testing.assert_allclose(found.scores(cells).var(axis=0), found.shares * 6, rtol=1e-6)


class _Wide:
    """Many more features than the search keeps at once."""

    def __init__(self, cells: np.ndarray) -> None:
        self.path, self.n_features, self.shape = Path("wide"), cells.shape[1], (1, len(cells))
        self._cells = cells

    def blocks(self) -> Any:
        from terrapatch.features import FeatureBlock

        for start in range(0, len(self._cells), 50):
            part = self._cells[None, start : start + 50]
            cols = slice(start, start + part.shape[1])
            yield FeatureBlock(slice(0, 1), cols, part, np.ones(part.shape[:2], np.float32))


@pytest.mark.parametrize("cells", [60, 400])
def test_components_of_many_features(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "CHUNK_BYTES", 8 * 200 * 7)
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(20, 200)) * (20 / np.arange(1, 21))[:, None]
    data = rng.normal(size=(cells, 20)) @ weights + rng.normal(size=(cells, 200)) + 100
    data[:, 7] = 3.3  # a constant feature has no say
    data = data.astype(np.float32)
    found = components.fit(_Wide(data))  # type: ignore[arg-type]
    keep = np.arange(200) != 7
    values, vectors = np.linalg.eigh(np.corrcoef(data[:, keep].T.astype(np.float64)))
    np.testing.assert_allclose(found.shares, values[::-1][:3] / 199, rtol=1e-5)
    assert np.abs(found.axes[:, 7]).max() < 1e-12
    cosines = np.abs(np.sum(found.axes[:, keep] * vectors[:, ::-1][:, :3].T, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_the_picture_has_three_bands_and_clear_empty_cells(
    features: FeatureRaster, tmp_path: Path
) -> None:
    with rasterio.open(to_pca_picture(features, tmp_path / "p.tif")) as file:
        colours, held = file.read(), features.valid() > 0
        assert file.count == 3
        assert file.dtypes == ("uint8",) * 3
        assert file.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert (file.dataset_mask() > 0).tolist() == held.tolist()
        assert colours[:, held].min() == 1
        assert (colours[:, held].max(axis=1) == 255).all()
        assert (colours[:, ~held] == 0).all()
        assert file.crs.to_epsg() == 32643
        assert file.transform == features.geobox.affine
        assert json.loads(file.tags()["TERRAPATCH"]) == features.recipe.as_dict()
        assert len(json.loads(file.tags()["TERRAPATCH_PICTURE"])["variance"]) == 3


def test_the_png_is_the_same_picture_with_an_alpha_band(
    features: FeatureRaster, tmp_path: Path
) -> None:
    with rasterio.open(to_pca_picture(features, tmp_path / "p.tif")) as file:
        colours = file.read()
    with rasterio.open(to_pca_picture(features, tmp_path / "p.png")) as file:
        np.testing.assert_array_equal(file.read([1, 2, 3]), colours)
        assert file.colorinterp[3] == ColorInterp.alpha
        assert (file.read(4) == np.where(features.valid() > 0, 255, 0)).all()
        assert file.transform == features.geobox.affine
        assert file.crs.to_epsg() == 32643
    assert _names(tmp_path) == ["p.png", "p.png.aux.xml", "p.tif"]


def test_the_picture_does_not_depend_on_blocks(features: FeatureRaster, tmp_path: Path) -> None:
    pictures = []
    for side in (1, 4, 16):
        path = to_pca_picture(replace(features, side=side), tmp_path / f"{side}.tif")
        with rasterio.open(path) as file:
            pictures.append(file.read().astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert np.abs(pictures[0] - pictures[2]).max() <= 1


@pytest.mark.parametrize(("bands", "values", "moving"), [(1, "random", 2), (3, "constant", 0)])
def test_missing_components_are_grey(
    bands: int,
    values: str,
    moving: int,
    make_features: Callable[..., FeatureRaster],
    tmp_path: Path,
) -> None:
    made = make_features(bands, values=values)
    with rasterio.open(to_pca_picture(made, tmp_path / "p.tif")) as file:
        colours = file.read()[:, made.valid() > 0]
    assert (np.ptp(colours, axis=1) > 0).tolist() == [i < moving for i in range(3)]
    assert (colours[moving:] == 128).all()


def test_stretch_runs_between_the_percentiles() -> None:
    scores = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    colours = stretch(scores, np.ones((1, 101), bool))
    assert colours[0, 0, [0, 2, 50, 98, 100]].tolist() == [1, 1, 128, 255, 255]
    assert (colours[1:] == 128).all()


# --- what holds for all ---------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_same_features_give_the_same_bytes(
    name: str, features: FeatureRaster, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        export(features, tmp_path / folder / name)
    names = _names(tmp_path / "a")
    assert name in names
    assert names == _names(tmp_path / "b")
    for file in names:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_an_older_file_gives_way_only_when_told(
    name: str, features: FeatureRaster, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already; choose another name"):
        export(features, path)
    assert _names(tmp_path) == [name]
    assert path.read_text() == "mine"
    path.with_name(name + ".aux.xml").write_text("<PAMDataset>of another file</PAMDataset>")
    export(features, path, overwrite=True)
    assert path.stat().st_size > 100
    kept = path.with_name(name + ".aux.xml")
    assert not kept.exists() or "another file" not in kept.read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_place_that_cannot_hold_files(name: str, features: FeatureRaster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / name, tmp_path / "file" / "deeper" / name):
        with pytest.raises(OutputError, match=f"cannot write .*{name}: .* file"):
            export(features, path)
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="it is a folder; choose another"):
        export(features, tmp_path / name, overwrite=True)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):  # root may write everywhere
        with pytest.raises(OutputError, match="not writable for you"):
            export(features, closed / name)


_LIMITED = """
import resource, signal
from terrapatch.errors import OutputError
from terrapatch.features import FeatureRaster
from terrapatch.features.exports import export
features = FeatureRaster.open({store!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    export(features, {path!r})
except OutputError as fault:
    print(fault)
    raise SystemExit(2)
"""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_grow_leaves_one_sentence_and_no_file(
    name: str, features: FeatureRaster, tmp_path: Path
) -> None:
    limit = 200 if name == "f.png" else 2000
    script = _LIMITED.format(store=str(features.path), limit=limit, path=str(tmp_path / name))
    import terrapatch

    source = str(Path(next(iter(terrapatch.__path__))).parent)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": source},
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"cannot write {tmp_path / name}: ")
    assert done.stdout.count("\n") == 1
    assert _names(tmp_path) == []


@pytest.mark.parametrize("fault", [OSError(28, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", FILES)
def test_a_fault_half_way_leaves_nothing(
    name: str, fault: BaseException, features: FeatureRaster, tmp_path: Path
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    with pytest.raises((OutputError, KeyboardInterrupt)):
        export(features, tmp_path / name, progress=fail)
    assert _names(tmp_path) == []


@pytest.mark.parametrize("name", FILES)
def test_progress_ends_at_all_cells(name: str, features: FeatureRaster, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    export(replace(features, side=4), tmp_path / name, progress=lambda *step: told.append(step))
    assert told[-1] == ("export", 120, 120)
    assert all(0 < done <= total for _, done, total in told)


@pytest.mark.parametrize("name", ["f.parquet", "f.npz", "f.png"])
def test_features_that_are_not_finite_are_refused(
    name: str, features: FeatureRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = _values(features)
    values[7, 5, 2] = np.nan
    monkeypatch.setattr(FeatureRaster, "read", lambda self, rows, cols: values[rows, cols].copy())
    with pytest.raises(StoreError, match="not finite in the cell of row 7, column 5"):
        export(features, tmp_path / name)


@pytest.mark.parametrize("name", ["f.parquet", "f.npy", "f.npz"])
def test_numbers_too_large_for_half_precision(
    name: str, features: FeatureRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = _values(features) * 1000
    monkeypatch.setattr(FeatureRaster, "read", lambda self, rows, cols: values[rows, cols].copy())
    with pytest.raises(OutputError, match="too large for float16; export them as float32"):
        export(features, tmp_path / name, dtype="float16")
    export(features, tmp_path / name)


# --- export ---------------------------------------------------------------------------------


def test_export_writes_what_the_name_says(features: FeatureRaster, tmp_path: Path) -> None:
    with rasterio.open(export(features, str(tmp_path / "a.TIF"))) as file:
        assert file.count == 6
    with rasterio.open(export(features, tmp_path / "b.tiff", "picture")) as file:
        assert file.count == 3
    assert export(features, tmp_path / "c.geoparquet") == tmp_path / "c.geoparquet"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("f.csv", {}, r"cannot tell from the name .*\.parquet, \.geoparquet, \.tif"),
        ("f", {}, "cannot tell from the name"),
        ("f.tif", {"kind": "jpeg"}, "cannot export to 'jpeg'; choose geoparquet, geotiff"),
        ("f.csv", {"kind": "npz"}, r"give it a name that ends in \.npz"),
        ("f.parquet", {"bands": "1"}, "bands cannot be chosen for a geoparquet.*to geotiff"),
        ("f.tif", {"dtype": "float16"}, "dtype cannot be chosen for a geotiff.*npz or npy"),
        ("f.npy", {"dtype": "int8"}, "type 'int8' is not known; choose float32 or float16"),
    ],
)
def test_a_format_or_option_that_does_not_fit(
    name: str, options: dict[str, Any], message: str, features: FeatureRaster, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=message):
        export(features, tmp_path / name, **options)
    assert _names(tmp_path) == []
