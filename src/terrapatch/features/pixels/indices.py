"""Spectral indices such as NDVI, from bands found by wavelength or by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._bands import find_needed
from terrapatch.features.pixels._index_table import INDICES
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

ALL = "all"
# Reflectance whose mean over a band is more than this is not from 0 to 1.
BRIGHTEST = 1.5


@dataclass(frozen=True)
class Indices(PixelFeature):
    """Spectral indices.

    Bands are found by wavelength (the nearest within a tolerance); in a cube without any,
    by their names (blue, green, red, nir, swir1, swir2). A division by zero gives 0.

    Attributes:
        indices: Their names, or ``all`` for those that the cube has the bands for.
    """

    kind: ClassVar[str] = "indices"
    summary: ClassVar[str] = "spectral indices: " + " ".join(INDICES)
    source: ClassVar[str] = "each has its own"
    indices: tuple[str, ...] = ("ndvi", "ndwi")

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Indices:
        """Make it from ``names``."""
        read = Options(cls.kind, options)
        made = cls(read.words("names", ("ndvi", "ndwi"), (*INDICES, ALL)))
        read.done()
        if ALL in made.indices and len(made.indices) > 1:
            raise FeatureError("names of 'indices' is all or a list of indices, not both")
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used: to tell reflectance from other numbers."""
        return any(name == ALL or INDICES[name].absolute for name in self.indices)

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, names=self.indices)

    def fit(self, cube: Cube, moments: Moments) -> FittedIndices:
        """Find the bands.

        Raises:
            FeatureError: If the cube lacks one, or is no reflectance where that is needed.
        """
        if self.indices != (ALL,):
            return FittedIndices({name: _places(cube, name, moments) for name in self.indices})
        found: dict[str, tuple[int, ...]] = {}
        for name in INDICES:
            try:
                found[name] = _places(cube, name, moments)
            except FeatureError:
                continue  # that is what "all the cube has the bands for" means
        if not found:
            raise FeatureError(
                f"{cube.name} has the bands of no index; give wavelengths when opening it, or name "
                "its bands blue, green, red, nir, swir1, swir2"
            )
        return FittedIndices(found)


class FittedIndices(FittedFeature):
    """Indices of a cube.

    Args:
        places: Places of each index's bands, in the order of its formula.
    """

    kind: ClassVar[str] = "indices"

    def __init__(self, places: Mapping[str, tuple[int, ...]]) -> None:
        self.layer, self.names, self._places = "indices", tuple(places), dict(places)

    def compute(self, block: PixelBlock) -> Floats:
        """Return the indices ``(rows, cols, N)``."""
        out = np.empty((*block.valid.shape, len(self.names)), np.float32)
        for i, (name, places) in enumerate(self._places.items()):
            index = INDICES[name]
            bands = [block.values[..., place].astype(np.float64) for place in places]
            out[..., i] = np.clip(index.formula(bands), *index.bounds)
        return out

    def settings(self) -> dict[str, Any]:
        """Return the indices and the places of their bands."""
        return {"places": [[name, list(places)] for name, places in self._places.items()]}

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],  # noqa: ARG003
    ) -> FittedIndices:
        """Make it again."""
        return cls({str(n): tuple(int(p) for p in places) for n, places in settings["places"]})


def _places(cube: Cube, name: str, moments: Moments) -> tuple[int, ...]:
    """Find the bands of an index."""
    index = INDICES[name]
    places = tuple(find_needed(cube, needed, name) for needed in index.needs)
    brightest = float(moments.mean[list(places)].max())
    if index.absolute and brightest > BRIGHTEST:
        raise FeatureError(
            f"{name} is made for reflectance from 0 to 1 but {cube.name} has bands whose mean is "
            f"{brightest:.4g}; open it with the scale that makes reflectance (such as scale="
            "0.0001), or use ndvi"
        )
    return places
