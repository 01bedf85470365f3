"""Options of studies of pixels: labels, recipe, and how it is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from terrapatch.studies.pixels.asked import PixelRecipe
    from terrapatch.studies.pixels.protocols import Judging

_LABELS = "Labels"
_RECIPE = "Recipe"
_JUDGING = "How it is judged"


def _option(name: str, text: str, panel: str, shown: str | bool = True) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel, show_default=shown)


Labels = Annotated[
    str,
    _option(
        "--labels",
        "Raster or array on the cube's pixels (file.npz:NAME), polygons or points in any CRS.",
        _LABELS,
    ),
]
Column = Annotated[
    str | None, _option("--column", "Column of the classes of polygons and points.", _LABELS)
]
Layer = Annotated[str | None, _option("--layer", "Layer of a vector file.", _LABELS)]
Names = Annotated[
    str | None,
    _option(
        "--names",
        "Names of the values: 1=roof,2=pavement, or a CSV (value, name).",
        _LABELS,
        "those in the file",
    ),
]
Rule = Annotated[
    str, _option("--rule", "How polygons label a pixel: centre, majority or share.", _LABELS)
]
Features = Annotated[
    list[str] | None,
    _option(
        "--feature",
        "A feature, may be given again; terrapatch pixels features --list names them.",
        _RECIPE,
        "what measured best",
    ),
]
Learner = Annotated[
    str | None,
    _option(
        "--learner",
        "lda, rbf-svm, forest, …; a blend:lda@eap|rbf-svm; or a network: net:cnn2d,patch=9.",
        _RECIPE,
        "what measured best",
    ),
]
Smooth = Annotated[
    str | None,
    _option(
        "--smooth",
        "Smoothing of posteriors: gaussian:sigma=2, guided:…, or none.",
        _RECIPE,
        "what measured best",
    ),
]
Protocols = Annotated[
    str | None,
    _option("--protocols", "Of random, fixed, blocks, fields, regions; with commas.", _JUDGING,
            "those the labels allow"),
]  # fmt: skip
Seeds = Annotated[int, _option("--seeds", "Seeds each protocol is run with.", _JUDGING)]
Share = Annotated[
    float, _option("--share", "Share of pixels that trains in the random protocol.", _JUDGING)
]
Side = Annotated[int, _option("--block", "Side of the blocks, pixels.", _JUDGING)]
Buffer = Annotated[
    int | None,
    _option(
        "--buffer", "Pixels around tested blocks that train nothing.", _JUDGING, "half the window"
    ),
]
FieldBuffer = Annotated[
    int, _option("--field-buffer", "The same around tested fields and regions.", _JUDGING)
]
NTrain = Annotated[
    int | None,
    _option("--n-train", "Training pixels of blocks and fields, drawn in proportion.", _JUDGING,
            "as random; 0 for all"),
]  # fmt: skip
Folds = Annotated[
    int | None,
    _option(
        "--folds",
        "Deal blocks and fields to folds, so that each is tested once.",
        _JUDGING,
        "half trains",
    ),
]
Train = Annotated[
    str | None,
    _option("--train", "Training pixels of a published split: labels or a mask.", _JUDGING),
]
Test = Annotated[
    str | None, _option("--test", "Its tested pixels.", _JUDGING, "all other labelled pixels")
]
Regions = Annotated[
    str | None,
    _option("--regions", "Regions, each tested by what the others teach.", _JUDGING, "quadrants"),
]
Guard = Annotated[
    str,
    _option(
        "--guard",
        "flag or refuse splits whose tested pixels lie inside training windows.",
        _JUDGING,
    ),
]


def reading_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return how a command's cube is read: options of ``Cube.open``."""
    return {
        "variable": given["variable"],
        "bands": given["bands"],
        "drop": given["drop"],
        "keep_bad": given["keep_bad"],
        "water_vapour": not given["keep_water_vapour"],
        "wavelengths": given["wavelengths"],
        "scale": given["scale"],
        "nodata": given["nodata"],
        "axes": given["axes"],
    }


def labels_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return how a command's cube and labels are read: arguments of ``open_task``."""
    return {
        "labels": given["labels"],
        "reading": reading_of(given),
        "column": given["column"],
        "layer": given["layer"],
        "classes": given["names"],
        "rule": given["rule"],
    }


def recipe_of(given: dict[str, Any], default: PixelRecipe) -> PixelRecipe:
    """Return the recipe of a command; what was not given is the default's."""
    from terrapatch.studies.pixels.asked import PixelRecipe

    return PixelRecipe(
        tuple(given["feature"] or default.features),
        given["learner"] or default.learner,
        given["smooth"] or default.smooth,
    )


def refuse_early(given: dict[str, Any], writers: str) -> None:
    """Refuse a recipe that is mistyped, and a folder that is taken, before a cube is read."""
    from terrapatch.studies._staging import refuse_existing
    from terrapatch.studies.pixels.asked import PixelRecipe

    if given["out"] is not None:
        refuse_existing(given["out"], given["overwrite"], writers)
    if "feature" in given:
        recipe_of(given, PixelRecipe())


def judging_of(given: dict[str, Any], usual: tuple[str, ...]) -> Judging:
    """Return how a command judges; ``usual`` are the protocols if none are named."""
    from terrapatch.studies.pixels.protocols import Judging

    named = given["protocols"]
    chosen = usual if named is None else tuple(p.strip() for p in named.split(",") if p.strip())
    if named is None and given.get("regions") is not None:
        chosen = (*chosen, "regions")
    return Judging(
        protocols=chosen,
        seeds=given["seeds"],
        seed=given["seed"],
        share=given["share"],
        side=given["block"],
        buffer=given["buffer"],
        field_buffer=given["field_buffer"],
        n_train=given["n_train"],
        folds=given["folds"],
        train=given["train"],
        test=given["test"],
        regions=given.get("regions"),
        guard=given["guard"],
    )
