"""The scene classifier: calibrated, refused where it does not belong, saved without code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cells import FakeFeatures, FakeRecipe
from samples_made import blobs
from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.learn.calibration import apply_temperature, fit_temperature
from terrapatch.learn.fitting import cross_validate, make_folds, train_scene_model
from terrapatch.learn.scene_model import SceneModel


@pytest.fixture(scope="module")
def model() -> SceneModel:
    some = blobs()
    return train_scene_model(some, checked=cross_validate(some))


def raster(**more: object) -> tuple[FakeFeatures, np.ndarray]:
    """Return 9 x 10 cells of blobs, some empty, and their classes."""
    some = blobs(seed=3)
    order = np.random.default_rng(0).permutation(90)
    empty = np.zeros((9, 10), bool)
    empty[2, 3:6] = True
    values = some.values[order].reshape(9, 10, -1)
    groups = (("one", 0, 20), ("two", 20, 40))
    return (
        FakeFeatures.of(values, empty, groups=groups, **more),
        np.where(empty, 0, some.ids[order].reshape(9, 10)),
    )


def test_a_map_has_classes_where_there_are_features(model: SceneModel) -> None:
    features, truth = raster()
    made = model.predict(features)
    assert ((made.labels == 0) == (truth == 0)).all()
    assert (made.labels == truth)[truth > 0].mean() > 0.85
    held = truth > 0
    for values in (made.confidence, made.margin, made.set_size):
        assert np.isnan(values[~held]).all()
        assert np.isfinite(values[held]).all()
    assert (made.confidence[held] >= 1 / 3).all()
    assert (made.margin[held] <= made.confidence[held]).all()
    assert set(np.unique(made.set_size[held])) <= {0, 1, 2, 3}


def test_how_the_store_is_cut_changes_nothing(model: SceneModel) -> None:
    features, _ = raster()
    one, other = model.predict(features), model.predict(features.cut((3, 7), order_seed=1))
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.confidence, other.confidence, rtol=1e-6)


def test_saved_and_loaded_it_says_the_same(model: SceneModel, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    back = SceneModel.load(folder)
    features, _ = raster()
    one, other = model.predict(features), back.predict(features)
    np.testing.assert_array_equal(one.confidence, other.confidence)
    assert back.description == model.description
    assert back.classes == ("a", "b", "c")
    twice = train_scene_model(blobs(), checked=cross_validate(blobs())).save(tmp_path / "twice")
    for file in folder.iterdir():
        assert file.read_bytes() == (twice / file.name).read_bytes(), file.name
    with pytest.raises(OutputError, match="there is a model in"):
        model.save(folder)


@pytest.mark.parametrize("name", ["model.json", "head.safetensors", "head.skops"])
def test_damage_is_seen(model: SceneModel, tmp_path: Path, name: str) -> None:
    folder = model.save(tmp_path / "model")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(RecipeError, match="damaged"):
        SceneModel.load(folder)
    (folder / name).unlink()
    with pytest.raises(RecipeError, match="so no whole model is there"):
        SceneModel.load(folder)


def test_code_in_a_model_is_not_run(model: SceneModel, tmp_path: Path, capsys) -> None:
    import hashlib

    import skops.io

    from terrapatch.learn._model_folder import _content_hash
    from test_heads import Evil

    folder = model.save(tmp_path / "model")
    data = skops.io.dumps(Evil())
    (folder / "head.skops").write_bytes(data)
    content = json.loads((folder / "model.json").read_text())
    content["head_skops_sha256"] = hashlib.sha256(data).hexdigest()
    content["sha256"] = _content_hash(content)
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(RecipeError, match="could run code, so it is not opened"):
        SceneModel.load(folder)
    assert "ran" not in capsys.readouterr().out


def test_other_features_are_refused(model: SceneModel) -> None:
    features, _ = raster(recipe=FakeRecipe({"backbone": "other", "patch": "60m"}))
    with pytest.raises(RecipeError, match="backbone: other, model was made with fake"):
        model.predict(features)


def test_cross_validation_is_calibrated_and_covers() -> None:
    some = blobs(n=120, apart=2.5)
    found = cross_validate(some)
    assert found.protocol == "5 stratified folds"
    assert sorted(found.places) == list(range(len(some)))
    assert (found.predicted == found.ids).mean() > 0.6
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    assert 0.9 <= found.covered.mean() <= 1.0
    again = cross_validate(some)
    np.testing.assert_array_equal(found.probabilities, again.probabilities)


def test_hyperparameters_never_see_the_test_part() -> None:
    """Labels of a test part that say nothing cannot be learned, however they are tuned."""
    some = blobs(n=60, apart=0.0)
    accuracy = (cross_validate(some).predicted == some.ids[cross_validate(some).places]).mean()
    assert accuracy < 0.5


def test_samples_that_lie_somewhere_are_kept_apart() -> None:
    random = np.random.default_rng(0)
    some = blobs(n=60, positions=random.uniform(0, 3000, (180, 2)), reach=60.0)
    pairs, protocol = make_folds(some, 3)
    assert "blocks of 240 map units, 60 apart" in protocol
    for train, test in pairs:
        gaps = np.abs(some.positions[train][:, None] - some.positions[test][None]).max(-1)
        assert gaps.min() >= 60.0
    scenes = np.tile(np.arange(3), 60).astype(np.int32)
    several = blobs(n=60, positions=some.positions, reach=60.0, scenes=scenes)
    pairs, protocol = make_folds(several, 3)
    assert protocol == "3 folds of whole scenes"
    for train, test in pairs:
        assert not set(scenes[train]) & set(scenes[test])


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(SamplesError, match="all 30 samples are of the class 'a'"):
        train_scene_model(blobs(k=1))
    some = blobs()
    with pytest.raises(SamplesError, match="at least 2 samples but 'c' has 1"):
        train_scene_model(some.take(np.arange(61)))
    with pytest.raises(SamplesError, match="have no part test"):
        some.part("test")


def test_the_size_of_a_patch_counts_only_where_it_is_known() -> None:
    space = {"backbone": "fake", "size": "256"}
    some = blobs()
    object.__setattr__(some, "recipe", FakeRecipe(space))
    there = FakeRecipe({"backbone": "fake", "size": "60m"})
    free, _ = raster(recipe=there)
    notes = train_scene_model(some).check(free)
    assert "trained on images of 256 px and the patches here have 60m" in notes[0]
    placed = blobs(positions=np.zeros((90, 2)))
    object.__setattr__(placed, "recipe", FakeRecipe(space))
    model = train_scene_model(placed, "centroid")
    with pytest.raises(RecipeError, match="size: 60m, model was made with 256"):
        model.check(free)


def test_scenes_that_allow_no_folds_are_refused() -> None:
    scenes = np.repeat(np.arange(3), 2).astype(np.int32)
    places = {"positions": np.zeros((6, 2)), "scenes": scenes, "reach": 1.0}
    with pytest.raises(SamplesError, match="no class has 3 samples, so 3 folds of whole scenes"):
        make_folds(blobs(n=2, k=3, **places), 3)
    places["scenes"] = np.repeat(np.arange(2), 3).astype(np.int32)
    with pytest.raises(SamplesError, match="one class is left to train on; label every class in"):
        make_folds(blobs(n=3, k=2, **places), 2)


def test_a_single_fold_is_calibrated_half_by_half() -> None:
    some = blobs(n=20)
    every = np.arange(len(some))
    folds = [(every[every % 4 < 2], every[every % 4 >= 2])]
    checked = cross_validate(some, "ridge", folds=folds)
    first = np.arange(len(checked.ids)) % 2 == 0
    raw = np.log(checked.raw)
    for here in (first, ~first):
        fitted = fit_temperature(raw[~here], checked.ids[~here])
        np.testing.assert_allclose(
            checked.probabilities[here], apply_temperature(raw[here], fitted), atol=1e-4
        )
    assert (checked.fold == 0).all()
