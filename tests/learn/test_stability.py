"""Consensus and stability: less depends on the seed, and doubtful clusters are called so."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from learn.cells import FakeFeatures, FakeRecipe, blobs
from terrapatch.errors import ClusterError, RecipeError
from terrapatch.learn import ClusterModel, adjusted_rand, fit_clusters
from terrapatch.learn import _consensus as inner
from terrapatch.learn._consensus import consensus_groups
from terrapatch.learn.stability import ClusterStability, cluster_stability, consensus


def written(model, folder: Path) -> bytes:
    model.save(folder)
    return (folder / "model.json").read_bytes() + (folder / "head.safetensors").read_bytes()


def gradual(seed: int = 0, n: int = 400) -> FakeFeatures:
    """Cells that pass into each other along a few directions: k-means has many answers."""
    rng = np.random.default_rng(seed)
    return FakeFeatures.of((rng.gamma(1.0, 1.0, (20, n // 20, 10)) ** 0.7).astype(np.float32))


@pytest.mark.parametrize("k", [4, 5, 6])
def test_consensus_finds_the_blobs_and_has_as_many_clusters_as_asked(k):
    features, truth = blobs(14, 16, 8, k=5, seed=2)
    model = consensus(features, k, runs=20)
    found = model.predict(features)
    assert model.k == k
    assert model.counts == found.counts.tolist()
    assert min(model.counts) > 0
    assert (np.diff(model.counts) <= 0).all()
    assert np.array_equal(found.labels == 0, truth == 0)
    score = adjusted_rand(found.labels, truth)
    assert score == 1 if k == 5 else score > 0.6


def test_consensus_depends_less_on_the_seed_than_k_means():
    features = gradual()

    def agreement(make) -> float:
        labels = [make(seed).predict(features).labels for seed in range(4)]
        return float(np.mean([adjusted_rand(a, b) for a, b in itertools.combinations(labels, 2)]))

    plain = agreement(lambda seed: fit_clusters(features, 8, seed=seed, n_init=2))
    combined = agreement(lambda seed: consensus(features, 8, seed=seed, runs=60))
    assert combined > plain + 0.05


def test_consensus_is_a_model_like_any_other(tmp_path):
    features, _ = blobs(10, 12, 8)
    one, again = (consensus(features, 5, seed=3, runs=10) for _ in range(2))
    assert written(one, tmp_path / "a") == written(again, tmp_path / "b")
    back = ClusterModel.load(tmp_path / "a")
    assert back.description["algorithm"] == "consensus"
    assert back.description["runs"] == 10
    assert np.array_equal(back.predict(features).labels, one.predict(features).labels)


def test_consensus_of_more_cells_than_are_paired_pairs_a_sample(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    rows[:, 0] += np.arange(300) % 3 * 20
    monkeypatch.setattr(inner, "MOST_PAIRED", 60)
    groups = consensus_groups(rows, 3, 10, 0)
    assert adjusted_rand(groups + 1, np.arange(300) % 3 + 1) == 1
    assert np.array_equal(groups, consensus_groups(rows, 3, 10, 0))


def test_consensus_holds_no_more_than_it_may():
    features, truth = blobs(30, 30, 8, k=4)
    model = consensus(features, 4, runs=10, memory_bytes=4 * 3 * 8 * 200)
    assert adjusted_rand(model.predict(features).labels, truth) == 1
    with pytest.raises(ClusterError, match="the 20 cells that are held"):
        consensus(features, 30, runs=10, memory_bytes=4 * 3 * 8 * 20)


@pytest.mark.parametrize(
    ("k", "options", "said"),
    [
        (5, {"runs": 1}, "ask for 2 runs"),
        (1, {}, "1 clusters cannot be made"),
        (500, {}, "non-empty cells"),
        (5, {"seed": -1}, "out of range"),
        (5, {"scaling": "wide"}, "no scaling 'wide'"),
    ],
)
def test_consensus_refuses_what_cannot_be(k, options, said):
    with pytest.raises(ClusterError, match=said):
        consensus(blobs(8, 8, 4)[0], k, **options)


def test_consensus_of_cells_that_are_alike_is_refused():
    with pytest.raises(ClusterError, match="only 1 distinct descriptors"):
        consensus(FakeFeatures.of(np.ones((6, 6, 4))), 3)


def test_one_cell_a_cluster():
    features = FakeFeatures.of(np.arange(24, dtype=np.float32).reshape(2, 3, 4) ** 2)
    model = consensus(features, 6, runs=3, scaling="standardise")
    assert model.counts == [1] * 6


def test_draws_of_one_cell_of_three_are_judged():
    features = FakeFeatures.of(np.arange(12, dtype=np.float32).reshape(1, 3, 4) ** 2)
    model = consensus(features, 2, runs=3, scaling="standardise")
    assert consensus_groups(np.ones((1, 4), np.float32), 1, 3, 0).tolist() == [0]
    # Of 60 draws some hold one of the cells thrice.
    assert np.isfinite(cluster_stability(features, model, repeats=60).jaccard).all()


def test_groups_that_lie_apart_are_stable_and_split_ones_doubtful():
    features, _ = blobs(16, 18, 8, k=4, seed=1)
    right = cluster_stability(features, fit_clusters(features, 4), repeats=8)
    assert (right.jaccard > 0.97).all()
    assert right.words() == [
        "Clusters 1, 2, 3 and 4 are stable: they come back whenever cells are drawn again."
    ]
    model = fit_clusters(features, 6)
    found = cluster_stability(features, model, repeats=8)
    truth = fit_clusters(features, 4).predict(features).labels
    labels = model.predict(features).labels
    for i in range(1, 7):
        parent = truth[labels == i][0]
        whole = (truth == parent).sum() == (labels == i).sum()
        assert found.verdict(i) == "stable" if whole else found.jaccard[i - 1] < 0.75


def test_stability_of_a_consensus_is_that_of_consensuses():
    features = gradual()
    plain = cluster_stability(features, fit_clusters(features, 6), repeats=5)
    combined = cluster_stability(features, consensus(features, 6, runs=40), repeats=5)
    assert combined.jaccard.mean() > plain.jaccard.mean()


def test_stability_same_seed_same_numbers():
    features, _ = blobs(10, 12, 8, spread=1.0)
    model = fit_clusters(features, 6)
    one, again, other = (
        cluster_stability(features, model, seed=seed, repeats=4).as_dict() for seed in (1, 1, 2)
    )
    assert one == again
    assert one["jaccard"] != other["jaccard"]
    assert json.loads(json.dumps(one)) == one
    assert (np.array(one["low"]) <= np.array(one["jaccard"]) + 1e-12).all()


def test_a_cluster_without_cells_here_is_not_judged():
    features, truth = blobs(12, 12, 6, k=4)
    model = fit_clusters(features, 4)
    labels = model.predict(features).labels
    values = features.make(slice(None), slice(None))
    part = FakeFeatures.of(values, (labels == 4) | (truth == 0))
    found = cluster_stability(part, model, repeats=4)
    assert found.verdict(4) == "not here"
    assert found.as_dict()["jaccard"][3] is None
    assert found.words()[-1] == "Cluster 4 has no cells here."


def test_verdicts_have_hennigs_bounds():
    scores = np.array([0.75, 0.749, 0.6, 0.599, np.nan])
    found = ClusterStability(scores, scores, np.ones(5, np.int64), 5, 0)
    verdicts = [found.verdict(i) for i in range(1, 6)]
    assert verdicts == ["stable", "pattern", "pattern", "doubtful", "not here"]
    assert [sentence.split(":")[0] for sentence in found.words()] == [
        "Cluster 1 is stable",
        "Clusters 2 and 3 show a pattern",
        "Cluster 4 is doubtful",
        "Cluster 5 has no cells here.",
    ]


def test_stability_refuses_what_cannot_be():
    features, _ = blobs(8, 8, 6)
    model = fit_clusters(features, 5)
    with pytest.raises(ClusterError, match="ask for 2 or more"):
        cluster_stability(features, model, repeats=1)
    with pytest.raises(ClusterError, match="out of range"):
        cluster_stability(features, model, seed=-1)
    values = features.make(slice(None), slice(None))
    with pytest.raises(ClusterError, match="of 5 clusters cannot be judged from 5"):
        cluster_stability(FakeFeatures.of(np.nan_to_num(values[:1, :5])), model)
    other = FakeFeatures.of(values, recipe=FakeRecipe({"backbone": "other"}))
    with pytest.raises(RecipeError, match="another recipe"):
        cluster_stability(other, model)
