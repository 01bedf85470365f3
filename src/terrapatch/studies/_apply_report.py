"""The report of a model applied to another scene, as one page."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrapatch.maps import ClassMap, preview
from terrapatch.scene import Scene
from terrapatch.studies._named_map import named_map
from terrapatch.studies._transfer_words import percent
from terrapatch.studies._unlike_class import UNLIKE
from terrapatch.studies.figures import bars_with_intervals
from terrapatch.studies.page import GalleryItem, Page
from terrapatch.studies.result_folder import ClusterFolder

if TYPE_CHECKING:
    from terrapatch.studies.applying import ApplyResult

PICTURES = 12
_HOW = {
    "held out": "held-out ground of the scene the model comes from",
    "own cells": "the cells the clusters were made from (too few to hold some out)",
    "distance map": "the map of distances alone (the features were not at hand)",
}


def report(
    result: ApplyResult, here: ClusterFolder, home: ClusterFolder, scene: Scene | None
) -> Page:
    """Put what was found onto one page.

    Args:
        result: What was found.
        here: The folder that is being written, its map and source already there.
        home: The folder of the model.
        scene: The scene, if patches can be shown.
    """
    page = Page("A named model on another scene", _lead(result))
    for note in result.notes:
        page.note(note)
    _classes(page, result, home, scene)
    if result.ratio is not None and result.unlike is not None:
        _unlike(page, result, here, scene)
    page.section("What not to conclude")
    page.text(
        "The names were given to clusters of another scene by somebody who looked at that scene. "
        "Here they are a proposal: look at patches of each class before you report its area, and "
        "draw a reference sample (terrapatch area) before you report it to others.\n\n"
        f"A cell that is not called {UNLIKE} is not thereby right. The threshold tells another "
        "kind of ground, sensor or season; it does not tell a wrong name of a familiar kind."
    )
    page.section("How it was made")
    told = {"model": home.model.description, "features": here.recipe.as_dict()}
    page.recipe(told if result.unlike is None else {"unlike": result.unlike.description(), **told})
    return page


def _lead(result: ApplyResult) -> str:
    cells = int(result.class_map.counts()[1:].sum())
    text = f"{cells:,} cells were given the classes of another scene."
    if result.unlike_share is None:
        return text
    return f"{text} {percent(result.unlike_share)} of them are {UNLIKE}."


def _classes(page: Page, result: ApplyResult, home: ClusterFolder, scene: Scene | None) -> None:
    page.section("Classes here and where the model comes from")
    there = named_map(home.class_map, result.names)
    counts = there.counts()
    whole = max(1, int(counts[1:].sum()))
    shares = {entry.name: int(counts[entry.id]) / whole for entry in there.legend}
    rows = [
        (
            row.name,
            row.cells,
            percent(row.share),
            percent(shares[row.name]) if row.name in shares else None,
            row.hectares,
        )
        for row in result.table
    ]
    page.table(
        ["class", "cells", "share here", "share at home", "hectares"],
        rows,
        "Cells and area of each class; at home none is set apart as unlike",
    )
    page.figure(
        picture(result.named, scene),
        "The map of named classes with its legend",
        "The named classes" + (" over the scene." if scene is not None else "."),
    )


def picture(class_map: ClassMap, scene: Scene | None) -> bytes:
    """Draw a class map, over its scene if there is one, as a PNG."""
    from terrapatch.studies.settlements import thumbnail

    with TemporaryDirectory(prefix="terrapatch-") as scratch:
        path = preview(
            class_map,
            Path(scratch) / "map.png",
            base=None if scene is None else thumbnail(scene),
            base_geobox=None if scene is None else scene.geobox,
            pixels=900,
        )
        return path.read_bytes()


def _unlike(page: Page, result: ApplyResult, here: ClusterFolder, scene: Scene | None) -> None:
    unlike, ratio = result.unlike, result.ratio
    if unlike is None or ratio is None:
        return
    page.section("What is unlike anything seen")
    page.text(
        "A cell is unlike when it lies farther from the mean of its cluster than "
        f"{percent(unlike.quantile)} of the cells do, by {_HOW[unlike.how]}."
    )
    beyond = np.nan_to_num(ratio, nan=0.0) > 1
    ids = result.class_map.values
    counts = result.class_map.counts()
    flagged = np.bincount(ids[beyond], minlength=len(counts))
    occurring = [i for i in range(1, len(counts)) if counts[i]]
    values = np.array([100 * flagged[i] / counts[i] for i in occurring])
    named = [f"{result.names.shown(i)} ({counts[i]:,} cells)" for i in occurring]
    none = np.full(len(values), np.nan)
    page.figure(
        bars_with_intervals(
            named, values, none, none, "unlike, % of the cluster's cells",
            reference=(100 * (1 - unlike.quantile), "at home"),
        ),
        "Bars of the share of unlike cells in each cluster",
        "Share of unlike cells in each raw cluster before merges; a cluster that is unlike as a "
        "whole has caught a kind of ground that the model does not know.",
    )  # fmt: skip
    if scene is not None:
        page.gallery(
            _farthest(result, here, ratio), "The cells that are farthest from their clusters"
        )


def _farthest(
    result: ApplyResult, here: ClusterFolder, ratio: NDArray[np.float32]
) -> list[GalleryItem]:
    flat = np.nan_to_num(ratio.ravel(), nan=0.0)
    order = np.argsort(-flat, kind="stable")[:PICTURES]
    order = order[flat[order] > 0]
    cells = [(int(i) // ratio.shape[1], int(i) % ratio.shape[1]) for i in order]
    pictures = here.patches(cells)
    items: list[GalleryItem] = []
    for (row, col), picture in zip(cells, pictures, strict=True):
        name = result.names.shown(int(result.class_map.values[row, col]))
        items.append(
            (picture, f"row {row}, column {col}: {ratio[row, col]:.2f} × ({name})", "plain")
        )
    return items
