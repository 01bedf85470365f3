"""Which maps flattened features are made of, and which layers give good ones.

With pooling ``flatten`` a layer's numbers are its map, channel by channel. How many channels
and positions that are is asked of the network itself, at the input size of the recipe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terrapatch.errors import SamplesError
from terrapatch.learn._features import Groups

if TYPE_CHECKING:
    from terrapatch.backbones import Backbone
    from terrapatch.backbones.analysis import Layer
    from terrapatch.backbones.architecture import Architecture
    from terrapatch.learn.cnn_head import Maps

FLATTEN = "flatten"
# Numbers a map may have, at the network's own input size, to be chosen unasked: sixteen
# thousand samples of it fit into 2 GiB.
LARGEST = 32_768
# Sides of maps that are chosen unasked, the smallest ones.
SIDES = 2


def map_shapes(space: Mapping[str, Any], groups: Groups) -> Maps:
    """Return the shapes of the maps that features hold one after another.

    Args:
        space: The feature space of their recipe.
        groups: Their layers ``(name, start, stop)``.

    Returns:
        ``(channels, rows, columns)`` of each layer.

    Raises:
        SamplesError: If the features are no maps, or were mixed over turns of the images.
        BackboneError: If the backbone is not known.
    """
    name = str(space.get("backbone"))
    if list(space.get("pooling") or ()) != [FLATTEN]:
        raise _no_maps(f"these features of {name} are pooled over the positions of the map")
    if space.get("average", "none") != "none":
        raise SamplesError(
            f"these features of {name} are means over turns of the images, which mixes the "
            "places of a map, so the head cnn cannot learn from them; embed with --average none"
        )
    facts = _examined(name, [layer for layer, _, _ in groups], space.get("input_size"))
    return tuple(_shape(name, facts[layer], stop - start) for layer, start, stop in groups)


def map_layers(backbone: str, input_size: int | None = None) -> tuple[str, ...]:
    """Return the layers whose maps the head ``cnn`` is given unless others are asked for.

    Of each of the two smallest sides, the deepest layer of the default descriptor whose map
    has at most 32,768 numbers; where there is none, the layer with the smallest map.

    Args:
        backbone: Name in the registry.
        input_size: Side images are brought to; the network's own if ``None``.

    Raises:
        SamplesError: If the backbone gives no maps.
        BackboneError: If it is not known, or cannot take that side.
    """
    network, _ = _network(backbone)
    facts = network.examine(input_size).layers
    maps = [one for one in facts if one.name in network.default.layers and _is_map(one)]
    if not maps:
        raise _no_maps(f"no layer of {backbone} keeps positions")
    fitting = {one.map_size: one.name for one in maps if _numbers(one) <= LARGEST}
    if not fitting:
        return (min(reversed(maps), key=_numbers).name,)
    smallest = sorted(fitting)[:SIDES]
    return tuple(one.name for one in maps if one.name in [fitting[side] for side in smallest])


def _examined(name: str, layers: Sequence[str], size: int | None) -> dict[str, Layer]:
    """Return the facts of layers by name, those that are paths of modules too."""
    network, architecture = _network(name)
    stages = tuple((layer, architecture.path(layer)) for layer in layers)
    asked = replace(network, architecture=replace(architecture, stages=stages))
    return {one.name: one for one in asked.examine(size).layers}


def _network(name: str) -> tuple[Backbone, Architecture]:
    from terrapatch.backbones import get_backbone

    backbone = get_backbone(name)
    if backbone.architecture is None:
        raise _no_maps(f"{name} is no network and gives none")
    return backbone, backbone.architecture


def _shape(name: str, layer: Layer, numbers: int) -> tuple[int, int, int]:
    if not _is_map(layer):
        raise _no_maps(f"the layer {layer.name} of {name} has no positions")
    rows, cols = layer.map_size
    if _numbers(layer) != numbers:
        raise SamplesError(
            f"the layer {layer.name} of {name} gives a map of {layer.width} x {rows} x {cols} and "
            f"its features have {numbers:,} numbers, so they were not made by their recipe; embed "
            "again"
        )
    return layer.width, rows, cols


def _is_map(layer: Layer) -> bool:
    return min(layer.map_size) > 1


def _numbers(layer: Layer) -> int:
    return layer.width * math.prod(layer.map_size)


def _no_maps(why: str) -> SamplesError:
    return SamplesError(
        f"{why}, and the head cnn needs feature maps: pass --pooling flatten and one to three "
        "layers of a network, for example --backbone efficientnet_lite0 --layers stage5,stage7"
    )
