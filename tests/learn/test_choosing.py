"""Choosing k: right where groups lie apart, larger where they do not, and the same every time."""

from __future__ import annotations

import json

import numpy as np
import pytest

import terrapatch as tp
from learn.cells import FakeFeatures, blobs
from terrapatch.errors import ClusterError
from terrapatch.learn._cluster_indices import (
    davies_bouldin,
    elbow,
    gap_choice,
    gap_statistic,
    silhouette,
)
from terrapatch.learn._held_cells import hold, principal_axes
from terrapatch.learn.choosing import DEFAULT_KS, KChoice, choose_k, recommend
from terrapatch.learn.scaling import make_scaling
from terrapatch.learn.stability import cluster_stability, consensus
from terrapatch.learn.subclusters import split
from terrapatch.studies.painted import paint

KS = (2, 3, 4, 5, 6, 8, 10, 12)


def made(ks, stability, error=0.01, silhouettes=0.1) -> KChoice:
    m = len(ks)
    full = np.full(m, 1.0)
    ks, stability = np.array(ks), np.array(stability, float)
    chosen, why = recommend(ks, stability, error * full, silhouettes * full)
    return KChoice(
        ks, stability, error * full, silhouettes * full, full, np.linspace(0, 1, m), 0 * full,
        np.linspace(1, 0, m) ** 3, chosen, why, 500, 400, 6, 0.8, "none", 0,
    )  # fmt: skip


@pytest.mark.parametrize("k", [3, 6, 10])
def test_finds_the_number_of_groups_that_lie_apart(k):
    features, _ = blobs(14, 16, 8, k=k)
    found = choose_k(features, KS)
    assert (found.recommended, found.why) == (k, "separate")
    assert found.stability[KS.index(k)] > 0.9
    assert f"Begin with {k} clusters: the cells fall into {k} groups" in found.words()[0]


def test_splitting_groups_further_is_less_stable():
    features, _ = blobs(14, 16, 8, k=5)
    found = choose_k(features, (4, 5, 7, 9, 12))
    assert (found.stability[2:] < 0.9).all()
    assert found.stability[1] > found.stability[2:].max() + 0.1


def test_cells_without_groups_are_said_to_be_weak():
    values = np.random.default_rng(0).random((14, 16, 12), np.float32)
    found = choose_k(FakeFeatures.of(values), (2, 6, 8, 10), scaling="none", repeats=2)
    assert found.recommended >= 8
    assert found.why != "separate"
    assert any("That is weak" in sentence for sentence in found.words())


def test_same_seed_same_numbers_and_another_seed_others():
    features, _ = blobs(12, 12, 8, spread=1.0)
    one, again, other = (
        choose_k(features, (3, 6, 9), seed=seed, repeats=2).as_dict() for seed in (4, 4, 5)
    )
    assert one == again
    assert one["stability"] != other["stability"]
    assert json.loads(json.dumps(one)) == one


def test_the_cut_into_blocks_is_irrelevant():
    features, _ = blobs(12, 12, 8, spread=1.0)
    one = choose_k(features, (3, 6, 9), repeats=2, scaling="none")
    other = choose_k(features.cut((5, 3), 1), (3, 6, 9), repeats=2, scaling="none")
    assert one.as_dict() == other.as_dict()


def test_a_painted_scene_from_the_file_to_the_words(tmp_path):
    scene = paint(tmp_path / "scene.tif", seed=1, size=(512, 768)).rgb_path
    features = tp.embed(scene, tmp_path / "f.zarr", size=32, backbone="imagestats")
    found = choose_k(features, (2, 6, 8, 10, 12), scaling="standardise", repeats=3)
    assert found.recommended >= 8
    assert found.cells == int((features.valid() > 0).sum())
    assert found.words()[0].startswith(f"Begin with {found.recommended} clusters: two samples")
    model = consensus(features, 8, runs=15, scaling="standardise")
    labels = model.predict(features).labels
    assert np.array_equal(labels > 0, features.valid() > 0)
    assert np.isfinite(cluster_stability(features, model, repeats=3).jaccard).all()
    inside = split(features, model, 1, 3).clusters.labels
    assert np.array_equal(inside > 0, labels == 1)


def test_few_cells_try_few_numbers():
    features, _ = blobs(9, 9, 8, k=3)
    found = choose_k(features, repeats=2)
    assert found.ks.tolist() == [k for k in DEFAULT_KS if k <= 0.8 * found.cells / 10]
    assert found.recommended == 3
    least = choose_k(FakeFeatures.of(np.random.default_rng(0).random((4, 5, 3))), repeats=2)
    assert least.ks.tolist() == [2, 3, 4]
    assert least.why == "few"


def test_progress_counts_to_the_end():
    features, _ = blobs(8, 8, 6)
    told = []
    choose_k(features, (2, 3, 4), repeats=2, progress=lambda *step: told.append(step))
    tried = [step for step in told if step[0] == "trying numbers of clusters"]
    assert [step[1:] for step in tried] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (np.ones((6, 6, 4)), {}, "only 1 distinct descriptor after"),
        (np.ones((2, 5, 4)), {}, "from 10 non-empty cells, at least 20"),
        (np.arange(144).reshape(6, 6, 4) // 72, {}, "only 2 distinct descriptors"),
        (None, {"ks": (2, 3)}, "give three or more from 2"),
        (None, {"ks": (1, 3, 5)}, "give three or more from 2"),
        (None, {"ks": (2, 3, 900)}, "the cells in a subsample"),
        (None, {"ks": ()}, "(none) cannot be tried"),
        (None, {"repeats": 1}, "ask for 2 or more"),
        (None, {"share": 0.5}, "give a share above 0.5"),
        (None, {"share": 1.0}, "give a share above 0.5"),
        (None, {"seed": -1}, "seed -1 is out of range"),
        (None, {"scaling": "wide"}, "no scaling 'wide'"),
    ],
)
def test_each_bad_input_has_its_sentence(values, options, said):
    features = blobs(8, 8, 4)[0] if values is None else FakeFeatures.of(values)
    with pytest.raises(ClusterError) as fault:
        choose_k(features, scaling=options.pop("scaling", "none"), **options)
    assert said in str(fault.value)


def test_nothing_but_empty_cells_is_refused():
    features = FakeFeatures.of(np.ones((6, 6, 4)), np.ones((6, 6), bool))
    with pytest.raises(ClusterError, match="from 0 non-empty cells"):
        choose_k(features)


def test_recommends_the_largest_of_peaks_that_are_about_as_high():
    ks = [2, 4, 6, 8, 10, 12, 15, 18, 21, 24]
    falls = made(ks, [0.99, 0.9, 0.7, 0.6, 0.5, 0.55, 0.5, 0.45, 0.4, 0.3])
    assert (falls.recommended, falls.why) == (12, "peak")
    flat = made(ks, [0.99, 0.9, 0.7, 0.6, 0.65, 0.6, 0.62, 0.645, 0.6, 0.64])
    assert (flat.recommended, flat.why) == (18, "peak")
    rises = made(ks, [0.99, 0.9, 0.4, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46, 0.47])
    assert (rises.recommended, rises.why) == (24, "last")
    plain = made(ks, [0.99, 0.9, 0.7, 0.6, 0.595, 0.5, 0.45, 0.4, 0.35, 0.3])
    assert (plain.recommended, plain.why) == (10, "no peak")
    small = made([2, 3, 4, 5], [0.9, 0.7, 0.8, 0.6])
    assert (small.recommended, small.why) == (2, "few")


def test_two_groups_that_lie_apart_are_no_study_of_settlements():
    found = made([2, 6, 8, 10, 12], [1.0, 0.5, 0.5, 0.6, 0.5], silhouettes=0.6)
    assert found.recommended == 10
    assert any("2 clusters are the most stable of all" in s for s in found.words())


def test_words_name_every_measure_and_warn_of_the_silhouette_alone():
    words = " ".join(made([2, 6, 8, 10, 12], [0.9, 0.5, 0.5, 0.6, 0.5]).words())
    for measure in ("silhouette", "Davies-Bouldin", "gap statistic", "elbow", "Rand index"):
        assert measure in words
    assert "silhouette alone is a poor guide" in words
    assert "they differ" in words
    assert "A sample of 400 of the 500" in words


def test_measures_agree_with_their_definitions():
    rows = np.array([[0, 0], [0, 1], [10, 0], [10, 1]], np.float32)
    labels = np.array([0, 0, 1, 1], np.int32)
    far = (10 + np.sqrt(101)) / 2
    assert silhouette(rows, labels, 0) == pytest.approx((far - 1) / far)
    assert davies_bouldin(rows, labels) == pytest.approx((0.5 + 0.5) / 10)
    assert np.isnan(silhouette(rows, 0 * labels, 0))
    assert np.isnan(davies_bouldin(rows, 0 * labels))
    assert np.isnan(gap_statistic(rows, 4, 0.0, 0)).all()


def test_gap_is_larger_for_groups_than_for_none():
    rng = np.random.default_rng(0)
    alike = rng.random((120, 2)).astype(np.float32)
    apart = (rng.integers(0, 3, (120, 1)) * 5 + alike * 0.1).astype(np.float32)
    gaps = []
    for rows in (alike, apart):
        inertia = float(((rows - rows.mean(0)) ** 2).sum())
        gaps.append(gap_statistic(rows, 1, inertia, 0)[0])
    assert gaps[0] == pytest.approx(0, abs=0.15)
    assert gaps[1] != gaps[0]


def test_gap_and_elbow_pick():
    ks = np.array([2, 3, 4, 5])
    assert gap_choice(ks, np.array([0.1, 0.5, 0.4, 0.6]), np.full(4, 0.01)) == 3
    assert gap_choice(ks, np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.01)) is None
    assert gap_choice(ks, np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.2)) == 2
    assert elbow(ks, np.array([10.0, 2.0, 1.0, 0.0])) == 3
    assert elbow(ks, np.array([3.0, 2.0, 1.0, 0.0])) is None
    assert elbow(ks, np.array([1.0, 1.0, 1.0, 1.0])) is None


def test_principal_axes_keep_distances():
    rows = np.random.default_rng(1).normal(size=(60, 200)).astype(np.float32)
    turned = principal_axes(rows, 0)
    assert turned.shape == (60, 60)
    gaps = [np.linalg.norm(a[:, None] - a[None], axis=-1) for a in (rows, turned)]
    assert np.allclose(*gaps, atol=1e-3)
    assert (np.diff(turned.var(axis=0)) <= 1e-6).all()


def test_more_cells_than_may_be_held_are_sampled_by_seed():
    features, truth = blobs(20, 20, 6)
    scaling = make_scaling("none", features.groups).fit(np.zeros((2, 6)))
    one, again = (hold(features, scaling, seed=3, most=50) for _ in range(2))
    tight = hold(features, scaling, seed=3, memory_bytes=4 * 3 * 6 * 30)
    whole = hold(features, scaling, seed=3)
    assert (one.count, tight.count, whole.count) == (50, 30, int((truth > 0).sum()))
    assert np.array_equal(one.numbers, again.numbers)
    assert (np.diff(one.numbers) > 0).all()
    assert (truth.ravel()[one.numbers] > 0).all()
    assert np.array_equal(whole.numbers, np.flatnonzero(truth))
    values = features.make(slice(None), slice(None)).reshape(-1, 6)
    assert np.array_equal(one.rows, values[one.numbers])
