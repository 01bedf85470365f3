"""What a network takes in: which bands, in which order, units, size and scale.

A contract belongs to weights, not to a network: two sets of weights of one
network may differ in the order of the channels or in the scale. All of it is
applied on the device, from the scene's 0–255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from terrapatch.errors import BackboneError, UnitsError
from terrapatch.units import Units

Quantity = Literal["display", "reflectance", "decibels"]

RGB = ("red", "green", "blue")
# Luma of ITU-R BT.601, for networks that take one grey channel.
LUMA = (0.299, 0.587, 0.114)
SIDES = (32, 2048)


@dataclass(frozen=True)
class InputContract:
    """How the scene's pixels become what the network was trained on.

    Attributes:
        channels: Bands the scene gives, in order.
        mean: Subtracted from every channel of the network, on the scale of ``quantity``.
        std: What the difference is divided by.
        sizes: Smallest and largest side the default input size takes, in pixels.
        interpolation: How patches are resized, always with antialiasing.
        order: Which of ``channels`` each channel of the network takes; as they come if
            ``None``. ``(2, 1, 0)`` is the BGR of Caffe.
        grey: Whether red, green and blue are first brought to one grey channel.
        quantity: What ``mean`` and ``std`` count: ``display`` (0–255 as on a screen),
            ``reflectance`` (0–1 as 0–255) or ``decibels``.
        native: Side the network was trained at, in pixels.
        least: Smallest side, in pixels, that the network's layers leave something of.
        step: What every side has to be a multiple of.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[int, int] = (128, 256)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    order: tuple[int, ...] | None = None
    grey: bool = False
    quantity: Quantity = "display"
    native: int = 224
    least: int = 32
    step: int = 1

    def input_size(self, patch: tuple[int, int]) -> int:
        """Return the side, in pixels, that patches are brought to by default.

        The larger side of the patch rounded up to a multiple of 32, the stride of
        common networks, within ``sizes``: a patch is hardly enlarged, and a large
        one is brought near the scale the network was trained at.
        """
        low, high = self.sizes
        return min(max(-(-max(patch) // 32) * 32, low), high)

    def check_size(self, name: str, side: int) -> None:
        """Refuse a side the network cannot take.

        Raises:
            BackboneError: If so.
        """
        low, high = max(SIDES[0], self.least), SIDES[1]
        if not low <= side <= high:
            raise BackboneError(f"input size {side} is not between {low} and {high} pixels")
        if side % self.step:
            raise BackboneError(
                f"{name} takes input sizes that are multiples of {self.step}, which {side} is not; "
                f"pass --input-size {max(low, side // self.step * self.step)}"
            )

    def units_for(self, units: Units, where: str) -> Units:
        """Return the units a scene is to be read in, or refuse what it declares.

        Reflectance is read with 1.0 as 255, so that bright surfaces are not clipped;
        everything else is read as declared.

        Raises:
            UnitsError: If the network counts in something the scene does not declare.
        """
        if self.quantity == "reflectance":
            if not units.is_reflectance:
                raise UnitsError(
                    f"the backbone takes reflectance but {where} is declared as {units.text}; "
                    "declare --units reflectance or reflectance:10000, or choose a backbone that "
                    "takes pictures (0–255)"
                )
            return units.whole_reflectance()
        if self.quantity == "decibels" and ":" not in units.text:
            raise UnitsError(
                f"the backbone takes decibels but {where} is declared as {units.text}; declare "
                "the range of its decibels, for example --units=-50:10"
            )
        return units

    def with_units(self, units: Units) -> InputContract:
        """Return the contract with mean and deviation on the 0–255 that the scene gives."""
        if self.quantity != "decibels":
            return self
        picked = [range(len(units.low))[i] for i in self.order or range(len(units.low))]
        gains = [255.0 / (units.high[i] - units.low[i]) for i in picked]
        return replace(
            self,
            mean=tuple(
                (m - units.low[i]) * g for m, i, g in zip(self.mean, picked, gains, strict=True)
            ),
            std=tuple(s * g for s, g in zip(self.std, gains, strict=True)),
        )

    def words(self) -> str:
        """Say in one line what the network takes."""
        names = list(self.channels)
        if self.order is not None:
            names = [self.channels[i] for i in self.order]
        if self.grey:
            names = ["grey (0.299 red + 0.587 green + 0.114 blue)"]
        scale = {
            "display": "0–255",
            "reflectance": "reflectance, 1.0 as 255",
            "decibels": "decibels",
        }[self.quantity]
        return (
            f"{', '.join(names)}; {scale}, minus {_numbers(self.mean)}, divided by "
            f"{_numbers(self.std)}"
        )


def _numbers(values: Sequence[float]) -> str:
    shown = [f"{v:.6g}" for v in values]
    return shown[0] if len(set(shown)) == 1 else "/".join(shown)
