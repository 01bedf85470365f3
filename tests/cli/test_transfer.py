"""``transfer`` from the shell: images of two places, and class maps that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import terrapatch as tp
from terrapatch.errors import RecipeError


def write_images(folder: Path, levels: dict[str, int], n: int, side: int) -> None:
    """Write pictures of classes that differ in brightness."""
    for k, (name, level) in enumerate(levels.items()):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            noise = np.random.default_rng(100 * k + i).normal(level, 14, (3, side, side))
            with rasterio.open(
                folder / name / f"{i:02d}.png", "w", driver="PNG", width=side, height=side,
                count=3, dtype="uint8",
            ) as dst:  # fmt: skip
                dst.write(np.clip(noise, 1, 255).astype(np.uint8))


@pytest.fixture
def two_places(tmp_path: Path) -> Path:
    """Return a folder with images of two places and a model of the first."""
    write_images(tmp_path / "home", {"dark": 60, "grey": 120, "bright": 180}, 10, 32)
    write_images(tmp_path / "away", {"night": 70, "day": 185, "odd": 120}, 12, 40)
    tp.train(
        tmp_path / "home", tmp_path / "model", embedding={"backbone": "imagestats"}, folds=3,
        baselines=False,
    )  # fmt: skip
    (tmp_path / "map.csv").write_text("model,here\ndark,night\nbright,day\n")
    return tmp_path


def test_from_images_to_a_report_by_the_command_line(cli, two_places: Path) -> None:
    command = ("transfer", "away", "--model", "model", "-o", "out", "--class-map", "map.csv",
               "--few", "1,3", "--seeds", "2", "--folds", "3")  # fmt: skip
    run = cli(*command, "--json")
    assert run.code == 0, run.err
    assert run.result["accuracy"]["closed"]["overall"] > 0.9
    assert run.result["accuracy"]["home"]["overall"] > 0.9
    assert [one["k"] for one in run.result["few_labels"]] == [1, 3]
    page = Path("out/report.html").read_text()
    assert "least like its training samples" in page
    assert page.count("data:image") >= 12
    assert any("trained on images of 32 px" in note for note in run.result["notes"])
    again = cli(*command)
    assert again.code == 2
    assert "out exists already and is not empty; pass --overwrite" in again.err
    told = cli(*command, "--overwrite").out
    assert "3 samples a class here" in told
    assert "wrote out/report.html" in told


def test_refusals_by_the_command_line_are_one_sentence(cli, two_places: Path) -> None:
    Path("unknown.csv").write_text("model,here\ndark,night\nbright,dusk\n")
    Path("twice.csv").write_text("model,here\ndark,night\ndark,day\n")
    cases = {
        ("--class-map", "unknown.csv"): "unknown.csv, line 3: the samples have no class 'dusk'; "
        "they have day, night, odd",
        ("--class-map", "twice.csv"): "twice.csv, line 3: the model's class 'dark' is mapped "
        "already by line 2",
        ("--class-map", "none.csv"): "the class map none.csv cannot be read",
        (): "no class of the model has a counterpart in the samples",
        ("--few", "1,many"): "'many' is no number",
    }
    for options, words in cases.items():
        run = cli("transfer", "away", "--model", "model", "-o", "out", *options)
        assert run.code == 2, options
        assert words in run.err
        assert len(run.err.strip().splitlines()) == 1, run.err
    assert not Path("out").exists()
    with pytest.raises(RecipeError, match="whose backbone is imagestats, not rcf"):
        tp.transfer("away", "model", "out", class_map="map.csv", embedding={"backbone": "rcf"})


def test_a_single_draw_has_no_deviation(cli, two_places: Path) -> None:
    run = cli("transfer", "away", "--model", "model", "-o", "out", "--class-map", "map.csv",
              "--few", "3", "--seeds", "1", "--folds", "3")  # fmt: skip
    assert run.code == 0, run.err
    assert "3 samples a class here" in run.out
    assert "nan" not in run.out


def test_a_model_of_images_needs_a_size_on_scenes(cli, two_places: Path) -> None:
    run = cli("train", "home", "-o", "other", "--backbone", "imagestats", "--folds", "3",
              "--no-baselines")  # fmt: skip
    assert "next: terrapatch classify SCENE --size SIZE --model other -o map.tif" in run.out
