"""Random convolutional features: filters nobody trained, rectified both ways and averaged.

They are the baseline of MOSAIKS (Rolf et al. 2021, Nature Communications 12:4392).
``rcf`` draws its filters from a normal distribution, ``rcf:empirical`` cuts them out of
the scene and whitens them. torchgeo draws both; ``rcf:gaussian7`` has seed 7.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.backbones.base import Backbone, Batch, Descriptor, Groups
from terrapatch.errors import BackboneError

if TYPE_CHECKING:
    import torch

FEATURES, KERNEL, BIAS = 512, 3, -1.0
LAYER = "filters"
TENSOR = "weights"
# Windows that empirical filters are cut out of, and their side in pixels.
WINDOWS, WINDOW_SIDE = 64, 32
# Patches whose maps are held at once, so that memory stays small.
AT_ONCE = 8


class RandomFeatures:
    """Patches through random filters; takes any bands in any size, scaled to 0–1.

    Attributes:
        groups: Name, start and stop of the one group of numbers.
    """

    def __init__(self, backbone: Backbone, descriptor: Descriptor, device: str) -> None:
        """Remember the filters, or the seed they are drawn with once the bands are known."""
        self._seed, self._descriptor = backbone.seed or 0, descriptor
        self._device, self._given = device, backbone.tensors
        self._filters: dict[int, torch.Tensor] = {}
        self.groups: Groups = ((LAYER, 0, FEATURES * len(descriptor.pooling)),)

    def features(
        self,
        batch: Batch,
        valid: Batch | None = None,  # noqa: ARG002 (invalid pixels are filled already)
    ) -> npt.NDArray[np.float32]:
        """Describe patches ``(n, bands, h, w)`` in 0–255 by ``(n, features)`` float32."""
        import torch
        from torch.nn import functional

        if min(batch.shape[2:]) < KERNEL:
            raise BackboneError(
                f"patches of {batch.shape[2]} x {batch.shape[3]} pixels are smaller than the "
                f"random filters ({KERNEL} x {KERNEL}); choose a larger --size"
            )
        filters = self._filters_for(batch.shape[1])
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device).float() / 255
            x = x.contiguous(memory_format=torch.channels_last)
            parts = torch.split(x, AT_ONCE)
            out = torch.cat([self._pooled(part, filters) for part in parts])
            if self._descriptor.l2:
                out = functional.normalize(out, dim=1)
            return np.asarray(out.cpu().numpy())

    def _pooled(self, x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """Filter a few patches, rectify both ways and pool; their maps are 512 bands wide."""
        import torch
        from torch.nn import functional

        from terrapatch.backbones.pooling import pool

        bias = torch.full((len(filters),), BIAS, device=x.device)
        made = functional.conv2d(x, filters, bias).flatten(2)
        up, down = made.clamp_min(0), made.clamp_max(0).neg_()
        return torch.cat(
            [pool(half, (word,)) for word in self._descriptor.pooling for half in (up, down)], 1
        )

    def _filters_for(self, bands: int) -> torch.Tensor:
        import torch

        if bands not in self._filters:
            if self._given is None:
                drawn = gaussian(bands, self._seed)
            else:
                drawn = np.asarray(self._given[TENSOR])
                if drawn.shape[1] != bands:
                    raise BackboneError(
                        f"the random filters were cut out of {drawn.shape[1]} bands but the "
                        f"scene gives {bands}; choose as many bands, or draw the filters anew"
                    )
            self._filters[bands] = torch.from_numpy(drawn).to(self._device)
        return self._filters[bands]


def gaussian(bands: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw filters ``(256, bands, 3, 3)`` from a normal distribution."""
    from terrapatch.backbones.torchgeo_nets import random_filters

    return random_filters(bands, FEATURES, KERNEL, BIAS, seed)


def empirical(windows: npt.NDArray[Any], seed: int) -> npt.NDArray[np.float32]:
    """Cut filters ``(256, bands, 3, 3)`` out of windows and whiten them (ZCA).

    Args:
        windows: ``(n, bands, side, side)`` in 0–255.
        seed: Seed of the places they are cut at.
    """
    from terrapatch.backbones.torchgeo_nets import random_filters

    scaled = (np.asarray(windows) / 255).astype(np.float32)
    return random_filters(windows.shape[1], FEATURES, KERNEL, BIAS, seed, scaled)


def fingerprint(tensors: dict[str, Any]) -> str:
    """Return a hash of drawn filters."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], np.float32)
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _load(
    backbone: Backbone, descriptor: Descriptor, _size: int | None, device: str, _precision: str
) -> RandomFeatures:
    if backbone.fits and backbone.tensors is None:
        raise BackboneError(
            f"the filters of {backbone.name} are cut out of a scene; embed one, or draw them with "
            "terrapatch backbones fit, and pass them with --weights"
        )
    return RandomFeatures(backbone, descriptor, device)


def named(kind: str, seed: int) -> Backbone:
    """Return the baseline with filters of a kind (``gaussian`` or ``empirical``) and a seed."""
    suffix = "" if (kind, seed) == ("gaussian", 0) else f":{kind}{seed or ''}"
    where = "cut out of the scene" if kind == "empirical" else "drawn at random"
    return replace(
        _BARE,
        name=f"rcf{suffix}",
        summary=f"baseline: {FEATURES} random convolutional features, filters {where}",
        seed=seed,
        fits=kind == "empirical",
    )


_BARE = Backbone(
    name="rcf",
    summary="",
    layers=(LAYER,),
    default=Descriptor((LAYER,), ("mean",)),
    contract=None,
    loader=_load,
    precisions=("fp32",),
    packages=("torch", "torchgeo"),
)
BACKBONES = (named("gaussian", 0), named("empirical", 0))
