"""Spectral indices: their bands, formulas and sources.

A division by zero gives 0. Where all reflectances are positive each number lies within the
stated bounds by itself; where some are not (dark water after atmospheric correction) it
is brought within them, so that no single pixel runs away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.pixels._bands import BLUE, GREEN, NIR, RED, SWIR1, SWIR2, Needed

Doubles = NDArray[np.float64]
Formula = Callable[[Sequence[Doubles]], Doubles]


@dataclass(frozen=True)
class Index:
    """One index.

    Attributes:
        needs: The bands of the formula, in its order.
        formula: Takes the bands and gives the index.
        source: Where it is from.
        bounds: Smallest and largest value.
        absolute: Whether it only means something for reflectance from 0 to 1.
    """

    needs: tuple[Needed, ...]
    formula: Formula
    source: str
    bounds: tuple[float, float] = (-1.0, 1.0)
    absolute: bool = False


def quotient(upper: Doubles, lower: Doubles) -> Doubles:
    """Divide; 0 where the divisor is 0."""
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower != 0)


def contrast(bands: Sequence[Doubles]) -> Doubles:
    """Return the normalised difference of two bands."""
    return quotient(bands[0] - bands[1], bands[0] + bands[1])


def _evi(bands: Sequence[Doubles]) -> Doubles:
    nir, red, blue = bands
    return 2.5 * quotient(nir - red, nir + 6.0 * red - 7.5 * blue + 1.0)


def _evi2(bands: Sequence[Doubles]) -> Doubles:
    nir, red = bands
    return 2.5 * quotient(nir - red, nir + 2.4 * red + 1.0)


def _savi(bands: Sequence[Doubles]) -> Doubles:
    nir, red = bands
    return 1.5 * quotient(nir - red, nir + red + 0.5)


def _osavi(bands: Sequence[Doubles]) -> Doubles:
    nir, red = bands
    return quotient(nir - red, nir + red + 0.16)


def _msavi(bands: Sequence[Doubles]) -> Doubles:
    nir, red = bands
    inner = (2.0 * nir + 1.0) ** 2 - 8.0 * (nir - red)
    return 0.5 * (2.0 * nir + 1.0 - np.sqrt(np.maximum(inner, 0.0)))


def _mcari(bands: Sequence[Doubles]) -> Doubles:
    edge, red, green = bands
    return ((edge - red) - 0.2 * (edge - green)) * quotient(edge, red)


def _cai(bands: Sequence[Doubles]) -> Doubles:
    left, middle, right = bands
    return 0.5 * (left + right) - middle


def _reip(bands: Sequence[Doubles]) -> Doubles:
    red, low, high, nir = bands
    return 700.0 + 40.0 * quotient(0.5 * (red + nir) - low, high - low)


def _ratio(bands: Sequence[Doubles]) -> Doubles:
    return quotient(bands[0], bands[1])


_RATIO = (0.0, 20.0)
INDICES = MappingProxyType(
    {
        "ndvi": Index((NIR, RED), contrast, "Rouse et al., NASA SP-351, 1974"),
        "gndvi": Index((NIR, GREEN), contrast, "Gitelson et al., Remote Sens. Environ. 58, 1996"),
        "evi": Index(
            (NIR, RED, BLUE),
            _evi,
            "Huete et al., Remote Sens. Environ. 83, 2002",
            (-2.5, 2.5),
            absolute=True,
        ),
        "evi2": Index(
            (NIR, RED),
            _evi2,
            "Jiang et al., Remote Sens. Environ. 112, 2008",
            (-2.5, 2.5),
            absolute=True,
        ),
        "savi": Index(
            (NIR, RED),
            _savi,
            "Huete, Remote Sens. Environ. 25, 1988",
            (-1.5, 1.5),
            absolute=True,
        ),
        "osavi": Index(
            (NIR, RED),
            _osavi,
            "Rondeaux et al., Remote Sens. Environ. 55, 1996",
            absolute=True,
        ),
        "msavi": Index(
            (NIR, RED),
            _msavi,
            "Qi et al., Remote Sens. Environ. 48, 1994",
            absolute=True,
        ),
        "ndwi": Index((GREEN, NIR), contrast, "McFeeters, Int. J. Remote Sens. 17, 1996"),
        "mndwi": Index((GREEN, SWIR1), contrast, "Xu, Int. J. Remote Sens. 27, 2006"),
        "ndmi": Index((NIR, SWIR1), contrast, "Hardisky et al., Photogramm. Eng. 49, 1983"),
        "nbr": Index((NIR, SWIR2), contrast, "Lopez Garcia and Caselles, Geocarto Int. 6, 1991"),
        "ndbi": Index((SWIR1, NIR), contrast, "Zha et al., Int. J. Remote Sens. 24, 2003"),
        "ndti": Index((SWIR1, SWIR2), contrast, "van Deventer et al., Photogramm. Eng. 63, 1997"),
        "ndre": Index(
            (Needed(790.0, 20.0), Needed(720.0, 15.0)),
            contrast,
            "Barnes et al., Proc. 5th Int. Conf. Precision Agriculture, 2000",
        ),
        "pri": Index(
            (Needed(531.0, 8.0), Needed(570.0, 8.0)),
            contrast,
            "Gamon et al., Remote Sens. Environ. 41, 1992",
        ),
        "mcari": Index(
            (Needed(700.0, 8.0), Needed(670.0, 10.0), Needed(550.0, 10.0)),
            _mcari,
            "Daughtry et al., Remote Sens. Environ. 74, 2000",
            (-20.0, 20.0),
        ),
        "wbi": Index(
            (Needed(900.0, 10.0), Needed(970.0, 10.0)),
            _ratio,
            "Penuelas et al., Int. J. Remote Sens. 14, 1993",
            _RATIO,
        ),
        "cai": Index(
            (Needed(2000.0, 20.0), Needed(2100.0, 20.0), Needed(2200.0, 20.0)),
            _cai,
            "Daughtry, Agronomy Journal 93, 2001",
            (-np.inf, np.inf),
        ),
        "reip": Index(
            (Needed(670.0, 10.0), Needed(700.0, 10.0), Needed(740.0, 10.0), Needed(780.0, 10.0)),
            _reip,
            "Guyot and Baret, Proc. 4th Int. Coll. Spectral Signatures, 1988",
            (670.0, 780.0),
        ),
        "iron": Index((RED, BLUE), _ratio, "Sabins, Ore Geology Reviews 14, 1999", _RATIO),
        "clay": Index((SWIR1, SWIR2), _ratio, "Sabins, Ore Geology Reviews 14, 1999", _RATIO),
    }
)
