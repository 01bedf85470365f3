"""Extended morphological profiles: what of each component survives openings and closings.

Benediktsson, Palmason and Sveinsson, "Classification of hyperspectral data from urban
areas based on extended morphological profiles" (IEEE TGRS 43, 2005). An opening by
reconstruction takes away what is bright and nowhere as wide as the disc, and leaves all
else as it is; a closing does so with what is dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels import _planes as planes
from terrapatch.features.pixels._flat import SHAPES, grown, marker, opened
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels._trees import MAX_TREE_BYTES, ImageTree
from terrapatch.features.pixels.base import (
    Compute,
    FittedFeature,
    Floats,
    Mask,
    PixelBlock,
    PixelFeature,
)
from terrapatch.features.pixels.components import SOURCES, Components

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

RADII = (1, 2, 3, 4, 5)
MOST_RADIUS = 100

# Opens an image by a radius.
Opening = Callable[[int], Floats]


@dataclass(frozen=True)
class MorphologicalProfile(PixelFeature):
    """Openings and closings by reconstruction of the first components.

    Attributes:
        components: Number of components.
        projection: What they are, ``pca`` or ``mnf``; ``of`` in its text.
        radii: Radii of the discs in pixels, rising.
        shape: ``disc``, or ``square`` of side ``2 radius + 1``.
        reconstruction: Whether what survives gets its outline back. Without it a pixel's
            numbers are decided by a square of ``4 radius + 1`` pixels.
        reach: How many steps of one pixel the outline is followed; to its end if ``None``,
            so that any pixel of the scene can decide. With it the square has
            ``2 (radius + reach) + 1`` pixels.
    """

    kind: ClassVar[str] = "emp"
    summary: ClassVar[str] = "openings and closings by reconstruction of components"
    source: ClassVar[str] = "Benediktsson, Palmason and Sveinsson, IEEE TGRS 43, 2005"
    components: int = 4
    projection: str = "pca"
    radii: tuple[int, ...] = RADII
    shape: str = "disc"
    reconstruction: bool = True
    reach: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, str]) -> MorphologicalProfile:
        """Make it from ``components``, ``of``, ``radii``, ``shape``, ``reconstruction``, ``reach``.

        Raises:
            FeatureError: If an option is unknown, not understood, or two contradict.
        """
        read = Options(cls.kind, options)
        made = cls(
            read.whole("components", 4),
            read.word("of", SOURCES, "pca"),
            read.whole_list("radii", RADII),
            read.word("shape", SHAPES, "disc"),
            read.flag("reconstruction", True),
            read.whole("reach", 0) or None,
        )
        read.done()
        if made.radii[-1] > MOST_RADIUS:
            raise FeatureError(
                f"radii of 'emp' go up to {made.radii[-1]} pixels; take radii up to {MOST_RADIUS}"
            )
        if made.reach is not None and not made.reconstruction:
            raise FeatureError(
                "reach of 'emp' limits the reconstruction, and reconstruction=no leaves it out; "
                "leave out one of the two"
            )
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        more = {} if self.reach is None else {"reach": self.reach}
        return canonical(
            self.kind,
            components=self.components,
            of=self.projection,
            radii=self.radii,
            shape=self.shape,
            reconstruction=self.reconstruction,
            **more,
        )

    def fit(self, cube: Cube, moments: Moments) -> FittedProfile:  # noqa: ARG002
        """Find the components.

        Raises:
            FeatureError: If the cube has fewer bands.
        """
        return FittedProfile(self, Components.fit(moments, self.components, self.projection))


class FittedProfile(FittedFeature):
    """The profile of a cube's components.

    Of each component there are the closings from the largest radius to the smallest,
    the component itself, and the openings from the smallest radius to the largest.

    Args:
        options: The options.
        components: The components.
    """

    kind: ClassVar[str] = "emp"

    def __init__(self, options: MorphologicalProfile, components: Components) -> None:
        self.layer, self._options, self._components = self.kind, options, components
        radii, largest = options.radii, options.radii[-1]
        self.names = tuple(
            name
            for stem in planes.numbered(options.projection, components)
            for name in (
                *(f"{stem} closing {r}" for r in reversed(radii)),
                stem,
                *(f"{stem} opening {r}" for r in radii),
            )
        )
        if not options.reconstruction:
            self.halo = 2 * largest
        elif options.reach is not None:
            self.halo = largest + options.reach
        self.window = 2 * self.halo + 1 if self.halo else None

    def compute(self, block: PixelBlock) -> Floats:
        """Return the profile of a block whose outlines are not followed to their ends.

        Raises:
            FeatureError: If they are, so that the whole scene decides.
        """
        if self.window is None:
            raise planes.whole_scene(self.kind)
        made = self._components.project(block.values)
        inner = tuple(slice(self.halo, n - self.halo) for n in block.valid.shape)
        images = [
            image[inner]
            for i in range(self._components.n)
            for image in self._profile(made[..., i], block.valid)
        ]
        return np.stack(images, axis=2)

    def over(self, cube: Cube, scratch: Path) -> Compute:
        """Compute the profile of the whole scene into the scratch folder, where that decides.

        Raises:
            FeatureError: If the free memory does not hold one component and its tree.
        """
        if self.window is not None:
            return self.compute
        planes.check_memory(cube, self.kind, MAX_TREE_BYTES)
        parts, valid = planes.component_planes(cube, self._components, scratch / "components")
        made = planes.Planes(scratch / "profile", (len(self.names), *cube.shape))
        images = (image for part in parts.data for image in self._profile(part, valid))
        for i, image in enumerate(images):
            made.data[i] = image
        return made.compute

    def _profile(self, image: Floats, valid: Mask) -> Iterator[Floats]:
        """Make closings, the image and openings, 0 in invalid pixels."""
        image = np.where(valid, image, np.float32(0))
        close, radii = self._opening(-image, valid), self._options.radii
        for radius in reversed(radii):
            yield np.where(valid, -close(radius), np.float32(0))
        yield image
        open_ = self._opening(image, valid)
        for radius in radii:
            yield np.where(valid, open_(radius), np.float32(0))

    def _opening(self, image: Floats, valid: Mask) -> Opening:
        """Return what opens an image; a tree is built once for all radii."""
        options, lowest = self._options, np.where(valid, image, np.float32(-np.inf))
        if not options.reconstruction:
            return lambda radius: opened(image, valid, radius, options.shape)
        if options.reach is not None:
            steps = options.reach
            return lambda r: grown(marker(image, valid, r, options.shape), lowest, steps)
        tree = ImageTree.brighter(lowest)
        return lambda r: tree.reconstructed(marker(image, valid, r, options.shape))

    def settings(self) -> dict[str, Any]:
        """Return the options."""
        return asdict(self._options) | {"radii": list(self._options.radii)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return mean, axes and variances of the components."""
        return self._components.arrays()

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedProfile:
        """Make it again."""
        options = MorphologicalProfile(**{**settings, "radii": tuple(settings["radii"])})
        return cls(options, Components.restore(arrays))
