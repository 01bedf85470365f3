"""What a backbone is: a frozen description, and a loader of something that embeds patches.

Nothing here imports torch; the loaders do, when they are called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from terrapatch.errors import BackboneError, WeightsError

Batch = npt.NDArray[Any]
Groups = tuple[tuple[str, int, int], ...]

POOLINGS = ("mean", "std")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class InputContract:
    """How eight-bit pixels become what the network was trained on.

    Attributes:
        channels: Names of the channels, in the order the network takes them.
        mean: Subtracted from every channel, on the 0–255 scale.
        std: What the difference is divided by, on the 0–255 scale.
        sizes: Smallest and largest side the default input size takes.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[int, int] = (128, 256)

    def input_size(self, patch: tuple[int, int]) -> int:
        """Return the side, in pixels, that patches are brought to by default.

        The larger side of the patch rounded up to a multiple of 32, the stride of
        common networks, within ``sizes``: a patch is hardly enlarged, and a large
        one is brought near the scale the network was trained at.
        """
        low, high = self.sizes
        return min(max(-(-max(patch) // 32) * 32, low), high)


@dataclass(frozen=True)
class Weights:
    """A file of weights: where it comes from and how to know it.

    Attributes:
        find: Returns the file's path, or ``None`` where it is not installed.
        name: The file's name.
        source: Where to get it, in words.
        fix: The command that brings it.
        size: Its size in bytes.
        sha256: Its hash.
        licence: SPDX identifier.
        citation: What to cite.
    """

    find: Callable[[], Path | None] = field(repr=False, compare=False)
    name: str
    source: str
    fix: str
    size: int
    sha256: str
    licence: str
    citation: str

    def path(self) -> Path:
        """Return the path of the file, once its size and hash are checked.

        Raises:
            WeightsError: If it is missing, truncated or another file.
        """
        path = self.find()
        if path is None or not path.is_file():
            raise WeightsError(
                f"the weights {self.name} ({self.size / 1e6:.0f} MB, from {self.source}, sha256 "
                f"{self.sha256[:12]}…) are not on this machine; get them with: {self.fix}"
            )
        if path.stat().st_size != self.size:
            raise WeightsError(
                f"{path} is {path.stat().st_size:,} bytes long but {self.name} has {self.size:,}, "
                f"so it is cut short or another file; get it again with: {self.fix}"
            )
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as fault:
            raise WeightsError(
                f"{path} cannot be read ({fault.strerror}); make it readable, or get it again "
                f"with: {self.fix}"
            ) from fault
        if digest != self.sha256:
            raise WeightsError(
                f"{path} does not have the hash of {self.name}, so it is damaged or another file; "
                f"get it again with: {self.fix}"
            )
        return path


@dataclass(frozen=True)
class Descriptor:
    """Which numbers describe a patch: layers, how each is pooled, and how scaled.

    Attributes:
        layers: Names of the layers that are tapped, in the network's order.
        pooling: ``mean`` and/or ``std`` over the positions of a layer's map.
        l2: Whether each layer's numbers are brought to unit length.
    """

    layers: tuple[str, ...]
    pooling: tuple[str, ...] = ("mean", "std")
    l2: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the descriptor for a recipe."""
        return {"layers": list(self.layers), "pooling": list(self.pooling), "l2": self.l2}


class Embedder(Protocol):
    """Something that turns patches into descriptors."""

    @property
    def groups(self) -> Groups:
        """Name, start and stop of each layer's numbers in a descriptor."""
        ...

    def features(self, batch: Batch, valid: Batch | None = None) -> npt.NDArray[np.float32]:
        """Describe patches.

        Args:
            batch: ``(n, bands, height, width)`` in 0–255, uint8 or float32.
            valid: ``(n, height, width)``, or ``None`` where every pixel is valid;
                invalid pixels hold the mean of their patch's valid ones.

        Returns:
            ``(n, features)`` float32.
        """
        ...


@dataclass(frozen=True)
class Layer:
    """One layer of a built network: its name, width, stride and map at an input size."""

    name: str
    width: int
    stride: int
    map_size: tuple[int, int]


@dataclass(frozen=True)
class Backbone:
    """A frozen description of a network (or a baseline), and how to load it.

    Attributes:
        name: Name in the registry.
        summary: One line about it.
        layers: Names of the layers that can be tapped, in order.
        default: The descriptor used when none is asked for.
        contract: What it takes in; ``None`` where any bands in any size do.
        weights: Its weights, where it has any.
        loader: Builds an embedder; see ``load``.
        table: Computes the layers' widths and strides at an input size.
        count: Computes the number of parameters.
        uses_torch: Whether loading it imports torch.
    """

    name: str
    summary: str
    layers: tuple[str, ...]
    default: Descriptor
    contract: InputContract | None
    weights: Weights | None
    loader: Callable[[Descriptor, int | None, str, str], Embedder] = field(repr=False)
    table: Callable[[int], list[Layer]] = field(repr=False)
    count: Callable[[], int] = field(repr=False)
    uses_torch: bool = True

    @property
    def channels(self) -> int | None:
        """Number of bands it takes, or ``None`` when any number does."""
        return None if self.contract is None else len(self.contract.channels)

    def describe(
        self,
        layers: Sequence[str] | str | None = None,
        pooling: Sequence[str] | str | None = None,
        l2: bool | None = None,
    ) -> Descriptor:
        """Make a descriptor from names, the backbone's default where none are given.

        Args:
            layers: Layer names, ``"all"``, ``"last"``, or text with commas.
            pooling: ``mean`` and/or ``std``, or text with commas.
            l2: Whether each layer's numbers are brought to unit length.

        Raises:
            BackboneError: If a layer or a pooling does not exist.
        """
        chosen = _words(layers) if layers is not None else self.default.layers
        if chosen == ("all",):
            chosen = self.layers
        elif chosen == ("last",):
            chosen = self.layers[-1:]
        pools = _words(pooling) if pooling is not None else self.default.pooling
        for word, known, what in (
            *((w, self.layers, "layer") for w in chosen),
            *((w, POOLINGS, "pooling") for w in pools),
        ):
            if word not in known:
                raise BackboneError(
                    f"{self.name} has no {what} {word!r}; choose from {', '.join(known)}"
                    + (", all or last" if what == "layer" else "")
                )
        if not chosen or not pools:
            raise BackboneError("name at least one layer and one pooling (mean, std)")
        ordered = tuple(name for name in self.layers if name in chosen)
        pools = tuple(p for p in POOLINGS if p in pools)
        return Descriptor(ordered, pools, self.default.l2 if l2 is None else l2)

    def input_size(self, patch: tuple[int, int], asked: int | None = None) -> int | None:
        """Return the side patches are brought to, or ``None`` where they are taken as they are.

        Raises:
            BackboneError: If the side asked for is not between 32 and 2,048.
        """
        if self.contract is None:
            return None
        if asked is not None and not 32 <= asked <= 2048:
            raise BackboneError(f"input size {asked} is not between 32 and 2048 pixels")
        return asked or self.contract.input_size(patch)

    def load(
        self,
        descriptor: Descriptor | None = None,
        input_size: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> Embedder:
        """Build the network, load its weights and return something that embeds patches.

        Args:
            descriptor: Which layers and poolings; the default one if ``None``.
            input_size: Side that patches are resized to.
            device: ``cpu``, ``cuda`` or another torch device.
            precision: ``fp32``, ``bf16`` or ``fp16``.

        Raises:
            WeightsError: If the weights are missing or damaged.
            BackboneError: If the device or precision cannot be had.
        """
        if precision not in PRECISIONS:
            raise BackboneError(
                f"precision {precision!r} is not known; choose {', '.join(PRECISIONS)}"
            )
        return self.loader(descriptor or self.default, input_size, device, precision)


def _words(text: Sequence[str] | str) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(p.strip() for p in parts if p.strip()))
