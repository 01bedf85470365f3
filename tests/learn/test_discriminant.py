"""Shrunken discriminant analysis, against scikit-learn's and written-out formulas."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.estimator_checks import estimator_checks_generator

from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn.discriminant import ShrunkDiscriminant, ledoit_wolf_share


def clouds(n=120, width=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.arange(1, classes + 1), n, p=np.arange(1, classes + 1) / 6)
    shape = rng.normal(size=(width, width))
    return rng.normal(size=(n, width)) @ shape + 2 * rng.normal(size=(classes + 1, width))[ids], ids


@pytest.mark.parametrize("width", [8, 300])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_it_is_scikit_learns_with_the_same_share(width, share):
    rows, ids = clouds(width=width)
    ours = ShrunkDiscriminant(share).fit(rows, ids)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=share).fit(rows, ids)
    assert np.allclose(ours.decision_function(rows), theirs.predict_log_proba(rows), atol=1e-6)
    assert np.array_equal(ours.predict(rows), theirs.predict(rows))


@pytest.mark.parametrize("width", [8, 300])
def test_the_share_is_ledoit_and_wolfs(width):
    rows = clouds(width=width)[0]
    centred = rows - rows.mean(axis=0)
    expected = ledoit_wolf_shrinkage(centred, assume_centered=True)
    assert ledoit_wolf_share(centred / np.sqrt(len(rows))) == pytest.approx(expected, rel=1e-9)
    assert ledoit_wolf_share(np.zeros((3, 4))) == 1.0


def test_auto_takes_the_share_within_classes():
    rows, ids = clouds()
    means = np.stack([rows[ids == c].mean(axis=0) for c in (1, 2, 3)])
    expected = ledoit_wolf_shrinkage(rows - means[ids - 1], assume_centered=True)
    assert ShrunkDiscriminant().fit(rows, ids).shrinkage_ == pytest.approx(expected)


def test_balanced_is_what_repeated_rows_give():
    rows, ids = clouds()
    few, many = np.bincount(ids)[1:].min(), np.bincount(ids)[1:]
    keep = np.concatenate([np.flatnonzero(ids == c)[:few] for c in (1, 2, 3)])
    alike = ShrunkDiscriminant(0.1, "balanced").fit(rows[keep], ids[keep])
    assert np.allclose(alike.coef_, ShrunkDiscriminant(0.1).fit(rows[keep], ids[keep]).coef_)
    times = np.lcm.reduce(many) // many
    repeated = np.repeat(np.arange(len(ids)), times[ids - 1])
    balanced = ShrunkDiscriminant(0.1, "balanced").fit(rows, ids).decision_function(rows)
    plain = ShrunkDiscriminant(0.1).fit(rows[repeated], ids[repeated]).decision_function(rows)
    assert np.allclose(balanced, plain, atol=1e-8)


def test_two_classes_have_one_score_and_one_sample_each_is_the_nearest_mean():
    rows, ids = clouds(classes=3)
    two = ids < 3
    found = ShrunkDiscriminant(0.1).fit(rows[two], ids[two])
    score = found.decision_function(rows)
    assert score.shape == (120,)
    assert np.array_equal(found.predict(rows) == 2, score > 0)
    alone = [int(np.flatnonzero(ids == c)[0]) for c in (1, 2, 3)]
    nearest = ShrunkDiscriminant().fit(rows[alone], ids[alone]).predict(rows)
    gaps = np.square(rows[:, None] - rows[alone]).sum(axis=2)
    assert np.array_equal(nearest, ids[alone][gaps.argmin(axis=1)])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match="above 0 to 1"):
        ShrunkDiscriminant(share).fit(*clouds())


def test_it_is_kept_without_code_and_the_same_every_time():
    rows, ids = clouds()
    one = ShrunkDiscriminant(0.1).fit(rows, ids)
    data = dumped(one)
    assert data == dumped(clone(one).fit(rows, ids))
    again = restored(data, "head")
    assert np.array_equal(again.decision_function(rows), one.decision_function(rows))


def test_it_keeps_scikit_learns_rules():
    for estimator, check in estimator_checks_generator(ShrunkDiscriminant()):
        check(estimator)
