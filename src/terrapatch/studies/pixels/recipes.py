"""Recipes that measured best, and the steps of the ladder between the plain and the best one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask

if TYPE_CHECKING:
    from terrapatch.studies.pixels.ladder import Step

# Fewer bands than this are no spectrum: components and profiles take what there is.
FEW_BANDS = 12


def default_recipe(task: PixelTask) -> PixelRecipe:
    """Return the recipe to begin with for a cube."""
    return default_steps(task)[-1].recipe


def default_steps(task: PixelTask) -> tuple[Step, ...]:
    """Return the steps of the ladder for a cube; the last is the recipe to begin with.

    Args:
        task: Cube and labels; the number of bands decides.
    """
    from terrapatch.studies.pixels.ladder import Step

    some = min(4, task.cube.n_bands)
    profiles = ("spectra", f"emp:components={some},radii=1-5")
    wide = task.cube.n_bands >= FEW_BANDS
    steps = [
        Step("bands", PixelRecipe(("spectra",))),
        *([Step("components", PixelRecipe(("pca:components=30",)))] if wide else []),
        Step("local means", PixelRecipe(("mean:window=5",))),
        Step("profiles", PixelRecipe(profiles)),
        Step("profiles and CNN", PixelRecipe((*profiles, "cnn"))),
        Step("profiles, smoothed", PixelRecipe(profiles, smooth="gaussian:sigma=2")),
    ]
    return tuple(steps)
