"""The one place that knows torchgeo: its weights, and its random filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.backbones.base import Backbone


def random_filters(
    bands: int,
    features: int,
    kernel: int,
    bias: float,
    seed: int,
    windows: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Draw the filters of random convolutional features with torchgeo.

    Args:
        bands: Bands of each filter.
        features: Features; half as many filters, each rectified both ways.
        kernel: Side of a filter in pixels.
        bias: Added to what every filter gives.
        seed: Seed of the drawing.
        windows: ``(n, bands, side, side)`` to cut the filters out of, whitened; a normal
            distribution if ``None``.

    Returns:
        ``(features / 2, bands, kernel, kernel)`` float32.
    """
    import torch
    from torchgeo.models import RCF

    dataset: Any = None
    if windows is not None:
        dataset = [{"image": torch.from_numpy(np.ascontiguousarray(w))} for w in windows]
    drawn = RCF(
        in_channels=bands,
        features=features,
        kernel_size=kernel,
        bias=bias,
        seed=seed + 1,  # torchgeo takes seed 0 for none
        mode="gaussian" if windows is None else "empirical",
        dataset=dataset,
    )
    return np.ascontiguousarray(drawn.weights.numpy(), np.float32)


def get(name: str) -> Backbone | None:
    """Return a backbone with weights of the installed torchgeo, or ``None``."""
    return None
