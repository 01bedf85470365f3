"""Similarity: examples come first, blocks change nothing, places keep their distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learn.cells import FakeFeatures, blobs
from terrapatch.errors import SamplesError
from terrapatch.learn.scaling import Standardise
from terrapatch.learn.similarity import Examples, fit_similarity
from terrapatch.learn.spacing import best_hits, surroundings


def cells_of(truth: np.ndarray, kind: int, n: int) -> list[int]:
    return [int(i) for i in np.flatnonzero(truth == kind)[:n]]


@pytest.mark.parametrize("method", ["ridge", "cosine"])
@pytest.mark.parametrize("n", [1, 3])
def test_cells_of_the_kind_come_first(method: str, n: int) -> None:
    features, truth = blobs()
    given_cells = cells_of(truth, 3, n)
    query = fit_similarity(features, Examples(given_cells), method=method)
    scores = query.score_cells(features)
    assert scores.dtype == np.float32
    assert np.array_equal(np.isnan(scores), truth == 0)
    assert np.nanmax(scores) <= 1
    assert np.nanmin(scores) >= -1
    order = np.argsort(-np.where(truth > 0, scores, -9).ravel(), kind="stable")
    found = truth.ravel()[order[: (truth == 3).sum()]]
    assert (found == 3).mean() > 0.95
    if n == 1:
        assert order[0] == given_cells[0]
        assert scores.ravel()[given_cells[0]] == 1


@pytest.mark.parametrize("background", [0, 60])
def test_counterexamples_push_their_kind_down(background: int) -> None:
    rng = np.random.default_rng(5)
    base, away = rng.normal(size=(2, 24))
    # Two kinds that hardly differ, in a scene of noise.
    truth = rng.choice(3, size=(20, 20), p=(0.7, 0.15, 0.15))
    kinds = np.stack([np.zeros(24), 2 * base, 2 * base + 0.6 * away])
    features = FakeFeatures.of(kinds[truth] + rng.normal(size=(20, 20, 24)) * 0.7)
    like, unlike = Examples(cells_of(truth, 1, 3)), Examples(cells_of(truth, 2, 3))
    options = {"background": max(background, 1)}
    alone = fit_similarity(features, like, **options).score_cells(features)
    told = fit_similarity(features, like, unlike, background=background).score_cells(features)

    def gap(scores: np.ndarray) -> float:
        return float(scores[truth == 1].mean() - scores[truth == 2].mean()) / float(scores.std())

    assert gap(told) > gap(alone) + 0.1


def test_how_features_are_cut_into_blocks_changes_nothing() -> None:
    features, truth = blobs()
    like, unlike = Examples(cells_of(truth, 2, 2)), Examples(cells_of(truth, 4, 1))
    whole = [
        fit_similarity(one, like, unlike, background=50, seed=3).score_cells(one)
        for one in (features, features.cut((24, 30)), features.cut((7, 3), order_seed=1))
    ]
    for other in whole[1:]:
        assert np.nanmax(np.abs(other - whole[0])) <= 2e-6
    again = fit_similarity(features, like, unlike, background=50, seed=3).score_cells(features)
    assert np.array_equal(again, whole[0], equal_nan=True)
    moved = fit_similarity(features, like, unlike, background=50, seed=4).score_cells(features)
    assert not np.array_equal(moved, whole[0], equal_nan=True)


def test_a_cell_that_is_given_twice_counts_twice() -> None:
    features, truth = blobs()
    cell, other = cells_of(truth, 2, 2)
    every = features.make(slice(None), slice(None)).reshape(-1, features.n_features)
    rows = every[[cell, cell, other]]
    twice = fit_similarity(features, Examples([cell, cell, other]), method="cosine")
    as_rows = fit_similarity(features, Examples(rows=rows), method="cosine")
    np.testing.assert_allclose(twice.direction, as_rows.direction, atol=1e-9)


def test_rows_from_elsewhere_are_examples_like_cells() -> None:
    features, truth = blobs()
    cells = cells_of(truth, 2, 2)
    rows = features.make(slice(None), slice(None)).reshape(-1, features.n_features)[cells]
    near = np.zeros(features.shape, bool)
    near.flat[cells] = True
    from_cells = fit_similarity(features, Examples(cells), near=near)
    from_rows = fit_similarity(features, Examples((), rows), near=near)
    assert np.allclose(from_cells.direction, from_rows.direction, atol=1e-9)


def test_a_fitted_scaling_is_used_as_it_is() -> None:
    features, truth = blobs()
    rows = features.make(slice(None), slice(None))[truth > 0]
    scaling = Standardise("layer", features.groups).fit(rows)
    like = Examples(cells_of(truth, 1, 1))
    own = fit_similarity(features, like).score_cells(features)
    given_one = fit_similarity(features, like, scaling=scaling).score_cells(features)
    assert np.nanmax(np.abs(own - given_one)) <= 2e-6


def test_refusals() -> None:
    features, truth = blobs()
    like, unlike = Examples(cells_of(truth, 1, 1)), Examples(cells_of(truth, 2, 1))
    with pytest.raises(SamplesError, match="no example"):
        fit_similarity(features, Examples())
    with pytest.raises(SamplesError, match="cosine cannot learn from counterexamples"):
        fit_similarity(features, like, unlike, method="cosine")
    with pytest.raises(SamplesError, match="choose ridge or cosine"):
        fit_similarity(features, like, method="nearest")
    with pytest.raises(SamplesError, match="no cell is left"):
        fit_similarity(features, like, near=np.ones(features.shape, bool))
    flat = FakeFeatures.of(np.ones((4, 4, 6)))
    with pytest.raises(SamplesError, match="nothing tells the examples from the rest"):
        fit_similarity(flat, Examples([0]))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1000),
    apart=st.tuples(st.floats(0.2, 4), st.floats(0.2, 4)),
    n=st.integers(0, 30),
)
def test_places_keep_their_distance(seed: int, apart: tuple[float, float], n: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-9, 9, (9, 11)).astype(np.float32) / 9
    scores[rng.random(scores.shape) < 0.2] = np.nan
    taken = [(4, 5)]
    hits = best_hits(scores, n, apart, taken)
    assert len(hits) <= n
    assert len(set(hits)) == len(hits)
    values = [scores[cell] for cell in hits]
    assert values == sorted(values, reverse=True)
    places = [*taken, *hits]
    for i, one in enumerate(places):
        for other in places[:i]:
            gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
            assert gaps[0] >= apart[0] or gaps[1] >= apart[1]
    if len(hits) < n:  # nothing else was left
        left = ~np.isnan(scores)
        for cell in places:
            left[surroundings(cell, apart)] = False
        assert not left.any()
