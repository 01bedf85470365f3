"""Smoothing of posteriors: the one spatial step that helps whatever split it is judged by.

``gaussian``  weighs the neighbours of a pixel by distance (Schindler, IEEE TGRS 50, 2012)
``guided``    follows edges of a picture: a local linear model of the posterior in the picture
              (He, Sun and Tang, "Guided image filtering", IEEE TPAMI 35, 2013)

Pixels without data neither count nor get values, and the scene is mirrored at its edges. A
pixel's result depends on its neighbourhood alone, to the last bit, however the scene is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._tiles import mirrored

Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Farther neighbours than this many standard deviations weigh nothing.
_REACH = 4.0
_LARGEST = 100


class Smoother(Protocol):
    """What smooths the posteriors of a block."""

    @property
    def text(self) -> str:
        """Its canonical text, such as ``gaussian:sigma=2``."""

    @property
    def halo(self) -> int:
        """Pixels of context that it needs on every side."""

    @property
    def guided(self) -> bool:
        """Whether it needs a picture whose edges it follows."""

    def apply(self, probabilities: Floats, valid: Mask, guide: Floats | None) -> Floats:
        """Smooth a block.

        Args:
            probabilities: ``(rows + 2 halo, cols + 2 halo, k)``, 0 where not valid.
            valid: Pixels with data ``(rows + 2 halo, cols + 2 halo)``.
            guide: The picture, of mean 0 and deviation 1 over the scene, likewise.

        Returns:
            ``(rows, cols, k)``, not yet adding up to 1; anything where not valid.
        """


@dataclass(frozen=True)
class GaussianSmoother:
    """Weighs neighbours by their distance.

    Attributes:
        sigma: Standard deviation in pixels.
    """

    sigma: float = 2.0
    guided: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the number."""
        if not 0 < self.sigma <= _LARGEST / _REACH:
            raise SamplesError(
                f"sigma={self.sigma:g} of the smoothing is not above 0 and at most "
                f"{_LARGEST / _REACH:g} pixels"
            )

    @property
    def text(self) -> str:
        """Its canonical text."""
        return f"gaussian:sigma={self.sigma:g}"

    @property
    def halo(self) -> int:
        """Four standard deviations, in whole pixels."""
        return int(np.ceil(_REACH * self.sigma))

    def apply(self, probabilities: Floats, valid: Mask, guide: Floats | None) -> Floats:  # noqa: ARG002
        """Smooth a block; see ``Smoother``."""
        places = np.arange(-self.halo, self.halo + 1)
        weights = np.exp(-0.5 * (places / self.sigma) ** 2)
        counts = _filtered(valid.astype(np.float64), weights)
        sums = _filtered(probabilities, weights)
        return np.asarray(sums / np.where(counts > 0, counts, 1.0)[..., None])


@dataclass(frozen=True)
class GuidedSmoother:
    """Follows the edges of a picture.

    Attributes:
        radius: Half a side of the windows in pixels; a pixel's result sees twice as far.
        eps: Variance of the picture below which a window counts as flat, in shares of its
            variance over the scene.
    """

    radius: int = 3
    eps: float = 0.05
    guided: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.radius <= _LARGEST // 2:
            raise SamplesError(
                f"radius={self.radius} of the smoothing is not from 1 to {_LARGEST // 2} pixels"
            )
        if not 0 < self.eps < np.inf:
            raise SamplesError(f"eps={self.eps:g} of the smoothing is not above 0")

    @property
    def text(self) -> str:
        """Its canonical text."""
        return f"guided:radius={self.radius},eps={self.eps:g}"

    @property
    def halo(self) -> int:
        """Twice the radius."""
        return 2 * self.radius

    def apply(self, probabilities: Floats, valid: Mask, guide: Floats | None) -> Floats:
        """Smooth a block; see ``Smoother``.

        Raises:
            SamplesError: If there is no picture.
        """
        if guide is None:
            raise SamplesError("the guided smoothing needs a picture whose edges it follows")
        ones, r = np.ones(2 * self.radius + 1), self.radius
        there = valid.astype(np.float64)
        picture = np.where(valid, guide, 0.0)
        counts = _filtered(there, ones)
        counts = np.where(counts > 0, counts, 1.0)
        mean_i = _filtered(picture, ones) / counts
        var_i = _filtered(picture**2, ones) / counts - mean_i**2
        mean_p = _filtered(probabilities, ones) / counts[..., None]
        both = _filtered(probabilities * picture[..., None], ones) / counts[..., None]
        slope = (both - mean_i[..., None] * mean_p) / (np.maximum(var_i, 0.0) + self.eps)[..., None]
        level = mean_p - slope * mean_i[..., None]
        inner = (slice(r, -r), slice(r, -r))
        weight = there[inner]
        total = _filtered(weight, ones)
        total = np.where(total > 0, total, 1.0)[..., None]
        slope = _filtered(slope * weight[..., None], ones) / total
        level = _filtered(level * weight[..., None], ones) / total
        centre = picture[2 * r : -2 * r, 2 * r : -2 * r, None]
        return np.maximum(slope * centre + level, 0.0)


def parse_smoothing(text: str | None) -> Smoother | None:
    """Return a smoother by its text.

    Args:
        text: ``gaussian:sigma=2`` (or ``gaussian:2``), ``guided:radius=3,eps=0.05``; ``none``
            or ``None`` for none.

    Raises:
        SamplesError: If it is not understood.
    """
    name, _, rest = (text or "none").strip().partition(":")
    if name == "none" and not rest:
        return None
    names = {"gaussian": ("sigma",), "guided": ("radius", "eps")}
    if name not in names:
        raise SamplesError(
            f"there is no smoothing {name!r}; choose gaussian:sigma=2, guided:radius=3,eps=0.05 "
            "or none"
        )
    options: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = part.partition("=")
        key, value = (key.strip(), value) if equals else (names[name][0], key)
        try:
            options[key] = float(value)
        except ValueError:
            key = ""
        if key not in names[name]:
            raise SamplesError(
                f"{part!r} in the smoothing {text!r} is not understood; {name} has "
                f"{' and '.join(names[name])}, each a number"
            )
    if name == "gaussian":
        return GaussianSmoother(**options)
    if options.get("radius", 1.0) % 1:
        raise SamplesError(f"radius={options['radius']:g} of the smoothing is no whole number")
    return GuidedSmoother(int(options.get("radius", 3)), options.get("eps", 0.05))


def smoothed(
    smoother: Smoother, probabilities: Floats32, valid: Mask, guide: Floats32 | None = None
) -> Floats32:
    """Smooth the posteriors of a whole scene that memory holds.

    Args:
        smoother: The smoother.
        probabilities: ``(rows, cols, k)``; anything where not valid.
        valid: Pixels with data ``(rows, cols)``.
        guide: The picture ``(rows, cols)`` for a guided smoother.

    Returns:
        ``(rows, cols, k)`` float32 that add up to 1, 0 where not valid.
    """
    rows, cols = valid.shape
    return smoothed_part(smoother, slice(0, rows), slice(0, cols), probabilities, valid, guide)


def smoothed_part(
    smoother: Smoother,
    rows: slice,
    cols: slice,
    probabilities: NDArray[np.float32] | NDArray[np.uint16],
    valid: Mask,
    guide: Floats32 | None = None,
) -> Floats32:
    """Smooth a rectangle of a scene; the arrays hold the whole scene and may be on disk.

    Args:
        smoother: The smoother.
        rows: Rows of the rectangle.
        cols: Columns of the rectangle.
        probabilities: ``(scene rows, scene cols, k)``, of any scale.
        valid: Pixels with data, likewise.
        guide: The picture, likewise.
    """
    halo = smoother.halo
    down = mirrored(rows.start - halo, rows.stop + halo, valid.shape[0])
    across = mirrored(cols.start - halo, cols.stop + halo, valid.shape[1])
    part = (slice(down.min(), down.max() + 1), slice(across.min(), across.max() + 1))
    at = np.ix_(down - down.min(), across - across.min())
    there = valid[part][at]
    held = np.where(there[..., None], probabilities[part][at].astype(np.float64), 0.0)
    picture = None if guide is None else guide[part][at].astype(np.float64)
    found = smoother.apply(held, there, picture)
    own = valid[rows, cols]
    total = found.sum(axis=-1, keepdims=True)
    # Rounding, and a local model that leaves 0 to 1, are brought back to shares.
    shares = np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / found.shape[-1])
    return np.where(own[..., None], shares, 0.0).astype(np.float32)


def _filtered(values: Floats, weights: Floats) -> Floats:
    """Filter along both axes, and cut off half a window on every side."""
    from scipy.ndimage import correlate1d

    r = len(weights) // 2
    down = correlate1d(values, weights, axis=0, mode="constant")[r : values.shape[0] - r]
    both = correlate1d(down, weights, axis=1, mode="constant")
    return np.asarray(both[:, r : values.shape[1] - r])
