"""Stacks of features: blocks change no number, edges are mirrored, gaps stay gaps."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError, OutputError, RecipeError, StoreError
from terrapatch.features import FeatureRaster
from terrapatch.features.pixels.halo import cut, read_with_halo
from terrapatch.features.pixels.live import BLOCK_BYTES, live_side
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import make_features, write_features

PLAIN = (
    "spectra:scaling=standard",
    "spectra:scaling=range",
    "spectra:scaling=unit",
    "snv",
    "derivative",
    "continuum",
    "pca:components=3,whiten",
    "mnf:components=2",
    "indices:names=all",
    "ratios:pairs=850/660+2200/1650,within=60",
)
WINDOWED = (
    "mean:window=5",
    "mean:window=7,of=mnf,components=2",
    "patch:side=3",
    "texture:window=5",
)


def holed(seed: int = 0, rows: int = 41, cols: int = 53, bands: int = 24) -> Cube:
    values, _, waves = painted_cube(rows, cols, bands, seed=seed)
    values = np.abs(values) + np.float32(0.01)
    values[np.random.default_rng(seed).random((rows, cols)) < 0.1] = np.nan
    values[10:20, 30:40] = np.nan
    return Cube.of_array(values, wavelengths=waves)


def whole(stack: FeatureStack, cube: Cube, side: int | None = None) -> NDArray[np.float32]:
    with stack.over(cube, side) as live:
        return live.read(slice(0, cube.shape[0]), slice(0, cube.shape[1]))


@pytest.mark.parametrize("text", [*PLAIN, *WINDOWED])
def test_blocks_of_any_side_give_the_same_numbers(text: str) -> None:
    cube = holed()
    stack = FeatureStack.fit([text], cube)
    made = whole(stack, cube)
    valid = np.isfinite(cube_values(cube)).all(axis=2)
    assert made.shape == (*cube.shape, stack.n_features)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(np.isfinite(made).all(axis=2), valid)
    np.testing.assert_array_equal(np.isnan(made).any(axis=2), ~valid)
    for side in (7, 16):
        np.testing.assert_allclose(whole(stack, cube, side), made, atol=1e-6, rtol=1e-6)


def cube_values(cube: Cube) -> NDArray[np.float32]:
    with cube.reader() as reader:
        return reader.read(slice(0, cube.shape[0]), slice(0, cube.shape[1])).values


@pytest.mark.parametrize(
    ("rows", "cols"), [((0, 1), (0, 1)), ((5, 33), (17, 53)), ((40, 41), (2, 9))]
)
def test_a_rectangle_is_the_same_part_of_the_blocks(
    rows: tuple[int, int], cols: tuple[int, int]
) -> None:
    cube = holed(seed=1)
    stack = FeatureStack.fit(["pca:components=2", "mean:window=9", "texture:window=5"], cube)
    together = np.full((*cube.shape, stack.n_features), -1, np.float32)
    with stack.over(cube, side=16) as live:
        for block in live.blocks():
            together[block.rows, block.cols] = block.values
            np.testing.assert_array_equal(block.valid > 0, np.isfinite(block.values).all(axis=2))
        part = live.read(slice(*rows), slice(*cols))
    np.testing.assert_allclose(part, together[slice(*rows), slice(*cols)], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 3), (9, 4), (30, 31)])
@pytest.mark.parametrize("halo", [0, 1, 4, 13])
def test_the_scene_is_mirrored_beyond_its_edge(shape: tuple[int, int], halo: int) -> None:
    values = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    if values[..., 0].size > 1:
        values[0, -1] = np.nan
    cube = Cube.of_array(values)
    padded = np.pad(values, ((halo, halo), (halo, halo), (0, 0)), mode="reflect")
    with cube.reader() as reader:
        for rows, cols in cut(slice(0, shape[0]), slice(0, shape[1]), 5):
            block = read_with_halo(reader, shape, rows, cols, halo)
            expected = padded[rows.start : rows.stop + 2 * halo, cols.start : cols.stop + 2 * halo]
            np.testing.assert_array_equal(block.values, expected)
            np.testing.assert_array_equal(block.valid, np.isfinite(expected).all(axis=2))


def test_a_scene_of_one_pixel_has_features() -> None:
    cube = Cube.of_array(np.array([[[0.2, 0.4, 0.7, 0.1]]], np.float32))
    stack = FeatureStack.fit(["spectra", "mean:window=9", "texture:components=1,window=5"], cube)
    made = whole(stack, cube)[0, 0]
    np.testing.assert_allclose(made[:4], [0.2, 0.4, 0.7, 0.1], rtol=1e-6)
    np.testing.assert_allclose(made[4:8], made[:4], rtol=1e-6)
    np.testing.assert_allclose(made[8:], [0, 0, 1, 0, 1, 1], atol=1e-9)


def test_constant_in_constant_out() -> None:
    values = np.broadcast_to(np.linspace(0.1, 0.9, 8, dtype=np.float32), (20, 22, 8)).copy()
    values[3, 4] = np.nan
    cube = Cube.open(xr.DataArray(values, dims=("y", "x", "band")), keep_bad=True)
    stack = FeatureStack.fit(
        ["mean:window=5", "pca:components=2", "pca:components=2,whiten", "texture:components=1"],
        cube,
    )
    made = whole(stack, cube, 7)
    made = made[np.isfinite(made[..., 0])]
    np.testing.assert_array_equal(made[:, :8], np.broadcast_to(values[0, 0], (len(made), 8)))
    np.testing.assert_allclose(made[:, 8:12], 0, atol=1e-6)
    np.testing.assert_allclose(made, np.broadcast_to(made[0], made.shape), atol=1e-6)


def test_layers_names_window_and_halo() -> None:
    cube = holed()
    stack = FeatureStack.fit(["spectra", "spectra:scaling=unit", "mean:window=9", "pca"], cube)
    assert [g[0] for g in stack.groups] == ["spectra", "spectra-2", "mean9", "pca"]
    assert [g[2] for g in stack.groups] == [24, 48, 72, 82]
    assert len(set(stack.names)) == stack.n_features == 82
    assert stack.names[0] == "spectra.400 nm"
    assert (stack.window, stack.halo) == (9, 4)
    assert FeatureStack.fit(["snv"], cube).window == 1


def test_features_asked_for_wrongly_are_refused() -> None:
    cube = holed()
    with pytest.raises(FeatureError, match="pca:components=10,whiten=no is asked for twice"):
        FeatureStack.fit(["pca", "pca:components=10"], cube)
    with pytest.raises(FeatureError, match="no feature is asked for"):
        FeatureStack.fit([], cube)


def test_features_are_learned_from_the_training_part_alone() -> None:
    cube = holed(seed=4)
    where = np.zeros(cube.shape, bool)
    where[:20] = True
    changed = cube_values(cube).copy()
    changed[20:] *= 3
    other = Cube.of_array(changed, wavelengths=cube.wavelengths)
    texts = ["pca:components=3,whiten", "spectra:scaling=standard"]
    one, two = (FeatureStack.fit(texts, c, where) for c in (cube, other))
    assert one.identity == two.identity
    assert FeatureStack.fit(texts, other).identity != one.identity


def test_a_cube_with_other_bands_is_refused_and_both_are_shown() -> None:
    cube = holed()
    stack = FeatureStack.fit(["spectra"], cube)
    values = cube_values(cube)
    fewer = Cube.of_array(values[..., :20], wavelengths=cube.wavelengths[:20], name="fewer")
    with pytest.raises(RecipeError, match=r"fitted on 24 bands \(400 nm.*fewer has 20 bands"):
        stack.check(fewer)
    shifted = Cube.of_array(values, wavelengths=cube.wavelengths + 3)
    with pytest.raises(RecipeError, match=r"400 nm.*403 nm"), stack.over(shifted):
        pass
    stack.check(Cube.of_array(values, wavelengths=cube.wavelengths + 0.2))
    with pytest.raises(RecipeError, match="band 1, band 2"):
        stack.check(Cube.of_array(values))


def test_a_stack_made_again_gives_the_same_numbers() -> None:
    cube = holed(seed=2)
    stack = FeatureStack.fit([*PLAIN, *WINDOWED], cube)
    settings = json.loads(json.dumps(stack.settings()))
    again = FeatureStack.restore(settings, stack.arrays())
    assert again.identity == stack.identity
    assert (again.groups, again.names) == (stack.groups, stack.names)
    assert (again.window, again.halo, again.texts) == (stack.window, stack.halo, stack.texts)
    np.testing.assert_array_equal(whole(again, cube), whole(stack, cube))


def test_a_damaged_description_is_refused() -> None:
    stack = FeatureStack.fit(["pca"], holed())
    arrays = dict(stack.arrays())
    del arrays["0.axes"]
    with pytest.raises(RecipeError, match=r"damaged .*axes"):
        FeatureStack.restore(stack.settings(), arrays)
    settings = stack.settings()
    settings["features"][0]["class"] = "Components"
    with pytest.raises(RecipeError, match="no fitted feature 'Components'"):
        FeatureStack.restore(settings, stack.arrays())


def test_the_recipe_tells_feature_spaces_apart() -> None:
    cube, other = holed(), holed(seed=7)
    stack = FeatureStack.fit(["mean:window=3"], cube)
    assert stack.recipe(cube).space == stack.recipe(other).space
    assert stack.recipe(cube).fingerprint != stack.recipe(other).fingerprint
    assert stack.recipe(cube).descriptor["window"] == 3
    wider = FeatureStack.fit(["mean:window=5"], cube).recipe(cube)
    assert wider.space_fingerprint != stack.recipe(cube).space_fingerprint
    learned = [FeatureStack.fit(["pca"], c).recipe(cube).space_fingerprint for c in (cube, other)]
    assert learned[0] != learned[1]


def test_features_of_the_whole_scene_leave_no_scratch_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cube = holed()
    stack = FeatureStack.fit(["spectra", "emp:components=1,radii=1"], cube)
    assert stack.window is None
    made = [whole(stack, cube, side) for side in (16, 64)]
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("bands", "features", "halo"), [(4, 4, 0), (200, 30, 4), (224, 2000, 30)])
def test_a_block_with_its_context_stays_small(bands: int, features: int, halo: int) -> None:
    side = live_side(bands, features, halo)
    assert side % 16 == 0
    assert 4 * bands * (side + 2 * halo) ** 2 + 4 * features * side**2 <= BLOCK_BYTES


def test_memory_is_bounded_by_the_block_not_the_scene(tmp_path: Path) -> None:
    shape = (600, 500, 160)
    values = np.lib.format.open_memmap(tmp_path / "cube.npy", "w+", np.uint8, shape)
    for top in range(0, 600, 100):
        values[top : top + 100] = np.random.default_rng(top).integers(0, 255, (100, *shape[1:]))
    values.flush()
    cube = Cube.open(tmp_path / "cube.npy", axes="yxb")
    where = np.zeros(cube.shape, bool)
    where[:30] = True
    tracemalloc.start()
    stack = FeatureStack.fit(["spectra", "mean:window=9", "pca"], cube, where)
    with stack.over(cube) as live:
        blocks = live.blocks()
        for _ in range(3):
            next(blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * BLOCK_BYTES < 0.6 * 4 * np.prod(shape)


def test_a_store_holds_what_is_read_live(tmp_path: Path) -> None:
    cube = holed()
    stack = FeatureStack.fit(["pca:components=4", "mean:window=5"], cube)
    made = write_features(stack, cube, tmp_path / "f.zarr")
    read = made.read(slice(0, cube.shape[0]), slice(0, cube.shape[1]))
    np.testing.assert_array_equal(read, whole(stack, cube))
    assert made.names == stack.names
    assert made.groups == stack.groups
    assert list(made.data.coords["feature"].values) == list(stack.names)
    assert made.geobox == cube.geobox
    assert made.recipe.space == stack.recipe(cube).space
    valid = np.isfinite(cube_values(cube)).all(axis=2)
    np.testing.assert_array_equal(made.valid(), valid.astype(np.float32))
    with pytest.raises(OutputError, match="exists already; pass --overwrite"):
        write_features(stack, cube, tmp_path / "f.zarr")
    again = make_features(cube, ["snv"], tmp_path / "f.zarr", overwrite=True)
    assert again.n_features == 24


def files(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def test_an_interrupted_run_goes_on_and_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terrapatch.features.pixels.stack.live_side", lambda *_: 16)
    cube = holed()
    stack = FeatureStack.fit(["pca:components=4", "mean:window=5"], cube)

    def stop(stage: str, done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_features(stack, cube, tmp_path / "f.zarr", progress=stop)
    with pytest.raises(StoreError, match="not finished"):
        FeatureRaster.open(tmp_path / "f.zarr")
    other = FeatureStack.fit(["pca:components=4", "mean:window=7"], cube)
    with pytest.raises(RecipeError, match="begun with another recipe"):
        write_features(other, cube, tmp_path / "f.zarr")
    said: list[int] = []
    write_features(stack, cube, tmp_path / "f.zarr", progress=lambda _, n, __: said.append(n))
    assert said[0] > cube.shape[0] * cube.shape[1] / 2
    write_features(stack, cube, tmp_path / "g.zarr")
    assert files(tmp_path / "f.zarr") == files(tmp_path / "g.zarr")


def test_stored_types(tmp_path: Path) -> None:
    cube = Cube.of_array(np.random.default_rng(0).random((8, 9, 4)).astype(np.float32) * 1e6)
    stack = FeatureStack.fit(["spectra"], cube)
    with pytest.raises(StoreError, match="too large for float16; pass --dtype float32"):
        write_features(stack, cube, tmp_path / "f.zarr", dtype="float16")
    with pytest.raises(RecipeError, match="'float64' is not known"):
        write_features(stack, cube, tmp_path / "g.zarr", dtype="float64")
    half = FeatureStack.fit(["snv"], cube)
    made = write_features(half, cube, tmp_path / "h.zarr", dtype="float16")
    read = made.read(slice(0, 8), slice(0, 9))
    np.testing.assert_allclose(read, whole(half, cube), atol=2e-3)


def test_numbers_that_are_not_finite_are_refused() -> None:
    values = np.random.default_rng(0).random((6, 7, 4)).astype(np.float32)
    values[2, 3] = [3e38, -3e38, 3e38, -3e38]
    cube = Cube.of_array(values)
    stack = FeatureStack.fit(["derivative:window=3,order=2"], cube)
    with (
        stack.over(cube) as live,
        pytest.raises(FeatureError, match="not a finite number at row 2, column 3"),
    ):
        live.read(slice(0, 6), slice(0, 7))
