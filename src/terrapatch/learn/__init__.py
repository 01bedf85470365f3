"""Learning on features: scaling, clusters and metrics.

Nothing is imported until a name is used, so that scikit-learn and SciPy cost
nothing to those who only read or write rasters.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.learn.accuracy import Accuracy, assess
    from terrapatch.learn.applicability import DissimilarityIndex
    from terrapatch.learn.blocked import BlockedFolds
    from terrapatch.learn.choosing import choose_k
    from terrapatch.learn.clusters import ClusterModel, Clusters, fit_clusters
    from terrapatch.learn.conformal import ConformalSets
    from terrapatch.learn.duplicates import near_duplicates
    from terrapatch.learn.fitting import cross_validate, train_scene_model
    from terrapatch.learn.heads import head_names, make_head
    from terrapatch.learn.image_folder import ImageList, find_images, from_csv
    from terrapatch.learn.metrics import (
        adjusted_rand,
        iou,
        majority_class,
        mask_by_majority,
        matched_accuracy,
        name_by_majority,
        normalised_mutual_information,
        truth_on_cells,
    )
    from terrapatch.learn.samples import Samples
    from terrapatch.learn.scaling import make_scaling, scaling_names
    from terrapatch.learn.scene_model import SceneModel
    from terrapatch.learn.smoothing import majority_filter
    from terrapatch.learn.stability import cluster_stability, consensus
    from terrapatch.learn.subclusters import split
    from terrapatch.learn.vector_labels import CellLabels, label_cells, label_cells_by_raster

_HOMES = {
    "split": "subclusters",
    "cluster_stability": "stability",
    "consensus": "stability",
    "choose_k": "choosing",
    "Accuracy": "accuracy",
    "BlockedFolds": "blocked",
    "CellLabels": "vector_labels",
    "ClusterModel": "clusters",
    "Clusters": "clusters",
    "ConformalSets": "conformal",
    "DissimilarityIndex": "applicability",
    "ImageList": "image_folder",
    "Samples": "samples",
    "SceneModel": "scene_model",
    "adjusted_rand": "metrics",
    "assess": "accuracy",
    "cross_validate": "fitting",
    "find_images": "image_folder",
    "fit_clusters": "clusters",
    "from_csv": "image_folder",
    "head_names": "heads",
    "iou": "metrics",
    "label_cells": "vector_labels",
    "label_cells_by_raster": "vector_labels",
    "majority_class": "metrics",
    "majority_filter": "smoothing",
    "make_head": "heads",
    "make_scaling": "scaling",
    "mask_by_majority": "metrics",
    "matched_accuracy": "metrics",
    "name_by_majority": "metrics",
    "near_duplicates": "duplicates",
    "normalised_mutual_information": "metrics",
    "scaling_names": "scaling",
    "train_scene_model": "fitting",
    "truth_on_cells": "metrics",
}

__all__ = [
    "Accuracy",
    "BlockedFolds",
    "CellLabels",
    "ClusterModel",
    "Clusters",
    "ConformalSets",
    "DissimilarityIndex",
    "ImageList",
    "Samples",
    "SceneModel",
    "adjusted_rand",
    "assess",
    "choose_k",
    "cluster_stability",
    "consensus",
    "cross_validate",
    "find_images",
    "fit_clusters",
    "from_csv",
    "head_names",
    "iou",
    "label_cells",
    "label_cells_by_raster",
    "majority_class",
    "majority_filter",
    "make_head",
    "make_scaling",
    "mask_by_majority",
    "matched_accuracy",
    "name_by_majority",
    "near_duplicates",
    "normalised_mutual_information",
    "scaling_names",
    "split",
    "train_scene_model",
    "truth_on_cells",
]


def __getattr__(name: str) -> Any:
    """Import the module behind a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
