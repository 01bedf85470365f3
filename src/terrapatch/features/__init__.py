"""Features as georeferenced rasters: embedding scenes, storing, reading and exporting them."""

from __future__ import annotations

from terrapatch.features.engine import embed, estimate, prepare
from terrapatch.features.raster import FeatureBlock, FeatureRaster
from terrapatch.features.recipe import Recipe

__all__ = ["FeatureBlock", "FeatureRaster", "Recipe", "embed", "estimate", "prepare"]
