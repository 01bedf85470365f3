"""The registry of backbones: names to frozen descriptions. Importing it loads no network."""

from __future__ import annotations

from terrapatch.backbones import imagestats, packaged
from terrapatch.backbones.base import Backbone, Descriptor, Embedder
from terrapatch.errors import BackboneError

DEFAULT = packaged.EFFICIENTNET_LITE0.name

_REGISTRY = {b.name: b for b in (packaged.EFFICIENTNET_LITE0, imagestats.BACKBONE)}


def backbone_names() -> list[str]:
    """Return the names of all backbones, the default first."""
    return list(_REGISTRY)


def get_backbone(name: str) -> Backbone:
    """Return a backbone by name.

    Raises:
        BackboneError: If there is none of that name.
    """
    if name not in _REGISTRY:
        raise BackboneError(f"there is no backbone {name!r}; choose from {', '.join(_REGISTRY)}")
    return _REGISTRY[name]


__all__ = ["DEFAULT", "Backbone", "Descriptor", "Embedder", "backbone_names", "get_backbone"]
