"""Features as georeferenced rasters: embedding scenes, storing, reading and exporting them."""

from __future__ import annotations

from terrapatch.features.costs import Estimate, estimate
from terrapatch.features.engine import embed, prepare
from terrapatch.features.raster import FeatureBlock, FeatureRaster
from terrapatch.features.recipe import Recipe

__all__ = ["Estimate", "FeatureBlock", "FeatureRaster", "Recipe", "embed", "estimate", "prepare"]
