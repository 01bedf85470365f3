"""What torchgeo's weights take in: their bands by role, and their transforms as one scale.

Part of the adapter ``torchgeo_nets``. A transform says what is subtracted and what the
difference is divided by, not in which units the pixels come; where the authors of a data
set say it, it is written down here with the place they say it at. Importing this imports
neither torch nor torchgeo.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from terrapatch.backbones.contract import RGB, InputContract, Quantity
from terrapatch.backbones.torchgeo_families import Sides
from terrapatch.bands import role

# Sentinel-2 counts reflectance in ten thousandths.
COUNTS = 10_000.0
SENTINEL2 = {"2": "blue", "3": "green", "4": "red", "8": "nir"}
# The third Landsat sensor begins one band earlier, with violet.
LANDSAT = {"1": "blue", "2": "green", "3": "red", "4": "nir"}
LANDSAT_OLI = {"2": "blue", "3": "green", "4": "red", "5": "nir"}

# What becomes 0 and 255 in SSL4EO-L: top-of-atmosphere reflectance, and kelvins of the thermal
# bands (torchgeo's experiments/ssl4eo/landsat/compress_*_toa.sh); surface reflectance goes from
# 0 to 0.3 (compress_*_sr.sh), which is what ``--units reflectance`` makes of it.
TOA, THERMAL = (0.0, 0.4), (248.15, 318.15)
THERMAL_BANDS = {"tm": ("b6",), "etm": ("b6_vcid_1", "b6_vcid_2"), "oli": ("b10", "b11")}

# What Satlas is given, by sensor (Normalization.md of github.com/allenai/satlas).
SATLAS = {
    "sentinel1": "amplitudes of Level-1 GRD, no decibels",
    "sentinel2": "red, green and blue of the true-colour image (TCI)",
    "landsat": "counts of Level 1",
}

# SeCo stretches reflectance with 1.0 as 255 so that these become black and white (red, green,
# blue), and scales that as ImageNet is (datasets/seco_downloader.py and seco_dataset.py of
# github.com/ServiceNow/seasonal-contrast). torchgeo's transform has the black and white of red
# and blue the wrong way round, and multiplies by 255 without dividing by it again.
SECO_BLACK, SECO_WHITE = (0.0, 2.0, 3.0), (129.0, 103.0, 88.0)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Steps:
    """A transform of torchgeo's: ``(x - mean) / std`` of every channel, and the rest of it.

    Attributes:
        mean: One a channel; empty where the transform scales nothing.
        std: One a channel.
        side: Side of the patches that come out, if it says so.
        interpolation: How they are resized.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int | None
    interpolation: Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Scale:
    """What the pixels count, and how they are scaled from 0–255.

    Attributes:
        quantity: What they count.
        mean: Subtracted, one a channel.
        std: What the difference is divided by.
        units: What has to become 0 and 255 in each channel, where that is not plain.
    """

    quantity: Quantity
    mean: tuple[float, ...]
    std: tuple[float, ...]
    units: tuple[tuple[float, float], ...] = ()


def channels_of(model: str, meta: Mapping[str, Any]) -> int:
    """Return how many channels weights take; DOFA, which takes any, gets three."""
    return int(meta.get("in_chans", 3 if model.startswith("dofa") else 0))


def roles(weights: str, meta: Mapping[str, Any], channels: int) -> tuple[str, ...]:
    """Return the names that a scene may give the bands of weights.

    Args:
        weights: torchgeo's name of the weights, which begins with the sensor.
        meta: What it says about them.
        channels: How many there are.
    """
    bands = meta.get("bands")
    if bands is None:
        return RGB if channels == len(RGB) else tuple(f"band {i + 1}" for i in range(channels))
    return tuple(_role(weights.lower(), str(band)) for band in bands)


def _role(weights: str, band: str) -> str:
    number = re.fullmatch(r"(?:sr_)?b0?(\d+)", band.lower())
    if weights.startswith("landsat"):
        colours = LANDSAT if _landsat(weights) in ("tm", "etm") else LANDSAT_OLI
        return colours.get(number[1] if number else "", band.lower())
    if weights.startswith("sentinel2") and number:
        return SENTINEL2.get(number[1], f"b{int(number[1]):02d}")
    return role(band)


def _landsat(weights: str) -> str:
    sensor = weights.split("_")[1]
    return sensor if sensor in ("tm", "etm") else "oli"


def steps(transforms: Any, channels: int) -> Steps | None:
    """Read a transform of torchgeo's; ``None`` where it does something else than expected."""
    mean, std = (0.0,) * channels, (1.0,) * channels
    scaled, side = False, None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    for step in _flat(transforms):
        kind = type(step).__name__
        if kind == "Normalize":
            means, stds = _column(step.mean, channels), _column(step.std, channels)
            mean = tuple(m + s * n for m, s, n in zip(mean, std, means, strict=True))
            std = tuple(s * n for s, n in zip(std, stds, strict=True))
            scaled = True
        elif kind in ("Resize", "CenterCrop"):
            size = step.size if isinstance(step.size, Sequence) else (step.size,)
            side = int(size[0])
            how = getattr(getattr(step, "interpolation", None), "value", "bilinear")
            interpolation = "bicubic" if "bicubic" in (how, interpolation) else "bilinear"
        elif kind != "Identity":
            return None
    return Steps(mean if scaled else (), std if scaled else (), side, interpolation)


def _flat(transforms: Any) -> Iterator[Any]:
    children = list(transforms.children())
    for child in children:
        yield from _flat(child)
    if not children:
        yield transforms


def _column(values: Any, channels: int) -> tuple[float, ...]:
    numbers = [float(v) for v in values]
    return tuple(numbers * channels if len(numbers) == 1 else numbers)


def scale(weights: str, meta: Mapping[str, Any], bands: Sequence[str], done: Steps) -> Scale | None:
    """Decide what the pixels of weights count; ``None`` where nobody says it.

    Args:
        weights: torchgeo's name of the weights, which begins with the sensor.
        meta: What it says about them.
        bands: Their bands by role.
        done: What their transform does.
    """
    dataset, sensor = str(meta.get("dataset", "")), weights.lower()
    whole = Scale("display", (0.0,) * len(bands), (255.0,) * len(bands))
    if sensor.startswith("dofa"):
        # The authors scale photographs so (README of github.com/zhu-xlab/DOFA); torchgeo leaves
        # it out since other sensors have other numbers.
        return Scale("display", _times(IMAGENET_MEAN, 255), _times(IMAGENET_STD, 255))
    if dataset.startswith("SeCo"):
        return _seco()
    if not done.mean:
        return None
    if dataset == "SatlasPretrain":
        # Every band goes to 0–1, clipped (see above).
        ends = tuple((m, m + s) for m, s in zip(done.mean, done.std, strict=True))
        return Scale("display", whole.mean, whole.std, ends)
    if dataset == "SSL4EO-L":
        return Scale("display", done.mean, done.std, _ssl4eo_l(sensor, bands))
    if max(done.mean) < 0:
        return Scale("decibels", done.mean, done.std)
    if max(done.std) <= 1:
        return Scale("display", _times(done.mean, 255), _times(done.std, 255))
    if max(done.std) <= 255:
        return Scale("display", done.mean, done.std)
    if sensor.startswith("sentinel2") and min(done.std) > 1:
        return Scale("reflectance", _times(done.mean, 255 / COUNTS), _times(done.std, 255 / COUNTS))
    return None


def _times(values: Sequence[float], factor: float) -> tuple[float, ...]:
    return tuple(v * factor for v in values)


def _seco() -> Scale:
    spans = [white - black for black, white in zip(SECO_BLACK, SECO_WHITE, strict=True)]
    mean = (b + s * m for b, s, m in zip(SECO_BLACK, spans, IMAGENET_MEAN, strict=True))
    std = (s * d for s, d in zip(spans, IMAGENET_STD, strict=True))
    return Scale("reflectance", tuple(mean), tuple(std))


def _ssl4eo_l(weights: str, bands: Sequence[str]) -> tuple[tuple[float, float], ...]:
    if "_sr_" in weights:
        return ()
    thermal = THERMAL_BANDS[_landsat(weights)]
    return tuple(THERMAL if band in thermal else TOA for band in bands)


def contract(bands: tuple[str, ...], found: Scale, done: Steps, sides: Sides) -> InputContract:
    """Put together what weights take in; red, green and blue are taken in that order."""
    order = None
    if len(bands) == len(RGB) and set(bands) == set(RGB) and bands != RGB:
        bands, order = RGB, tuple(RGB.index(band) for band in bands)
    usual = min(max(done.side or 224, sides.sizes[0]), sides.sizes[1])
    return InputContract(
        channels=bands,
        mean=found.mean,
        std=found.std,
        sizes=sides.sizes,
        interpolation=done.interpolation,
        order=order,
        quantity=found.quantity,
        native=usual,
        least=sides.least,
        step=sides.step,
    )


def note(weights: str, meta: Mapping[str, Any], bands: Sequence[str], found: Scale) -> str:
    """Say what a person could not know about the pixels of weights, and how to declare them."""
    dataset, sensor = str(meta.get("dataset", "")), weights.lower()
    pixels = ""
    if sensor.startswith("dofa"):
        pixels = "red, green and blue as photographs"
    elif dataset.startswith("SeCo"):
        pixels = "scaled as its authors do"
    elif dataset == "SatlasPretrain":
        pixels = SATLAS.get(sensor.split("_")[0], "")
    elif dataset == "SSL4EO-L" and not found.units:
        pixels = "surface reflectance, declare --units reflectance"
    elif meta.get("model") == "vit_large_patch16":
        pixels = "positions as at 1 m a pixel"
    elif "ndvi" in bands:
        pixels = "NDVI from 0 to 1 on the scale of the reflectance"
    return "".join(f"; {part}" for part in (pixels, _declared(bands, found)) if part)


def _declared(bands: Sequence[str], found: Scale) -> str:
    """Write which units have to be declared; nothing where eight bits are taken as they are."""
    if not found.units or bands == RGB:
        return ""
    runs = itertools.groupby(zip(found.units, bands, strict=True), key=lambda pair: pair[0])
    parts = [(f"{low:g}:{high:g}", [band for _, band in run]) for (low, high), run in runs]
    if len(parts) == 1:
        return f"declare --units {parts[0][0]}"
    words = ", ".join(f"{text} for {' '.join(names)}" for text, names in parts)
    return f"declare --units with one range a band: {words}"
