"""The frozen stages of a network by themselves, and whether their maps can be kept."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.backbones.architecture import Architecture
from terrapatch.backbones.fold import fold_batch_norm
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.network import TunedNetwork
from terrapatch.learn.tuning.stages import Cut, taps_of

# Seed and number of the images a cut is tried with.
TRIAL_SEED, TRIAL = 0, 2


class Prefix:
    """A network up to the end of a stage, for inference: its batch norms are folded.

    Attributes:
        shape: What it gives of one image.
        pooled: Whether that is the last stage, pooled.
    """

    def __init__(
        self,
        network: TunedNetwork,
        architecture: Architecture,
        frozen: int,
        scaler: Scaler,
        bands: int,
        device: torch.device,
    ) -> None:
        """Copy the network and try the copy once.

        Args:
            network: The whole network.
            architecture: Its blueprint.
            frozen: Stages of it that are frozen, at least one.
            scaler: Brings images to its input.
            bands: Bands of an image.
            device: Where it runs.
        """
        self.pooled = frozen == len(network.stages)
        self._scaler, self._network = scaler, network
        self._layer = network.stages[frozen - 1]
        rng = np.random.default_rng(TRIAL_SEED)
        self._trial = rng.integers(0, 256, (TRIAL, bands, scaler.side, scaler.side), np.uint8)
        if self.pooled:
            network.to(device).eval()
        else:
            trunk = copy.deepcopy(network.trunk).eval()
            fold_batch_norm(trunk, frozenset({architecture.path(self._layer)}))
            self._taps = taps_of(trunk.to(device), architecture, self._layer)
            with torch.no_grad():
                self._taps.count(scaler(self._trial[:1]))
        self._architecture = architecture
        self.shape = tuple(self([*self._trial[:1]]).shape[1:])

    def __call__(self, images: list[NDArray[Any]]) -> torch.Tensor:
        """Return the maps at the cut, or the pooled features, of images in 0–255."""
        with torch.no_grad():
            x = self._scaler(images)
            if self.pooled:
                return self._network.features(x)
            caught: list[torch.Tensor] = []
            self._taps.run(x, lambda _, made: caught.append(made.clone()))
            return caught[0]

    def cut(self) -> Cut | None:
        """Cut the network after the frozen stages.

        Returns:
            The cut, or ``None`` where it needs none, or cannot be cut and stays whole.
        """
        if self.pooled:
            return None
        whole = self._scaler(self._trial)
        cut = Cut(self._network.trunk, self._architecture, self._layer, whole[:1])
        return cut if cut.fits(self._network.features, whole, self([*self._trial])) else None
