"""The recipes to begin with: which one a scene gets, and that it can be learned from."""

from __future__ import annotations

import numpy as np
import pytest

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.studies.pixels.asked import PixelTask
from terrapatch.studies.pixels.evaluating import evaluate
from terrapatch.studies.pixels.protocols import Judging
from terrapatch.studies.pixels.recipes import default_recipe, default_steps, has_large_fields

NAMES = ("corn", "grass", "oats", "woods")


def task(bands: int, field: int, lone: bool = False) -> PixelTask:
    """Paint a scene; with ``lone`` only pixels that touch no other are labelled."""
    values, ids, waves = painted_cube(60, 60, bands=bands, field=field, noise=0.2)
    if lone:
        ids = ids * (np.indices(ids.shape) % 3 == 1).all(axis=0)
    cube = Cube.of_array(values, wavelengths=waves)
    return PixelTask(cube, PixelLabels(ids.astype(np.int32), NAMES))


@pytest.mark.parametrize(
    ("bands", "field", "lone", "kinds"),
    [
        (24, 10, False, ["eap", "mean", "segments"]),
        (12, 10, False, ["eap", "mean", "segments"]),
        (24, 10, True, ["spectra"]),
        (24, 3, False, ["spectra"]),
        (6, 10, False, ["spectra", "emp"]),
        (2, 10, False, ["spectra", "emp"]),
    ],
)
def test_bands_and_fields_decide(bands: int, field: int, lone: bool, kinds: list[str]) -> None:
    asked = task(bands, field, lone)
    recipe = default_recipe(asked)
    assert [text.partition(":")[0] for text in recipe.features] == kinds
    assert default_steps(asked)[-1].recipe == recipe
    assert has_large_fields(asked) == (field == 10 and not lone)


@pytest.mark.parametrize(("bands", "lone"), [(24, False), (12, False), (24, True), (4, False)])
def test_the_recipe_learns(bands: int, lone: bool) -> None:
    judging = Judging(("blocks",), seeds=1, side=10, buffer=2, n_train=100)
    made = evaluate(task(bands, 10, lone), judging=judging)
    assert made.report.results[0].spread("overall").mean > 0.7


def test_every_step_of_a_blend_finds_its_layers() -> None:
    asked = task(24, 10)
    judging = Judging(("blocks",), seeds=1, side=10, buffer=2, n_train=100)
    blended = next(s.recipe for s in default_steps(asked) if s.recipe.learner.startswith("blend"))
    made = evaluate(asked, recipe=blended, judging=judging)
    assert made.report.results[0].spread("overall").mean > 0.8
