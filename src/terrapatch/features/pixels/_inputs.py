"""What windowed features look at: the spectra themselves, or components of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from terrapatch.features.pixels._options import Options
from terrapatch.features.pixels.base import Floats
from terrapatch.features.pixels.components import Components
from terrapatch.features.pixels.spectra import band_labels

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

OF = ("pca", "mnf", "spectra")


def read_of(read: Options, default: str, components: int) -> tuple[str, int]:
    """Take ``of`` and ``components``; spectra have no components, which count as 0."""
    of = read.word("of", OF, default)
    asked = read.whole("components", components)
    return of, 0 if of == "spectra" else asked


class Looked:
    """Turns spectra into the numbers that a window looks at.

    Attributes:
        names: Name of each number.

    Args:
        of: ``spectra``, ``pca`` or ``mnf``.
        names: Name of each number.
        components: The components, unless it is the spectra.
    """

    def __init__(self, of: str, names: tuple[str, ...], components: Components | None) -> None:
        self.of, self.names, self.components = of, names, components

    @classmethod
    def fit(cls, cube: Cube, moments: Moments, of: str, components: int) -> Looked:
        """Find the components, where it is not the spectra.

        Raises:
            FeatureError: If the cube has fewer bands, or no noise to tell.
        """
        if of == "spectra":
            return cls(of, band_labels(cube), None)
        found = Components.fit(moments, components, of)
        return cls(of, tuple(f"{of} {i}" for i in range(1, found.n + 1)), found)

    def numbers(self, values: Floats) -> Floats:
        """Return ``(…, N)`` for spectra ``(…, B)``."""
        return values if self.components is None else self.components.project(values)

    def settings(self) -> dict[str, Any]:
        """Return what it is and the names."""
        return {"of": self.of, "names": list(self.names)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the components."""
        return {} if self.components is None else self.components.arrays()

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Looked:
        """Make it again."""
        of = str(settings["of"])
        components = None if of == "spectra" else Components.restore(arrays)
        return cls(of, tuple(settings["names"]), components)
