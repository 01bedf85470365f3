"""Choosing device, precision and batch by what the machine is measured to do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from terrapatch.backbones.base import Backbone, Batch, Descriptor, Embedder, Groups
from terrapatch.errors import BackboneError

AGREEMENT = 0.999
WORTHWHILE = 1.15
TRIAL_PATCHES = 32
# Threads that batches of 16 patches keep busy.
FEW_THREADS = 8


@dataclass(frozen=True)
class Choice:
    """A precision, and what its choice was based on.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        rates: Patches a second of every precision tried.
        agreements: Smallest cosine to fp32 of every precision tried.
        embedder: An embedder in that precision, ready to use.
    """

    precision: str
    rates: dict[str, float]
    agreements: dict[str, float]
    embedder: Embedder

    @property
    def agreement(self) -> float:
        """Smallest cosine to fp32, over patches and layers, of the chosen precision."""
        return self.agreements[self.precision]

    def describe(self) -> str:
        """Say in one line what was measured and chosen."""
        if len(self.rates) == 1:
            return f"{self.precision} ({self.rates[self.precision]:.0f} patches a second)"
        tried = "; ".join(
            f"{name} {rate:.0f}/s, cosine to fp32 {self.agreements[name]:.4f}"
            if name != "fp32"
            else f"fp32 {rate:.0f}/s"
            for name, rate in self.rates.items()
        )
        return f"{self.precision} (short trial: {tried}; at least {AGREEMENT} is needed)"


def choose_device(asked: str = "auto") -> str:
    """Return ``cuda`` where there is a usable GPU, else ``cpu``, unless one is asked for.

    Raises:
        BackboneError: If the device asked for is not there.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise BackboneError(
            "device cuda is asked for but torch sees no GPU; pass --device cpu, "
            "or run terrapatch doctor to see why"
        )
    return asked


def default_batch(device: str) -> int:
    """Return how many patches go through the network at once.

    On a few cores 16 patches are as fast as 32 within 3 %, and take two thirds of the memory.
    """
    if device != "cpu":
        return 256
    return 16 if torch.get_num_threads() <= FEW_THREADS else 32


def least_cosine(a: np.ndarray, b: np.ndarray, groups: Groups) -> float:
    """Return the smallest cosine between rows of ``a`` and ``b``, layer by layer."""
    low = 1.0
    for _, start, stop in groups:
        p, q = a[:, start:stop].astype(np.float64), b[:, start:stop].astype(np.float64)
        with np.errstate(invalid="ignore"):  # what overflowed agrees with nothing
            norm = np.linalg.norm(p, axis=1) * np.linalg.norm(q, axis=1)
            cosine = (p * q).sum(axis=1) / np.maximum(norm, 1e-300)
        cosine[~p.any(axis=1) & ~q.any(axis=1)] = 1.0
        low = min(low, float(np.nan_to_num(cosine, nan=-1.0).min()))
    return low


def choose_precision(
    backbone: Backbone,
    descriptor: Descriptor,
    input_size: int | None,
    device: str,
    patches: Batch,
    asked: str = "auto",
) -> Choice:
    """Try the device's precisions on real patches and keep the fastest that agrees.

    A lower precision is kept when it is at least 1.15 times as fast as fp32 and
    every layer of every patch has a cosine of at least 0.999 to fp32.

    Args:
        backbone: The network.
        descriptor: Its taps.
        input_size: Side that patches are resized to.
        device: A torch device.
        patches: Some patches of the scene, ``(n, bands, h, w)``.
        asked: ``auto``, or the precision to use.

    Returns:
        The choice; a precision asked for is used as it is, with its agreement.
    """
    names = ["fp32"] + (["bf16"] if asked == "auto" else [])
    if asked == "auto" and device.startswith("cuda"):
        names.append("fp16")
    if asked == "auto":
        names = [name for name in names if name in backbone.precisions]
    elif asked != "fp32":
        names.append(asked)
    # A GPU is measured on batches as large as it will get, a few of them say nothing.
    batch = patches[:TRIAL_PATCHES]
    if device.startswith("cuda"):
        batch = np.resize(batch, (default_batch(device), *batch.shape[1:]))
    embedders: dict[str, Embedder] = {}
    outputs: dict[str, np.ndarray] = {}
    rates: dict[str, float] = {}
    for name in names:
        embedders[name] = backbone.load(descriptor, input_size, device, name)
        outputs[name], rates[name] = timed(embedders[name], batch, default_batch(device))
    agreements = {
        name: least_cosine(outputs["fp32"], out, embedders[name].groups)
        for name, out in outputs.items()
    }
    fit = [n for n in names if agreements[n] >= AGREEMENT and rates[n] > WORTHWHILE * rates["fp32"]]
    best = asked if asked != "auto" else max(fit, key=lambda n: rates[n], default="fp32")
    return Choice(best, rates, agreements, embedders[best])


def timed(embedder: Embedder, patches: Batch, batch: int) -> tuple[np.ndarray, float]:
    """Embed patches once to warm up, then for about a third of a second.

    Args:
        embedder: What embeds.
        patches: ``(n, bands, h, w)``.
        batch: Patches at once.

    Returns:
        The features, and patches a second.
    """
    parts = [patches[i : i + batch] for i in range(0, len(patches), batch)]
    out = np.concatenate([embedder.features(part) for part in parts])
    start, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - start < 0.3:
        for part in parts:
            embedder.features(part)
        done += len(patches)
    return out, done / (time.perf_counter() - start)
