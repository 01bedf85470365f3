"""What a backbone is: a frozen description, and a loader of something that embeds patches.

Nothing here imports torch; the loaders do, when they are called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from terrapatch.backbones import weights as files
from terrapatch.backbones.architecture import LOGITS, Architecture
from terrapatch.backbones.contract import InputContract
from terrapatch.backbones.weights import Found, Weights
from terrapatch.errors import BackboneError, WeightsError

if TYPE_CHECKING:
    from terrapatch.backbones.analysis import NetworkFacts
    from terrapatch.backbones.mixing import Mixing

Batch = npt.NDArray[Any]
Groups = tuple[tuple[str, int, int], ...]

POOLINGS = ("mean", "std", "max", "gem", "flatten")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Descriptor:
    """Which numbers describe a patch: layers, how each is pooled, and how scaled.

    Attributes:
        layers: Names or module paths of the layers that are tapped.
        pooling: How each is pooled over its positions, see ``terrapatch.backbones.pooling``.
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
class Backbone:
    """A frozen description of a network (or a baseline) with weights, and how to load it.

    Attributes:
        name: Name in the registry.
        summary: One line about it.
        layers: Names of the layers that can be tapped, in order.
        default: The descriptor used when none is asked for.
        contract: What it takes in; ``None`` where any bands in any size do.
        loader: Builds an embedder; see ``load``.
        architecture: The network; ``None`` for what is none.
        weights: Its file of weights, where it has one.
        found: That file once it is found (see ``ready``).
        seed: Seed of random weights, where it has no file.
        tensors: Numbers that were drawn from a scene instead of read from a file.
        mixing: How more bands become the channels it takes.
        fits: Whether those numbers have to be drawn from a scene (or read from a file).
        poolings: Ways its layers can be pooled.
        precisions: Precisions it computes in.
        packages: Packages whose code makes the numbers.
        refusal: Why it cannot embed a scene; empty where it can.
    """

    name: str
    summary: str
    layers: tuple[str, ...]
    default: Descriptor
    contract: InputContract | None
    loader: Callable[[Backbone, Descriptor, int | None, str, str], Embedder] = field(repr=False)
    architecture: Architecture | None = None
    weights: Weights | None = None
    found: Found | None = None
    seed: int | None = None
    tensors: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    mixing: Mixing | None = None
    fits: bool = False
    poolings: tuple[str, ...] = POOLINGS
    precisions: tuple[str, ...] = PRECISIONS
    packages: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def channels(self) -> int | None:
        """Number of bands it takes, or ``None`` when any number does."""
        if self.contract is None or self.mixing is not None:
            return None
        return len(self.contract.channels)

    @property
    def uses_torch(self) -> bool:
        """Whether loading it imports torch."""
        return "torch" in self.packages

    @property
    def compiles(self) -> bool:
        """Whether it is a network that ``torch.compile`` can take."""
        return self.architecture is not None

    def ready(
        self,
        given: str | os.PathLike[str] | None = None,
        *,
        offline: bool = False,
        progress: files.Progress | None = None,
    ) -> Backbone:
        """Return the backbone with its file of weights found; quick, and without torch.

        Args:
            given: A file of weights to use instead of the registered one.
            offline: Whether a download is ruled out.
            progress: Called as ``progress("download", bytes done, bytes in all)``.

        Raises:
            WeightsError: If the file is missing, damaged or another.
            BackboneError: If it cannot embed a scene, or takes no file.
        """
        if self.refusal:
            raise BackboneError(f"{self.name} {self.refusal}")
        if self.fits and given is not None:
            return replace(self, tensors=_drawn(Path(given), self.name))
        if self.weights is None:
            if given is not None:
                raise BackboneError(f"{self.name} takes no file of weights; leave out --weights")
            return self
        if self.found is not None:
            return self
        path = None if given is None else Path(given)
        found = files.find(self.weights, self.name, given=path, offline=offline, progress=progress)
        return replace(self, found=found)

    def identity(self) -> str | None:
        """Return what tells the weights from others: a hash, or ``None`` for a baseline's none."""
        if self.found is not None:
            return self.found.sha256
        if self.tensors is not None:
            from terrapatch.backbones.rcf import fingerprint

            return fingerprint(self.tensors)
        if self.seed is not None and self.architecture is not None:
            from terrapatch.backbones.build import random_fingerprint

            return random_fingerprint(self.architecture, self.seed)
        return None if self.seed is None else f"seed {self.seed}"

    def describe(
        self,
        layers: Sequence[str] | str | None = None,
        pooling: Sequence[str] | str | None = None,
        l2: bool | None = None,
    ) -> Descriptor:
        """Make a descriptor from names, the backbone's default where none are given.

        Args:
            layers: Layer names or module paths, ``"all"`` (all but the logits), ``"last"``
                (the last before the classifier), or text with commas.
            pooling: ``mean``, ``std``, ``max``, ``gem``, ``flatten``, or text with commas.
            l2: Whether each layer's numbers are brought to unit length.

        Raises:
            BackboneError: If a layer or a pooling does not exist.
        """
        chosen = _words(layers) if layers is not None else self.default.layers
        plain = tuple(name for name in self.layers if name != LOGITS)
        several = {"all": plain, "last": plain[-1:]}
        chosen = tuple(dict.fromkeys(n for w in chosen for n in several.get(w, (w,))))
        pools = _words(pooling) if pooling is not None else self.default.pooling
        for word in chosen:
            self._check_layer(word)
        for word in pools:
            if word not in self.poolings:
                raise BackboneError(
                    f"{self.name} has no pooling {word!r}; choose from {', '.join(self.poolings)}"
                )
        if not chosen or not pools:
            raise BackboneError("name at least one layer and one pooling (mean, std)")
        named = [name for name in self.layers if name in chosen]
        ordered = (*named, *(word for word in chosen if word not in named))
        pools = tuple(p for p in POOLINGS if p in pools)
        return Descriptor(ordered, pools, self.default.l2 if l2 is None else l2)

    def _check_layer(self, word: str) -> None:
        if word in self.layers:
            return
        if self.architecture is not None:
            from terrapatch.backbones.build import module_paths

            if word in module_paths(self.architecture):
                return
        paths = ", or the path of a module" if self.architecture is not None else ""
        raise BackboneError(
            f"{self.name} has no layer {word!r}; choose from {', '.join(self.layers)}, "
            f"all or last{paths}"
        )

    def input_size(self, patch: tuple[int, int], asked: int | None = None) -> int | None:
        """Return the side patches are brought to, or ``None`` where they are taken as they are.

        Raises:
            BackboneError: If the network cannot take the side asked for.
        """
        if self.contract is None:
            return None
        if asked is not None:
            self.contract.check_size(self.name, asked)
        return asked or self.contract.input_size(patch)

    def examine(self, size: int | None = None) -> NetworkFacts:
        """Compute parameters, cost and every layer's width, stride and field from the network.

        Args:
            size: Side of a patch in pixels; the weights' own size by default.

        Raises:
            BackboneError: If it is no network, or cannot take that side.
        """
        if self.architecture is None or self.contract is None:
            raise BackboneError(f"{self.name} is no network, so it has no layers to examine")
        from terrapatch.backbones.analysis import examine

        side = size or self.contract.native
        self.contract.check_size(self.name, side)
        channels = 1 if self.contract.grey else len(self.contract.mean)
        return examine(self.architecture, channels, side)

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
            WeightsError: If the weights are missing, damaged or of another network.
            BackboneError: If the device or precision cannot be had.
        """
        if precision not in self.precisions:
            known = "not known" if precision not in PRECISIONS else f"not one of {self.name}"
            raise BackboneError(
                f"precision {precision!r} is {known}; choose {', '.join(self.precisions)}"
            )
        return self.loader(self.ready(), descriptor or self.default, input_size, device, precision)


def _drawn(path: Path, name: str) -> dict[str, Any]:
    """Read numbers that were drawn from a scene."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from terrapatch.backbones.rcf import TENSOR

    again = (
        f"{path} cannot be read as the filters of {name}; draw them with: terrapatch backbones fit"
    )
    try:
        found = dict(load_file(path))
    except (SafetensorError, ValueError, OSError) as fault:
        raise WeightsError(again) from fault
    if set(found) != {TENSOR} or found[TENSOR].ndim != 4:
        raise WeightsError(again)
    return found


def _words(text: Sequence[str] | str) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(p.strip() for p in parts if p.strip()))
