"""The dissimilarity index against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from scipy.spatial.distance import cdist, pdist

from terrapatch.errors import SamplesError
from terrapatch.learn import applicability
from terrapatch.learn.applicability import DissimilarityIndex


def written_out(train, new, weights, groups):
    """Index of new samples, index of training samples, by full distance matrices."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    a, b = ((rows - mean) / deviation * weights for rows in (train, new))
    mean_distance = pdist(a).mean()
    own = cdist(a, a)
    own[groups[:, None] == groups[None, :]] = np.inf
    return cdist(b, a).min(axis=1) / mean_distance, own.min(axis=1) / mean_distance


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(6, 60),
    grouped=st.booleans(),
    entries=st.sampled_from([1, 200, 1 << 20]),
)
def test_is_the_definition_whatever_the_block(seed, n, grouped, entries):
    rng = np.random.default_rng(seed)
    train, new = rng.normal(size=(n, 4)) * [1, 5, 0.1, 9] + 3, rng.normal(size=(20, 4)) * 4
    weights = rng.random(4)
    groups = np.arange(n) % 3 if grouped else None
    member = np.arange(n) if groups is None else groups
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applicability, "_ENTRIES", entries)
        model = DissimilarityIndex.fit(train, weights=weights, groups=groups)
    index, own = written_out(train, new, weights, member)
    np.testing.assert_allclose(model.transform(new), index, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.train_index, own, rtol=1e-5, atol=1e-6)
    low, high = np.quantile(own, [0.25, 0.75])
    usual = own[own <= high + 1.5 * (high - low)].max()
    assert model.threshold == pytest.approx(usual, rel=1e-5)
    assert np.array_equal(model.inside(new), model.transform(new) <= model.threshold)
    assert model.grouped == grouped


def test_training_samples_have_index_zero_and_units_do_not_matter():
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=(50, 6)), rng.normal(size=(9, 6))
    model = DissimilarityIndex.fit(train)
    assert (model.transform(train) == 0).all()
    metres = DissimilarityIndex.fit(train * 1000 + 7)
    np.testing.assert_allclose(metres.transform(new * 1000 + 7), model.transform(new), rtol=1e-4)
    assert model.transform(new[3:5]).tolist() == model.transform(new)[3:5].tolist()


def test_grouped_places_widen_the_area_and_another_world_stays_outside():
    rng = np.random.default_rng(1)
    places = rng.normal(size=(8, 3))[np.repeat(np.arange(8), 40)]
    train = places + 0.1 * rng.normal(size=places.shape)
    groups = np.repeat(np.arange(8), 40)
    alone, grouped = DissimilarityIndex.fit(train), DissimilarityIndex.fit(train, groups=groups)
    assert grouped.threshold > 3 * alone.threshold
    other_place = rng.normal(size=(40, 3)) * 0.1 + np.array([0.5, -0.5, 0.2])
    assert alone.inside(other_place).mean() < 0.3
    assert grouped.inside(other_place).mean() > 0.9
    other_world = train + 30
    assert not grouped.inside(other_world).any()


def test_a_feature_without_weight_or_variance_does_not_count():
    rng = np.random.default_rng(2)
    train = np.column_stack([rng.normal(size=30), np.full(30, 5.0), rng.normal(size=30)])
    model = DissimilarityIndex.fit(train, weights=[1, 1, 0])
    far = train.copy()
    far[:, 1:] += 1000
    assert (model.transform(far) == 0).all()


def test_cells_that_are_not_finite_have_no_index_and_lie_outside():
    train = np.random.default_rng(3).normal(size=(20, 2))
    model = DissimilarityIndex.fit(train)
    rows = np.array([[np.nan, 0.0], train[0], [np.inf, 0.0]])
    assert np.isnan(model.transform(rows)).tolist() == [True, False, True]
    assert model.inside(rows).tolist() == [False, True, False]
    assert model.transform(np.empty((0, 2))).shape == (0,)


def test_written_and_read_back():
    rng = np.random.default_rng(4)
    model = DissimilarityIndex.fit(rng.normal(size=(40, 5)), groups=np.arange(40) // 10)
    back = DissimilarityIndex.from_arrays(load(save(model.to_arrays())))
    rows = rng.normal(size=(15, 5))
    assert np.array_equal(back.transform(rows), model.transform(rows))
    assert (back.threshold, back.grouped) == (model.threshold, True)
    good = model.to_arrays()
    for damage in ({"mean": good["mean"][:3]}, {"numbers": np.zeros(3)}):
        with pytest.raises(SamplesError, match="do not fit"):
            DissimilarityIndex.from_arrays(good | damage)
    with pytest.raises(SamplesError, match=r"'train' .* damaged"):
        DissimilarityIndex.from_arrays({"mean": good["mean"]})
    with pytest.raises(SamplesError, match=r"'mean' .* damaged"):
        DissimilarityIndex.from_arrays(good | {"mean": np.full(5, np.nan)})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: DissimilarityIndex.fit([[1.0, 2.0]]), "at least two samples"),
        (lambda: DissimilarityIndex.fit([[1.0], [np.nan]]), "training sample 1"),
        (lambda: DissimilarityIndex.fit([[1.0], [1.0]]), "the same features"),
        (lambda: DissimilarityIndex.fit([[1.0], [2.0]], groups=[1, 1]), "in one group"),
        (lambda: DissimilarityIndex.fit([[1.0], [2.0]], groups=[1]), "groups were given"),
        (lambda: DissimilarityIndex.fit([[1.0], [2.0]], weights=[-1.0]), "not negative"),
        (lambda: DissimilarityIndex.fit([[1.0], [2.0]]).transform([[1.0, 2.0]]), "1 features"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call()
