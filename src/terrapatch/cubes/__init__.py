"""Cubes: rasters of many bands, whose bands know their wavelengths.

One class reads hyperspectral and multispectral files of every usual format, in
physical values, with the bands that hold nothing left out and named.
"""

from __future__ import annotations

from terrapatch.cubes.bands import CubeBand, DroppedBand
from terrapatch.cubes.cube import Cube
from terrapatch.cubes.reader import CubeBlock, CubeReader

__all__ = ["Cube", "CubeBand", "CubeBlock", "CubeReader", "DroppedBand"]
