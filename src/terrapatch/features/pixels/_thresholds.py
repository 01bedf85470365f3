"""Thresholds of attributes: those of a text, and the usual ones where it names none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._options import Options

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

# Areas, in thousands of metres by the side of a pixel: the range of Ghamisi, Benediktsson and
# Sveinsson (IEEE TGRS 52, 2014), and the side where none is known.
AREAS, SIDE = (1, 4, 7, 10, 14), 20.0
THRESHOLDS: Mapping[str, tuple[float, ...]] = {
    "diagonal": (10.0, 25.0, 50.0, 100.0),  # pixels; Dalla Mura et al.
    "inertia": (0.2, 0.3, 0.4, 0.5),  # a square has 1/6; Dalla Mura et al.
    # Deviations of the component: 5 to 25 % of a mean that lies six above the lowest value,
    # in the spirit of Marpu et al. (IEEE GRSL 10, 2013).
    "std": (0.3, 0.6, 0.9, 1.2, 1.5),
}


def automatic_areas(cube: Cube) -> tuple[float, ...]:
    """Return area thresholds in pixels, by the side of a pixel; 20 m where none is known.

    Args:
        cube: The cube.
    """
    from terrapatch.ground import pixel_hectares

    hectares = pixel_hectares(cube.geobox)
    side = SIDE if hectares is None else math.sqrt(1e4 * float(np.median(hectares)))
    areas = sorted({max(2, round(1000 * a / side)) for a in AREAS})
    return tuple(float(a) for a in areas)


def given_thresholds(read: Options, name: str) -> tuple[float, ...]:
    """Take thresholds such as ``100+500``, rising.

    Args:
        read: The options of a feature.
        name: The attribute.

    Returns:
        The usual ones for ``auto``; none for an area, whose depend on the cube.

    Raises:
        FeatureError: If they are not positive numbers.
    """
    text = read.text(name, "auto")
    if text == "auto":
        return THRESHOLDS.get(name, ())
    try:
        values = {float(part) for part in text.split("+")}
    except ValueError:
        values = {math.nan}
    if not all(0 < value < math.inf for value in values):
        raise FeatureError(
            f"{name}={text} of 'eap' is not understood; write positive numbers joined by +, such "
            f"as {name}={'100+500' if name == 'area' else '+'.join(map(str, THRESHOLDS[name]))}"
        )
    return tuple(sorted(values))
