"""Metrics against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from terrapatch.errors import ClusterError
from terrapatch.learn import (
    adjusted_rand,
    iou,
    majority_class,
    mask_by_majority,
    matched_accuracy,
    name_by_majority,
    normalised_mutual_information,
    truth_on_cells,
)


def test_names_by_hand():
    labels = [1, 1, 1, 2, 2, 3, 0, 4]
    truth = [2, 2, 1, 1, 2, 0, 2, 1]
    assert name_by_majority(labels, truth, 5).tolist() == [0, 2, 1, 0, 1, 0]


def test_mask_by_hand():
    labels = np.array([1, 1, 1, 2, 2, 3, 0])
    target = np.array([1, 1, 0, 1, 0, 1, 1], bool)
    assert mask_by_majority(labels, target, 3).tolist() == [1, 1, 1, 0, 0, 1, 0]
    known = np.array([1, 0, 1, 1, 0, 0, 1], bool)
    assert mask_by_majority(labels, target, 3, known).tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_iou_by_hand():
    assert iou([1, 1, 0, 0], [1, 0, 1, 0]) == pytest.approx(1 / 3)
    assert iou([1, 1, 0, 0], [1, 0, 1, 0], where=[1, 0, 1, 1]) == 0.5
    assert math.isnan(iou([0, 0], [0, 0]))
    with pytest.raises(ClusterError, match="shapes"):
        iou([1], [1, 0])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 5), classes=st.integers(2, 4))
def test_agreement_is_scikit_learns_and_leaves_out_zeros(seed, k, classes):
    rng = np.random.default_rng(seed)
    labels, truth = rng.integers(0, k + 1, (5, 8)), rng.integers(0, classes + 1, (5, 8))
    both = (labels > 0) & (truth > 0)
    one, other = labels[both], truth[both]
    assert adjusted_rand(labels, truth) == pytest.approx(sk.adjusted_rand_score(other, one))
    expected = sk.normalized_mutual_info_score(other, one)
    assert normalised_mutual_information(labels, truth) == pytest.approx(expected)
    size = max(k, classes)
    best = max(
        (np.array(order)[one - 1] == other).mean()
        for order in permutations(range(1, size + 1), size)
    )
    assert matched_accuracy(labels, truth) == pytest.approx(best)
    if (labels[both] == 1).any():
        expected = sk.jaccard_score(other == 1, one == 1)
        assert iou(labels == 1, truth == 1, both) == pytest.approx(expected)


def test_nothing_labelled_is_nan_or_zero():
    empty, truth = np.zeros((2, 2), int), np.ones((2, 2), int)
    for measure in (adjusted_rand, normalised_mutual_information, matched_accuracy):
        assert math.isnan(measure(empty, truth))
        assert math.isnan(measure(truth, empty))
    assert name_by_majority(empty, truth, 2).tolist() == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    sy=st.integers(1, 7),
    sx=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_truth_counts_every_labelled_pixel_once(height, width, sy, sx, seed):
    pixels = np.random.default_rng(seed).choice([0, 1, 2, 3, 255], (height, width)).astype(np.uint8)
    shape = (-(-height // sy), -(-width // sx))
    counts = truth_on_cells(pixels, (sy, sx), shape, 3, ignore=(0, 255))
    for r in range(shape[0]):
        for c in range(shape[1]):
            part = pixels[r * sy : (r + 1) * sy, c * sx : (c + 1) * sx]
            assert counts[r, c].tolist() == [(part == i).sum() for i in (1, 2, 3)]
    named = majority_class(counts)
    assert np.array_equal(named == 0, counts.sum(axis=-1) == 0)
    assert (majority_class(counts, least=10**6) == 0).all()


def test_labels_that_do_not_fit_are_refused():
    pixels = np.array([[1, 9]])
    with pytest.raises(ClusterError, match="the value 9"):
        truth_on_cells(pixels, (1, 1), (1, 2), 3)
    with pytest.raises(ClusterError, match="do not tile"):
        truth_on_cells(pixels, (1, 1), (1, 3), 9)


def test_importing_the_package_is_light():
    code = (
        "import sys, terrapatch.learn as learn; dir(learn); "
        "sys.exit(any(m in sys.modules for m in ('sklearn', 'scipy', 'torch', 'rasterio')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
