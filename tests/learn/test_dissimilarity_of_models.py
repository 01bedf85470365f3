"""A scene classifier knows how far a sample is from those it was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from cells import FakeFeatures
from samples_made import blobs
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn import _training_index
from terrapatch.learn._training_index import TrainingIndex, drawn
from terrapatch.learn.fitting import cross_validate, train_scene_model
from terrapatch.learn.scene_model import SceneModel


@pytest.fixture(scope="module")
def model() -> SceneModel:
    return train_scene_model(blobs(), "centroid")


def reduced(model: SceneModel, values: np.ndarray, others: np.ndarray) -> list[np.ndarray]:
    """Scale rows and bring them to 32 components of the training samples by plain SVD."""
    a, b = (model.pipeline[0].transform(v.astype(np.float64)) for v in (values, others))
    directions = np.linalg.svd(a - a.mean(axis=0), full_matrices=False)[2][:32]
    return [(rows - a.mean(axis=0)) @ directions.T for rows in (a, b)]


def usual(distance: np.ndarray, groups: np.ndarray) -> float:
    """Return the threshold of the index by Tukey's rule."""
    distance = distance.copy()
    distance[groups[:, None] == groups] = np.inf
    own = distance.min(axis=1)
    low, high = np.quantile(own, [0.25, 0.75])
    return own[own <= high + 1.5 * (high - low)].max()


def test_is_the_definition_in_principal_components(model: SceneModel) -> None:
    some, others = blobs(), blobs(seed=5, apart=9.0)
    a, b = reduced(model, some.values, others.values)
    mean = pdist(a).mean()
    np.testing.assert_allclose(
        model.dissimilarity(others.values), cdist(b, a).min(axis=1) / mean, rtol=1e-4
    )
    assert model.index_threshold == pytest.approx(usual(cdist(a, a), some.ids) / mean, rel=1e-4)
    assert model.dissimilarity(some.values).max() < 1e-5
    told = model.description["index"]
    assert told == {
        "groups": "classes", "components": 32, "samples": 90, "threshold": model.index_threshold
    }  # fmt: skip


def test_another_world_is_beyond_the_threshold(model: SceneModel) -> None:
    near, far = blobs(seed=5).values, 40 + 25 * np.random.default_rng(0).normal(size=(50, 40))
    inside = model.dissimilarity(near) <= model.index_threshold
    assert inside.mean() > 0.9
    wide = train_scene_model(blobs(), "centroid", "standardise")
    assert (wide.dissimilarity(far) > wide.index_threshold).all()


def test_places_are_measured_across_the_folds_of_the_cross_validation() -> None:
    positions = np.random.default_rng(0).uniform(0, 3000, (180, 2))
    some = blobs(n=60, positions=positions, reach=60.0)
    checked = cross_validate(some, "centroid", folds=3)
    made = train_scene_model(some, "centroid", checked=checked)
    assert made.description["index"]["groups"] == checked.protocol
    fold = np.full(180, -1)
    fold[checked.places] = checked.fold
    a, _ = reduced(made, some.values, some.values)
    expected = usual(cdist(a, a), fold) / pdist(a).mean()
    assert made.index_threshold == pytest.approx(expected, rel=1e-4)
    unchecked = train_scene_model(some, "centroid")
    assert unchecked.description["index"]["groups"] == "classes"


def test_a_raster_of_it_is_empty_where_cells_are(model: SceneModel) -> None:
    some = blobs(seed=3)
    empty = np.zeros((9, 10), bool)
    empty[2, 3:6] = True
    groups = (("one", 0, 20), ("two", 20, 40))
    features = FakeFeatures.of(some.values.reshape(9, 10, -1), empty, groups=groups)
    made = model.predict(features)
    assert made.dissimilarity.dtype == np.float32
    assert np.isnan(made.dissimilarity[empty]).all()
    expected = model.dissimilarity(some.values).reshape(9, 10)
    np.testing.assert_allclose(made.dissimilarity[~empty], expected[~empty], rtol=1e-6)
    other = model.predict(features.cut((3, 7), order_seed=1))
    np.testing.assert_allclose(made.dissimilarity, other.dissimilarity, rtol=1e-6)


def test_saved_and_loaded_it_is_the_same(model: SceneModel, tmp_path: Path) -> None:
    back = SceneModel.load(model.save(tmp_path / "model"))
    rows = blobs(seed=4).values
    np.testing.assert_array_equal(back.dissimilarity(rows), model.dissimilarity(rows))
    assert back.index_threshold == model.index_threshold
    again = train_scene_model(blobs(), "centroid").save(tmp_path / "again")
    for file in again.iterdir():
        assert file.read_bytes() == (tmp_path / "model" / file.name).read_bytes(), file.name


def test_a_model_saved_before_still_loads(model: SceneModel, tmp_path: Path) -> None:
    description = {key: value for key, value in model.description.items() if key != "index"}
    older = SceneModel(model.pipeline, model.legend, description)
    back = SceneModel.load(older.save(tmp_path / "older"))
    assert back.index is None
    assert back.index_threshold is None
    groups = (("one", 0, 20), ("two", 20, 40))
    features = FakeFeatures.of(blobs().values.reshape(9, 10, -1), groups=groups)
    assert back.predict(features).dissimilarity is None
    with pytest.raises(RecipeError, match="saved before models did; train it again"):
        back.dissimilarity(blobs().values)


def test_of_many_samples_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training_index, "MOST", 20)
    one, two = (train_scene_model(blobs(), "centroid") for _ in range(2))
    assert one.index.index.train.shape == (20, 19)
    np.testing.assert_array_equal(one.index.index.train, two.index.index.train)
    other = train_scene_model(blobs(), "centroid", seed=1)
    assert not np.array_equal(one.index.index.train, other.index.index.train)


def test_the_draw_keeps_a_sample_of_every_group() -> None:
    groups = np.r_[np.zeros(500, int), 1, 2]
    for seed in range(20):
        places = drawn(groups, 10, seed)
        assert len(places) == len(set(places.tolist())) == 10
        assert set(groups[places]) == {0, 1, 2}
        assert (np.diff(places) > 0).all()
    assert drawn(groups, 502, 0).tolist() == list(range(502))


def test_directions_without_variance_are_left_out() -> None:
    some = blobs()
    twice = replace(some, values=np.repeat(some.values[:, :6], 7, axis=1)[:, :40])
    made = train_scene_model(twice, "centroid", "standardise")
    assert made.description["index"]["components"] == 6
    nudged = twice.values + np.float32(1e-5) * np.random.default_rng(0).normal(size=(90, 40))
    assert made.dissimilarity(nudged).max() < 1e-3


def test_samples_that_are_all_alike_teach_nothing() -> None:
    same = replace(blobs(), values=np.ones((90, 40), np.float32))
    with pytest.raises(SamplesError, match="have the same features, so nothing can be learned"):
        train_scene_model(same, "ridge", "none")


def test_damaged_arrays_are_refused(model: SceneModel, tmp_path: Path) -> None:
    good = model.index.to_arrays()
    for damage, words in (
        ({"index.centre": None}, "are missing"),
        ({"index.centre": good["index.centre"][:5]}, "do not fit"),
        ({"index.components": good["index.components"] * np.nan}, "are damaged"),
        ({"index.train": good["index.train"][:, :3]}, "do not fit"),
    ):
        held = {name: a for name, a in (good | damage).items() if a is not None}
        with pytest.raises(SamplesError, match=words):
            TrainingIndex.from_arrays(held)
    index = model.index
    narrow = replace(model, index=replace(index, centre=index.centre[:9],
                                          components=index.components[:, :9]))  # fmt: skip
    with pytest.raises(RecipeError, match="not a usable scene classifier"):
        SceneModel.load(narrow.save(tmp_path / "narrow"))
