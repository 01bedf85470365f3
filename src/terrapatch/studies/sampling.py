"""Samples from where people have them: folders of images, tables, polygons, points, rasters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from terrapatch.errors import OutsideError, SamplesError
from terrapatch.features.layout import is_store

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

    from terrapatch.features import FeatureRaster
    from terrapatch.learn.image_folder import ImageList
    from terrapatch.learn.samples import Samples
    from terrapatch.learn.vector_labels import CellLabels

Source = str | os.PathLike[str]
Labelled: TypeAlias = "Source | GeoDataFrame"
Scenes: TypeAlias = "Sequence[Source | FeatureRaster]"
Progress = Callable[[str, int, int], None]

RASTERS = frozenset({".tif", ".tiff", ".vrt"})
TABLES = frozenset({".csv"})


def is_image_source(source: Labelled) -> TypeGuard[Source]:
    """Whether a source lists images (a folder, a CSV, a name in the catalogue)."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    if path.is_dir():
        return not is_store(path)
    return path.suffix.lower() in TABLES or not (path.exists() or path.suffix)


def gather(
    sources: Labelled | Sequence[Labelled],
    *,
    features: Scenes = (),
    column: str | None = None,
    rule: str = "majority",
    minimum: float = 0.5,
    embedding: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Collect samples with their features.

    Args:
        sources: One folder with a folder of images for each class, one CSV of paths, classes
            and splits, or one name in the catalogue; or else vector files, vectors in memory
            and rasters of labels, which lie over ``features``.
        features: Feature rasters of the scenes that vectors and rasters lie on, or their stores.
        column: Column of the vectors that holds the class.
        rule: How polygons give cells a class, see ``learn.vector_labels``.
        minimum: Share of a cell that must be labelled.
        embedding: Options of ``embed_images``, for images.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        SamplesError: If nothing usable is there.
        TerrapatchError: For everything else a person can mend.
    """
    given = list(sources) if isinstance(sources, list | tuple) else [sources]
    if not given:
        raise SamplesError("name where the samples are: a folder of images, a CSV or a vector file")
    images = [source for source in given if is_image_source(source)]
    if images and len(given) > 1:
        raise SamplesError(
            f"{images[0]} lists images and cannot be mixed with other sources; give it alone"
        )
    if images:
        return _of_images(find_images_of(images[0]), embedding or {}, progress)
    if not features:
        raise SamplesError(
            f"{_named(given[0])} holds labels on the ground but no scene is named; embed the scene "
            "first (terrapatch embed) and pass --features STORE"
        )
    return _of_cells(given, features, column, rule, minimum, progress)


def find_images_of(source: Source) -> ImageList:
    """List the images of a folder, a CSV or a data set of the catalogue.

    Raises:
        SamplesError: If there is none.
        CatalogError: If a name is not in the catalogue, or its files are not here.
    """
    from terrapatch.learn.image_folder import find_images, from_csv

    path = Path(source)
    if path.is_dir():
        return find_images(path)
    if path.suffix.lower() in TABLES:
        return from_csv(path)
    from terrapatch.studies.catalog import folder_of

    return find_images(folder_of(str(source)))


def _of_images(
    images: ImageList, embedding: Mapping[str, Any], progress: Progress | None
) -> Samples:
    from terrapatch.features.images import embed_images
    from terrapatch.learn.samples import from_images

    return from_images(images, embed_images(images.paths, progress=progress, **embedding))


def _of_cells(
    sources: Sequence[Labelled],
    features: Scenes,
    column: str | None,
    rule: str,
    minimum: float,
    progress: Progress | None,
) -> Samples:
    """Lay every source over every scene it touches."""
    from terrapatch.features import FeatureRaster
    from terrapatch.learn.samples import from_cells

    rasters = [
        given if isinstance(given, FeatureRaster) else FeatureRaster.open(given)
        for given in features
    ]
    kept: list[tuple[FeatureRaster, CellLabels]] = []
    for source in sources:
        missed = []
        for raster in rasters:
            try:
                kept.append((raster, _labels(source, raster, column, rule, minimum)))
            except OutsideError as fault:
                missed.append(fault)
        if len(missed) == len(rasters):
            raise missed[0]
    samples = from_cells([r for r, _ in kept], [found for _, found in kept], progress)
    return _on_one_ground(samples, [raster for raster, _ in kept])


def _on_one_ground(samples: Samples, rasters: Sequence[FeatureRaster]) -> Samples:
    """Count scenes of one CRS that overlap as one, so that folds are kept apart in it too.

    Two dates of one place would otherwise stand on both sides of a split.
    """
    boxes = list({str(raster.path): raster.geobox for raster in rasters}.values())
    if samples.scenes is None or len(boxes) < 2:
        return samples
    ground = np.arange(len(boxes), dtype=np.int32)
    for a, b in combinations(range(len(boxes)), 2):
        if boxes[a].crs == boxes[b].crs and _overlap(boxes[a], boxes[b]):
            ground[ground == ground[b]] = ground[a]
    joined = len(boxes) - len(np.unique(ground))
    if not joined:
        return samples
    note = (
        f"{len(boxes)} scenes lie on {len(boxes) - joined} separate pieces of ground, since some "
    )
    note += "overlap; samples of one piece are kept apart in space, whichever scene they are of"
    return replace(samples, scenes=ground[samples.scenes], notes=(*samples.notes, note))


def _overlap(one: GeoBox, other: GeoBox) -> bool:
    a, b = one.boundingbox, other.boundingbox
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.top, b.top) - max(a.bottom, b.bottom)
    slack = 0.5 * abs(one.affine.a)
    return bool(across > slack and down > slack)


def _labels(
    source: Labelled,
    raster: FeatureRaster,
    column: str | None,
    rule: str,
    minimum: float,
) -> CellLabels:
    from terrapatch.learn.vector_labels import label_cells, label_cells_by_raster

    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in RASTERS:
        return label_cells_by_raster(raster.geobox, source, minimum=minimum)
    return label_cells(raster.geobox, source, column, rule=rule, minimum=minimum)


def _named(source: Labelled) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else "the table"
