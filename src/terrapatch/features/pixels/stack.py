"""Several features fitted to a cube, one after the other in each pixel's numbers."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.cubes.describing import spans
from terrapatch.errors import FeatureError, RecipeError
from terrapatch.features.pixels.base import FittedFeature, PixelFeature
from terrapatch.features.pixels.live import LivePixels, live_side
from terrapatch.features.pixels.moments import Mask, Moments, Progress
from terrapatch.features.pixels.registry import fitted_class, parse_feature
from terrapatch.features.recipe import Recipe, package_versions

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

BACKBONE = "pixels"
# Wavelengths that differ by no more, in nm, are those of one band.
SAME_NM = 0.5


@dataclass(frozen=True, eq=False)
class FeatureStack:
    """Fitted features of one cube, ready for it and for others with the same bands.

    Attributes:
        features: The fitted features, in order.
        texts: Their canonical texts.
        bands: Names of the bands that they were fitted on.
        wavelengths: Their centres in nm, where every band has one.
    """

    features: tuple[FittedFeature, ...]
    texts: tuple[str, ...]
    bands: tuple[str, ...]
    wavelengths: tuple[float, ...] | None

    @classmethod
    def fit(
        cls,
        features: Sequence[str | PixelFeature],
        cube: Cube,
        where: Mask | None = None,
        moments: Moments | None = None,
        progress: Progress | None = None,
    ) -> FeatureStack:
        """Fit features to a cube.

        Args:
            features: Texts such as ``pca:components=10``, or features.
            cube: The cube.
            where: Mask ``(rows, cols)`` of the pixels to learn from; all if left out.
            moments: Statistics measured beforehand; measured here if left out.
            progress: Called as ``progress("measure", pixels done, pixels in all)``.

        Raises:
            FeatureError: If a text is not understood, a feature is asked for twice, or the
                cube cannot give one.
        """
        asked = [parse_feature(f) if isinstance(f, str) else f for f in features]
        texts = tuple(feature.text for feature in asked)
        if not asked:
            raise FeatureError("no feature is asked for; name one, such as spectra or pca")
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if twice:
            raise FeatureError(f"{twice[0]} is asked for twice; ask for it once")
        if moments is None:
            learns = any(feature.learns for feature in asked)
            moments = (
                Moments.measure(cube, where, progress) if learns else Moments.nothing(cube.n_bands)
            )
        fitted = tuple(feature.fit(cube, moments) for feature in asked)
        return cls(fitted, texts, _names(cube), _wavelengths(cube))

    @cached_property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """Name, start and stop of each feature's numbers; a name that comes again is numbered."""
        made: list[tuple[str, int, int]] = []
        start, seen = 0, list[str]()
        for feature in self.features:
            seen.append(feature.layer)
            n = seen.count(feature.layer)
            layer = feature.layer if n == 1 else f"{feature.layer}-{n}"
            made.append((layer, start, start + len(feature.names)))
            start += len(feature.names)
        return tuple(made)

    @property
    def n_features(self) -> int:
        """Numbers of a pixel."""
        return self.groups[-1][2]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of every number: the layer's, a point, the feature's own."""
        pairs = zip(self.groups, self.features, strict=True)
        return tuple(f"{layer}.{name}" for (layer, _, _), f in pairs for name in f.names)

    @property
    def window(self) -> int | None:
        """Side of the square that decides a pixel's numbers; ``None`` if all of the scene can."""
        windows = [feature.window for feature in self.features]
        return None if None in windows else max(w for w in windows if w is not None)

    @property
    def halo(self) -> int:
        """Pixels of context that its blocks need on every side."""
        return max(feature.halo for feature in self.features)

    def check(self, cube: Cube) -> None:
        """Refuse a cube whose bands are not those that the features were fitted on.

        Wavelengths decide where both have them (within 0.5 nm), names otherwise.

        Raises:
            RecipeError: If they are not; it shows both.
        """
        waves, names = _wavelengths(cube), _names(cube)
        if len(names) != len(self.bands):
            same = False
        elif waves is not None and self.wavelengths is not None:
            same = bool(np.allclose(waves, self.wavelengths, rtol=0.0, atol=SAME_NM))
        else:
            same = (waves is None) == (self.wavelengths is None) and names == self.bands
        if not same:
            raise RecipeError(
                f"the features were fitted on {_told(self.bands, self.wavelengths)} but "
                f"{cube.name} has {_told(names, waves)}; {self._mend(cube)}"
            )

    def _mend(self, cube: Cube) -> str:
        """Say how a cube might be read so that its bands are the right ones."""
        waves, names = _wavelengths(cube), _names(cube)
        if len(names) == len(self.bands) and waves is None and self.wavelengths is not None:
            return (
                "if these are the same bands, give their wavelengths (wavelengths=, --wavelengths)"
            )
        if waves is not None and self.wavelengths is not None:
            known = [bool(np.isclose(nm, self.wavelengths, 0.0, SAME_NM).any()) for nm in waves]
        else:  # names tell only where neither has wavelengths
            named = waves is None and self.wavelengths is None
            known = [named and name in self.bands for name in names]
        more = [band.number for band, own in zip(cube.bands, known, strict=True) if not own]
        if more and sum(known) == len(self.bands):
            listed = ",".join(spans(more).split(", "))
            return f"leave out what it has more: drop={listed!r} (--drop {listed})"
        return "give a cube with the same bands kept, or fit the features to this one"

    def recipe(self, cube: Cube) -> Recipe:
        """Return all that decides the numbers of a cube's pixels.

        Raises:
            RecipeError: If the cube has other bands.
        """
        self.check(cube)
        side = live_side(cube.n_bands, self.n_features, self.halo)
        return Recipe(
            scene=cube.as_dict(),
            grid={
                "size": "1px",
                "stride": "1px",
                "size_px": [1, 1],
                "stride_px": [1, 1],
                "edge": "reflect",
                "shape": list(cube.shape),
            },
            backbone={
                "name": BACKBONE,
                "weights": self.identity,
                "input_size": None,
                "bands": list(self.bands) if self.wavelengths is None
                else [f"{nm:.0f} nm" for nm in self.wavelengths],
            },
            descriptor={
                "layers": list(self.texts),
                "pooling": ["value"],
                "l2": False,
                "window": self.window,
                "names": list(self.names),
            },
            execution={
                "mode": BACKBONE,
                "device": "cpu",
                "precision": "fp32",
                "block": side,
                "dtype": "float32",
            },
            versions=package_versions(self._packages),
        )  # fmt: skip

    @property
    def _packages(self) -> tuple[str, ...]:
        """Packages whose code makes the numbers, each once."""
        return tuple(dict.fromkeys(["scipy", *(p for f in self.features for p in f.packages)]))

    @cached_property
    def identity(self) -> str:
        """A hash of the settings and of all that was learned."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def settings(self) -> dict[str, Any]:
        """Return all but the arrays, as JSON values."""
        pairs = zip(self.features, self.texts, strict=True)
        return {
            "bands": list(self.bands),
            "wavelengths": None if self.wavelengths is None else list(self.wavelengths),
            "features": [
                {"kind": f.kind, "class": type(f).__name__, "text": t, "settings": f.settings()}
                for f, t in pairs
            ],
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned from the cube, as ``number of the feature.name``."""
        return {
            f"{i}.{name}": array
            for i, feature in enumerate(self.features)
            for name, array in feature.arrays().items()
        }

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FeatureStack:
        """Make the stack again from ``settings`` and ``arrays``.

        Raises:
            RecipeError: If something is missing or damaged.
        """
        try:
            features = []
            for i, one in enumerate(settings["features"]):
                own = {
                    name.partition(".")[2]: array
                    for name, array in arrays.items()
                    if name.partition(".")[0] == str(i)
                }
                features.append(
                    fitted_class(one["kind"], one["class"]).restore(one["settings"], own)
                )
            waves = settings["wavelengths"]
            return cls(
                tuple(features),
                tuple(str(one["text"]) for one in settings["features"]),
                tuple(str(name) for name in settings["bands"]),
                None if waves is None else tuple(float(nm) for nm in waves),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise RecipeError(
                f"the description of the features is damaged ({fault}); make it again"
            ) from fault

    @contextmanager
    def over(self, cube: Cube, side: int | None = None) -> Iterator[LivePixels]:
        """Make the features of a cube ready to be read, and tidy up afterwards.

        Features of the whole scene are prepared here, in a scratch folder that is removed.

        Args:
            cube: A cube with the bands that the features were fitted on.
            side: Side of the blocks in pixels; by memory if left out. It changes no number.

        Yields:
            The features, computed when they are read.

        Raises:
            RecipeError: If the cube has other bands.
        """
        recipe = self.recipe(cube)
        with tempfile.TemporaryDirectory(prefix="terrapatch-") as scratch, cube.reader() as reader:
            computes = []
            for i, feature in enumerate(self.features):
                own = Path(scratch) / str(i)
                own.mkdir()
                computes.append(feature.over(cube, own))
            block = side or int(recipe.execution["block"])
            yield LivePixels(cube, self, computes, reader, recipe, block)


def _names(cube: Cube) -> tuple[str, ...]:
    return tuple(band.name for band in cube.bands)


def _wavelengths(cube: Cube) -> tuple[float, ...] | None:
    return None if cube.wavelengths is None else tuple(float(nm) for nm in cube.wavelengths)


def _told(names: Sequence[str], wavelengths: Sequence[float] | None) -> str:
    """Tell bands in a few words: their number, and the first and last."""
    shown = names if wavelengths is None else [f"{nm:.4g} nm" for nm in wavelengths]
    listed = ", ".join(shown) if len(shown) <= 6 else f"{', '.join(shown[:3])}, … {shown[-1]}"
    return f"{len(names)} band{'s' if len(names) != 1 else ''} ({listed})"
