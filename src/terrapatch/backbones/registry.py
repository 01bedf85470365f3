"""Every backbone by name: a network, and after a colon which weights it has.

``resnet50`` has the weights that the literature means, ``resnet50:v2`` others,
``resnet50:random`` none but seeded random ones (``resnet50:random7`` with seed 7).
Importing this loads no network.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from terrapatch.backbones import (
    catalogue,
    imagestats,
    lite,
    own_nets,
    rcf,
    timm_nets,
    torchvision_nets,
)
from terrapatch.backbones.base import Backbone, Descriptor, Embedder
from terrapatch.errors import BackboneError

if TYPE_CHECKING:
    from terrapatch.backbones.architecture import Architecture
    from terrapatch.backbones.contract import InputContract
    from terrapatch.backbones.weights import Weights

DEFAULT = "efficientnet_lite0"
RANDOM = re.compile(r"^random(\d{0,9})$")
DRAWN = re.compile(r"^rcf:(gaussian|empirical)(\d{0,9})$")


def load_network(
    backbone: Backbone, descriptor: Descriptor, input_size: int | None, device: str, precision: str
) -> Embedder:
    """Build an embedder around a network (the loader of every network)."""
    from terrapatch.backbones.network import NetworkEmbedder

    return NetworkEmbedder(backbone, descriptor, input_size, device, precision)


def network(
    name: str,
    architecture: Architecture,
    contract: InputContract,
    weights: Weights | None,
    refusal: str = "",
) -> Backbone:
    """Make a backbone of a network."""
    return Backbone(
        name=name,
        summary=architecture.summary,
        layers=architecture.layers,
        default=Descriptor(architecture.default_layers()),
        contract=contract,
        loader=load_network,
        architecture=architecture,
        weights=weights,
        packages=architecture.packages,
        refusal=refusal,
    )


@cache
def _all() -> dict[str, Backbone]:
    """Return every backbone of the house by name, the default first."""
    found = [network(a.name, a, c, w) for a, c, w in lite.networks()]
    for architecture in (*torchvision_nets.ARCHITECTURES, *timm_nets.ARCHITECTURES):
        found += _published(architecture)
    found += [network(name, a, c, w, r) for name, a, c, w, r in own_nets.networks()]
    found += [imagestats.BACKBONE, *rcf.BACKBONES]
    return {one.name: one for one in found}


def _published(architecture: Architecture) -> list[Backbone]:
    made = []
    entries = catalogue.published()[architecture.name]
    for i, (variant, entry) in enumerate(entries.items()):
        built = architecture
        if (architecture.name, variant) == ("vgg16", "features"):
            built = torchvision_nets.VGG16_FEATURES
        name = architecture.name if i == 0 else f"{architecture.name}:{variant}"
        contract = catalogue.contract_of(built, entry)
        if len(entries) > 1:
            built = replace(built, summary=f"{built.summary}, weights {variant}")
        made.append(network(name, built, contract, catalogue.weights_of(built, entry)))
    return made


def backbone_names() -> list[str]:
    """Return the names of all backbones of the house, the default first.

    ``torchgeo_nets.names()`` lists those of the installed torchgeo, and every network
    has a twin ``NAME:random``.
    """
    return list(_all())


def get_backbone(name: str | Backbone) -> Backbone:
    """Return a backbone by name.

    Args:
        name: A name of ``backbone_names``, of torchgeo's, or ``NETWORK:randomSEED``; a
            backbone is returned as it is.

    Raises:
        BackboneError: If there is none of that name.
    """
    if isinstance(name, Backbone):
        return name
    plain = name.strip().lower()
    if plain in _all():
        return _all()[plain]
    drawn = DRAWN.match(plain)
    if drawn:
        return rcf.named(drawn[1], int(drawn[2] or 0))
    base, _, variant = plain.partition(":")
    seeded = RANDOM.match(variant)
    if seeded:
        return _random_twin(base, plain, int(seeded[1] or 0))
    if variant and base in _all() and _is_default(base, variant):
        return _all()[base]
    from terrapatch.backbones import torchgeo_nets

    found = torchgeo_nets.get(plain) if variant else None
    if found is not None:
        return found
    raise BackboneError(_unknown(name))


def _is_default(base: str, variant: str) -> bool:
    """Whether a variant is spelt out that a network has anyway."""
    return next(iter(catalogue.published().get(base, {})), None) == variant


def _random_twin(base: str, name: str, seed: int) -> Backbone:
    one = get_backbone(base)
    if one.architecture is None:
        raise BackboneError(f"{base} is no network, so it has no twin with random weights")
    return replace(
        one,
        name=name,
        summary=f"{one.summary}, its weights random (seed {seed})",
        weights=None,
        found=None,
        refusal="",
        seed=seed,
    )


def _unknown(name: str) -> str:
    names = backbone_names()
    near = difflib.get_close_matches(name.lower(), names, 5, 0.5)
    known = near or [DEFAULT, "resnet50", "vgg16", "imagestats"]
    return (
        f"there is no backbone {name!r}; {'did you mean' if near else 'choose for example'} "
        f"{', '.join(known)}? terrapatch backbones list shows all {len(names)}"
    )
