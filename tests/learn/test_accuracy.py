"""Accuracy against scikit-learn, against a bootstrap done the long way, and by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from terrapatch.errors import SamplesError
from terrapatch.learn import _resampling
from terrapatch.learn.accuracy import assess


def some_labels(seed: int, k: int, n: int = 200, right: float = 0.7):
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, k + 1, n)
    guess = np.where(rng.random(n) < right, truth, rng.integers(1, k + 1, n))
    return truth, guess, rng


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), k=st.integers(2, 6), weighted=st.booleans())
def test_measures_are_scikit_learns(seed, k, weighted):
    truth, guess, rng = some_labels(seed, k)
    weights = rng.random(len(truth)) + 0.1 if weighted else None
    found = assess(truth, guess, [f"c{i}" for i in range(k)], weights=weights, bootstrap=0)
    ids = np.arange(1, k + 1)
    assert np.array_equal(found.confusion, sk.confusion_matrix(truth, guess, labels=ids))
    more = {"sample_weight": weights}
    assert found.overall == pytest.approx(sk.accuracy_score(truth, guess, **more))
    assert found.kappa == pytest.approx(sk.cohen_kappa_score(truth, guess, **more))
    assert found.average == pytest.approx(sk.balanced_accuracy_score(truth, guess, **more))
    p, r, f, _ = sk.precision_recall_fscore_support(
        truth, guess, labels=ids, zero_division=np.nan, **more
    )
    for ours, theirs in ((found.precision, p), (found.recall, r), (found.f1, f)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    jaccard = sk.jaccard_score(truth, guess, labels=ids, average=None, **more)
    np.testing.assert_allclose(found.iou, jaccard, rtol=1e-12)


def test_by_hand_with_zeros_and_classes_that_do_not_occur():
    truth = np.array([[1, 1, 1, 2], [2, 0, 1, 2]])
    guess = np.array([[1, 1, 2, 2], [3, 1, 0, 0]])
    found = assess(truth, guess, ["a", "b", "c", "d"], bootstrap=0)
    assert found.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0] * 4, [0] * 4]
    assert (found.n, found.undecided) == (5, 2)
    assert found.overall == pytest.approx(0.6)
    assert found.average == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.majority == pytest.approx(0.6)
    np.testing.assert_allclose(found.recall, [2 / 3, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(found.precision, [1, 0.5, 0, np.nan])
    np.testing.assert_allclose(found.f1, [0.8, 0.5, 0, np.nan])
    np.testing.assert_allclose(found.iou, [2 / 3, 1 / 3, 0, np.nan])
    assert all(math.isnan(end) for ends in found.intervals.values() for end in ends)


@pytest.mark.parametrize("weights", [None, [0.1, 0.7, 0.3]])
def test_one_class_throughout_has_no_kappa(weights):
    found = assess([2, 2, 2], [2, 2, 2], ["a", "b"], weights=weights)
    assert math.isnan(found.kappa)
    assert found.overall == found.average == found.majority == 1.0
    assert all(math.isnan(end) for end in found.intervals["kappa"])
    assert found.intervals["overall"] == (1.0, 1.0)


def test_intervals_are_those_of_drawing_samples():
    truth, guess, rng = some_labels(3, 3, n=150)
    found = assess(truth, guess, "abc", bootstrap=4000)
    drawn = rng.integers(0, len(truth), (4000, len(truth)))
    overall = (truth == guess)[drawn].mean(axis=1)
    kappa = [sk.cohen_kappa_score(truth[d], guess[d]) for d in drawn[:600]]
    np.testing.assert_allclose(
        found.intervals["overall"], np.quantile(overall, [0.025, 0.975]), atol=0.012
    )
    np.testing.assert_allclose(
        found.intervals["kappa"], np.quantile(kappa, [0.025, 0.975]), atol=0.03
    )
    for name in ("overall", "average", "kappa"):
        low, high = found.intervals[name]
        assert low < getattr(found, name) < high


def test_intervals_cover_the_true_accuracy_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    truth = np.ones(400, int)
    hits = 0
    for seed in range(200):
        guess = np.where(rng.random(400) < 0.8, 1, 2)
        low, high = assess(truth, guess, "ab", bootstrap=300, seed=seed).intervals["overall"]
        hits += low <= 0.8 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_groups_that_are_alike_inside_widen_the_interval_as_the_theory_says():
    rng = np.random.default_rng(5)
    fields = np.repeat(np.arange(40), 50)
    truth = np.ones(2000, int)
    guess = np.where(rng.random(40) < 0.7, 1, 2)[fields]
    alone = assess(truth, guess, "ab").intervals["overall"]
    whole = assess(truth, guess, "ab", groups=fields)
    low, high = whole.intervals["overall"]
    assert whole.grouped
    assert whole.units == 40
    widening = (high - low) / (alone[1] - alone[0])
    assert widening == pytest.approx(math.sqrt(50), rel=0.15)
    names = np.array([f"field {i}" for i in fields])
    assert assess(truth, guess, "ab", groups=names).units == 40


def test_equal_weights_change_nothing_and_seeds_decide_the_bytes():
    truth, guess, _ = some_labels(1, 4)
    plain = assess(truth, guess, "abcd", seed=7)
    assert plain.intervals == assess(truth, guess, "abcd", seed=7).intervals
    assert plain.intervals != assess(truth, guess, "abcd", seed=8).intervals
    heavy = assess(truth, guess, "abcd", seed=7, weights=np.full(len(truth), 2.0))
    for name, ends in plain.intervals.items():
        assert heavy.intervals[name] == pytest.approx(ends)
    assert heavy.kappa == pytest.approx(plain.kappa)


def test_both_ways_of_drawing_give_the_same_interval(monkeypatch):
    truth, guess, _ = some_labels(2, 3, n=300)
    weights = np.where(np.arange(300) % 2, 1.0, 3.0)
    ends = []
    for few in (0, 10**9):
        monkeypatch.setattr(_resampling, "_FEW_A_KIND", few)
        ends.append(assess(truth, guess, "abc", weights=weights, bootstrap=3000).intervals["kappa"])
    assert ends[0] != ends[1]
    np.testing.assert_allclose(ends[0], ends[1], atol=0.012)


def test_area_weights_undo_a_stratified_sample():
    truth = np.array([1] * 50 + [2] * 50)
    guess = np.array([1] * 40 + [2] * 10 + [2] * 50)
    weights = np.where(truth == 1, 9.0, 1.0)
    found = assess(truth, guess, ["forest", "town"], weights=weights)
    assert found.overall == pytest.approx(0.9 * 0.8 + 0.1)
    assert found.majority == pytest.approx(0.9)
    low, high = found.intervals["overall"]
    assert low < found.overall < high


def test_shown_and_written():
    found = assess([1, 1, 2, 2], [1, 1, 2, 0], ["roof", "road", "sea"])
    shown = found.table()
    assert shown[0] == ("class", "n", "called", "precision", "recall", "F1", "IoU")
    assert shown[1] == ("roof", "2", "2", "100.0", "100.0", "100.0", "100.0")
    assert shown[3] == ("sea", "0", "0", "–", "–", "–", "–")
    assert ("without a prediction, left out", "1") in found.summary()
    assert ("overall", "100.0 (100.0–100.0)") in found.summary()
    assert ("largest class alone", "66.7") in found.summary()
    back = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert back["classes"][2]["recall"] is None
    assert back["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: assess([1, 2], [1], "ab"), "the shapes"),
        (lambda: assess([1, 3], [1, 2], "ab"), "the truth holds the id 3"),
        (lambda: assess([1, 2], [1, -1], "ab"), "the prediction holds the id -1"),
        (lambda: assess([1.0, 2.0], [1, 2], "ab"), "float64 values"),
        (lambda: assess([0, 1], [1, 0], "ab"), "none of 2 samples"),
        (lambda: assess([1, 2], [1, 2], "aa"), "each name once"),
        (lambda: assess([1, 2], [1, 2], "ab", weights=[1.0]), "weights were given"),
        (lambda: assess([1, 2], [1, 2], "ab", weights=[1.0, -1.0]), "negative"),
        (lambda: assess([1, 2], [1, 2], "ab", weights=[0.0, 0.0]), "are 0"),
        (lambda: assess([1, 2], [1, 2], "ab", groups=[1]), "groups have the shape"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call()
