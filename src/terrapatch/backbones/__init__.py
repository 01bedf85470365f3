"""Backbones: names to frozen descriptions of networks. Importing it loads no network."""

from __future__ import annotations

from terrapatch.backbones.base import Backbone, Descriptor, Embedder
from terrapatch.backbones.registry import DEFAULT, backbone_names, get_backbone

__all__ = ["DEFAULT", "Backbone", "Descriptor", "Embedder", "backbone_names", "get_backbone"]
