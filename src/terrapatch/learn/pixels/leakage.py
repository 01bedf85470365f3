"""How much of what is tested was seen in training, through the windows that features look at.

A feature of window ``w`` (odd) is made of the square of ``w`` x ``w`` pixels around a pixel. A
tested pixel not more than ``w // 2`` away (Chebyshev) from a training pixel lies inside that
one's window: its own spectrum was trained on. Not more than ``2 (w // 2)`` away, the windows of
both share pixels.

Source: Nalepa, Myller and Kawulok, "Validating hyperspectral image segmentation", IEEE
Geoscience and Remote Sensing Letters 16 (2019), who name the leak of random patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._split_parts import distance_to
from terrapatch.learn.pixels.splits import PixelSplit

__all__ = ["MODES", "Leak", "check_leakage", "combined_window", "guard"]

MODES = ("refuse", "flag")
"""What ``guard`` does with a split by ground whose tested pixels lie inside training windows."""


@dataclass(frozen=True)
class Leak:
    """How far a split leaks through a window.

    Attributes:
        name: Name of the split.
        window: Side of the window in pixels; ``None`` where a value can depend on the whole scene.
        tested: Tested pixels.
        inside: Share of the tested pixels that lie inside a training pixel's window.
        overlapping: Share of the tested pixels whose own window shares pixels with one.
        nearest: Least distance of a tested and a training pixel (Chebyshev, pixels).
        needed: Buffer in pixels under which nothing would be inside; ``None`` where no buffer is
            enough.
        leaky: Whether the split itself strews training pixels among tested ones.
    """

    name: str
    window: int | None
    tested: int
    inside: float
    overlapping: float
    nearest: int
    needed: int | None
    leaky: bool

    @property
    def clean(self) -> bool:
        """Whether no tested pixel lies inside a training window, and the split is not leaky."""
        return not self.leaky and self.inside == 0

    @property
    def flag(self) -> str:
        """A few words for tables: ``leaky``, ``leaks 12 %`` or nothing."""
        if self.leaky:
            return "leaky"
        if self.inside == 0:
            return ""
        return f"leaks {100 * self.inside:.0f} %" if self.inside >= 0.005 else "leaks under 1 %"

    def __str__(self) -> str:
        """Return a sentence."""
        seen = "the whole scene" if self.window is None else f"{self.window} x {self.window} pixels"
        text = (
            f"{self.name}: with features that see {seen}, {100 * self.inside:.1f} % of "
            f"{self.tested:,} tested pixels lie inside a training pixel's window, and the windows "
            f"of {100 * self.overlapping:.1f} % share pixels with one"
        )
        return f"{text}; the split itself is leaky." if self.leaky else f"{text}."


def combined_window(*windows: int | None) -> int | None:
    """Return the side of the square that decides a value made in several steps.

    Args:
        *windows: Side of each step's window (features, then a network's patch, then a filter);
            ``None`` for one that sees the whole scene.

    Raises:
        SamplesError: If a window is not odd and positive.
    """
    if any(w is None for w in windows):
        return None
    return 1 + sum(_checked(w) - 1 for w in windows if w is not None)


def check_leakage(split: PixelSplit, window: int | None) -> Leak:
    """Measure how far a split leaks through a window.

    Args:
        split: The split.
        window: Side of the window that decides a pixel's values, odd; of features and learner
            together, see ``combined_window``. ``None`` for the whole scene.

    Raises:
        SamplesError: If the window is not odd and positive.
    """
    away = distance_to(split.train)[split.test]
    half = None if window is None else _checked(window) // 2
    return Leak(
        name=split.name,
        window=window,
        tested=len(away),
        inside=1.0 if half is None else float(np.mean(away <= half)),
        overlapping=1.0 if half is None else float(np.mean(away <= 2 * half)),
        nearest=int(away.min()),
        needed=half,
        leaky=split.leaky,
    )


def guard(split: PixelSplit, window: int | None, mode: str = "refuse") -> Leak:
    """Refuse a split whose tested pixels were seen in training, or flag it.

    Splits that are leaky by their making (pixels drawn at random) are never refused, always
    flagged: nobody takes them for more than they are. Splits by ground are refused if a tested
    pixel lies inside a training window.

    Args:
        split: The split.
        window: As for ``check_leakage``.
        mode: ``refuse`` or ``flag``.

    Returns:
        How far it leaks; ``Leak.flag`` belongs beside every figure.

    Raises:
        SamplesError: If the split is refused, or the mode is not known.
    """
    if mode not in MODES:
        raise SamplesError(f"the mode {mode!r} is not known; choose {' or '.join(MODES)}")
    leak = check_leakage(split, window)
    if split.leaky or leak.inside == 0 or mode == "flag":
        return leak
    if leak.needed is None:
        raise SamplesError(
            f"the split {split.name!r} cannot be judged with features that see the whole scene: "
            "every tested pixel lies inside the training pixels' windows, whatever the buffer; "
            "choose features with a window, or flag the split instead of refusing it"
        )
    raise SamplesError(
        f"the split {split.name!r} leaks: {100 * leak.inside:.1f} % of its tested pixels lie "
        f"inside the {window} x {window} window of a training pixel; a buffer of {leak.needed} "
        f"pixels would do (it has {split.buffer}), or features with a window of at most "
        f"{2 * leak.nearest - 1}, or flag the split instead of refusing it"
    )


def _checked(window: int) -> int:
    if window < 1 or window % 2 == 0:
        raise SamplesError(f"a window of {window} pixels has no centre; give an odd number from 1")
    return window
