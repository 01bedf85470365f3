"""What learning curves say, in words.

The verdicts are those of the lectures on transfer learning (deck 002): underfit (too
short, or too small a network), overfit, overfit with oscillation, and the curve one
hopes for; and ``did not train`` for a network that guesses. They are looked for in this
order, since each makes the later ones meaningless:

================  ==========================================================================
did not train     the loss is not a number; or the level of accuracy, on training and
                  validation samples, is within 15 % of the way from chance to 1
oscillating       the scatter from epoch to epoch is above 4 points of accuracy, or above
                  a tenth of the first loss
overfit           training is more than 10 points ahead of validation; or more than 3, while
                  the validation loss has risen by a fifth from its lowest level
underfit          training accuracy stays below the aim; or validation accuracy is below
                  .95 while the last fifth of the epochs brought 7 % of the whole fall of
                  the validation loss
good              none of these
================  ==========================================================================

A level is the median of the last fifth of the epochs; the scatter is the robust standard
deviation of second differences, which no steady trend disturbs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError

Floats = NDArray[np.float64]

VERDICTS = ("good", "underfit", "overfit", "oscillating", "did not train")
CURVES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")

_FEWEST_EPOCHS = 4
_GUESSING, _LEARNED = 0.15, 0.25
# Below this a network knows more than a coin does, whatever its loss was at first.
_COIN_LOSS = 0.85 * math.log(2)
_SCATTER, _LOSS_SCATTER = 0.04, 0.1
_GAP, _SMALL_GAP, _LOSS_RISE = 0.10, 0.03, 0.2
_STILL_FALLING, _HIGH = 0.07, 0.95


@dataclass(frozen=True)
class Diagnosis:
    """What a training run looks like, and what to try next.

    Attributes:
        verdict: One of ``VERDICTS``.
        reason: A sentence with the numbers the verdict rests on.
        advice: A sentence that says what to change.
    """

    verdict: str
    reason: str
    advice: str


def diagnose(
    history: Mapping[str, Sequence[float]], *, chance: float | None = None, aim: float = 0.9
) -> Diagnosis:
    """Judge a training run by its curves.

    Args:
        history: One number an epoch for ``train_loss``, ``val_loss`` (cross-entropy),
            ``train_accuracy`` and ``val_accuracy`` (0 to 1).
        chance: Accuracy without learning: the share of the largest class. Without it, a
            network guesses when it is hardly more often right than its loss says a guess
            would be, ``exp(-loss)``, and the training loss has fallen by less than a quarter.
        aim: Training accuracy that a network of sufficient size should reach.

    Returns:
        The verdict, its reason, and advice.

    Raises:
        SamplesError: If a curve is missing, too short (under four epochs), or of another
            length, or an accuracy or chance is not between 0 and 1.
    """
    if chance is not None and not 0 <= chance < 1:
        raise SamplesError(f"chance is {chance}; give the share of the largest class, below 1")
    curves = _Curves(*(_checked(history, name) for name in CURVES))
    curves.check()
    for look in (_not_trained, _oscillating, _overfit, _underfit):
        found = look(curves, chance, aim)
        if found is not None:
            return found
    return Diagnosis(
        "good",
        f"training reaches {_percent(curves.top('train'))} % and validation "
        f"{_percent(curves.top('val'))} % and both have levelled off close together",
        "Keep these settings; test the model once on samples that took no part in choosing them.",
    )


@dataclass(frozen=True, eq=False)
class _Curves:
    """The four curves, and what is read off them."""

    train_loss: Floats
    val_loss: Floats
    train_accuracy: Floats
    val_accuracy: Floats

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    @property
    def tail(self) -> int:
        """Epochs that make a level."""
        return max(2, self.epochs // 5)

    def check(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in CURVES}
        if len(set(lengths.values())) > 1:
            raise SamplesError(f"the curves have different numbers of epochs: {lengths}")
        if self.epochs < _FEWEST_EPOCHS:
            raise SamplesError(
                f"{self.epochs} epochs are too few to judge a run; train {_FEWEST_EPOCHS} or more"
            )
        both = np.concatenate([self.train_accuracy, self.val_accuracy])
        if (both < 0).any() or (both > 1).any():
            raise SamplesError("an accuracy is not between 0 and 1; give shares, not percent")

    def top(self, part: str) -> float:
        """Return the level of accuracy at the end."""
        return float(np.median(getattr(self, f"{part}_accuracy")[-self.tail :]))

    def lowest_val_loss(self) -> tuple[float, int]:
        """Return the lowest level of the validation loss, and the epoch (from 1) it ends."""
        windows = np.lib.stride_tricks.sliding_window_view(self.val_loss, self.tail)
        levels = np.median(windows, axis=1)
        place = int(levels.argmin())
        return float(levels[place]), place + self.tail

    def late_fall(self) -> float:
        """Return which share of the fall of the validation loss the last fifth brought."""
        tail = self.tail
        last = float(np.median(self.val_loss[-tail:]))
        before = float(np.median(self.val_loss[-2 * tail : -tail]))
        whole = float(self.val_loss[0]) - last
        return (before - last) / whole if whole > 0 else 0.0


def _not_trained(curves: _Curves, chance: float | None, aim: float) -> Diagnosis | None:  # noqa: ARG001
    advice = (
        "Lower the learning rate by ten, check that labels and images belong together and that "
        "inputs are scaled as the network expects, and put batch normalisation into a new head."
    )
    losses = np.vstack([curves.train_loss, curves.val_loss])
    bad = ~np.isfinite(losses).all(axis=0)
    if bad.any():
        reason = f"the loss stops being a number in epoch {int(bad.argmax()) + 1}"
        return Diagnosis("did not train", reason, advice)
    top = max(curves.top("train"), curves.top("val"))
    loss = float(np.median(curves.train_loss[-curves.tail :]))
    base = math.exp(-loss) if chance is None else chance
    learned = 1 - loss / max(float(np.median(curves.train_loss[:2])), _COIN_LOSS)
    informed = chance is None and (learned > _LEARNED or loss < _COIN_LOSS)
    if informed or top > base + _GUESSING * (1 - base):
        return None
    reason = (
        f"after {curves.epochs} epochs {_percent(top)} % are right, where guessing gives about "
        f"{_percent(base)} %"
    )
    return Diagnosis("did not train", reason, advice)


def _oscillating(curves: _Curves, chance: float | None, aim: float) -> Diagnosis | None:
    accuracy = max(_scatter(curves.train_accuracy), _scatter(curves.val_accuracy))
    loss = max(_scatter(curves.train_loss), _scatter(curves.val_loss))
    first = max(float(curves.val_loss[0]), 0.5)
    if accuracy <= _SCATTER and loss <= _LOSS_SCATTER * first:
        return None
    reason = (
        f"from epoch to epoch the accuracy scatters by {100 * accuracy:.1f} points and the loss "
        f"by {loss:.2g}"
    )
    if _overfit(curves, chance, aim) is not None:
        reason += (
            f", and training is {100 * (curves.top('train') - curves.top('val')):.0f} points "
            "ahead of validation"
        )
    return Diagnosis(
        "oscillating",
        reason,
        "Lower the learning rate by three to ten, let it fall over the run, or take larger "
        "batches; if the validation part is small, enlarge it.",
    )


def _overfit(curves: _Curves, chance: float | None, aim: float) -> Diagnosis | None:  # noqa: ARG001
    gap = curves.top("train") - curves.top("val")
    lowest, epoch = curves.lowest_val_loss()
    last = float(np.median(curves.val_loss[-curves.tail :]))
    rise = (last - lowest) / lowest if lowest > 0 else 0.0
    rising = rise > _LOSS_RISE and gap > _SMALL_GAP
    if gap <= _GAP and not rising:
        return None
    reason = (
        f"training reaches {_percent(curves.top('train'))} % and validation only "
        f"{_percent(curves.top('val'))} %"
    )
    if rise > _LOSS_RISE:
        reason += f"; the validation loss has risen by {100 * rise:.0f} % since epoch {epoch}"
    return Diagnosis(
        "overfit",
        reason,
        "Stop at the lowest validation loss, add labels, flips and turns, dropout or weight "
        "decay, or freeze more of the network.",
    )


def _underfit(curves: _Curves, chance: float | None, aim: float) -> Diagnosis | None:  # noqa: ARG001
    train, val = curves.top("train"), curves.top("val")
    falling = curves.late_fall() > _STILL_FALLING
    if falling and val < _HIGH:
        return Diagnosis(
            "underfit",
            f"validation is at {_percent(val)} % and its loss still falls in the last epochs",
            "Train for more epochs, or with a higher learning rate.",
        )
    if train >= aim:
        return None
    return Diagnosis(
        "underfit",
        f"training itself has levelled off at {_percent(train)} %, below {_percent(aim)} %",
        "Unfreeze more of the network or take a deeper one, and regularise less; if that does "
        "not help, look for wrong labels and for classes the images cannot tell apart.",
    )


def _scatter(curve: Floats) -> float:
    """Return the robust deviation of a curve from its trend, its first fifth left out."""
    bends = np.diff(curve[len(curve) // 5 :], 2)
    return float(1.4826 * np.median(np.abs(bends)) / math.sqrt(6))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _checked(history: Mapping[str, Sequence[float]], name: str) -> Floats:
    if name not in history:
        raise SamplesError(f"the history lacks {name}; it needs {', '.join(CURVES)}")
    curve = np.asarray(history[name], np.float64)
    if curve.ndim != 1:
        raise SamplesError(f"{name} has the shape {curve.shape}; give one number an epoch")
    return curve
