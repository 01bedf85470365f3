"""The training loop of networks for pixels, on Lightning's Fabric.

Chance is seeded by the epoch, and one thread adds up in one order, so that the same seed gives
the same weights to the last bit on a processor; on a GPU, sums of some layers vary in
their last digits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.base import Floats, Progress
from terrapatch.learn.pixels.nets.parts import PixelNet
from terrapatch.learn.pixels.nets.patches import Patches
from terrapatch.learn.pixels.nets.settings import NetSettings
from terrapatch.learn.tuning.history import History
from terrapatch.learn.tuning.loop import LONGEST_STEP, seeded

Index = NDArray[np.intp]

_RISE = 0.05  # part of the steps in which the rate rises
_EVALUATED = 512


@dataclass(frozen=True, eq=False)
class Standard:
    """What standardises features: mean 0 and spread 1 over the training pixels.

    Attributes:
        mean: Mean of each feature.
        factor: One over its standard deviation; 0 for a feature that does not vary.
    """

    mean: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def of(cls, rows: Floats) -> Standard:
        """Measure rows ``(n, features)``."""
        mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        still = spread <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
        factor = np.where(still, 0.0, 1.0 / np.where(still, 1.0, spread))
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(factor).float())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(n, features, h, w)`` standardised; what is missing gets the mean, 0."""
        made = (x - self.mean.view(1, -1, 1, 1)) * self.factor.view(1, -1, 1, 1)
        return torch.where(made.isfinite(), made, 0.0)

    def to(self, device: torch.device) -> Standard:
        """Return the same on a device."""
        return Standard(self.mean.to(device), self.factor.to(device))


@dataclass(frozen=True, eq=False)
class Training:
    """One run over some of the labelled pixels.

    Attributes:
        settings: How it is trained.
        patches: All labelled pixels.
        targets: Class of each, counted from 0 ``(n,)``.
        standard: Standardises features.
        device: ``cpu`` or ``cuda``.
        progress: Called as ``progress(stage, epochs done, epochs in all)``.
    """

    settings: NetSettings
    patches: Patches
    targets: NDArray[np.int64]
    standard: Standard
    device: str
    progress: Progress | None = None

    def run(self, network: PixelNet, train: Index, held: Index, epochs: int, stage: str) -> History:
        """Train a network in place; where pixels are held, its best weights are kept.

        Args:
            network: The network.
            train: Numbers of the pixels to learn from.
            held: Numbers of the pixels that decide; none if empty.
            epochs: Passes, at most.
            stage: What progress is called with.

        Raises:
            SamplesError: If the loss stops being a number.
        """
        fabric, history = _fabric(self.device), History()
        network.to(fabric.device)
        standard = self.standard.to(fabric.device)
        optimiser = torch.optim.AdamW(_groups(network, self.settings.decay), lr=self.settings.lr)
        model, wrapped = fabric.setup(network, optimiser)
        best: dict[str, torch.Tensor] = {}
        for epoch in range(epochs):
            with seeded(self.settings.seed, epoch, fabric.device):
                trained = self._epoch(fabric, model, wrapped, standard, train, epoch, epochs)
            tried = self._tried(model, standard, held, fabric.device) if len(held) else trained
            _note(history, trained, tried, optimiser.param_groups[0]["lr"])
            if self.progress is not None:
                self.progress(stage, epoch + 1, epochs)
            if not len(held):
                continue
            if history.best == epoch:
                best = {n: t.detach().clone() for n, t in network.state_dict().items()}
            elif epoch - history.best >= self.settings.patience:
                break
        if best:
            network.load_state_dict(best)
        network.to("cpu").eval()
        return history

    def _epoch(
        self,
        fabric: Any,
        model: Any,
        optimiser: Any,
        standard: Standard,
        train: Index,
        epoch: int,
        epochs: int,
    ) -> tuple[float, float]:
        """Go through the training pixels once; return loss and accuracy."""
        model.train()
        settings, weights = self.settings, self._weights(train).to(fabric.device)
        batches = self._batches(train, epoch)
        loss = right = 0.0
        for step, places in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * _rate((epoch + step / len(batches)) / epochs)
            x = self._changed(standard(self.patches.take(places).to(fabric.device)))
            truth = torch.from_numpy(self.targets[places]).to(fabric.device)
            scores = model(x).flatten(1)
            loss += float(functional.cross_entropy(scores.detach(), truth, reduction="sum"))
            right += float((scores.argmax(1) == truth).sum())
            if not math.isfinite(loss):
                raise SamplesError(
                    f"the loss of {settings.net} is no longer a number in epoch {epoch + 1}; "
                    "choose a lower learning rate (lr)"
                )
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(
                functional.cross_entropy(
                    scores, truth, weight=weights, label_smoothing=settings.smoothing
                )
            )
            fabric.clip_gradients(model, optimiser, max_norm=LONGEST_STEP, error_if_nonfinite=False)
            optimiser.step()
        seen = sum(map(len, batches))
        return loss / seen, right / seen

    def _tried(
        self, model: Any, standard: Standard, held: Index, device: torch.device
    ) -> tuple[float, float]:
        """Return loss and accuracy on the held pixels."""
        scores = self._scored(model, standard, held, device)
        truth = torch.from_numpy(self.targets[held])
        right = float((scores.argmax(1) == truth).sum())
        return float(functional.cross_entropy(scores, truth)), right / len(held)

    def scores(self, network: PixelNet, places: Index) -> torch.Tensor:
        """Return the scores ``(n, classes)`` that a trained network gives some pixels."""
        return self._scored(network, self.standard, places, torch.device("cpu"))

    def _scored(
        self, model: Any, standard: Standard, places: Index, device: torch.device
    ) -> torch.Tensor:
        model.eval()
        with torch.no_grad():
            return torch.cat(
                [
                    model(standard(self.patches.take(part).to(device))).flatten(1).cpu()
                    for part in np.array_split(places, -(-len(places) // _EVALUATED))
                ]
            )

    def _batches(self, train: Index, epoch: int) -> list[Index]:
        """Return the pixels of each step, about equally many, so that no batch has one alone."""
        rng = np.random.default_rng([self.settings.seed, epoch, 29])
        if self.settings.balance == "sampling":
            counts = np.bincount(self.targets[train])[self.targets[train]]
            order = rng.choice(train, len(train), p=(1 / counts) / (1 / counts).sum())
        else:
            order = rng.permutation(train)
        return np.array_split(order, max(1, len(train) // self.settings.batch))

    def _weights(self, train: Index) -> torch.Tensor:
        """Return the weight of each class ``(classes,)`` in the loss, 1 for the mean pixel."""
        counts = np.maximum(np.bincount(self.targets[train], minlength=self._classes), 1)
        power = {"weights": 1.0, "root": 0.5}.get(self.settings.balance, 0.0)
        weights = counts.astype(np.float64) ** -power
        weights *= counts.sum() / (weights * counts).sum()
        return torch.from_numpy(weights).float()

    @property
    def _classes(self) -> int:
        return int(self.targets.max()) + 1

    def _changed(self, x: torch.Tensor) -> torch.Tensor:
        """Turn and mirror squares at random, and add noise."""
        if self.settings.turns and self.settings.patch > 1:
            x = _turned(x)
        if self.settings.noise:
            x = x + self.settings.noise * torch.randn_like(x)
        return x


@contextmanager
def steady(threads: int, seed: int) -> Iterator[None]:
    """Fix threads, chance and kernels, and leave all as they were afterwards."""
    before = torch.get_num_threads()
    cudnn = torch.backends.cudnn
    with (
        torch.random.fork_rng(),
        cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _turned(x: torch.Tensor) -> torch.Tensor:
    """Turn each square ``(n, features, side, side)`` by quarters, and mirror it, at random."""
    ways = torch.randint(8, (len(x),), device=x.device)
    out = x.clone()
    for way in range(1, 8):
        here = ways == way
        out[here] = turned(x[here], way)
    return out


def turned(x: torch.Tensor, way: int) -> torch.Tensor:
    """Return maps turned by ``way % 4`` quarters, after mirroring them from 4 on."""
    return torch.rot90(x.flip(3) if way >= 4 else x, way % 4, (2, 3))


def turned_back(x: torch.Tensor, way: int) -> torch.Tensor:
    """Undo ``turned``."""
    back = torch.rot90(x, -(way % 4), (2, 3))
    return back.flip(3) if way >= 4 else back


def _rate(done: float) -> float:
    """Return the part of the learning rate once ``done`` of all steps are: a rise, a cosine."""
    return min(1.0, (done + 1e-3) / _RISE) * 0.5 * (1 + math.cos(math.pi * done))


def _groups(network: PixelNet, decay: float) -> list[dict[str, Any]]:
    """Return the weights, and apart from them what does not decay: norms and biases."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


def _note(
    history: History, trained: tuple[float, float], tried: tuple[float, float], lr: float
) -> None:
    history.add(
        train_loss=trained[0],
        val_loss=tried[0],
        train_accuracy=trained[1],
        val_accuracy=tried[1],
        lr=lr,
        lowest=0,
    )


def _fabric(device: str) -> Any:
    """Return Lightning's Fabric for one device in fp32; what it would log is known already."""
    from lightning.fabric import Fabric

    logger = logging.getLogger("lightning")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        return Fabric(accelerator=device, devices=1, precision="32-true")
    finally:
        logger.setLevel(before)
