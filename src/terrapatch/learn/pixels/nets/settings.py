"""How a network for pixels is trained: every number a person can turn, and its limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.nets.kinds import find_net

BALANCES = ("none", "root", "weights", "sampling")
AVERAGES = ("none", "d4")
DEVICES = ("auto", "cpu", "cuda")
PREFIX = "net:"


@dataclass(frozen=True)
class NetSettings:
    """Settings of a network and of its training.

    Attributes:
        net: Kind of network, see ``terrapatch.learn.pixels.nets.kinds``.
        patch: Side of the square it looks at, in pixels; odd.
        width: What the network's usual numbers of channels are multiplied by.
        epochs: Passes over the training pixels.
        batch: Pixels of a step.
        lr: Learning rate (AdamW, Loshchilov and Hutter 2019, ICLR) after a short rise; it
            falls along half a cosine to 0.
        decay: Weight decay.
        dropout: Share of the last layer's inputs left out while training.
        smoothing: Label smoothing (Szegedy et al. 2016, CVPR).
        noise: Standard deviation of the noise that is added to standardised features
            while training.
        turns: Whether squares are turned by quarters and mirrored while training.
        balance: What is done for rare classes. ``weights`` weighs a pixel by one over the
            number of pixels of its class, ``root`` by one over its root, ``sampling``
            draws pixels of all classes equally often.
        held: Share of the training pixels that decides which epoch is kept; 0 to train on
            all of them to the end, which is better with few labels.
        patience: Epochs without a lower loss on the held pixels after which training ends.
        refit: Whether the network is trained once more, on all pixels and for as many
            epochs as were best.
        average: ``d4`` to average over turned and mirrored squares when a class is told,
            eight times the work.
        threads: Threads of the processor while training. Sums depend on their number in
            the last digits, so it is a setting and not what the machine has.
        device: ``auto``, ``cpu`` or ``cuda``.
        seed: Seed of weights, order, augmentation and held pixels.
    """

    net: str
    patch: int = 9
    width: float = 1.0
    epochs: int = 40
    batch: int = 64
    lr: float = 1e-3
    decay: float = 0.01
    dropout: float = 0.4
    smoothing: float = 0.1
    noise: float = 0.05
    turns: bool = True
    balance: str = "none"
    held: float = 0.0
    patience: int = 20
    refit: bool = False
    average: str = "none"
    threads: int = 1
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            SamplesError: If one is out of its limits.
        """
        kind = find_net(self.net)
        if self.patch % 2 == 0 or not kind.least <= self.patch <= kind.most:
            limits = "1" if kind.most == 1 else f"an odd number from {kind.least} to {kind.most}"
            raise SamplesError(f"{self.net} does not take patch={self.patch}; choose {limits}")
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise SamplesError(
                    f"{name}={value} is not from {low:g} to {high:g}; choose one that is"
                )
        for name, words in _WORDS:
            if getattr(self, name) not in words:
                raise SamplesError(
                    f"{name} {getattr(self, name)!r} is not known; choose one of {', '.join(words)}"
                )
        if self.refit and not self.held:
            raise SamplesError("refit needs pixels that decide the epoch; give held=0.2 as well")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return dataclasses.asdict(self)

    @property
    def text(self) -> str:
        """The text that makes the same settings: what differs from the defaults is named."""
        plain = dict(find_net(self.net).defaults)
        told = [f"{PREFIX}{self.net}"]
        for one in dataclasses.fields(self)[1:]:
            value = getattr(self, one.name)
            if one.name == "patch" or value != plain.get(one.name, one.default):
                shown = ("no", "yes")[value] if isinstance(value, bool) else f"{value}"
                told.append(f"{one.name}={shown}")
        return ",".join(told)


_LIMITS = (
    ("width", 0.1, 16.0),
    ("epochs", 1, 100_000),
    ("batch", 2, 65_536),
    ("lr", 1e-8, 10.0),
    ("decay", 0.0, 10.0),
    ("dropout", 0.0, 0.95),
    ("smoothing", 0.0, 0.9),
    ("noise", 0.0, 10.0),
    ("held", 0.0, 0.5),
    ("patience", 1, 100_000),
    ("threads", 1, 1024),
    ("seed", 0, 2**32 - 1),
)
_WORDS = (("balance", BALANCES), ("average", AVERAGES), ("device", DEVICES))


def make_settings(net: str, options: Mapping[str, Any]) -> NetSettings:
    """Make settings from a network's name and the options that were named.

    Args:
        net: Kind of network.
        options: Values by name; those left out are what suits the network.

    Raises:
        SamplesError: If there is no such network or option, or a value is out of its limits.
    """
    known = [one.name for one in dataclasses.fields(NetSettings)][1:]
    for name in options:
        if name not in known:
            raise SamplesError(
                f"there is no option {name!r} of a network; choose from {', '.join(known)}"
            )
    return NetSettings(net, **{**find_net(net).defaults, **options})


def parse_net(text: str, seed: int = 0) -> NetSettings:
    """Read a text such as ``net:hybridsn,patch=9,epochs=60``.

    Args:
        text: Kind of network and its options; ``net:`` may be left out.
        seed: The seed, where the text names none.

    Raises:
        SamplesError: If it is not understood.
    """
    net, *parts = text.removeprefix(PREFIX).split(",")
    options: dict[str, Any] = {"seed": seed}
    readers = {one.name: _READERS[str(one.type)] for one in dataclasses.fields(NetSettings)}
    find_net(net.strip())
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise SamplesError(f"{part!r} in {text!r} is no option; write name=value, with commas")
        try:
            options[name] = readers.get(name, str)(value)
        except ValueError as fault:
            raise SamplesError(
                f"{name}={value} in {text!r} is not understood; give {_told(readers[name])}"
            ) from fault
    return make_settings(net.strip(), options)


def _switch(word: str) -> bool:
    """Read yes or no."""
    if word not in {"yes", "no"}:
        raise ValueError(word)
    return word == "yes"


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": _switch,
    "str": str,
}


def _told(reader: Callable[[str], Any]) -> str:
    return {int: "a whole number", float: "a number"}.get(reader, "yes or no")  # type: ignore[call-overload, no-any-return]
