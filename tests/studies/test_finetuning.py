"""Fine-tuning from the outside: a folder of images in, a model, curves and a report out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terrapatch.errors import BackboneError, OutputError, RecipeError, SamplesError
from terrapatch.learn import SceneModel
from terrapatch.learn.image_folder import find_images
from terrapatch.learn.tuning import Tuned
from terrapatch.studies.explain import explain
from terrapatch.studies.finetuning import finetune, split

HOW = {"backbone": "lenet5:random", "strategy": "all", "epochs": 15, "batch": 8, "augment": "none",
       "device": "cpu", "lr": 1e-2}  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for k, name in enumerate(("dark", "bright")):
        for i in range(10):
            path = tmp_path / "images" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(random.normal(70 + 110 * k, 12, (3, 32, 32)), 1, 255)
            with rasterio.open(
                path, "w", driver="PNG", width=32, height=32, count=3, dtype="uint8"
            ) as dst:
                dst.write(pixels.astype(np.uint8))
    return tmp_path / "images"


def test_a_folder_of_images_becomes_a_tuned_network(images: Path, tmp_path: Path) -> None:
    made = finetune(images, tmp_path / "out", **HOW)
    assert made.protocol == "drawn class by class with seed 0: 12 train, 4 val, 4 test"
    assert made.accuracy.n == 4
    assert made.accuracy.overall == 1.0
    assert made.diagnosis is not None
    names = {path.name for path in made.files}
    assert names == {
        "report.html", "history.csv", "test.csv", "metrics.json", "head.safetensors",
        "model.json",
    }  # fmt: skip
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["verdict"] == made.diagnosis.verdict
    paths = sorted(images.rglob("*.png"))
    seen = explain(tmp_path / "out")
    assert seen.kind == "tuned network"
    assert dict(seen.rows)["images"] == "12 to train, 4 to validate"
    with pytest.raises(RecipeError, match="holds a tuned network, not a scene classifier"):
        SceneModel.load(tmp_path / "out")
    back = Tuned.load(tmp_path / "out")
    np.testing.assert_array_equal(back.classify(paths), made.tuned.classify(paths))
    with pytest.raises(OutputError, match=r"there is a model in .* already"):
        finetune(images, tmp_path / "out", **HOW)


def test_a_split_needs_its_three_parts(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    lines = ["path,class,split"]
    for path in sorted(images.rglob("*.png")):
        part = "test" if int(path.stem) < 3 else "train"
        lines.append(f"{path.relative_to(tmp_path)},{path.parent.name},{part}")
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(SamplesError, match="names no sample of the part val"):
        finetune(table, tmp_path / "out", **HOW)


def test_few_images_are_refused(images: Path, tmp_path: Path) -> None:
    for i in range(4, 10):
        (images / "dark" / f"{i}.png").unlink()
    with pytest.raises(SamplesError, match="the smallest class has 4 images"):
        finetune(images, tmp_path / "out", **HOW)


def test_what_would_fail_after_the_training_fails_before(images: Path, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="average 'd5' is not known"):
        finetune(images, tmp_path / "out", average="d5", **HOW)
    parts = split(find_images(images), 0)[0]
    find_images(images).paths[parts["test"][0]].write_bytes(b"no picture")
    with pytest.raises(SamplesError, match=r"the test image .*\.png cannot be read"):
        finetune(images, tmp_path / "out", **HOW)
    assert not (tmp_path / "out").exists()


def test_class_names_may_hold_commas(images: Path, tmp_path: Path) -> None:
    (images / "dark").rename(images / "dark, wet")
    made = finetune(images, tmp_path / "out", **HOW | {"epochs": 1, "head_epochs": 1})
    with (tmp_path / "out" / "test.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == made.accuracy.n
    assert {row["predicted"] for row in rows} <= {"dark, wet", "bright"}
    assert all(Path(row["path"]).exists() for row in rows)
