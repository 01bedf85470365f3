"""The model folder: read back whole or refused, and nothing in it runs."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learn.cells import blobs
from terrapatch.errors import OutputError, RecipeError
from terrapatch.learn import ClusterModel, fit_clusters, scaling_names

FEATURES, _ = blobs(12, 12, 6, k=4)


@pytest.fixture
def folder(tmp_path):
    return fit_clusters(FEATURES, 4, n_init=1).save(tmp_path / "model")


@pytest.mark.parametrize("scaling", scaling_names())
def test_read_back_it_predicts_the_same_and_saves_the_same(scaling, tmp_path):
    model = fit_clusters(FEATURES, 4, n_init=1, scaling=scaling)
    model.save(tmp_path / "a")
    again = ClusterModel.load(tmp_path / "a")
    one, other = model.predict(FEATURES), again.predict(FEATURES)
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.distance, other.distance, equal_nan=True)
    assert one.provenance == other.provenance
    again.save(tmp_path / "b")
    for name in ("model.json", "head.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["head.safetensors", "model.json"]


def test_a_model_is_replaced_only_when_asked(folder):
    model = ClusterModel.load(folder)
    with pytest.raises(OutputError, match="ask to overwrite"):
        model.save(folder)
    model.save(folder, overwrite=True)


def test_a_place_that_cannot_be_written(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        ClusterModel.load(folder).save(tmp_path / "file" / "model")


@pytest.mark.parametrize("name", ["model.json", "head.safetensors"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_or_cut_file_is_refused(folder, name, data):
    path = folder / name
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    flipped = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
    try:
        path.write_bytes(whole[:at] if cut else whole[:at] + flipped + whole[at + 1 :])
        if name == "model.json" and _same_json(path.read_bytes(), whole):
            return  # a byte of white space
        with pytest.raises(RecipeError):
            ClusterModel.load(folder)
    finally:
        path.write_bytes(whole)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["model.json", "head.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RecipeError, match=name):
        ClusterModel.load(folder)


def test_another_version_is_named(folder):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(RecipeError, match="version 99"):
        ClusterModel.load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", 5),
        ("k", "4"),
        ("n_features", 7),
        ("n_features", -1),
        ("scaling", "pca64-half"),
        ("scaling", "none"),
        ("scaling", ["x"]),
        ("groups", 3),
        ("counts", []),
        ("space", None),
        ("space_fingerprint", None),
    ],
)
def test_even_a_forged_hash_does_not_pass_what_cannot_be(folder, key, value):
    path = folder / "model.json"
    content = json.loads(path.read_text())
    content["model"][key] = value
    del content["sha256"]
    content["sha256"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content))
    with pytest.raises(RecipeError, match="not a usable cluster model"):
        ClusterModel.load(folder)


@pytest.mark.parametrize("text", ["[]", "{}", "null", "[" * 100_000, '{"format": 1}'])
def test_other_json_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(RecipeError):
        ClusterModel.load(folder)
