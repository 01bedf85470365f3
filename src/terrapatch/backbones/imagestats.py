"""The baseline every network has to beat: mean and standard deviation of each band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from terrapatch.backbones.base import Backbone, Batch, Descriptor, Groups


@dataclass
class ImageStats:
    """Means and deviations of the valid pixels of a patch, in 0–255; needs no torch."""

    descriptor: Descriptor
    bands: int | None = None

    @property
    def groups(self) -> Groups:
        """Name, start and stop of the one group of numbers."""
        return (("bands", 0, (self.bands or 0) * len(self.descriptor.pooling)),)

    def features(self, batch: Batch, valid: Batch | None = None) -> npt.NDArray[np.float32]:
        """Describe patches ``(n, bands, h, w)`` by ``(n, bands * poolings)`` numbers."""
        self.bands = batch.shape[1]
        pixels = batch.astype(np.float64)
        weight = np.ones((len(batch), 1, *batch.shape[2:])) if valid is None else valid[:, None]
        total = weight.sum(axis=(2, 3))
        mean = (pixels * weight).sum(axis=(2, 3)) / total
        spread = (np.square(pixels - mean[:, :, None, None]) * weight).sum(axis=(2, 3)) / total
        parts = {"mean": mean, "std": np.sqrt(spread)}
        out = np.concatenate([parts[p] for p in self.descriptor.pooling], axis=1)
        if self.descriptor.l2:
            out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        return out.astype(np.float32)


BACKBONE = Backbone(
    name="imagestats",
    summary="baseline: mean and standard deviation of each band, any number of bands",
    layers=("bands",),
    default=Descriptor(("bands",)),
    contract=None,
    poolings=("mean", "std"),
    loader=lambda _backbone, descriptor, *_: ImageStats(descriptor),
)
