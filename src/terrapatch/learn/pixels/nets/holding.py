"""Which training pixels are held back to decide when training has to stop.

Neighbouring pixels are alike, so held pixels that lie among those trained on would always
find the longest training best. Whole fields are held where the labels have fields, else
blocks of ground, and single pixels only where neither can be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn.pixels._inner_folds import inner_folds
from terrapatch.learn.pixels.base import LabelledPixels

Mask = NDArray[np.bool_]

# Of a class with fewer pixels, none is held.
TINY = 20


def held_pixels(pixels: LabelledPixels, share: float, seed: int) -> tuple[Mask, str]:
    """Choose the pixels to hold back: one of as many folds as the share asks for.

    Of a class with fewer than 20 pixels none is held, and none of a class that would lose
    more than half of its pixels.

    Args:
        pixels: The training pixels.
        share: Share of them to hold back, about.
        seed: Seed of the choice.

    Returns:
        Which are held ``(n,)``, and how they were chosen.
    """
    held = np.zeros(len(pixels), bool)
    if share == 0:
        return held, "none"
    folds = inner_folds(pixels, n=max(2, round(1 / share)), seed=seed)
    if not folds:
        return held, "none"
    held[folds.pairs[0][1]] = True
    counts = np.bincount(pixels.ids)
    lost = np.bincount(pixels.ids[held], minlength=len(counts))
    held &= ((counts >= TINY) & (2 * lost <= counts))[pixels.ids]
    return held, f"the first of {folds.told}" if held.any() else "none"
