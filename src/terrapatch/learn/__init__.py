"""Learning on features: scaling, clusters and metrics.

Nothing is imported until a name is used, so that scikit-learn and SciPy cost
nothing to those who only read or write rasters.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.learn.clusters import ClusterModel, Clusters, fit_clusters
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
    from terrapatch.learn.scaling import make_scaling, scaling_names

_HOMES = {
    "ClusterModel": "clusters",
    "Clusters": "clusters",
    "adjusted_rand": "metrics",
    "fit_clusters": "clusters",
    "iou": "metrics",
    "majority_class": "metrics",
    "make_scaling": "scaling",
    "mask_by_majority": "metrics",
    "matched_accuracy": "metrics",
    "name_by_majority": "metrics",
    "normalised_mutual_information": "metrics",
    "scaling_names": "scaling",
    "truth_on_cells": "metrics",
}

__all__ = [
    "ClusterModel",
    "Clusters",
    "adjusted_rand",
    "fit_clusters",
    "iou",
    "majority_class",
    "make_scaling",
    "mask_by_majority",
    "matched_accuracy",
    "name_by_majority",
    "normalised_mutual_information",
    "scaling_names",
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
