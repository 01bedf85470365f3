"""Which stage of a network a module belongs to, and what runs before a stage ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from terrapatch.backbones.architecture import LOGITS, Architecture
from terrapatch.backbones.taps import Taps

# What rounding may make of features that are computed in two ways.
TOLERANCE = 1e-3


def stage_names(architecture: Architecture) -> tuple[str, ...]:
    """Return the names of a network's stages from its input on: its layers but the logits."""
    return tuple(name for name in architecture.layers if name != LOGITS)


def taps_of(network: nn.Module, architecture: Architecture, *layers: str) -> Taps:
    """Return taps of layers that still have to count their calls."""
    return Taps(network, {name: architecture.path(name) for name in layers}, architecture.takes)


def module_stages(
    network: nn.Module, architecture: Architecture, probe: torch.Tensor
) -> dict[str, int]:
    """Find the stage of every module by watching the network run.

    A stage ends with its layer; a module belongs to the stage in which it starts. Modules
    that start after the last stage, the old classifier's, belong to none.

    Args:
        network: The network, in evaluation mode.
        architecture: Its blueprint.
        probe: A batch that it takes.

    Returns:
        Stage numbers by module path; the network itself is ``""``.
    """
    taps = taps_of(network, architecture, *stage_names(architecture))
    ended: list[str] = []
    found: dict[str, int] = {"": 0}
    with torch.no_grad():
        taps.count(probe)
        with _watching(network, found, ended):
            taps.run(probe, lambda name, _: ended.append(name))
    for path in list(found):  # parents that are never called themselves hold parameters too
        parts = path.split(".")
        for i in range(1, len(parts)):
            found.setdefault(".".join(parts[:i]), found[path])
    return found


@contextmanager
def _watching(network: nn.Module, found: dict[str, int], ended: list[str]) -> Iterator[None]:
    """Note for every module how many stages had ended when it started."""
    handles = []
    for path, module in network.named_modules():

        def hook(_module: nn.Module, _given: object, path: str = path) -> None:
            found.setdefault(path, len(ended))

        handles.append(module.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Cut:
    """A network that begins after one of its stages, on the maps which that stage gives.

    Everything that runs up to the cut is replaced by a module that does nothing, so what
    is handed to the network arrives at the cut as it is. That holds where those modules
    stand in a chain, as in most convolutional networks; ``fits`` tries it.

    Args:
        network: The network, in evaluation mode.
        architecture: Its blueprint.
        layer: The stage after which it is cut.
        probe: A batch that it takes.
    """

    def __init__(
        self, network: nn.Module, architecture: Architecture, layer: str, probe: torch.Tensor
    ) -> None:
        """Run the network up to the cut and note which modules ran."""
        self._network, self._kept = network, dict[str, nn.Module]()
        taps = taps_of(network, architecture, layer)
        done = [architecture.path(layer)]
        handles = []
        for path, module in network.named_modules():

            def hook(_module: nn.Module, _given: object, _made: object, path: str = path) -> None:
                done.append(path)

            handles.append(module.register_forward_hook(hook))
        try:
            with torch.no_grad():
                taps.count(probe)
                done[1:] = []
                taps.run(probe, lambda _name, _made: None)
        finally:
            for handle in handles:
                handle.remove()
        inside = set(done)
        self._paths = [p for p in dict.fromkeys(done) if p and not _parents(p) & inside]

    def fits(
        self, run: Callable[[torch.Tensor], torch.Tensor], whole: torch.Tensor, maps: torch.Tensor
    ) -> bool:
        """Take out what runs up to the cut, if the rest gives the same as the whole did.

        Args:
            run: Runs the network.
            whole: A batch that the whole network takes.
            maps: What the cut's stage gives of it.

        Returns:
            Whether it does; the network is left whole if not.
        """
        with torch.no_grad():
            expected = run(whole)
            self.take_out()
            try:
                found = run(maps)
                same = found.shape == expected.shape and bool(
                    (found - expected).norm() <= TOLERANCE * expected.norm()
                )
            except (RuntimeError, AssertionError, ValueError, IndexError, TypeError):
                same = False
        if not same:
            self.put_back()
        return same

    def take_out(self) -> None:
        """Replace what runs up to the cut."""
        for path in self._paths:
            self._kept[path] = self._network.get_submodule(path)
            self._set(path, nn.Identity())

    def put_back(self) -> None:
        """Make the network whole again."""
        for path, module in self._kept.items():
            self._set(path, module)
        self._kept.clear()

    def _set(self, path: str, module: nn.Module) -> None:
        parent, _, name = path.rpartition(".")
        setattr(self._network.get_submodule(parent), name, module)


def _parents(path: str) -> set[str]:
    parts = path.split(".")
    return {".".join(parts[:i]) for i in range(1, len(parts))}
