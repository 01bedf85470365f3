"""Recipes that measured best, and the steps of the ladder between the plain and the best one.

What pays depends on the ground. Where labelled fields are larger than segments, their means and
the profiles of area tell a field from afar; where fields are a few pixels wide, anything that
looks beyond a pixel mixes classes, and the spectrum alone with a shrunken linear border is best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask

if TYPE_CHECKING:
    from terrapatch.studies.pixels.ladder import Step

# Fewer bands than this are no spectrum: components and profiles take what there is.
FEW_BANDS = 12
# Half of the fields have to be larger, in pixels: the size of the smallest segments.
LARGE_FIELD = 25
_AREAS = "25+100+250+500+1000+2000"


def default_recipe(task: PixelTask) -> PixelRecipe:
    """Return the recipe to begin with for a cube."""
    return default_steps(task)[-1].recipe


def default_steps(task: PixelTask) -> tuple[Step, ...]:
    """Return the steps of the ladder for a cube; the last is the recipe to begin with.

    Args:
        task: Cube and labels; the number of bands and the size of the fields decide.
    """
    from terrapatch.studies.pixels.ladder import Step

    some = min(4, task.cube.n_bands)
    profiles = ("spectra", f"emp:components={some},radii=1-5")
    wide = task.cube.n_bands >= FEW_BANDS
    components = PixelRecipe((f"pca:components={_most(task, 30)}",))
    steps = [
        Step("bands", PixelRecipe(("spectra",))),
        *([Step("components", components)] if wide else []),
        Step("local means", PixelRecipe(("mean:window=5",))),
        Step("profiles", PixelRecipe(profiles)),
        Step("profiles and CNN", PixelRecipe((*profiles, "cnn"))),
        Step("profiles, smoothed", PixelRecipe(profiles, smooth="gaussian:sigma=2")),
    ]
    if wide and has_large_fields(task):
        both = "blend:lda|lda@eap+segments|rbf-svm"
        steps += [
            Step("segments, blended", PixelRecipe(_fields(task), both, "gaussian:sigma=1")),
            Step("segments, linear", PixelRecipe(_fields(task), "lda", "gaussian:sigma=1.5")),
        ]
    elif wide:
        steps.append(Step("bands, linear", PixelRecipe(("spectra",), "blend:lda|logistic")))
    return tuple(steps)


def has_large_fields(task: PixelTask) -> bool:
    """Whether half of the labelled fields are at least as large as the smallest segments.

    Args:
        task: Cube and labels; pixels of a class that touch are a field where none are named.
    """
    from terrapatch.learn.pixels.splits import fields_of

    fields, _ = fields_of(task.labels)
    sizes = np.bincount(fields[fields > 0])
    sizes = sizes[sizes > 0]
    return bool(len(sizes)) and float(np.median(sizes)) >= LARGE_FIELD


def _fields(task: PixelTask) -> tuple[str, ...]:
    """Return features that tell large fields apart."""
    some, by = min(4, task.cube.n_bands), _most(task, 6)
    return (
        f"eap:components={some},attributes=area,tree=shapes,area={_AREAS}",
        f"mean:window=5,of=mnf,components={_most(task, 20)}",
        f"segments:components={_most(task, 15)},of=mnf,by={by},size=25+50+100",
    )


def _most(task: PixelTask, n: int) -> int:
    return min(n, task.cube.n_bands)
