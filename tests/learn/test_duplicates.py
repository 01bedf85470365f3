"""Near-duplicates against the full matrix of cosines."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import GroupKFold

from terrapatch.errors import SamplesError
from terrapatch.learn import duplicates
from terrapatch.learn.duplicates import across, near_duplicates, twin_groups


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 60),
    block=st.integers(1, 70),
    threshold=st.floats(0.1, 0.99),
)
def test_all_pairs_of_the_full_matrix_whatever_the_block(seed, n, block, threshold):
    rows = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        found = near_duplicates(rows, threshold=threshold)
    full = cosine_similarity(rows.astype(np.float64))
    sure = np.abs(full - threshold) > 1e-9
    expected = {(i, j) for i in range(n) for j in range(i + 1, n) if full[i, j] >= threshold}
    doubtful = {(i, j) for i in range(n) for j in range(i + 1, n) if not sure[i, j]}
    assert {(p.i, p.j) for p in found} ^ expected <= doubtful
    assert len({(p.i, p.j) for p in found}) == len(found)
    cosines = [p.cosine for p in found]
    assert cosines == sorted(cosines, reverse=True)
    assert all(p.cosine == pytest.approx(full[p.i, p.j], abs=1e-12) for p in found)


def test_finds_planted_twins_among_many_and_no_others():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2100, 64))
    for copy, original in ((2000, 5), (100, 1500), (7, 8)):
        rows[copy] = 3 * rows[original] + 0.1 * rng.normal(size=64)
    pairs = near_duplicates(rows)
    assert {(p.i, p.j) for p in pairs} == {(5, 2000), (100, 1500), (7, 8)}
    split = np.where(np.arange(2100) < 1000, "train", "test")
    assert {(p.i, p.j) for p in across(pairs, split)} == {(5, 2000), (100, 1500)}


def test_groups_keep_twins_of_twins_together():
    rows = np.eye(6)
    rows[3] = rows[0] + 0.1 * rows[1]
    rows[4] = rows[3] + 0.1 * rows[1]
    pairs = near_duplicates(rows, threshold=0.99)
    groups = twin_groups(pairs, 6)
    assert groups[0] == groups[3] == groups[4]
    assert len(set(groups.tolist())) == 4
    for train, test in GroupKFold(3).split(rows, groups=groups):
        split = np.isin(np.arange(6), test)
        assert across(pairs, split) == []
        assert len(train) + len(test) == 6
    assert twin_groups([], 3).tolist() == [0, 1, 2]


def test_rows_of_zeros_are_like_nothing_and_equal_rows_have_cosine_one():
    rows = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    assert near_duplicates(rows, threshold=-0.5) == [(2, 3, pytest.approx(1.0))]
    assert near_duplicates([[1, 3, 7], [3, 9, 21]], threshold=1) == [(0, 1, pytest.approx(1.0))]


def test_memory_does_not_grow_with_the_square():
    rows = np.random.default_rng(0).normal(size=(6000, 16)).astype(np.float32)
    tracemalloc.start()
    near_duplicates(rows, threshold=0.999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6 < 4 * 6000**2


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_aeroplane_that_is_twice_in_uc_merced(data_dir):
    paths = sorted(data_dir("ucmerced", "images", "airplane").glob("*.jpg"))
    small = []
    for path in paths:
        with rasterio.open(path) as image:
            pixels = image.read(out_shape=(3, 32, 32), resampling=Resampling.average)
        small.append(pixels.ravel() - pixels.mean())
    found = near_duplicates(small, threshold=0.97, names=[str(path) for path in paths])
    assert [(paths[p.i].stem, paths[p.j].stem) for p in found] == [("airplane01", "airplane02")]


def test_bad_input_has_its_sentence(monkeypatch):
    rows = np.ones((4, 3))
    rows[2, 1] = np.nan
    with pytest.raises(SamplesError, match=r"sample 2 \(c.png\)"):
        near_duplicates(rows, names=["a.png", "b.png", "c.png", "d.png"])
    with pytest.raises(SamplesError, match="threshold is 97"):
        near_duplicates(np.ones((2, 2)), threshold=97)
    with pytest.raises(SamplesError, match="one row of numbers"):
        near_duplicates(np.ones(3))
    monkeypatch.setattr(duplicates, "_MOST_PAIRS", 5)
    with pytest.raises(SamplesError, match="more than 5 pairs"):
        near_duplicates(np.ones((4, 2)))
