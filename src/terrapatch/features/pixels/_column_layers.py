"""Where the positions of a network's layers lie, and how far they see. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._triplet import FILL

if TYPE_CHECKING:
    from terrapatch.backbones.base import Backbone

# Layers that are tapped if none are named: those that see so many input pixels at most.
FIELD = 160
# Pixels of the scene that enlarging it by linear or cubic weights looks at, to either side.
ENLARGED = 2


@dataclass(frozen=True)
class ColumnLayer:
    """A layer of a network.

    Attributes:
        name: Its name.
        width: Its channels.
        stride: Input pixels from position to position.
        low: First input pixel that position 0 depends on.
        high: The last one.
    """

    name: str
    width: int
    stride: int
    low: int
    high: int

    @property
    def centre(self) -> float:
        """Input pixel that position 0 lies on: the middle of what it sees."""
        return (self.low + self.high) / 2

    def half(self, scale: int) -> int:
        """Return how many pixels of the scene a value between two positions sees to one side.

        Args:
            scale: Input pixels a pixel of the scene.
        """
        sees = (self.high - self.low) / 2 + self.stride
        return math.ceil(sees / scale) + ENLARGED


@dataclass(frozen=True)
class ColumnGeometry:
    """How a scene is laid under a network.

    Attributes:
        layers: The layers.
        scale: Input pixels a pixel of the scene.
    """

    layers: tuple[ColumnLayer, ...]
    scale: int

    @property
    def half(self) -> int:
        """Pixels of the scene that are seen to one side, but for the filling of holes."""
        return max(layer.half(self.scale) for layer in self.layers)

    @property
    def unit(self) -> int:
        """Pixels of the scene; tiles begin and end at multiples of it, so that strides agree."""
        stride = math.lcm(*(layer.stride for layer in self.layers))
        return stride // math.gcd(stride, self.scale)

    @property
    def window(self) -> int:
        """Side of the square of pixels that decides a pixel's numbers."""
        return 2 * (self.half + FILL) + 1

    @property
    def halo(self) -> int:
        """Pixels around a block: what is seen and fills its holes, and what tiles begin with."""
        return self.half + max(FILL, self.unit - 1)

    @property
    def n(self) -> int:
        """Numbers of a pixel."""
        return sum(layer.width for layer in self.layers)


def photograph_network(name: str) -> Backbone:
    """Return a network that takes three channels of a picture, its weights found, offline.

    Args:
        name: Its name in the registry.

    Raises:
        BackboneError: If there is none of that name.
        FeatureError: If it is no network, or takes other bands.
        WeightsError: If its weights are not on this machine.
    """
    from terrapatch.backbones.registry import get_backbone

    backbone = get_backbone(name)
    contract = backbone.contract
    if backbone.architecture is None or contract is None:
        raise FeatureError(f"'cnn' needs a network, which {name} is not; try efficientnet_lite0")
    if contract.quantity != "display" or len(contract.channels) != 3:
        raise FeatureError(
            f"'cnn' shows three channels as a picture, but {name} takes "
            f"{', '.join(contract.channels)}; choose one of photographs, such as efficientnet_lite0"
        )
    return backbone.ready(offline=True)


def chosen_layers(backbone: Backbone, named: Sequence[str], everything: bool) -> tuple[Any, ...]:
    """Return the facts of layers by name, the usual ones if none are named.

    Args:
        backbone: The network.
        named: Names or module paths.
        everything: Whether all layers of the default descriptor are the usual ones;
            otherwise those that see at most 160 input pixels.

    Returns:
        ``terrapatch.backbones.analysis.Layer`` of each.

    Raises:
        BackboneError: If there is no such layer.
    """
    words = backbone.describe(named).layers if named else backbone.default.layers
    if backbone.architecture is None:
        raise FeatureError(f"{backbone.name} is no network")
    stages = tuple((word, backbone.architecture.path(word)) for word in words)
    facts = replace(backbone, architecture=replace(backbone.architecture, stages=stages)).examine()
    usual = [one for one in facts.layers if named or everything or one.field <= FIELD]
    return tuple(usual or facts.layers[:1])


def dense_layers(backbone: Backbone, named: Sequence[str]) -> tuple[ColumnLayer, ...]:
    """Return layers with where their positions lie.

    Args:
        backbone: The network.
        named: Names or module paths; empty for the usual ones.

    Raises:
        FeatureError: If one sees the whole picture at once.
        BackboneError: If there is no such layer.
    """
    made = []
    for one in chosen_layers(backbone, named, everything=False):
        if not math.isfinite(one.field) or one.stride != int(one.stride):
            raise FeatureError(
                f"layer {one.name} of {backbone.name} sees the whole picture at once, so it has no "
                "value at a pixel; choose other layers of 'cnn', or mode=patch"
            )
        low, high = one.reach
        made.append(
            ColumnLayer(one.name, one.width, int(one.stride), math.floor(low), math.ceil(high))
        )
    return tuple(made)
