"""What the numbers of a raster mean, and how they become the 0–255 a network was trained on.

Networks trained on photographs expect eight-bit values. An eight-bit raster is
taken as it is; every other raster has to say which of its values is black and
which is white, because a guess there silently ruins every feature after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import UnitsError

# Surface reflectance shown as white in natural-colour composites of land.
REFLECTANCE_WHITE = 0.3

_RANGE = re.compile(r"^\s*(-?[\d.eE+-]+?)\s*:\s*(-?[\d.eE+-]+)\s*$")


@dataclass(frozen=True)
class Units:
    """A linear stretch of every chosen band onto 0–255, clipped at both ends.

    Attributes:
        text: The declaration as a person writes it, e.g. ``"0:3000"``.
        low: Value of each chosen band that becomes 0.
        high: Value of each chosen band that becomes 255.
    """

    text: str
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def is_eight_bit(self) -> bool:
        """Whether values are already 0–255 and pass through untouched."""
        return self.text == "uint8"

    @property
    def is_reflectance(self) -> bool:
        """Whether values are declared as reflectance."""
        return self.text.startswith("reflectance")

    def pick(self, places: Iterable[int]) -> Units:
        """Return the units of some of the bands, by their places among those chosen."""
        chosen, parts = list(places), self.text.split(",")
        ranged = len(parts) == len(self.low) > 1 and not self.text.startswith("percentile")
        return Units(
            ",".join(parts[i] for i in chosen) if ranged else self.text,
            tuple(self.low[i] for i in chosen),
            tuple(self.high[i] for i in chosen),
        )

    def whole_reflectance(self) -> Units:
        """Return declared reflectance with 1.0, not the white of a picture, as 255."""
        high = tuple(
            low + (high - low) / REFLECTANCE_WHITE
            for low, high in zip(self.low, self.high, strict=True)
        )
        return Units(self.text, self.low, high)

    def to_eight_bit(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring pixels of shape ``(bands, height, width)`` to 0–255.

        Args:
            pixels: Raw values; NaN and infinities are allowed and become 0
                (validity is answered by the scene, not here).

        Returns:
            The same array for eight-bit units, else float32 in 0–255.
        """
        if self.is_eight_bit:
            return pixels
        low = np.asarray(self.low, np.float64)[:, None, None]
        gain = 255.0 / (np.asarray(self.high, np.float64)[:, None, None] - low)
        # float32 holds every integer up to 2**24; wider types are shifted in double first.
        work = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
        scaled = (pixels.astype(work) - low.astype(work)) * gain.astype(work)
        scaled = np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        eight: npt.NDArray[Any] = np.clip(scaled, 0.0, 255.0).astype(np.float32, copy=False)
        return eight

    def as_dict(self) -> dict[str, Any]:
        """Return the declaration and the numbers it came to."""
        return {"text": self.text, "low": list(self.low), "high": list(self.high)}


@dataclass(frozen=True)
class Sample:
    """A thinned sample of a scene's valid values, one row per chosen band.

    Attributes:
        values: Valid values of each chosen band, as float64.
        scales: Scale factor of each band as its file states it.
        offsets: Offset of each band as its file states it.
    """

    values: tuple[npt.NDArray[np.float64], ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]


def eight_bit(n_bands: int) -> Units:
    """Return the units of an eight-bit image of ``n_bands`` bands."""
    return Units("uint8", (0.0,) * n_bands, (255.0,) * n_bands)


def parse_units(text: str, n_bands: int, sample: Sample | None, where: str) -> Units:
    """Turn a declaration into numbers.

    Args:
        text: ``uint8``, ``LOW:HIGH`` (one for all bands, or one a band with
            commas), ``percentile:P,Q``, ``reflectance`` or ``reflectance:N``.
        n_bands: Number of chosen bands.
        sample: Values of the scene; needed by ``percentile`` and by ``reflectance``
            for the file's own scale factors.
        where: The scene's name, for messages.

    Returns:
        The units, resolved to one low and one high value per band.

    Raises:
        UnitsError: If the declaration is not understood or does not fit.
    """
    word = text.strip().lower()
    if word in ("uint8", "0:255"):
        return Units("uint8" if word == "uint8" else word, (0.0,) * n_bands, (255.0,) * n_bands)
    if word.startswith("percentile"):
        return _percentile(word, sample, where)
    if word.startswith("reflectance"):
        return _reflectance(word, n_bands, sample, where)
    return _ranges(word, n_bands, where)


def _ranges(word: str, n_bands: int, where: str) -> Units:
    parts = word.split(",")
    pairs = []
    for part in parts:
        match = _RANGE.match(part)
        try:
            low, high = (float(g) for g in match.groups()) if match else (0.0, 0.0)
        except ValueError:
            match = None
        if not match:
            raise UnitsError(
                f"units {word!r} for {where} are not understood; write for example 0:3000, "
                "percentile:2,98, reflectance, reflectance:10000 or uint8"
            )
        if not (np.isfinite([low, high]).all() and low < high):
            raise UnitsError(
                f"units {part.strip()!r} for {where} run backwards or nowhere; "
                "write the value for black first, then a larger one for white"
            )
        pairs.append((low, high))
    if len(pairs) == 1:
        pairs *= n_bands
    if len(pairs) != n_bands:
        raise UnitsError(
            f"units {word!r} give {len(pairs)} ranges but {n_bands} bands are chosen from {where}; "
            "give one range for all bands or one for each"
        )
    return Units(word, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def _percentile(word: str, sample: Sample | None, where: str) -> Units:
    match = re.match(r"^percentile:([\d.]+),([\d.]+)$", word.replace(" ", ""))
    p, q = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if not match or not 0 <= p < q <= 100:
        raise UnitsError(
            f"units {word!r} for {where} are not understood; write two percentages in order, "
            "for example percentile:2,98"
        )
    lows, highs = [], []
    for i, values in enumerate(sample.values if sample else ()):
        if values.size == 0:
            raise UnitsError(
                f"band {i + 1} of those chosen from {where} holds no valid value, so it has no "
                "percentiles; choose other bands, or declare a range such as 0:3000"
            )
        low, high = (float(v) for v in np.percentile(values, [p, q]))
        if low == high:
            raise UnitsError(
                f"percentiles {p:g} and {q:g} of band {i + 1} chosen from {where} are both "
                f"{low:g}; declare a range such as 0:3000 instead"
            )
        lows.append(low)
        highs.append(high)
    return Units(word.replace(" ", ""), tuple(lows), tuple(highs))


def _reflectance(word: str, n_bands: int, sample: Sample | None, where: str) -> Units:
    scales: tuple[float, ...] = sample.scales if sample else (1.0,) * n_bands
    offsets: tuple[float, ...] = sample.offsets if sample else (0.0,) * n_bands
    if word != "reflectance":
        try:
            divisor = float(word.removeprefix("reflectance:"))
        except ValueError:
            divisor = 0.0
        if not 0 < divisor < np.inf:
            raise UnitsError(
                f"units {word!r} for {where} are not understood; write reflectance, or "
                "reflectance:10000 when values are reflectance times 10,000"
            )
        scales, offsets = (1 / divisor,) * n_bands, (0.0,) * n_bands
    elif scales == (1.0,) * n_bands and sample and max(map(_top, sample.values), default=0.0) > 2:
        raise UnitsError(
            f"{where} cannot hold reflectance as it stands: values reach "
            f"{max(map(_top, sample.values)):g} and the file states no scale factor; "
            "write reflectance:10000 if values are reflectance times 10,000"
        )
    low = tuple((0.0 - o) / s for s, o in zip(scales, offsets, strict=True))
    high = tuple((REFLECTANCE_WHITE - o) / s for s, o in zip(scales, offsets, strict=True))
    return Units(word, low, high)


def _top(values: npt.NDArray[np.float64]) -> float:
    return float(np.percentile(values, 99)) if values.size else 0.0


def suggest(dtype: str, sample: Sample) -> list[str]:
    """List the declarations that would fit a scene's values, most likely first.

    Args:
        dtype: Data type of the raster.
        sample: A sample of its valid values.

    Returns:
        One to four declarations; ``parse_units`` accepts them for this sample.
    """
    filled = [v for v in sample.values if v.size]
    if not filled:
        return ["percentile:2,98"]
    pooled = np.concatenate(filled)
    low, p98, high = (float(v) for v in np.percentile(pooled, [0, 98, 100]))
    top = max(map(_top, filled))  # a few outliers do not make reflectance something else
    scaled = any(s != 1.0 for s in sample.scales)
    out = []
    if scaled or (np.dtype(dtype).kind == "f" and low >= -0.2 and top <= 2.0):
        out.append("reflectance")
    elif np.dtype(dtype).kind in "iu" and low >= -2000 and 255 < p98 <= 12000:
        out += ["0:3000", "reflectance:10000"]
    if low >= 0 and top > 2.0 and high <= 255:
        out.append("0:255")
    elif not out:
        out.append(_widened(low, high))
    return out if any(_is_flat(v) for v in filled) else [*out, "percentile:2,98"]


def _widened(low: float, high: float) -> str:
    """Write the range of the values in few digits, apart even where they are all one."""
    digits = next((n for n in (6, 9, 17) if float(f"{low:.{n}g}") < float(f"{high:.{n}g}")), None)
    if digits is None:
        return f"{min(0.0, 2 * low):g}:{max(1.0, 2 * high):g}"
    return f"{low:.{digits}g}:{high:.{digits}g}"


def _is_flat(values: npt.NDArray[np.float64]) -> bool:
    low, high = np.percentile(values, [2, 98])
    return bool(low == high)
