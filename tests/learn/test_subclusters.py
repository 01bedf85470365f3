"""Looking into one cluster: its cells alone, and by what tells them apart."""

from __future__ import annotations

import numpy as np
import pytest

from learn.cells import FakeFeatures, FakeRecipe, blobs
from terrapatch.errors import ClusterError, RecipeError
from terrapatch.learn import adjusted_rand, fit_clusters
from terrapatch.learn.subclusters import OnlyCells, split


def nested(seed: int = 0) -> tuple[FakeFeatures, np.ndarray, np.ndarray]:
    """Three groups far apart, of which the largest has two kinds that hardly differ."""
    rng = np.random.default_rng(seed)
    outer = rng.choice(3, (16, 18), p=[0.6, 0.25, 0.15])
    kind = rng.integers(0, 2, (16, 18))
    values = rng.normal(0, 0.05, (16, 18, 8)) + 20 * np.eye(8)[outer]
    values[..., 6] += np.where(outer == 0, kind * 1.0, 0)
    return FakeFeatures.of(values), outer, kind


def test_finds_kinds_that_the_whole_hides():
    features, outer, kind = nested()
    model = fit_clusters(features, 3, scaling="standardise")
    found = split(features, model, 1, 2)
    inside = model.predict(features).labels == 1
    assert np.array_equal(inside, outer == 0)
    labels = found.clusters.labels
    assert np.array_equal(labels > 0, inside)
    assert np.array_equal(np.isnan(found.clusters.distance), ~inside)
    assert adjusted_rand(labels, np.where(inside, kind + 1, 0)) == 1
    assert found.names == ("Cluster 1.1", "Cluster 1.2")
    assert found.model.counts == found.clusters.counts.tolist()
    assert found.clusters.to_class_map(title="Within cluster 1").counts()[1:].sum() == inside.sum()


def test_the_cut_into_blocks_and_the_seed():
    features, _ = blobs(12, 14, 8, spread=0.8)
    model = fit_clusters(features, 3)
    one, again = (split(features, model, 2, 3, seed=5) for _ in range(2))
    other = split(features.cut((5, 3), 1), model, 2, 3, seed=5)
    assert np.array_equal(one.model.centres, again.model.centres)
    assert np.array_equal(one.clusters.labels, other.clusters.labels)


def test_scaling_may_be_another():
    features, _ = blobs(12, 14, 8)
    model = fit_clusters(features, 3, scaling="l2")
    assert split(features, model, 1, 2).model.description["scaling"] == "l2"
    other = split(features, model, 1, 2, scaling="standardise")
    assert other.model.description["scaling"] == "standardise"


def test_only_cells_gives_only_cells():
    features, truth = blobs(9, 11, 4)
    kept = truth == 1
    view = OnlyCells(features, kept)
    assert np.array_equal(view.valid() > 0, kept)
    seen = np.zeros(kept.shape, int)
    for block in view.blocks():
        place = (block.rows, block.cols)
        whole = features.make(*place)
        assert (block.valid > 0).any()
        assert np.array_equal(block.valid > 0, kept[place])
        assert np.isnan(block.values[~kept[place]]).all()
        assert np.array_equal(block.values[kept[place]], whole[kept[place]])
        assert block.values.dtype == np.float32
        seen[place] += 1
    assert seen.max() == 1
    assert (seen[kept] == 1).all()
    for name in ("geobox", "shape", "n_features", "groups", "recipe"):
        assert getattr(view, name) == getattr(features, name)
    with pytest.raises(ClusterError, match="does not fit features"):
        OnlyCells(features, kept[:-1])


def test_each_bad_input_has_its_sentence():
    features, _ = blobs(8, 8, 6)
    model = fit_clusters(features, 4)
    for id in (0, 5):
        with pytest.raises(ClusterError, match=rf"no cluster {id}; the model has clusters 1 to 4"):
            split(features, model, id, 2)
    count = model.counts[3]
    with pytest.raises(ClusterError, match=f"cluster 4 has {count} cells here, too few"):
        split(features, model, 4, count + 1)
    with pytest.raises(ClusterError, match="1 clusters cannot be made"):
        split(features, model, 1, 1)
    values = features.make(slice(None), slice(None))
    other = FakeFeatures.of(values, recipe=FakeRecipe({"backbone": "other"}))
    with pytest.raises(RecipeError, match="another recipe"):
        split(other, model, 1, 2)


def test_a_cluster_of_cells_that_are_alike_is_refused():
    values = np.repeat([[1.0, 0, 0, 0], [0, 5, 0, 0], [0, 0, 9, 1]], [20, 10, 6], axis=0)
    features = FakeFeatures.of(values.reshape(6, 6, 4))
    model = fit_clusters(features, 3, scaling="none")
    with pytest.raises(ClusterError, match="distinct"):
        split(features, model, 1, 2)
