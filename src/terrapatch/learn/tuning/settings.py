"""How a network is tuned: every number a person can turn, its default, and its limits."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from terrapatch.errors import SamplesError
from terrapatch.learn.tuning.augment import Augment

PRECISIONS = ("fp32", "bf16")
POOLINGS = ("mean", "max", "gem", "flatten")
BATCH_NORMS = ("auto", "running", "batch")


@dataclass(frozen=True)
class Settings:
    """Settings of a run; ``tune`` takes each by its name.

    Attributes:
        strategy: ``gradual``, ``all``, ``part`` or ``extractor``, see
            ``terrapatch.learn.tuning.plan``.
        freeze: Stages, from the input on, that are never trained (``part`` and
            ``gradual``); all but the last three if ``None``.
        epochs: Passes over the training part, those of the head alone included.
        head_epochs: Passes in which the head alone is trained, ten times as fast.
        batch: Images of a step.
        lr: Rate of the head and the highest stage (AdamW, Loshchilov and Hutter 2019,
            ICLR), which falls along half a cosine.
        discriminative: What the rate is divided by from each stage to the one below.
        dropout: Share of features left out before the last layer while training.
        smoothing: Label smoothing (Szegedy et al. 2016, CVPR).
        decay: Weight decay.
        pooling: How the last stage is pooled over its positions: ``mean``, ``max``,
            ``gem`` or ``flatten``.
        hidden: Units of a layer between the features and the classes; none if 0.
        batch_norm: ``running`` keeps the statistics of batch norms everywhere, ``batch``
            learns them in open stages; ``auto`` is the first for pre-trained weights and
            the second for random ones. In frozen stages they are always kept.
        precision: ``fp32``, or ``bf16`` for mixed precision.
        patience: Epochs without a lower validation loss after which training ends, once
            all stages are open; ``None`` to train to the end.
        augment: What may happen to a training image, see
            ``terrapatch.learn.tuning.augment``.
        seed: Seed of the head, the order of images, dropout and augmentation.
    """

    strategy: str = "gradual"
    freeze: int | None = None
    epochs: int = 30
    head_epochs: int = 3
    batch: int = 32
    lr: float = 5e-4
    discriminative: float = 1.5
    dropout: float = 0.2
    smoothing: float = 0.1
    decay: float = 0.01
    pooling: str = "mean"
    hidden: int = 0
    batch_norm: str = "auto"
    precision: str = "fp32"
    patience: int | None = 10
    augment: Augment | str = "d4"
    seed: int = 0

    def __post_init__(self) -> None:
        """Read the augmentation, and check what the plan does not.

        Raises:
            SamplesError: If a setting is out of its limits.
        """
        if isinstance(self.augment, str):
            object.__setattr__(self, "augment", Augment.parse(self.augment))
        self._one_of("precision", PRECISIONS)
        self._one_of("pooling", POOLINGS)
        self._one_of("batch_norm", BATCH_NORMS)
        self._within("batch", 1, 65_536)
        self._within("dropout", 0.0, 0.95)
        self._within("smoothing", 0.0, 0.9)
        self._within("decay", 0.0, 10.0)
        self._within("hidden", 0, 65_536)
        self._within("seed", 0, 2**32 - 1)
        if self.patience is not None:
            self._within("patience", 1, 10_000)

    @property
    def changes(self) -> Augment:
        """The augmentation."""
        return self.augment if isinstance(self.augment, Augment) else Augment.parse(self.augment)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        told = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return told | {"augment": self.changes.text}

    def _one_of(self, name: str, words: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in words:
            raise SamplesError(f"{name} {value!r} is not known; choose one of {', '.join(words)}")

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not (low <= value <= high and math.isfinite(value)):
            raise SamplesError(
                f"{name}={value} is not from {low:g} to {high:g}; choose one that is"
            )


def settings_of(options: dict[str, Any]) -> Settings:
    """Make settings of what a caller named.

    Raises:
        SamplesError: If there is no such setting, or one is out of its limits.
    """
    known = [one.name for one in dataclasses.fields(Settings)]
    for name in options:
        if name not in known:
            raise SamplesError(
                f"there is no setting {name!r} of fine-tuning; choose from {', '.join(known)}"
            )
    return Settings(**options)
