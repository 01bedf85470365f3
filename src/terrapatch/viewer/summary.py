"""What a page is told of a result before anything is clicked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.features import FeatureRaster
from terrapatch.grid import ground_resolution
from terrapatch.ground import pixel_hectares
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.viewer.place import describe

__all__ = ["grid_of", "scene_box", "summary"]


def summary(folder: ClusterFolder, raster: FeatureRaster) -> dict[str, Any]:
    """Return names, sizes, places and clusters, as JSON values.

    Args:
        folder: The folder of clusters.
        raster: Its features.
    """
    told, box = raster.recipe.scene, scene_box(raster)
    size, stride = grid_of(raster)
    ground = ground_resolution(box)
    return {
        "title": folder.path.resolve().name,
        "scene_name": told["name"],
        "size": list(told["shape"]),
        "metres": None if ground is None else [ground.y, ground.x],
        "place": describe(box),
        "partial": folder.cells(raster) is not raster,
        "grid": {"shape": list(raster.shape), "stride": list(stride), "patch": list(size)},
        "clusters": _clusters(folder, raster),
        "descriptor_bytes": raster.shape[0] * raster.shape[1] * raster.n_features * 2,
        "facts": _facts(folder, raster),
        "command": f"terrapatch name {folder.path} --names names.csv",
    }


def scene_box(raster: FeatureRaster) -> GeoBox:
    """Return the grid of the scene that features were made from."""
    told = raster.recipe.scene
    return GeoBox(tuple(told["shape"]), Affine(*told["transform"]), told["crs"])


def grid_of(raster: FeatureRaster) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return size and stride of patches in pixels, rows before columns."""
    told = raster.recipe.grid
    size, stride = (tuple(int(n) for n in told[key]) for key in ("size_px", "stride_px"))
    return (size[0], size[1]), (stride[0], stride[1])


def _clusters(folder: ClusterFolder, raster: FeatureRaster) -> list[dict[str, Any]]:
    counts = folder.class_map.counts()
    areas = pixel_hectares(raster.geobox)
    hectares: npt.NDArray[np.float64] = np.zeros(len(counts))
    if areas is not None:
        weights = raster.valid().astype(np.float64) * areas[:, None]
        found = np.bincount(folder.clusters_labels.ravel(), weights.ravel(), len(counts))
        hectares = found.astype(np.float64)
    return [
        {
            "id": entry.id,
            "colour": entry.colour,
            "cells": int(counts[entry.id]),
            "hectares": None if areas is None else round(float(hectares[entry.id]), 4),
        }
        for entry in folder.class_map.legend
    ]


def _facts(folder: ClusterFolder, raster: FeatureRaster) -> list[list[str]]:
    recipe, made = raster.recipe, folder.model.description
    return [
        ["Scene", str(recipe.scene["name"])],
        ["Patches", f"{recipe.grid['size']}, one every {recipe.grid['stride']}"],
        ["Backbone", str(recipe.backbone["name"])],
        ["Layers", ", ".join(map(str, recipe.descriptor["layers"]))],
        ["Clusters", f"{folder.model.k}, {made['algorithm']}, seed {made['seed']}"],
        ["Scaling", str(made["scaling"])],
    ]
