"""What a network of photographs sees at each pixel: hypercolumns of its layers.

Hariharan, Arbelaez, Girshick and Malik, "Hypercolumns for object segmentation and
fine-grained localization" (CVPR 2015). Three channels of the cube are shown as a picture,
enlarged, and run through the network; the maps of some layers are read at every pixel,
linearly between their positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._column_layers import (
    ColumnGeometry,
    chosen_layers,
    dense_layers,
    photograph_network,
)
from terrapatch.features.pixels._column_modes import DenseMode, PatchMode, restored_mode
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels._triplet import pictured, triplet_of
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature
from terrapatch.features.pixels.components import SOURCES, Components
from terrapatch.features.pixels.halo import cut, read_with_halo
from terrapatch.features.pixels.moments import Moments, Scatter

if TYPE_CHECKING:
    from terrapatch.backbones.base import Backbone
    from terrapatch.cubes import Cube

MODES = ("dense", "patch")
# Squares of pixels, spread over the scene, that a reduction is learned from: how many, how large.
SQUARES, SIDE = 32, 64
# Smallest side, in input pixels, that a patch is brought to.
LEAST = 64
REDUCED = "reduced "


@dataclass(frozen=True)
class Hypercolumns(PixelFeature):
    """Layers of an ImageNet network at every pixel.

    Attributes:
        bands: ``("pca",)`` or ``("mnf",)`` for the first three components, or three bands:
            wavelengths in nm, or names such as ``red``.
        backbone: Name of the network.
        layers: Names of its layers or paths of its modules; the usual ones if empty.
        scale: How many times the scene is enlarged before.
        mode: ``dense`` for one pass over the scene, ``patch`` for a pass over each pixel's
            patch, whose layers are averaged: many times slower.
        side: Side of a patch in pixels, for ``mode=patch``.
        components: Number of principal components the result is reduced to; 0 for none.
    """

    kind: ClassVar[str] = "cnn"
    summary: ClassVar[str] = "layers of an ImageNet network at every pixel"
    source: ClassVar[str] = "Hariharan, Arbelaez, Girshick and Malik, CVPR 2015"
    bands: tuple[str, ...] = ("pca",)
    backbone: str = "efficientnet_lite0"
    layers: tuple[str, ...] = ()
    scale: int = 4
    mode: str = "dense"
    side: int = 27
    components: int = 0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Hypercolumns:
        """Make it from the options of its text, which have the names of its attributes.

        Raises:
            FeatureError: If an option is unknown or not understood.
        """
        read = Options(cls.kind, options)
        made = cls(
            _bands(read.text("bands", "pca")),
            read.text("backbone", "efficientnet_lite0"),
            read.words("layers", ()),
            read.whole("scale", 4),
            read.word("mode", MODES, "dense"),
            read.odd("side", 27, 3),
            read.whole("components", 0),
        )
        read.done()
        if "side" in options and made.mode == "dense":
            raise FeatureError("side of 'cnn' is that of patches; add mode=patch, or leave it out")
        if made.components and made.mode == "patch":
            raise FeatureError(
                "components of 'cnn' reduce the dense mode, mode=patch is too slow to be run "
                "twice; leave one of the two out"
            )
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        options: dict[str, object] = {"bands": self.bands, "backbone": self.backbone}
        if self.layers:
            options["layers"] = self.layers
        options |= {"scale": self.scale, "mode": self.mode}
        if self.mode == "patch":
            options["side"] = self.side
        if self.components:
            options["components"] = self.components
        return canonical(self.kind, **options)

    def fit(self, cube: Cube, moments: Moments) -> FittedHypercolumns:
        """Choose channels and layers, and learn the reduction where one is asked for.

        The reduction is learned without labels from squares spread over the whole cube.

        Raises:
            FeatureError: If the cube lacks the bands, or the network cannot serve.
            CubeError: If no band is near a wavelength.
            BackboneError: If there is no such network or layer.
            WeightsError: If the network's weights are not on this machine.
        """
        backbone = photograph_network(self.backbone)
        triplet = triplet_of(cube, moments, self.bands)
        weights = backbone.identity() or ""
        if self.mode == "patch":
            facts = chosen_layers(backbone, self.layers, everything=True)
            layers = tuple((one.name, one.width) for one in facts)
            size = _input_size(backbone, self.side * self.scale)
            patch = PatchMode(self.backbone, weights, layers, self.side, size)
            return FittedHypercolumns(patch, triplet)
        geometry = ColumnGeometry(dense_layers(backbone, self.layers), self.scale)
        plain = FittedHypercolumns(DenseMode(self.backbone, weights, geometry), triplet)
        if not self.components:
            return plain
        if self.components > geometry.n:
            raise FeatureError(
                f"'cnn' gives {geometry.n} numbers, which {self.components} components cannot be "
                f"made of; ask for at most {geometry.n}"
            )
        return FittedHypercolumns(plain.mode, triplet, _reduction(cube, plain, self.components))


def _bands(text: str) -> tuple[str, ...]:
    """Read ``pca``, ``mnf`` or three bands joined by ``+``."""
    bands = tuple(word.strip() for word in text.split("+"))
    if not (len(bands) == 1 and bands[0] in SOURCES) and len(bands) != 3:
        raise FeatureError(
            f"bands={text} of 'cnn' is not understood; write pca, mnf, or three bands such as "
            "650+550+450 (nm) or red+green+blue"
        )
    return bands


def _input_size(backbone: Backbone, side: int) -> int:
    """Return the side a patch is brought to: a multiple of 32 that the network takes."""
    size = max(LEAST, -(-side // 32) * 32)
    if backbone.contract is not None:
        backbone.contract.check_size(backbone.name, size)
    return size


def _reduction(cube: Cube, plain: FittedHypercolumns, n: int) -> Components:
    """Learn principal components of the numbers, each brought to unit deviation."""
    scatter = Scatter(len(plain.names))
    with cube.reader() as reader:
        for rows, cols in _squares(cube.shape):
            block = read_with_halo(reader, cube.shape, rows, cols, plain.halo)
            valid = block.trimmed(0).valid
            if valid.any():
                scatter.add(plain.compute(block)[valid])
    if scatter.n == 0:
        raise FeatureError(
            f"the squares of {cube.name} that components of 'cnn' are learned from hold no valid "
            "pixel; leave out components"
        )
    covariance = scatter.squares / max(scatter.n - 1, 1)
    deviation = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    flat = deviation <= 1e-6 * max(float(deviation.max()), 1e-12)
    gain = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, deviation))
    zeros = np.zeros_like(covariance)
    correlation = covariance * np.outer(gain, gain)
    moments = Moments(scatter.n, scatter.mean, correlation, zeros, 0, scatter.mean, scatter.mean)
    found = Components.fit(moments, n)
    return Components(found.mean, found.axes * gain, found.variances)


def _squares(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return squares of pixels spread evenly over a scene, all of a small one."""
    squares = list(cut(slice(0, shape[0]), slice(0, shape[1]), SIDE))
    if len(squares) <= SQUARES:
        return squares
    picked = np.linspace(0, len(squares) - 1, SQUARES).round().astype(int)
    return [squares[i] for i in picked]


class FittedHypercolumns(FittedFeature):
    """A network over a cube's picture.

    Args:
        mode: How it is run.
        triplet: The three channels that are shown.
        reduction: What the numbers are reduced to, if at all.
    """

    kind: ClassVar[str] = "cnn"

    def __init__(
        self,
        mode: DenseMode | PatchMode,
        triplet: Components,
        reduction: Components | None = None,
    ) -> None:
        self.layer, self.mode = self.kind, mode
        self._triplet, self._reduction = triplet, reduction
        self.names = mode.names
        if reduction is not None:
            self.names = tuple(f"PC{i}" for i in range(1, reduction.n + 1))
        self.window, self.halo = mode.window, mode.halo

    def compute(self, block: PixelBlock) -> Floats:
        """Run the network over a block; parts without a valid pixel are left out.

        Raises:
            RecipeError: If the weights here are not those it was fitted with.
            WeightsError: If there are none here.
        """
        made = self.mode.columns(self.picture(block), block)
        return made if self._reduction is None else self._reduction.project(made)

    def picture(self, block: PixelBlock) -> Floats:
        """Return what the network is shown of a block: ``(height, width, 3)`` in 0–255."""
        return pictured(self._triplet, block.values, block.valid)

    def settings(self) -> dict[str, Any]:
        """Return network, layers and mode."""
        return self.mode.settings()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the channels' and the reduction's means, axes and variances."""
        made = self._triplet.arrays()
        if self._reduction is not None:
            made |= {f"{REDUCED}{name}": a for name, a in self._reduction.arrays().items()}
        return made

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedHypercolumns:
        """Make it again; the network is loaded when a block is asked for."""
        reduced = {
            name.removeprefix(REDUCED): array
            for name, array in arrays.items()
            if name.startswith(REDUCED)
        }
        reduction = Components.restore(reduced) if reduced else None
        return cls(restored_mode(settings), Components.restore(arrays), reduction)
