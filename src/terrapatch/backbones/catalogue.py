"""Published weights as data: the list that torchvision and timm gave, and what neither lists."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from terrapatch.backbones.architecture import LOGITS, Architecture
from terrapatch.backbones.contract import RGB, InputContract
from terrapatch.backbones.weights import Weights

# Networks whose fully connected layers want the map of one input size.
ONE_SIZE = ("alexnet", "vgg16", "vgg19")
LEAST = {"alexnet": 63, "inception_v3": 75, "inception_v4": 75, "inception_resnet_v2": 75}
SMALLEST, USUAL = 128, 256


@cache
def published() -> dict[str, dict[str, Any]]:
    """Return the published weights of every network, by variant, the default first."""
    text = files("terrapatch.backbones").joinpath("catalogue.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def weights_of(architecture: Architecture, entry: dict[str, Any]) -> Weights:
    """Make the file of weights that an entry of the list describes."""
    return Weights(
        name=entry["file"],
        source=entry["source"],
        size=entry["size"],
        licence=entry["licence"],
        citation=architecture.citation,
        sha256=entry["sha256"],
        exact=entry["exact"],
        url=entry["url"],
    )


def contract_of(architecture: Architecture, entry: dict[str, Any]) -> InputContract:
    """Make the contract that an entry of the list describes."""
    side, name = entry["side"], architecture.name
    fixed = name in ONE_SIZE and LOGITS in architecture.layers
    sizes = (side, side) if fixed else (SMALLEST, max(USUAL, side // 32 * 32))
    return InputContract(
        channels=RGB,
        mean=tuple(entry["mean"]),
        std=tuple(entry["std"]),
        sizes=sizes,
        interpolation=entry["interpolation"],
        native=side,
        least=LEAST.get(name, 32),
    )
