"""A network as a blueprint: how it is built, and where its layers are. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

Stages = tuple[tuple[str, str], ...]
LOGITS = "logits"
STEM = "stem"


@dataclass(frozen=True)
class Architecture:
    """A network whose weights are yet to come.

    Attributes:
        name: Name in the registry.
        summary: One line about it.
        citation: The paper that describes it.
        build: Builds it with the library's own random weights.
        stages: Name and module path of every layer that has a name, in the order they run;
            ``logits`` is what the classifier gives.
        classifier: Module path of the classifier, whose weights may be missing.
        packages: Packages whose code makes the numbers, beside torch.
        layout: Order of the axes of the layers' maps.
        prefix: Tokens that stand for no place.
        rename: Turns names of published tensors into the network's own.
        ignore: Beginnings of names of published tensors that are not needed.
        read: Reads a file in a format of its own, or returns ``None`` where it is not in it.
        in_order: Whether published tensors may stand in the network's order under other names.
        takes: Called with the network and a batch; the network itself if ``None``.
    """

    name: str
    summary: str
    citation: str
    build: Callable[[], nn.Module] = field(repr=False)
    stages: Stages
    classifier: str
    packages: tuple[str, ...] = ()
    layout: Literal["nchw", "nhwc", "tokens"] = "nchw"
    prefix: int = 0
    rename: Callable[[Mapping[str, Any]], dict[str, Any]] | None = field(default=None, repr=False)
    ignore: tuple[str, ...] = ()
    read: Callable[[Path], dict[str, Any] | None] | None = field(default=None, repr=False)
    in_order: bool = False
    takes: Callable[[nn.Module, Any], Any] | None = field(default=None, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the order they run."""
        return tuple(name for name, _ in self.stages)

    def path(self, layer: str) -> str:
        """Return the module path of a layer; a path is returned as it is."""
        return dict(self.stages).get(layer, layer)

    def default_layers(self) -> tuple[str, ...]:
        """Return the layers of the default descriptor: all but the stem and the logits."""
        return tuple(name for name in self.layers if name not in (STEM, LOGITS))
