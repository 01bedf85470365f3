"""Conformal sets: the promise kept on exchangeable data, the rank exact."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from terrapatch.errors import SamplesError
from terrapatch.learn.conformal import (
    ConformalSets,
    coverage,
    coverage_by_class,
    least_samples,
)


def guesses(seed: int, n: int, k: int = 4, skill: float = 1.5):
    """Probabilities of a badly calibrated classifier, and the truth; one class is rare and hard."""
    rng = np.random.default_rng(seed)
    share = np.r_[0.1, np.full(k - 1, 0.9 / (k - 1))]
    ids = rng.choice(k, n, p=share) + 1
    gain = np.where(ids == 1, 0.3, skill)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), ids - 1] += gain
    return softmax(3 * scores, axis=1), ids


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize(("alpha", "n"), [(0.05, 19), (0.05, 60), (0.1, 45), (0.25, 30)])
def test_coverage_over_many_draws_is_promised_and_not_much_more(score, alpha, n):
    covered = []
    for seed in range(300):
        p, ids = guesses(seed, n + 200)
        model = ConformalSets.fit(p[:n], ids[:n], alpha, score=score)
        covered.append(coverage(model.sets(p[n:]), ids[n:]))
    mean, error = np.mean(covered), np.std(covered) / math.sqrt(len(covered))
    assert mean >= 1 - alpha - 3 * error
    assert mean <= 1 - alpha + 1 / (n + 1) + 3 * error


def test_the_promise_for_each_class_helps_the_hard_one():
    together, apart = [], []
    for seed in range(60):
        p, ids = guesses(seed, 3000)
        for per_class, found in ((False, together), (True, apart)):
            model = ConformalSets.fit(p[:1500], ids[:1500], 0.1, per_class=per_class)
            found.append(coverage_by_class(model.sets(p[1500:]), ids[1500:]))
    assert np.mean(together, axis=0)[0] < 0.8
    assert np.abs(np.mean(apart, axis=0) - 0.9).max() < 0.015


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 300),
    alpha=st.sampled_from([0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 1 / 3, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_the_threshold_is_the_exact_order_statistic(n, alpha, seed):
    own = np.random.default_rng(seed).permutation(n) / n
    p = np.column_stack([own, 1 - own])
    rank = math.ceil((n + 1) * (1 - Fraction(str(alpha))))
    if rank > n:
        assert n < least_samples(alpha)
        with pytest.raises(SamplesError, match="too few"):
            ConformalSets.fit(p, np.ones(n, int), alpha)
        return
    assert n >= least_samples(alpha)
    model = ConformalSets.fit(p, np.ones(n, int), alpha)
    assert model.thresholds[0] == np.sort(1 - own)[rank - 1]
    assert model.sets(p)[:, 0].sum() == rank


def test_least_samples_known():
    assert [least_samples(a) for a in (0.05, 0.1, 0.01, 0.3)] == [19, 9, 99, 3]


def test_aps_by_hand():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    model = ConformalSets(np.full(3, 0.85), 0.1, "aps", False, 10)
    assert model.sets(p).tolist() == [[True, True, True], [False, True, True]]
    strict = ConformalSets(np.full(3, 0.4), 0.1, "aps", False, 10)
    assert strict.sets(p).tolist() == [[True, False, False], [False, False, True]]


def test_an_empty_set_can_be_given_the_best_class():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    sure = ConformalSets(np.full(3, 0.2), 0.1, "lac", False, 10)
    assert sure.sizes(p).tolist() == [0, 0]
    assert sure.sets(p, never_empty=True).tolist() == [[True, False, False], [False, False, True]]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_aps_sets_are_never_empty_and_hold_the_likeliest_classes(seed):
    p, ids = guesses(seed, 200)
    held = ConformalSets.fit(p[:100], ids[:100], 0.2, score="aps").sets(p[100:])
    ranked = np.take_along_axis(held, np.argsort(-p[100:], axis=1, kind="stable"), axis=1)
    assert ranked[:, 0].all()
    assert (np.diff(ranked.astype(int), axis=1) <= 0).all()


def test_a_classifier_that_is_right_often_enough_gets_one_class_from_aps():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 5, 400)
    shown = np.where(rng.random(400) < 0.98, ids, 1 + ids % 4)
    p = np.full((400, 4), 0.05)
    p[np.arange(400), shown - 1] = 0.85
    model = ConformalSets.fit(p[:200], ids[:200], 0.05, score="aps")
    assert model.sizes(p[200:]).tolist() == [1] * 200
    assert coverage(model.sets(p[200:]), ids[200:]) >= 0.95


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), score=st.sampled_from(["lac", "aps"]))
def test_less_risk_gives_sets_that_hold_the_others(seed, score):
    p, ids = guesses(seed, 400)
    bold = ConformalSets.fit(p[:200], ids[:200], 0.2, score=score).sets(p[200:])
    careful = ConformalSets.fit(p[:200], ids[:200], 0.02, score=score).sets(p[200:])
    assert (careful | ~bold).all()


def test_written_and_read_back():
    p, ids = guesses(0, 300)
    model = ConformalSets.fit(p, ids, 0.1, per_class=True)
    back = ConformalSets.from_dict(json.loads(json.dumps(model.as_dict())))
    assert np.array_equal(back.sets(p), model.sets(p))
    assert back.as_dict() == model.as_dict()
    for damage in ({"score": "x"}, {"alpha": 2}, {"thresholds": [float("nan"), 1]}, {"n": "?"}):
        with pytest.raises(SamplesError, match="damaged"):
            ConformalSets.from_dict(model.as_dict() | damage)
    with pytest.raises(SamplesError, match="damaged"):
        ConformalSets.from_dict({})


def test_unlabelled_samples_do_not_count():
    p, ids = guesses(1, 100)
    hidden = np.where(np.arange(100) < 50, ids, 0)
    model = ConformalSets.fit(p, hidden, 0.1)
    assert model.n == 50
    assert model.thresholds[0] == ConformalSets.fit(p[:50], ids[:50], 0.1).thresholds[0]
    assert coverage(model.sets(p), hidden) == coverage(model.sets(p[:50]), ids[:50])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, i: ConformalSets.fit(p[:18], i[:18], 0.05), "18 .* at least 19"),
        (lambda p, i: ConformalSets.fit(p, i, 0.01, per_class=True), "class 1 has"),
        (lambda p, i: ConformalSets.fit(p, i, 1.0), "alpha is 1"),
        (lambda p, i: ConformalSets.fit(p, i, score="raps"), "'raps'"),
        (lambda p, i: ConformalSets.fit(3 * p, i), "adds up to 3"),
        (lambda p, i: ConformalSets.fit(p, i).sets(p[:, :2] / p[:, :2].sum(1)[:, None]), "2 class"),
        (lambda p, i: coverage(p > 0.5, i[:3]), "given for 200 rows"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call(*guesses(0, 200))
