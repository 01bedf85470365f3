"""Similarity: where in a scene it looks like here, and not like there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrapatch.errors import SamplesError
from terrapatch.features import FeatureRaster
from terrapatch.grid import Length
from terrapatch.learn.similarity import (
    BACKGROUND,
    DIGITS,
    SCALING,
    Examples,
    Method,
    Similarity,
    fit_similarity,
)
from terrapatch.learn.spacing import best_hits
from terrapatch.maps import ValueMap
from terrapatch.studies import _similar_images as pictures
from terrapatch.studies import _similar_query as asked
from terrapatch.studies._similar_apart import apart_in_cells, near_examples
from terrapatch.studies._similar_query import Place, QueryCell

if TYPE_CHECKING:
    import xarray as xr

    from terrapatch.learn import ClusterModel
    from terrapatch.learn.scaling import Scaling
    from terrapatch.scene import Scene

    Image = str | os.PathLike[str]
    Source = str | os.PathLike[str] | xr.DataArray | Scene

__all__ = ["DEFAULT_N", "Hit", "SimilarResult", "similar"]

Progress = Callable[[str, int, int], None]

DEFAULT_N = 50


@dataclass(frozen=True)
class Hit:
    """A cell that was found.

    Attributes:
        rank: 1 is the best.
        score: Up to 1; see ``similar``.
        x: Centre of the cell in the scene's CRS.
        y: The same, northing or latitude.
        row: Row of cells, from 0.
        col: Column of cells, from 0.
    """

    rank: int
    score: float
    x: float
    y: float
    row: int
    col: int


@dataclass(frozen=True, eq=False)
class SimilarResult:
    """What ``similar`` found.

    Attributes:
        files: Every file it wrote, the map first.
        notes: Sentences a person should know.
        value_map: The map of scores.
        hits: The best cells, the best first.
        examples: The cells that were given, with their scores.
        images: The images that were given, examples first, with whether they are.
        query: What was learned from the examples; it scores other features of the space too.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    value_map: ValueMap
    hits: tuple[Hit, ...]
    examples: tuple[QueryCell, ...]
    images: tuple[tuple[Path, bool], ...]
    query: Similarity


def similar(
    features: FeatureRaster | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    at: Sequence[Place] = (),
    unlike: Sequence[Place] = (),
    points: Any = None,
    layer: str | None = None,
    images: Sequence[Image] = (),
    unlike_images: Sequence[Image] = (),
    crs: str | None = None,
    n: int = DEFAULT_N,
    apart: Length | None = None,
    method: Method = "ridge",
    background: int = BACKGROUND,
    scaling: str | None = None,
    model: ClusterModel | str | os.PathLike[str] | None = None,
    scene: Source | None = None,
    embedding: Mapping[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SimilarResult:
    """Search a scene for what looks like some examples: a map of scores, and the best places.

    A score of 1 is that of the best example and 0 that of the scene's cells on average; with
    ``cosine`` it is the mean cosine to the examples. See ``terrapatch.learn.similarity`` for
    the methods and how they were measured.

    Args:
        features: A feature raster, or the path of its store.
        out: The map, ``….tif``; beside it ``…_hits.gpkg`` with the best places and the
            examples, and ``…_sheet.png`` with their patches.
        at: Places to look for, ``(x, y)`` in the scene's CRS or in ``crs``. In a scene without
            georeference: column and row of a pixel.
        unlike: Places that look different, to tell apart what is confused.
        points: More places: a file or a ``GeoDataFrame`` of points in any CRS, whose column
            ``like`` (true, false or nothing), if there is one, tells examples from
            counterexamples. ``…_hits.gpkg`` is such a file: fill its column in QGIS and search
            again.
        layer: Layer of that file, where it has several.
        images: Images to look for, each embedded by the store's own recipe; they should show
            as much ground as a patch does.
        unlike_images: Images that look different.
        crs: CRS of ``at`` and ``unlike``; the order is always x, y (longitude, latitude).
        n: How many places to list.
        apart: Least distance of listed places from each other and from the examples: metres
            (``"120m"``), pixels, or ``"2 cells"``, down or across. A patch by default, so that
            no two patches overlap.
        method: ``ridge`` or ``cosine``.
        background: Cells drawn at random that stand for the rest of the scene, for ``ridge``.
        scaling: How features are scaled, see ``terrapatch.learn.scaling``; fitted to these
            features. ``pca64-half`` found more on images of many kinds, the default on
            settlements.
        model: A cluster model (or its folder) whose scaling is used in place of that.
        scene: The scene, for the contact sheet. Left out, it is looked for in the folder of
            the store and in the folder of ``model``.
        embedding: More options of ``embed_images`` for images: weights, device, offline …
        seed: Seed of the drawn cells; the same seed gives the same bytes.
        overwrite: Whether older results of that name give way.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was found.

    Raises:
        SamplesError: If no example is given, or one lies on an empty cell or outside.
        RecipeError: If images or the model do not fit the features.
        OutputError: If a file of that name exists, or the place cannot be written.
    """
    from terrapatch.studies import _similar_files as files

    raster = features if isinstance(features, FeatureRaster) else FeatureRaster.open(features)
    path = Path(out)
    files.refuse_taken(path, overwrite)
    if n < 0:
        raise SamplesError(f"{n} places cannot be listed; ask for 0 or more")
    reach = apart_in_cells(raster, apart)
    used = _scaling(raster, scaling, model)
    shown, notes = files.find_scene(raster, scene, model)
    cells, told = _cells(raster, at, unlike, crs, points, layer)
    like_images, other_images = pictures.paths_of(images), pictures.paths_of(unlike_images)
    if not like_images and not any(cell.like for cell in cells):
        raise SamplesError(
            "there is no example of what to look for; give a place with --at X,Y, points with "
            "--points, or an image with --image"
        )
    examples, more = _examples(raster, cells, like_images, other_images, embedding, progress)
    query = fit_similarity(
        raster,
        *examples,
        method=method,
        scaling=used,
        background=background,
        near=near_examples(raster, cells),
        seed=seed,
        progress=progress,
    )
    scores = query.score_cells(raster, progress)
    found = best_hits(scores, n, reach, [(cell.row, cell.col) for cell in cells])
    result = SimilarResult(
        files=(),
        notes=(*told, *more, *_hit_notes(found, scores, n), *notes),
        value_map=ValueMap(
            scores, raster.geobox, "similarity", "", {}, range=(-1.0, 1.0), title="Similarity"
        ),
        hits=tuple(_hit(raster, rank, cell, scores) for rank, cell in enumerate(found, 1)),
        examples=asked.with_scores(cells, scores),
        images=(*((p, True) for p in like_images), *((p, False) for p in other_images)),
        query=query,
    )
    result = replace(result, value_map=_with_provenance(result, raster, reach))
    return files.write(result, path, raster, shown)


def _cells(
    raster: FeatureRaster,
    at: Sequence[Place],
    unlike: Sequence[Place],
    crs: str | None,
    points: Any,
    layer: str | None,
) -> tuple[list[QueryCell], list[str]]:
    """Find the cells of all places, each once."""
    valid = np.asarray(raster.valid() > 0)
    cells = asked.cells_at(raster, valid, at, True, crs)
    cells += asked.cells_at(raster, valid, unlike, False, crs)
    notes: list[str] = []
    if points is not None:
        more, notes = asked.cells_of_points(raster, valid, points, layer)
        cells += more
    if raster.geobox.crs is None and (at or unlike):
        notes.append("the scene has no CRS: coordinates are taken as its own, x before y")
    return asked.distinct(cells), notes


def _examples(
    raster: FeatureRaster,
    cells: Sequence[QueryCell],
    images: list[Path],
    others: list[Path],
    embedding: Mapping[str, Any] | None,
    progress: Progress | None,
) -> tuple[tuple[Examples, Examples], list[str]]:
    """Gather examples and counterexamples, from cells and from images."""
    rows, notes = None, list[str]()
    if images or others:
        rows, notes = pictures.embed_like(raster, [*images, *others], embedding, progress)
    made = []
    for like, part in ((True, slice(0, len(images))), (False, slice(len(images), None))):
        numbers = [c.row * raster.shape[1] + c.col for c in cells if c.like == like]
        given = None if rows is None or not len(rows[part]) else rows[part]
        made.append(Examples(numbers, given))
    return (made[0], made[1]), notes


def _scaling(
    raster: FeatureRaster, name: str | None, model: ClusterModel | str | os.PathLike[str] | None
) -> str | Scaling:
    """Return the name of a scaling to fit, or that of a cluster model."""
    if model is None:
        return name or SCALING
    if name is not None:
        raise SamplesError("a cluster model brings its own scaling; leave out --scaling or --model")
    from terrapatch.learn import ClusterModel
    from terrapatch.studies.settlements import load_model

    loaded = model if isinstance(model, ClusterModel) else load_model(model)
    loaded.check(raster)
    return loaded.scaling


def _hit(
    raster: FeatureRaster, rank: int, cell: tuple[int, int], scores: np.ndarray[Any, Any]
) -> Hit:
    at = asked.query_cell(raster, cell, like=True)
    return Hit(rank, round(float(scores[cell]), DIGITS), at.x, at.y, *cell)


def _hit_notes(found: Sequence[tuple[int, int]], scores: np.ndarray[Any, Any], n: int) -> list[str]:
    notes = []
    if len(found) < n:
        notes.append(
            f"only {len(found)} of {n} places are listed: all other cells are empty or nearer than "
            "apart to a better one or to an example"
        )
    below = sum(bool(scores[cell] <= 0) for cell in found)
    if below:
        notes.append(
            f"{below} of the {len(found)} places have a score of 0 or less: they look no more like "
            "the examples than the rest of the scene does"
        )
    return notes


def _with_provenance(
    result: SimilarResult, raster: FeatureRaster, apart: tuple[float, float]
) -> ValueMap:
    """Return the map with how it was made."""
    places = {True: list[str](), False: list[str]()}
    for cell in result.examples:
        places[cell.like].append(f"{cell.x:.10g},{cell.y:.10g}")
    for image, like in result.images:
        places[like].append(f"image {image.name}")
    taken = raster.recipe.scene.get("datetime")
    provenance = {
        "features": raster.recipe.as_dict(),
        "looked_for": places[True],
        "but_not": places[False],
        "similarity": {**result.query.description, "apart_cells": list(apart)},
        **({"datetime": taken} if taken else {}),
    }
    return replace(result.value_map, provenance=provenance)
