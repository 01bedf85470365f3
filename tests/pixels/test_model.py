"""A saved model is the model, and nothing else is taken for one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixel_scenes import NAMES, PixelScene, painted_scene
from terrapatch.errors import OutputError, RecipeError
from terrapatch.learn._model_folder import _content_hash
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.mapping import map_pixels
from terrapatch.learn.pixels.model import PixelModel, model_window
from terrapatch.learn.scene_model import SceneModel
from terrapatch.legend import Legend


@pytest.fixture(scope="module")
def scene() -> PixelScene:
    return painted_scene()


def trained(scene: PixelScene, text: str = "rbf-svm:C=10", *features: str) -> PixelModel:
    stack = scene.stack(*features)
    with stack.over(scene.cube) as values:
        learner = parse_learner(text).fit(values, scene.pixels)
    return PixelModel.of(
        stack,
        learner,
        scene.pixels,
        scene.cube,
        split="random 10 % (leaky)",
        metrics={"oa": 0.9},
        smooth="gaussian:sigma=2",
    )


@pytest.fixture(scope="module")
def model(scene: PixelScene) -> PixelModel:
    return trained(scene)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("rbf-svm:C=10", ("spectra", "pca:components=3")),
        ("ridge", ("mnf:components=4",)),
        ("net:cnn2d,patch=3,epochs=1,width=0.25", ("pca:components=4",)),
    ],
)
def test_a_loaded_model_is_the_saved_one(
    scene: PixelScene, text: str, features: tuple[str, ...], tmp_path: Path
) -> None:
    model = trained(scene, text, *features)
    model.save(tmp_path / "one")
    again = PixelModel.load(tmp_path / "one")
    again.save(tmp_path / "two")
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert {"model.json", "head.safetensors"} < set(files)
    assert all(name.endswith((".json", ".skops", ".safetensors")) for name in files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    one, two = map_pixels(scene.cube, model), map_pixels(scene.cube, again)
    assert one.ids.tobytes() == two.ids.tobytes()
    assert one.confidence.tobytes() == two.confidence.tobytes()
    assert again.legend == model.legend
    assert again.description == model.description
    assert again.temperature == model.temperature


def test_the_same_training_gives_the_same_bytes(
    scene: PixelScene, model: PixelModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "one")
    trained(scene).save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_what_a_model_says_of_itself(scene: PixelScene, model: PixelModel) -> None:
    told = model.description
    assert model.classes == NAMES
    assert told["counts"] == np.bincount(scene.pixels.ids, minlength=5)[1:].tolist()
    assert told["features"] == list(model.features.texts)
    assert told["split"] == "random 10 % (leaky)"
    assert told["metrics"] == {"oa": 0.9}
    assert told["smooth"] == "gaussian:sigma=2"
    assert told["learner"]["settings"]["counts"] == told["counts"]
    assert told["window"] == model.window == 1
    assert model.untrained == ()


def test_windows_of_features_and_learners_add_up(scene: PixelScene, model: PixelModel) -> None:
    wide = scene.stack("mean:window=5")
    assert model_window(wide, model.learner) == 5
    assert model_window(wide, parse_learner("net:cnn2d,patch=9")) == 13


def test_a_legend_of_ones_own_is_kept(scene: PixelScene, model: PixelModel, tmp_path: Path) -> None:
    legend = Legend.of(NAMES, ["#112233", "#445566", "#778899", "#aabbcc"])
    stack, learner = model.features, model.learner
    own = PixelModel.of(stack, learner, scene.pixels, scene.cube, legend=legend)
    own.save(tmp_path / "model")
    assert PixelModel.load(tmp_path / "model").legend == legend


def test_a_model_is_never_overwritten_unasked(model: PixelModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(OutputError, match="there is a model"):
        model.save(tmp_path)
    model.save(tmp_path, overwrite=True)


@pytest.mark.parametrize(
    "name", ["model.json", "head.safetensors", "head.skops", "scaling.safetensors"]
)
def test_damaged_and_missing_files_are_refused(
    model: PixelModel, tmp_path: Path, name: str
) -> None:
    model.save(tmp_path)
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(RecipeError, match=rf"{name}.* damaged"):
        PixelModel.load(tmp_path)
    path.unlink()
    with pytest.raises(RecipeError, match=rf"there is no .*{name}.*pixels train"):
        PixelModel.load(tmp_path)


def test_models_of_another_kind_are_refused_by_name(model: PixelModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(RecipeError, match="holds a pixel classifier, not a scene classifier"):
        SceneModel.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", ["../head.skops"]),
        ("files", ["/etc/hostname"]),
        ("files", []),
        ("legend", {"classes": []}),
        ("stack", {"features": []}),
        ("temperature", 0),
        ("learner", {"kind": "tree", "settings": {}}),
    ],
)
def test_forged_descriptions_are_refused(
    model: PixelModel, tmp_path: Path, key: str, value: object
) -> None:
    model.save(tmp_path)
    path = tmp_path / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"][key] = value
    content["sha256"] = _content_hash(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RecipeError):
        PixelModel.load(tmp_path)


def test_a_model_without_networks_is_loaded_without_torch(
    model: PixelModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    code = (
        "import sys; from terrapatch.learn.pixels.model import PixelModel; "
        "PixelModel.load(sys.argv[1]); "
        "assert not {'torch', 'sklearn.externals.array_api_compat.torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], check=True)
