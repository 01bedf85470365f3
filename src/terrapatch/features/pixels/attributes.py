"""Extended attribute profiles: what of each component is large, long or varied enough.

Dalla Mura, Benediktsson, Waske and Bruzzone, "Extended profiles with morphological
attribute filters for the analysis of hyperspectral data" (IJRS 31, 2010); self-dual on the
tree of shapes: Cavallaro, Dalla Mura, Benediktsson and Bruzzone, "Extended self-dual
attribute profiles for the classification of hyperspectral images" (IEEE GRSL 12, 2015).
Connected parts of the image whose attribute is below a threshold are taken away, all
others keep their outline. With several attributes it is the extended multi-attribute
profile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels import _planes as planes
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels._thresholds import THRESHOLDS, automatic_areas, given_thresholds
from terrapatch.features.pixels._tree_attributes import ATTRIBUTES, RISING, NodeAttributes
from terrapatch.features.pixels._trees import MAX_TREE_BYTES, SHAPES_BYTES, ImageTree
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

TREES = ("maxmin", "shapes")
# Components are counted in whole steps of one part in 32,767 of six deviations, from 1 to
# 65,535 with the mean at 32,768; 0 is left for invalid pixels.
DEVIATIONS, STEPS, MIDDLE = 6.0, 32767, 32768


@dataclass(frozen=True)
class AttributeProfile(PixelFeature):
    """Attribute filters of the first components.

    Attributes:
        components: Number of components.
        projection: What they are, ``pca`` or ``mnf``; ``of`` in its text.
        attributes: ``area`` (pixels), ``diagonal`` of the bounding box (pixels), ``inertia``
            (how long or spread out, from 1/6 of a square) and ``std`` (deviation of the grey
            values in it, in deviations of the component).
        tree: ``maxmin`` for thinnings and thickenings on max- and min-tree, ``shapes`` for one
            self-dual filter on the tree of shapes.
        area: Thresholds of the area; chosen by the size of a pixel if empty.
        diagonal: Thresholds of the diagonal.
        inertia: Thresholds of the inertia.
        std: Thresholds of the deviation.
    """

    kind: ClassVar[str] = "eap"
    summary: ClassVar[str] = "components filtered by area, inertia or deviation of their parts"
    source: ClassVar[str] = "Dalla Mura et al., IJRS 31, 2010; Cavallaro et al., IEEE GRSL 12, 2015"
    components: int = 4
    projection: str = "pca"
    attributes: tuple[str, ...] = ("area", "inertia", "std")
    tree: str = "maxmin"
    area: tuple[float, ...] = ()
    diagonal: tuple[float, ...] = THRESHOLDS["diagonal"]
    inertia: tuple[float, ...] = THRESHOLDS["inertia"]
    std: tuple[float, ...] = THRESHOLDS["std"]

    @classmethod
    def of(cls, options: Mapping[str, str]) -> AttributeProfile:
        """Make it from ``components``, ``of``, ``attributes``, ``tree`` and thresholds by name.

        Raises:
            FeatureError: If an option is unknown or not understood.
        """
        read = Options(cls.kind, options)
        made = cls(
            read.whole("components", 4),
            read.word("of", SOURCES, "pca"),
            read.words("attributes", ("area", "inertia", "std"), ATTRIBUTES),
            read.word("tree", TREES, "maxmin"),
            **{name: given_thresholds(read, name) for name in ATTRIBUTES},
        )
        read.done()
        unused = [n for n in ATTRIBUTES if n in options and n not in made.attributes]
        if unused:
            raise FeatureError(
                f"'eap' has thresholds of {unused[0]} but does not use it; add it to attributes, "
                f"such as attributes={'+'.join((*made.attributes, unused[0]))}"
            )
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(
            self.kind,
            components=self.components,
            of=self.projection,
            attributes=self.attributes,
            tree=self.tree,
            **{name: getattr(self, name) or "auto" for name in self.attributes},
        )

    def fit(self, cube: Cube, moments: Moments) -> FittedAttributes:
        """Find the components, and the thresholds that are left open.

        Raises:
            FeatureError: If the cube has fewer bands.
        """
        components = Components.fit(moments, self.components, self.projection)
        thresholds = {
            name: getattr(self, name) or automatic_areas(cube) for name in self.attributes
        }
        return FittedAttributes(self.projection, self.tree, thresholds, components)


class FittedAttributes(FittedFeature):
    """The attribute profile of a cube's components.

    Of each component there is the component itself (in whole steps, see ``levels_of``) and,
    for one attribute after the other, thickenings from the largest threshold to the
    smallest and thinnings from the smallest to the largest; on the tree of shapes one
    filtered image a threshold.

    Args:
        projection: ``pca`` or ``mnf``.
        tree: ``maxmin`` or ``shapes``.
        thresholds: Rising thresholds by attribute.
        components: The components.
    """

    kind: ClassVar[str] = "eap"

    def __init__(
        self,
        projection: str,
        tree: str,
        thresholds: Mapping[str, tuple[float, ...]],
        components: Components,
    ) -> None:
        self.layer, self._components = self.kind, components
        self._projection, self._tree, self._thresholds = projection, tree, dict(thresholds)
        self.names = tuple(
            f"{stem} {rest}".strip()
            for stem in planes.numbered(projection, components)
            for rest in ("", *self._filters())
        )
        self.window = self._bound()

    def _filters(self) -> list[str]:
        names = []
        for name, values in self._thresholds.items():
            if self._tree == "shapes":
                names += [f"shapes {name} {v:g}" for v in values]
                continue
            names += [f"thickening {name} {v:g}" for v in reversed(values)]
            names += [f"thinning {name} {v:g}" for v in values]
        return names

    def _bound(self) -> int | None:
        """Return the side of the square that decides a pixel, where there is one.

        Whether a pixel's part at some level has an area (or a diagonal) of at least ``t`` is
        seen within ``t - 1`` pixels: either the part ends there, or it is connected from the
        pixel to the rim and so has ``t`` pixels already. Other attributes may fall again
        further out, and shapes may have holes of any size.
        """
        if self._tree == "shapes" or not set(self._thresholds) <= set(RISING):
            return None
        return 2 * math.ceil(max(max(v) for v in self._thresholds.values())) - 1

    def compute(self, block: PixelBlock) -> Floats:  # noqa: ARG002
        """Refuse: the whole scene decides.

        Raises:
            FeatureError: Always.
        """
        raise planes.whole_scene(self.kind)

    def over(self, cube: Cube, scratch: Path) -> Compute:
        """Compute the profile of the whole scene into the scratch folder.

        Raises:
            FeatureError: If the free memory does not hold one component and its tree.
        """
        planes.check_memory(
            cube, self.kind, SHAPES_BYTES if self._tree == "shapes" else MAX_TREE_BYTES
        )
        parts, valid = planes.component_planes(cube, self._components, scratch / "components")
        made = planes.Planes(scratch / "profile", (len(self.names), *cube.shape))
        each = len(self.names) // self._components.n
        for i, part in enumerate(parts.data):
            step = self._step(i)
            for j, levels in enumerate(self._profile(levels_of(part, step, valid), valid)):
                image = np.where(valid, (levels - MIDDLE) * step, 0.0)
                made.data[i * each + j] = image.astype(np.float32)
        return made.compute

    def _step(self, component: int) -> float:
        """Return what one level is in a component's own unit; 1 for one without spread."""
        deviation = math.sqrt(max(float(self._components.variances[component]), 0.0))
        return DEVIATIONS * deviation / STEPS or 1.0

    def _profile(self, levels: NDArray[np.uint16], valid: Mask) -> Iterator[NDArray[Any]]:
        """Filter one component; levels of invalid pixels mean nothing."""
        yield levels.astype(np.float64)
        if self._tree == "shapes":
            outside = np.where(valid, levels, np.uint16(MIDDLE)).astype(np.uint16)
            whole = _Filter(ImageTree.shapes(outside, MIDDLE), outside, valid)
            for name, values in self._thresholds.items():
                yield from whole.images(name, self._scaled(name, values))
            return
        mirrored = np.where(valid, 2 * MIDDLE - levels.astype(np.int32), 0).astype(np.uint16)
        bright = _Filter(ImageTree.brighter(levels), levels, valid)
        dark = _Filter(ImageTree.brighter(mirrored), mirrored, valid)
        for name, values in self._thresholds.items():
            scaled = self._scaled(name, values)
            for image in dark.images(name, scaled[::-1]):
                yield 2 * MIDDLE - image
            yield from bright.images(name, scaled)

    @staticmethod
    def _scaled(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
        """Bring thresholds of the deviation to levels."""
        return tuple(v * STEPS / DEVIATIONS for v in values) if name == "std" else values

    def settings(self) -> dict[str, Any]:
        """Return kind of components, tree and thresholds."""
        return {
            "projection": self._projection,
            "tree": self._tree,
            "thresholds": {name: list(values) for name, values in self._thresholds.items()},
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return mean, axes and variances of the components."""
        return self._components.arrays()

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedAttributes:
        """Make it again."""
        thresholds = {
            str(name): tuple(float(v) for v in values)
            for name, values in settings["thresholds"].items()
        }
        components = Components.restore(arrays)
        return cls(settings["projection"], settings["tree"], thresholds, components)


class _Filter:
    """Filters an image on its tree, attribute by attribute.

    Args:
        tree: The tree.
        levels: The image.
        valid: Its valid pixels; no others count.
    """

    def __init__(self, tree: ImageTree, levels: NDArray[np.uint16], valid: Mask) -> None:
        self._tree, self._attributes = tree, NodeAttributes(tree, levels, valid)
        # What lies on invalid ground is the ground of a region, and stays.
        self._ground = tree.levels[tree.parents] == 0

    def images(self, name: str, thresholds: tuple[float, ...]) -> Iterator[NDArray[np.float64]]:
        """Keep the parts whose attribute is at least each threshold."""
        measured = self._attributes.measure(name)
        for threshold in thresholds:
            yield self._tree.filtered(self._ground | (measured >= threshold))


def levels_of(image: Floats, step: float, valid: Mask) -> NDArray[np.uint16]:
    """Count a component in whole steps from its mean.

    Args:
        image: ``(rows, cols)``, centred on its mean.
        step: One step, in the component's unit.
        valid: ``(rows, cols)``.

    Returns:
        ``(rows, cols)`` uint16 from 1 to 65,535 with the mean at 32,768; 0 where invalid.
    """
    steps = np.clip(np.rint(image.astype(np.float64) / step), -STEPS, STEPS)
    return np.where(valid, steps + MIDDLE, 0).astype(np.uint16)
