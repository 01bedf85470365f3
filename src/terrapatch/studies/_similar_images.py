"""Images as examples: embedded by the recipe of the store that is searched."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.features import FeatureRaster
from terrapatch.features.image_files import strictly
from terrapatch.scene import Scene
from terrapatch.studies._similar_query import scene_geobox

Progress = Callable[[str, int, int], None]


def open_image(path: Path, **options: Any) -> Scene:
    """Open an image; that it has no georeference is nothing to warn of."""
    with strictly():
        return Scene.open(path, **options)


def image_options(raster: FeatureRaster, image: Path) -> dict[str, Any]:
    """Return how an image is read: in the store's bands and units, where its own do not do."""
    told, opened = raster.recipe.scene, open_image(image)
    return {
        "bands": None if len(opened.bands) == len(told["bands"]) else told["bands"],
        "units": None if opened.dtype == "uint8" else told["units"]["text"],
    }


def embed_like(
    raster: FeatureRaster,
    images: Sequence[Path],
    embedding: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Embed images by the recipe of a store.

    Args:
        raster: The features they are compared with.
        images: Files that GDAL reads.
        embedding: More options of ``embed_images``: weights, device, offline …
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        Features ``(images, F)``, and sentences a person should know.

    Raises:
        RecipeError: If images cannot be described as the cells of the store are.
        SamplesError: If an image cannot be read.
    """
    from terrapatch.features.images import embed_images

    space = dict(raster.recipe.space)
    if space["mode"] != "exact" or "adapt" in space:
        how = "with mixed bands" if "adapt" in space else f"in {space['mode']} mode"
        raise RecipeError(
            f"{raster.path} was made {how}, in which single images cannot be embedded; give "
            "examples by their coordinates, or embed the scene anew"
        )
    options: dict[str, Any] = {
        "backbone": space["backbone"],
        "layers": ",".join(space["layers"]),
        "pooling": ",".join(space["pooling"]),
        "l2": space["l2"],
        "input_size": space["input_size"],
        "average": space.get("average", "none"),
        "precision": "fp32",
        **image_options(raster, images[0]),
        **(embedding or {}),
    }
    made = embed_images(images, progress=progress, **options)
    theirs = dict(made.recipe.space) | {"size": space["size"]}
    if theirs != space:
        told = "; ".join(
            f"{key}: {theirs.get(key)} here, {space.get(key)} in the store"
            for key in sorted({*theirs, *space})
            if theirs.get(key) != space.get(key)
        )
        raise RecipeError(
            f"the images cannot be described as the cells of {raster.path} are ({told}); give "
            "images of the same bands, and the weights the store was made with"
        )
    return made.values, [note for image in images for note in _size_note(raster, image)]


def _size_note(raster: FeatureRaster, image: Path) -> list[str]:
    """Say where an image shows more or less ground than a patch does."""
    from terrapatch.grid import ground_resolution

    opened = open_image(image)
    side, patch = min(opened.shape), raster.recipe.grid["size_px"]
    here, there = ground_resolution(opened.geobox), ground_resolution(scene_geobox(raster))
    if here is not None and there is not None:
        shown, meant = side * here.y, patch[0] * there.y
        if abs(shown / meant - 1) < 0.1:
            return []
        told = f"shows {shown:.0f} m, a patch here {meant:.0f} m"
    elif side == min(patch):
        return []
    else:
        told = f"is {side} px wide, a patch here {min(patch)} px"
    return [
        f"{image.name} {told}: both are brought to the same input size, so scores are right only "
        "if they show as much ground"
    ]


def paths_of(images: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the files of images.

    Raises:
        SamplesError: If one is not there.
    """
    paths = [Path(image) for image in images]
    for path in paths:
        if not path.is_file():
            raise SamplesError(f"there is no image {path}; check the path")
    return paths
