"""What a person says about a cube, in place of what its file says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from terrapatch.cubes.raw import RawCube
from terrapatch.cubes.waves import given
from terrapatch.errors import CubeError


def adjusted(raw: RawCube, wavelengths: Any, scale: float | None, nodata: float | None) -> RawCube:
    """Return a cube with what a person says in place of what its file says.

    Raises:
        CubeError: If the wavelengths do not fit, or the factor is no factor.
    """
    count = len(raw.bands)
    if wavelengths is not None:
        centres = given(wavelengths, count, raw.name)
        bands = tuple(
            replace(b, wavelength=None if math.isnan(w) else float(w))
            for b, w in zip(raw.bands, centres, strict=True)
        )
        raw = replace(raw, bands=bands)
    if scale is not None:
        if not math.isfinite(scale) or scale == 0:
            raise CubeError(f"scale {scale:g} makes nothing of {raw.name}; give a factor")
        raw = replace(raw, scale=(float(scale),) * count, offset=(0.0,) * count)
    if nodata is not None:
        raw = replace(raw, nodata=(float(nodata),) * count, fills=())
    return raw
