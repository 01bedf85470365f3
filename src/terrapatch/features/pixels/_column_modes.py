"""The two ways to a network's numbers at a pixel: one pass over the scene, or one a patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from terrapatch.errors import RecipeError
from terrapatch.features.pixels._column_layers import (
    ColumnGeometry,
    ColumnLayer,
    photograph_network,
)
from terrapatch.features.pixels.base import Floats, PixelBlock

if TYPE_CHECKING:
    from terrapatch.backbones.base import Backbone
    from terrapatch.features.pixels._columns import DenseColumns, PatchColumns


@dataclass(frozen=True)
class DenseMode:
    """One pass over the enlarged scene, tile by tile.

    Attributes:
        backbone: Name of the network.
        weights: What tells its weights from others.
        geometry: How the scene lies under it.
    """

    backbone: str
    weights: str
    geometry: ColumnGeometry

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each number: its layer and channel."""
        return _names([(layer.name, layer.width) for layer in self.geometry.layers])

    @property
    def window(self) -> int:
        """Side of the square that decides a pixel's numbers."""
        return self.geometry.window

    @property
    def halo(self) -> int:
        """Pixels of context that a block needs."""
        return self.geometry.halo

    def columns(self, picture: Floats, block: PixelBlock) -> Floats:
        """Return ``(rows, cols, numbers)`` of a block and its picture, both with their halo."""
        corner = (block.rows.start - self.halo, block.cols.start - self.halo)
        wanted = block.trimmed(0).valid
        return self._run.columns(picture, corner, block.rows, block.cols, wanted)

    @cached_property
    def _run(self) -> DenseColumns:
        from terrapatch.features.pixels._columns import DenseColumns

        return DenseColumns(_the_same(self.backbone, self.weights), self.geometry)

    def settings(self) -> dict[str, Any]:
        """Return all that decides the numbers, as JSON values."""
        return {
            "mode": "dense",
            "backbone": self.backbone,
            "weights": self.weights,
            "scale": self.geometry.scale,
            "layers": [asdict(layer) for layer in self.geometry.layers],
        }


@dataclass(frozen=True)
class PatchMode:
    """One pass over the patch around each pixel; layers are averaged over their positions.

    Attributes:
        backbone: Name of the network.
        weights: What tells its weights from others.
        layers: Name and width of each layer.
        side: Side of a patch in pixels.
        size: Side it is brought to.
    """

    backbone: str
    weights: str
    layers: tuple[tuple[str, int], ...]
    side: int
    size: int

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each number: its layer and channel."""
        return _names(self.layers)

    @property
    def window(self) -> int:
        """Side of the square that decides a pixel's numbers."""
        return self.side

    @property
    def halo(self) -> int:
        """Pixels of context that a block needs."""
        return self.side // 2

    def columns(self, picture: Floats, block: PixelBlock) -> Floats:
        """Return ``(rows, cols, numbers)`` of a block and its picture, both with their halo."""
        return self._run.columns(picture, block.valid)

    @cached_property
    def _run(self) -> PatchColumns:
        from terrapatch.features.pixels._columns import PatchColumns

        names = [name for name, _ in self.layers]
        return PatchColumns(_the_same(self.backbone, self.weights), names, self.side, self.size)

    def settings(self) -> dict[str, Any]:
        """Return all that decides the numbers, as JSON values."""
        return {
            "mode": "patch",
            "backbone": self.backbone,
            "weights": self.weights,
            "layers": [list(layer) for layer in self.layers],
            "side": self.side,
            "size": self.size,
        }


def restored_mode(settings: Mapping[str, Any]) -> DenseMode | PatchMode:
    """Make a mode again from its settings."""
    backbone, weights = str(settings["backbone"]), str(settings["weights"])
    if settings["mode"] == "dense":
        layers = tuple(ColumnLayer(**layer) for layer in settings["layers"])
        return DenseMode(backbone, weights, ColumnGeometry(layers, int(settings["scale"])))
    named = tuple((str(name), int(width)) for name, width in settings["layers"])
    return PatchMode(backbone, weights, named, int(settings["side"]), int(settings["size"]))


def _names(layers: Any) -> tuple[str, ...]:
    return tuple(f"{name} {i}" for name, width in layers for i in range(1, width + 1))


def _the_same(name: str, weights: str) -> Backbone:
    """Return a network, or refuse other weights than those that were fitted with.

    Raises:
        RecipeError: If they are others.
    """
    backbone = photograph_network(name)
    identity = backbone.identity()
    if identity != weights:
        raise RecipeError(
            f"the features were made with weights {weights[:12]} of {name} but those here are "
            f"{str(identity)[:12]}; bring the same weights, or make the features again"
        )
    return backbone
