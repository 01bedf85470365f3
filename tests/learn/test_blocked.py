"""Blocked folds: a partition, a buffer that holds, and scikit-learn as the client."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from terrapatch.errors import SamplesError
from terrapatch.learn.blocked import BlockedFolds, leaks


def grid(side: int = 20, step: float = 10.0) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return np.column_stack([x.ravel(), y.ravel()]) * step + [300_005.0, 2_100_005.0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(40, 200),
    folds=st.integers(2, 6),
    block=st.floats(50, 200),
    buffer=st.floats(0, 60),
)
def test_every_sample_is_tested_once_and_the_buffer_holds(seed, n, folds, block, buffer):
    places = np.random.default_rng(seed).uniform(-500, 500, (n, 2))
    cv = BlockedFolds(folds, block=block, buffer=buffer, seed=seed)
    tested = np.zeros(n, int)
    squares = np.floor(places / block)
    for train, test in cv.split(places, groups=places):
        tested[test] += 1
        apart = cdist(places[train], places[test], "chebyshev")
        assert apart.min() >= buffer
        assert leaks(places[train], places[test], buffer) == 0
        left = np.setdiff1d(np.arange(n), np.r_[train, test])
        if len(left):
            assert (cdist(places[left], places[test], "chebyshev").min(axis=1) < buffer).all()
        mine, others = squares[test], squares[np.setdiff1d(np.arange(n), test)]
        assert not {map(tuple, mine.tolist())} & {map(tuple, others.tolist())}
    assert (tested == 1).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), folds=st.integers(2, 5))
def test_folds_are_balanced_by_samples(seed, folds):
    rng = np.random.default_rng(seed)
    crowded = rng.normal(0, 60, (300, 2))
    spread = rng.uniform(-500, 500, (200, 2))
    places = np.vstack([crowded, spread])
    cv = BlockedFolds(folds, block=40, seed=seed, positions=places)
    sizes = np.bincount(cv.fold_of(), minlength=folds)
    assert sizes.max() - sizes.min() <= 4


def test_the_seed_decides_and_a_new_sample_moves_no_block():
    places = grid()
    folds = BlockedFolds(5, block=50, seed=1).fold_of(places)
    assert np.array_equal(folds, BlockedFolds(5, block=50, seed=1).fold_of(places))
    assert not np.array_equal(folds, BlockedFolds(5, block=50, seed=2).fold_of(places))
    more = np.vstack([[[300_001.0, 2_100_001.0]], places])

    def together(f):
        return f[:, None] == f[None, :]

    squares = np.floor(places / 50)
    _, member = np.unique(squares, axis=0, return_inverse=True)
    for f in (folds, BlockedFolds(5, block=50, seed=1).fold_of(more)[1:]):
        assert together(f)[together(member.ravel())].all()


def test_on_a_grid_the_buffer_drops_exactly_one_ring():
    places = grid(12)
    cv = BlockedFolds(4, block=60, buffer=10.1, positions=places)
    for train, test in cv.split():
        assert len(test) == 36
        assert len(places) - len(train) - len(test) == 13
    at = BlockedFolds(4, block=60, buffer=10.0, positions=places)
    assert [s.dropped for s in at.describe()] == [0] * 4


def test_inside_scikit_learn():
    places = grid(16)
    rng = np.random.default_rng(0)
    field = np.floor(places / 40)
    _, field = np.unique(field, axis=0, return_inverse=True)
    field = field.ravel()
    y = rng.integers(1, 3, field.max() + 1)[field]
    features = rng.normal(size=(field.max() + 1, 5))[field] + 0.1 * rng.normal(size=(len(y), 5))
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    cv = BlockedFolds(4, block=40, buffer=10, seed=3)
    blocked = cross_val_score(model, features, y, cv=cv, groups=places, error_score="raise")
    mixed = cross_val_score(model, features, y, cv=KFold(4, shuffle=True, random_state=0))
    assert len(blocked) == cv.get_n_splits() == 4
    assert mixed.mean() > 0.97
    assert blocked.mean() < 0.85
    held = BlockedFolds(4, block=40, buffer=10, seed=3, positions=places)
    assert np.array_equal(cross_val_score(model, features, y, cv=held), blocked)
    assert len(cross_val_predict(model, features, y, cv=held)) == len(y)
    search = GridSearchCV(model, {"kneighborsclassifier__n_neighbors": [1, 3]}, cv=cv)
    assert clone(search).fit(features, y, groups=places).best_score_ < 0.85
    assert "block=40" in repr(cv)
    with config_context(enable_metadata_routing=True):
        routed = cross_val_score(model, features, y, cv=cv, params={"groups": places})
    assert np.array_equal(routed, blocked)


def test_describe_names_what_cannot_be_tested_or_trained():
    places = np.array([[5, 5], [5, 15], [15, 5], [15, 15], [5, 6], [15, 16]], float)
    y = np.array([1, 1, 2, 2, 3, 3])
    cv = BlockedFolds(2, block=10, buffer=100 * 0.05, positions=places)
    told = cv.describe(y, classes=["roof", "road", "sea"])
    assert sum(s.test for s in told) == 6
    assert all(s.train + s.test + s.dropped == 6 for s in told)
    for summary, (train, test) in zip(told, cv.split(), strict=True):
        names = np.array(["", "roof", "road", "sea"])
        assert set(summary.untested) == {"roof", "road", "sea"} - set(names[y[test]])
        assert set(summary.untrained) == set(names[y[test]]) - set(names[y[train]])
    rare = cv.describe(np.array([1, 2, 2, 2, 2, 2]), classes=["roof", "road"])
    assert [s.untested for s in rare if s.untested] == [("roof",)]
    assert [s.untrained for s in rare if s.untrained] == [("roof",)]
    shown = str(next(s for s in rare if s.untested))
    assert "does not test roof" in shown


def test_leaks_counts_tested_samples():
    train = [[0, 0], [100, 100]]
    test = [[5, 9], [10, 0], [50, 50], [91, 109]]
    assert leaks(train, test, 10) == 2
    assert leaks(train, test, 10.01) == 3
    assert leaks(train, test, 0) == 0
    assert leaks(np.empty((0, 2)), test, 10) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BlockedFolds(1, block=5), "at least 2"),
        (lambda: BlockedFolds(block=0), "side of a block is 0"),
        (lambda: BlockedFolds(block=5, buffer=-1), "buffer is -1"),
        (lambda: next(BlockedFolds(block=5).split([1])), "without a georeference"),
        (lambda: next(BlockedFolds(block=5).split([1], groups=[1])), "two coordinates"),
        (lambda: next(BlockedFolds(block=5).split([1], groups=["a"])), "have to be numbers"),
        (lambda: next(BlockedFolds(block=5).split([1], groups=[[0, np.nan]])), "of sample 0"),
        (lambda: next(BlockedFolds(block=50).split([1] * 3, groups=grid(2))), "3 samples"),
        (lambda: next(BlockedFolds(block=500).split(groups=grid(2))), "too few for 5 folds"),
        (lambda: next(BlockedFolds(2, block=50, buffer=900).split(groups=grid(9))), "no training"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call()
