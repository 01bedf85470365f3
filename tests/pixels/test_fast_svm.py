"""The fast decisions of a support vector machine are scikit-learn's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from terrapatch.learn.pixels.fast_svm import CHUNK, FastSvm, usable_threads


def clouds(k: int, n: int, d: int = 12, spread: float = 1.0, seed: int = 0) -> Any:
    """Return rows around ``k`` centres, and their classes 2, 5, 8, …"""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1, (k, d))
    which = rng.integers(0, k, n)
    return centres[which] + rng.normal(0, spread, (n, d)), which * 3 + 2


@pytest.mark.parametrize("k", [2, 3, 9])
@pytest.mark.parametrize("cost", [1.0, 1000.0])
def test_decisions_and_labels_are_those_of_scikit_learn(k: int, cost: float) -> None:
    svc = SVC(C=cost, class_weight="balanced").fit(*clouds(k, 60 * k))
    rows, _ = clouds(k, 2500, seed=1)
    fast = FastSvm.of(svc)
    theirs = svc.decision_function(rows)
    theirs = np.stack([-theirs, theirs], axis=1) if k == 2 else theirs
    np.testing.assert_allclose(fast.decision(rows), theirs, atol=2e-2 if cost > 1 else 2e-3)
    assert (fast.predict(rows) == svc.predict(rows)).mean() >= 0.998
    assert fast.n_vectors == svc.n_support_.sum()
    assert len(np.unique(fast.predict(rows))) == k


def test_many_classes_some_of_them_with_one_pixel() -> None:
    rows, ids = clouds(30, 900, spread=1.5)
    keep = (ids != 2) | (np.cumsum(ids == 2) == 1)
    svc = SVC(C=100.0).fit(rows[keep], ids[keep])
    tested, _ = clouds(30, 3000, spread=1.5, seed=1)
    fast = FastSvm.of(svc)
    assert svc.n_support_[0] == 1
    assert (fast.predict(tested) == svc.predict(tested)).mean() >= 0.995
    best = fast.classes[fast.decision(tested).argmax(axis=1)]
    theirs = svc.classes_[svc.decision_function(tested).argmax(axis=1)]
    assert (best == theirs).mean() >= 0.995


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_any_number_of_rows(n: int) -> None:
    svc = SVC().fit(*clouds(3, 100))
    rows, _ = clouds(3, CHUNK + 1, seed=2)
    fast = FastSvm.of(svc)
    assert fast.decision(rows[:n]).shape == (n, 3)
    np.testing.assert_allclose(fast.decision(rows[:n]), fast.decision(rows)[:n], atol=1e-4)


def test_threads_change_no_bit() -> None:
    svc = SVC(C=10.0).fit(*clouds(5, 400))
    rows, _ = clouds(5, 5 * CHUNK + 7, seed=3)
    fast = FastSvm.of(svc)
    one = fast.decision(rows, threads=1)
    assert np.array_equal(one, fast.decision(rows, threads=3))
    assert np.array_equal(fast.predict(rows, threads=1), fast.predict(rows, threads=4))
    assert usable_threads() >= 1


def test_far_away_features_lose_no_accuracy() -> None:
    """Rows about 10,000 with a spread of 1: squares alone would drown the distances."""
    rows, ids = clouds(4, 300)
    svc = SVC(C=10.0).fit(rows + 10_000.0, ids)
    tested, _ = clouds(4, 1500, seed=4)
    ours = FastSvm.of(svc).decision(tested + 10_000.0)
    np.testing.assert_allclose(ours, svc.decision_function(tested + 10_000.0), atol=2e-3)


def test_scaling_is_applied_to_each_chunk() -> None:
    rows, ids = clouds(4, 300)
    svc = SVC(C=10.0).fit(rows * 2 - 1, ids)
    tested, _ = clouds(4, 2000, seed=5)
    fast = FastSvm.of(svc)
    whole = fast.decision(tested * 2 - 1)
    assert np.array_equal(fast.decision(tested, lambda part: part * 2 - 1), whole)


def test_another_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="'linear'"):
        FastSvm.of(SVC(kernel="linear").fit(*clouds(3, 60)))
