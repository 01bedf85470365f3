"""Terrapatch: map settlements and land use from imagery and few labels.

Names are loaded when they are used, so importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch import pixels
    from terrapatch.errors import TerrapatchError
    from terrapatch.features import FeatureRaster, embed
    from terrapatch.features.exports import export
    from terrapatch.grid import PatchGrid
    from terrapatch.learn import ClusterModel, Clusters, fit_clusters
    from terrapatch.learn.samples import Samples
    from terrapatch.learn.scene_model import SceneModel
    from terrapatch.legend import Legend
    from terrapatch.maps import ClassMap, ValueMap
    from terrapatch.scene import Scene
    from terrapatch.studies.applying import apply
    from terrapatch.studies.area import estimate_area, sample_area
    from terrapatch.studies.changing import change
    from terrapatch.studies.classifying import classify
    from terrapatch.studies.demo import demo
    from terrapatch.studies.explain import explain
    from terrapatch.studies.finetuning import finetune
    from terrapatch.studies.look import info
    from terrapatch.studies.looking import look
    from terrapatch.studies.naming import name
    from terrapatch.studies.result_folder import ClusterFolder
    from terrapatch.studies.settlements import cluster
    from terrapatch.studies.similar import similar
    from terrapatch.studies.smoothing import smooth
    from terrapatch.studies.training import evaluate, train
    from terrapatch.studies.transferring import transfer
    from terrapatch.studies.zones import zones
    from terrapatch.viewer import view

__version__ = "0.1.0"

_HOMES = {
    "TerrapatchError": "terrapatch.errors",
    "FeatureRaster": "terrapatch.features",
    "embed": "terrapatch.features",
    "PatchGrid": "terrapatch.grid",
    "ClusterModel": "terrapatch.learn",
    "Clusters": "terrapatch.learn",
    "explain": "terrapatch.studies.explain",
    "export": "terrapatch.features.exports",
    "finetune": "terrapatch.studies.finetuning",
    "fit_clusters": "terrapatch.learn",
    "info": "terrapatch.studies.look",
    "Legend": "terrapatch.legend",
    "ClassMap": "terrapatch.maps",
    "ValueMap": "terrapatch.maps",
    "Scene": "terrapatch.scene",
    "Samples": "terrapatch.learn.samples",
    "SceneModel": "terrapatch.learn.scene_model",
    "apply": "terrapatch.studies.applying",
    "change": "terrapatch.studies.changing",
    "classify": "terrapatch.studies.classifying",
    "cluster": "terrapatch.studies.settlements",
    "ClusterFolder": "terrapatch.studies.result_folder",
    "look": "terrapatch.studies.looking",
    "name": "terrapatch.studies.naming",
    "similar": "terrapatch.studies.similar",
    "estimate_area": "terrapatch.studies.area",
    "sample_area": "terrapatch.studies.area",
    "smooth": "terrapatch.studies.smoothing",
    "zones": "terrapatch.studies.zones",
    "evaluate": "terrapatch.studies.training",
    "train": "terrapatch.studies.training",
    "transfer": "terrapatch.studies.transferring",
    "view": "terrapatch.viewer",
    "demo": "terrapatch.studies.demo",
}

__all__ = [
    "ClassMap",
    "ClusterFolder",
    "ClusterModel",
    "Clusters",
    "FeatureRaster",
    "Legend",
    "PatchGrid",
    "Samples",
    "Scene",
    "SceneModel",
    "TerrapatchError",
    "ValueMap",
    "__version__",
    "apply",
    "change",
    "classify",
    "cluster",
    "demo",
    "embed",
    "estimate_area",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "fit_clusters",
    "info",
    "look",
    "name",
    "pixels",
    "sample_area",
    "similar",
    "smooth",
    "train",
    "transfer",
    "view",
    "zones",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name == "pixels":
        return importlib.import_module("terrapatch.pixels")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'terrapatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
