"""The engine gives what cutting, resizing and embedding every patch by hand gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import terrapatch
from by_hand import cut, embedded, whole
from plain_lite0 import photos, relative_error
from rasters import make_raster
from terrapatch.errors import BackboneError, RecipeError, SceneError, UnitsError
from terrapatch.features import FeatureRaster, engine, estimate, prepare
from terrapatch.grid import CellBlock
from terrapatch.stream import PixelBlock

Make = Callable[..., Path]
SIDE = 48
METRES = Affine(0.5, 0.0, 280_000.0, 0.0, -0.5, 2_110_000.0)


def photo(bands: int, height: int, width: int) -> NDArray[Any]:
    """One smooth picture of the size asked for."""
    return photos(1, max(height, width), "float32")[0, :bands, :height, :width]


def cnn(scene: Path, out: Path, **options: Any) -> FeatureRaster:
    """Embed exactly: fp32 throughout."""
    exact: dict[str, Any] = {"input_size": SIDE, "precision": "fp32", "dtype": "float32"}
    return terrapatch.embed(scene, out, device="cpu", **(exact | options))


def stats(scene: Any, out: Path, **options: Any) -> FeatureRaster:
    """Embed with the baseline, as float32."""
    return terrapatch.embed(
        scene, out, **({"backbone": "imagestats", "dtype": "float32"} | options)
    )


def values(features: FeatureRaster) -> NDArray[np.float32]:
    """All features ``(rows, cols, features)``."""
    return features.read(slice(None), slice(None))


def by_layer(features: FeatureRaster) -> dict[tuple[str, str], NDArray[np.float32]]:
    """Features of every layer and pooling, found by their names alone."""
    table = values(features)
    keys = [tuple(name.split(".")[:2]) for name in features.names]
    columns: dict[tuple[str, str], list[int]] = {}
    for i, (layer, pool) in enumerate(keys):
        columns.setdefault((layer, pool), []).append(i)
    return {key: table[..., picked] for key, picked in columns.items()}


CASES: dict[str, dict[str, Any]] = {
    "size equals stride": {"size": 32},
    "overlapping": {"size": 40, "stride": 24},
    "odd difference": {"size": 33, "stride": 20},
    "not square": {"size": (40, 24), "stride": (30, 12)},
    "edges as nodata": {"size": 40, "stride": 24, "edge": "nodata"},
    "metres": {"size": "20m", "stride": "12m"},
    "larger than the scene": {"size": 200},
}


@pytest.mark.parametrize("case", CASES)
def test_equals_embedding_by_hand(make_raster: Make, tmp_path: Path, case: str) -> None:
    options = CASES[case]
    scene = make_raster(height=60, width=50, values=photo, transform=METRES)
    made = cnn(scene, tmp_path / "f.zarr", **options)
    pixels = {"20m": (40, 40), "12m": (24, 24)}
    size, stride = (
        pixels.get(n) or (n if isinstance(n, tuple) else (n, n))  # type: ignore[call-overload]
        for n in (options["size"], options.get("stride", options["size"]))
    )
    edge = options.get("edge", "reflect")
    compare(made, *cut(*whole(scene), size, stride, edge))


@pytest.mark.parametrize("nodata", [0, "alpha", "mask"])
@pytest.mark.parametrize("edge", ["reflect", "nodata"])
def test_a_partly_invalid_scene_by_hand(
    make_raster: Make, tmp_path: Path, nodata: Any, edge: str
) -> None:
    hole = (slice(10, 40), slice(0, 36))
    scene = make_raster(height=60, width=52, values=photo, nodata=nodata, hole=hole)
    made = cnn(scene, tmp_path / "f.zarr", size=24, stride=16, edge=edge)
    patches, masks, share = cut(*whole(scene), (24, 24), (16, 16), edge)
    assert (share == 0).any()
    assert ((share > 0) & (share < 1)).any()
    compare(made, patches, masks, share)


def test_a_float_scene_with_units_by_hand(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(
        height=50, width=40, dtype="float32", nodata="nan", values=lambda *s: photo(*s) * 20 - 300
    )
    made = cnn(scene, tmp_path / "f.zarr", size=24, stride=16, bands=[1, 2, 3], units="-100:4000")
    compare(made, *cut(*whole(scene, (-100, 4000)), (24, 24), (16, 16), "reflect"))


def compare(
    made: FeatureRaster, patches: list[Any], masks: list[Any], share: NDArray[np.float64]
) -> None:
    """Compare an embedding with one made by hand, layer by layer."""
    np.testing.assert_allclose(made.valid(), share, rtol=1e-6)
    full = share > 0
    ours, theirs = by_layer(made), embedded(patches, share, SIDE)
    assert list(ours) == list(theirs)
    for key in ours:
        assert np.isnan(ours[key][~full]).all()
        assert relative_error(ours[key][full], theirs[key][full]) <= 1e-5, key


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_baseline_by_hand_for_any_geometry(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    height, width = data.draw(st.integers(2, 40)), data.draw(st.integers(2, 40))
    size = data.draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    stride = tuple(data.draw(st.integers(1, n)) for n in size)
    edge = data.draw(st.sampled_from(["reflect", "nodata"]))
    nodata = data.draw(st.sampled_from([None, 0, "mask"]))
    folder = tmp_path_factory.mktemp("geometry")
    scene = make_raster(folder / "s.tif", height=height, width=width, nodata=nodata, block=16)
    made = stats(scene, folder / "f.zarr", size=size, stride=stride, edge=edge)
    patches, masks, share = cut(*whole(scene), size, stride, edge)  # type: ignore[arg-type]
    np.testing.assert_allclose(made.valid(), share, rtol=1e-6)
    got = values(made).reshape(-1, 6)
    for cell, patch, mask, owned in zip(got, patches, masks, share.ravel(), strict=True):
        inside = patch[:, mask].astype(float)
        expected = [*inside.mean(1), *inside.std(1)] if owned > 0 else [np.nan] * 6
        np.testing.assert_allclose(cell, expected, rtol=1e-6, atol=1e-5)


def test_drop_leaves_cells_empty_whose_patch_leaves_the_scene(
    make_raster: Make, tmp_path: Path
) -> None:
    scene = make_raster(height=50, width=41)
    dropped = stats(scene, tmp_path / "a.zarr", size=20, stride=10, edge="drop")
    reflected = stats(scene, tmp_path / "b.zarr", size=20, stride=10)
    inside = np.zeros((5, 5), bool)
    inside[1:4, 1:3] = True
    np.testing.assert_array_equal(dropped.valid() > 0, inside)
    assert np.isnan(values(dropped)[~inside]).all()
    np.testing.assert_array_equal(values(dropped)[inside], values(reflected)[inside])


def test_drop_with_no_patch_inside_is_refused(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=20, width=20)
    with pytest.raises(SceneError, match=r"a whole patch inside the scene could use.*--edge"):
        stats(scene, tmp_path / "f.zarr", size=30, edge="drop")


def test_empty_cells_are_never_embedded(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster(height=64, width=64, nodata="mask")
    plan = prepare(scene, tmp_path / "f.zarr", size=8, backbone="imagestats", batch=5)
    seen = []
    given = plan.embedder.features

    def counted(batch: Any, valid: Any = None) -> Any:
        seen.append(len(batch))
        assert valid is None or valid.any(axis=(1, 2)).all()
        return given(batch, valid)

    monkeypatch.setattr(plan.embedder, "features", counted)
    made = engine.run(plan, tmp_path / "f.zarr")
    assert sum(seen) == (made.valid() > 0).sum() == 48
    assert max(seen) == 5


@pytest.mark.parametrize("edge", ["reflect", "nodata", "drop"])
def test_constant_in_constant_out(make_raster: Make, tmp_path: Path, edge: str) -> None:
    scene = make_raster(
        height=70, width=75, values="constant", level=90, nodata="mask", hole=(slice(9), slice(40))
    )
    made = cnn(scene, tmp_path / "f.zarr", size=24, stride=16, edge=edge)
    full = made.valid() > 0
    assert full.any()
    cells = values(made)[full]
    assert relative_error(cells, np.broadcast_to(cells[0], cells.shape)) <= 1e-5
    plain = stats(scene, tmp_path / "g.zarr", size=24, stride=16, edge=edge)
    expected = np.broadcast_to(np.float32([90, 90, 90, 0, 0, 0]), (full.sum(), 6))
    np.testing.assert_array_equal(values(plain)[full], expected)


def test_blocks_readers_and_batches_change_nothing(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster(height=55, width=62, nodata="mask", block=32)
    reference = values(stats(scene, tmp_path / "0.zarr", size=12, stride=4))
    for i, (side, readers, batch) in enumerate([(1, 1, 1), (3, 4, 7), (8, 2, 1000)], start=1):
        monkeypatch.setattr("terrapatch.stream.BLOCK_SIDES", (side, 1))
        out = tmp_path / f"{i}.part.zarr"
        made = stats(scene, out, size=12, stride=4, batch=batch, readers=readers)
        assert made.side == side
        np.testing.assert_array_equal(values(made), reference)
        np.testing.assert_array_equal(np.concatenate(joined(made)), reference)


def joined(features: FeatureRaster) -> list[NDArray[np.float32]]:
    """Put the blocks of a store together again, in the order they come."""
    rows: dict[int, list[NDArray[np.float32]]] = {}
    order = []
    for block in features.blocks():
        rows.setdefault(block.rows.start, []).append(block.values)
        order.append((block.rows.start, block.cols.start))
    assert order == sorted(order)
    return [np.concatenate(parts, axis=1) for parts in rows.values()]


def test_blocks_and_batches_change_the_network_by_rounding_only(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster(height=60, width=70, values=photo)
    reference = values(cnn(scene, tmp_path / "0.zarr", size=20, stride=10))
    monkeypatch.setattr("terrapatch.stream.BLOCK_SIDES", (4, 1))
    made = values(cnn(scene, tmp_path / "1.zarr", size=20, stride=10, batch=3, readers=1))
    assert relative_error(made, reference) <= 1e-5


def test_the_same_in_gives_the_same_file_or_array(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=60, width=50)
    pixels, _ = whole(scene)
    array = xr.DataArray(
        pixels,
        dims=("band", "y", "x"),
        coords={"y": 100 - np.arange(60) - 0.5, "x": np.arange(50) + 0.5},
        name="pixels",
    )
    from_file = stats(scene, tmp_path / "a.zarr", size=16, stride=8)
    from_array = stats(array, tmp_path / "b.zarr", size=16, stride=8)
    np.testing.assert_array_equal(values(from_file), values(from_array))
    assert from_array.geobox.affine == Affine(8, 0, 0, 0, -8, 100)


@pytest.mark.parametrize("nodata", [0, "alpha", "mask"])
def test_a_scene_of_nodata_is_refused(make_raster: Make, tmp_path: Path, nodata: Any) -> None:
    everything = (slice(None), slice(None))
    scene = make_raster(height=40, width=40, nodata=nodata, hole=everything)
    sentence = "scene.tif holds no valid pixel in bands 1, 2, 3: all of it is nodata"
    with pytest.raises(SceneError, match=sentence):
        stats(scene, tmp_path / "f.zarr", size=8)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif"]


def test_nan_and_infinities_are_not_pixels(make_raster: Make, tmp_path: Path) -> None:
    def spoilt(*shape: int) -> NDArray[Any]:
        data = np.random.default_rng(0).uniform(0, 1, shape).astype("float32")
        data[0, 3, 3], data[1, 20, 20], data[2, 5, 30] = np.nan, np.inf, -np.inf
        data[:, 16:24, :8] = np.nan
        return data

    scene = make_raster(height=32, width=40, dtype="float32", values=spoilt)
    made = stats(scene, tmp_path / "f.zarr", size=8, units="0:1")
    _, _, share = cut(*whole(scene, (0, 1)), (8, 8), (8, 8), "reflect")
    np.testing.assert_allclose(made.valid(), share, rtol=1e-6)
    assert made.valid()[2, 0] == 0
    assert np.isfinite(values(made)[made.valid() > 0]).all()
    everywhere = make_raster("nan.tif", dtype="float32", values=lambda *s: np.full(s, np.nan))
    with pytest.raises(SceneError, match="not a number"):
        stats(everywhere, tmp_path / "g.zarr", size=8, units="0:1")


def test_one_valid_pixel_far_from_the_middle_is_found(make_raster: Make, tmp_path: Path) -> None:
    def lonely(*shape: int) -> NDArray[Any]:
        data = np.zeros(shape, "uint8")
        data[:, 95, 3] = 77
        return data

    scene = make_raster(height=100, width=90, values=lonely, nodata=0, hole=(slice(0), slice(0)))
    made = stats(scene, tmp_path / "f.zarr", size=16, stride=8)
    assert np.argwhere(made.valid() > 0).tolist() == [[11, 0]]
    np.testing.assert_array_equal(values(made)[11, 0], [77, 77, 77, 0, 0, 0])


def test_numbers_that_are_not_finite_are_refused(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(make_raster(), tmp_path / "f.zarr", size=8, backbone="imagestats")
    monkeypatch.setattr(plan.embedder, "features", lambda b, _: np.full((len(b), 6), np.inf))
    with pytest.raises(BackboneError, match=r"imagestats gave numbers that are not finite"):
        engine.run(plan, tmp_path / "f.zarr")
    assert not (tmp_path / "f.zarr").exists()


@pytest.mark.parametrize(
    ("options", "fault", "sentence"),
    [
        ({"dtype": "int8"}, RecipeError, "stored type 'int8' is not known; choose float16"),
        ({"batch": 0}, BackboneError, "a batch of 0 patches is too small"),
        ({"backbone": "vgg"}, BackboneError, "no backbone 'vgg'; did you mean vgg19, vgg16"),
    ],
)
def test_options_that_do_not_exist(
    make_raster: Make, tmp_path: Path, options: Any, fault: Any, sentence: str
) -> None:
    with pytest.raises(fault, match=sentence):
        stats(make_raster(), tmp_path / "f.zarr", size=8, **options)
    assert not list(tmp_path.glob("f.zarr*"))


def test_undeclared_units_are_refused(make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match="declare them with --units"):
        stats(make_raster(dtype="uint16"), tmp_path / "f.zarr", size=8)


def test_estimate_and_progress(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=64, width=48)
    plan = prepare(scene, tmp_path / "f.zarr", size=16, stride=8, backbone="imagestats", batch=10)
    guess = estimate(plan)
    assert (guess.cells, guess.patches, guess.features) == (48, 48, 6)
    assert 0 < guess.store_bytes <= 1.2 * 48 * 6 * 2
    assert guess.seconds > 0
    assert guess.rate == pytest.approx(48 / guess.seconds)
    assert guess.memory_bytes > 50e6
    calls: list[tuple[str, int, int]] = []
    engine.run(plan, tmp_path / "f.zarr", progress=lambda *call: calls.append(call))
    assert calls[0] == ("embed", 10, 48)
    assert calls[-1] == ("embed", 48, 48)
    assert [c[1] for c in calls] == sorted(c[1] for c in calls)


def test_an_estimate_counts_cells_that_hold_something(make_raster: Make, tmp_path: Path) -> None:
    """A quarter of this scene is nodata; with ``drop`` the ring of cells is out as well."""
    scene = make_raster(height=320, width=320, nodata=0)
    options: dict[str, Any] = {"size": 16, "stride": 8, "backbone": "imagestats"}
    for edge, cells in (("reflect", 1200), ("drop", 1200 - 3 * 40 + 4)):
        plan = prepare(scene, tmp_path / "f.zarr", edge=edge, **options)
        made = engine.run(plan, tmp_path / f"{edge}.zarr")
        embedded = int((made.valid() > 0).sum())
        assert estimate(plan).patches == embedded
        assert edge == "drop" or embedded == cells


def test_one_block_is_embedded_like_the_whole(make_raster: Make, tmp_path: Path) -> None:
    plan = prepare(make_raster(), tmp_path / "f.zarr", size=8, backbone="imagestats", batch=3)
    pixels, _ = whole(tmp_path / "scene.tif")
    block = PixelBlock(
        plan.grid,
        CellBlock((0, 0), slice(1, 3), slice(0, 2)),
        pixels[:, 8:24, :16],
        None,
        np.float32([[1, 0], [0.5, 1]]),
    )
    made = engine.embed_block(plan, block)
    assert np.isnan(made[0, 1]).all()
    for (row, col), top, left in [((0, 0), 8, 0), ((1, 0), 16, 0), ((1, 1), 16, 8)]:
        patch = pixels[:, top : top + 8, left : left + 8].reshape(3, -1)
        np.testing.assert_allclose(made[row, col], [*patch.mean(1), *patch.std(1)], rtol=1e-6)
