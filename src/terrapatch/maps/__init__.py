"""Maps: georeferenced results with a legend or a unit, saved as QGIS reads them."""

from __future__ import annotations

from terrapatch.maps.bundle import SavedMap
from terrapatch.maps.classmap import ClassMap
from terrapatch.maps.preview import preview
from terrapatch.maps.valuemap import ValueMap

__all__ = ["ClassMap", "SavedMap", "ValueMap", "preview"]
