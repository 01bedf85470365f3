"""Clusters: the same bytes every time, ids by size, 0 only where nothing is."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from learn.cells import FakeFeatures, FakeRecipe, blobs
from terrapatch.errors import ClusterError, RecipeError
from terrapatch.learn import fit_clusters, scaling_names
from terrapatch.learn._kmeans import nearest


def written(model, folder: Path) -> bytes:
    model.save(folder)
    return (folder / "model.json").read_bytes() + (folder / "head.safetensors").read_bytes()


@pytest.mark.parametrize("scaling", scaling_names())
def test_finds_the_blobs(scaling):
    features, truth = blobs()
    found = fit_clusters(features, 5, scaling=scaling).predict(features)
    assert adjusted_rand_score(truth[truth > 0], found.labels[truth > 0]) > 0.95


def test_label_zero_and_nan_exactly_in_empty_cells():
    features, truth = blobs()
    found = fit_clusters(features, 5).predict(features)
    assert found.labels.dtype == np.uint8
    assert found.distance.dtype == np.float32
    assert np.array_equal(found.labels == 0, truth == 0)
    assert np.array_equal(np.isnan(found.distance), truth == 0)
    assert found.labels.max() == 5
    assert found.geobox == features.geobox


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 100),
    k=st.integers(2, 9),
    spread=st.sampled_from([0.1, 1.0]),
    algorithm=st.sampled_from(["kmeans", "minibatch"]),
)
def test_ids_are_ordered_by_size_and_the_model_counts_what_it_predicts(seed, k, spread, algorithm):
    features, _ = blobs(10, 12, 6, seed=seed, spread=spread)
    model = fit_clusters(features, k, seed=seed, n_init=2, algorithm=algorithm)
    found = model.predict(features)
    assert (np.diff(found.counts) <= 0).all()
    assert model.counts == found.counts.tolist()
    assert model.description["inertia"] == pytest.approx(found.inertia, rel=1e-9)
    ranked = [np.flatnonzero(found.labels.ravel() == i)[0] for i in range(1, k + 1)]
    for one in range(k - 1):
        if found.counts[one] == found.counts[one + 1]:
            assert ranked[one] < ranked[one + 1]


def test_distance_is_that_to_the_centre():
    features, truth = blobs(8, 8, 6)
    model = fit_clusters(features, 3, scaling="none")
    found = model.predict(features)
    values = features.make(slice(None), slice(None))
    gaps = np.linalg.norm(values[..., None, :] - model.centres, axis=-1)
    inside = truth > 0
    assert np.allclose(found.distance[inside], gaps[inside].min(axis=-1), atol=1e-5)
    assert np.array_equal(found.labels[inside], gaps[inside].argmin(axis=-1) + 1)


def test_a_cell_on_a_centre_has_distance_zero():
    centres = np.array([[1e3, 1e3], [1e3, 1e3 + 1]], np.float32)
    label, distance = nearest(centres.astype(np.float64), centres)
    assert label.tolist() == [0, 1]
    assert distance.tolist() == [0, 0]


@pytest.mark.parametrize("algorithm", ["kmeans", "minibatch"])
def test_same_seed_same_bytes(algorithm, tmp_path):
    features, _ = blobs()
    one = fit_clusters(features, 6, seed=3, algorithm=algorithm)
    other = fit_clusters(features, 6, seed=3, algorithm=algorithm)
    assert written(one, tmp_path / "a") == written(other, tmp_path / "b")


SCRIPT = """
import sys
from learn.cells import blobs
from terrapatch.learn import fit_clusters
features, _ = blobs(60, 60, 40, spread=1.0)
for n, name in enumerate(["standardise-l2", "pca64-half"]):
    for algorithm in ["kmeans", "minibatch"]:
        model = fit_clusters(features, 7, scaling=name, algorithm=algorithm)
        model.save(f"{sys.argv[1]}/{name}-{algorithm}")
"""


def test_number_of_threads_changes_no_byte(tmp_path):
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
        env = {**os.environ, "PYTHONPATH": path, **dict.fromkeys(names, threads)}
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / threads)]
        subprocess.run(command, env=env, check=True)
    files = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 24), cols=st.integers(1, 30), order=st.none() | st.integers(0, 9))
def test_cut_and_order_of_blocks_are_irrelevant(rows, cols, order):
    features, _ = blobs()
    one = fit_clusters(features, 5, n_init=2)
    other = fit_clusters(features.cut((rows, cols), order), 5, n_init=2)
    assert np.allclose(one.centres, other.centres, atol=1e-5)
    assert np.array_equal(
        one.predict(features).labels, other.predict(features.cut((rows, cols), order)).labels
    )


def test_out_of_core_agrees_with_in_memory_within_bounded_memory():
    n, side = 64, 245  # 60,025 cells, 15 MiB in float32
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, n)).astype(np.float32)
    truth = (np.arange(side)[:, None] // 31 + np.zeros(side, int)) % 8  # stripes: not mixed

    def make(rows: slice, cols: slice) -> np.ndarray:
        part = truth[rows, cols]
        noise = np.random.default_rng(rows.start * side + cols.start)
        return centres[part] + 0.4 * noise.normal(size=(*part.shape, n)).astype(np.float32)

    features = FakeFeatures(
        make, np.ones((side, side), np.float32), n, (("a", 0, n),), block=(16, 16)
    )
    tracemalloc.start()
    model = fit_clusters(features, 8, memory_bytes=1 << 20, n_init=2)
    found = model.predict(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.description["algorithm"] == "minibatch"
    assert peak < 6 << 20
    assert adjusted_rand_score(truth.ravel(), found.labels.ravel()) > 0.9
    whole = fit_clusters(features, 8, n_init=2)
    assert whole.description["algorithm"] == "kmeans"
    labels = whole.predict(features).labels
    assert adjusted_rand_score(labels.ravel(), found.labels.ravel()) > 0.9
    assert model.description["inertia"] == pytest.approx(whole.description["inertia"], rel=0.01)


def test_more_than_254_clusters_need_uint16():
    values = np.random.default_rng(0).normal(size=(20, 20, 4))
    features = FakeFeatures.of(values)
    found = fit_clusters(features, 255, n_init=1).predict(features)
    assert found.labels.dtype == np.uint16
    assert (found.counts > 0).all()


def test_rare_distinct_cells_are_found_out_of_core():
    values = np.zeros((50, 50, 3))
    values[49, 40:45] = np.eye(3)[[0, 1, 2, 0, 1]]
    features = FakeFeatures.of(values)
    model = fit_clusters(features, 4, scaling="none", algorithm="minibatch", memory_bytes=1 << 12)
    assert model.counts == [2495, 2, 2, 1]


def test_progress_ends_at_all_cells():
    features, truth = blobs()
    told: list[tuple[str, int, int]] = []
    fit_clusters(features, 3, n_init=1, progress=lambda *what: told.append(what))
    assert told[-1][1:] == (int((truth > 0).sum()),) * 2


def refused(features, k=3, **more) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ClusterError) as caught:
            fit_clusters(features, k, **more)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", ["kmeans", "minibatch"])
def test_what_cannot_be_clustered_is_refused_in_one_sentence(algorithm):
    values = np.random.default_rng(0).normal(size=(4, 5, 6))
    plain = FakeFeatures.of(values)
    everywhere = np.ones((4, 5), bool)
    more = {"algorithm": algorithm}
    assert "20 non-empty cells" in refused(plain, 21, **more)
    assert "ask for 2 to 65,534" in refused(plain, 1, **more)
    assert "ask for 2 to 65,534" in refused(plain, 65_535, **more)
    assert "all cells are empty" in refused(FakeFeatures.of(values, everywhere), **more)
    assert "seed -1" in refused(plain, seed=-1, **more)
    assert "0 times" in refused(plain, n_init=0, **more)
    assert "no scaling 'x'" in refused(plain, scaling="x", **more)
    assert "raise memory_bytes" in refused(plain, scaling="pca64-half", memory_bytes=9, **more)
    twice = np.repeat(np.eye(6)[None, :2], 10, axis=0)
    assert "ask for at most 2" in refused(FakeFeatures.of(twice), scaling="none", **more)
    assert "all alike" in refused(FakeFeatures.of(np.ones((4, 5, 6))), **more)
    one_number = FakeFeatures.of(np.arange(20.0).reshape(4, 5, 1))  # L2 leaves only the sign
    assert "only 2 distinct" in refused(one_number, **more)
    for bad in (np.nan, np.inf):
        broken = values.copy()
        broken[2, 3, 4] = bad
        said = refused(FakeFeatures.of(broken), **more)
        assert "feature 4 of the cell in row 2, column 3" in said
    assert "no algorithm" in refused(plain, algorithm="dbscan")
    assert "use minibatch" in refused(plain, algorithm="kmeans", memory_bytes=200)


def test_features_of_another_recipe_are_refused_with_the_differences():
    features, _ = blobs()
    model = fit_clusters(features, 3, n_init=1)
    other = FakeFeatures.of(
        np.zeros((2, 2, 16)), recipe=FakeRecipe({"backbone": "fake", "patch": "120m"})
    )
    with pytest.raises(RecipeError, match="patch: 120m, model was made with 60m"):
        model.predict(other)
    with pytest.raises(RecipeError, match="number of features: 4, model was made with 16"):
        model.predict(FakeFeatures.of(np.zeros((2, 2, 4))))


def test_maps():
    maps = pytest.importorskip("terrapatch.maps")
    from terrapatch.legend import Legend

    features, truth = blobs()
    found = fit_clusters(features, 3, n_init=1).predict(features)
    class_map = found.to_class_map()
    assert isinstance(class_map, maps.ClassMap)
    assert class_map.legend.names[0] == "Cluster 1"
    assert np.array_equal(class_map.values == 0, truth == 0)
    assert class_map.provenance["model"]["k"] == 3
    values = found.to_value_map()
    assert isinstance(values, maps.ValueMap)
    with pytest.raises(ClusterError, match="2 entries but there are 3"):
        found.to_class_map(Legend.of(["one", "two"]))
