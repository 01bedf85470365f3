"""Recipes that measured best, and the steps of the ladder between the plain and the best one."""

from __future__ import annotations

from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask


def default_recipe(task: PixelTask) -> PixelRecipe:
    """Return the recipe to begin with for a cube."""
    return PixelRecipe()
