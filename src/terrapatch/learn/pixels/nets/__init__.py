"""Networks for pixels: they learn from the spectrum of a pixel, or from the square around it.

``make_net("net:hybridsn,patch=9,epochs=60", seed=0)`` makes a learner. Torch is imported when
a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.learn.pixels.nets.kinds import KINDS, NetKind, net_names
    from terrapatch.learn.pixels.nets.learner import NetLearner, make_net
    from terrapatch.learn.pixels.nets.settings import NetSettings, parse_net

_HOMES = {
    "KINDS": "kinds",
    "NetKind": "kinds",
    "NetLearner": "learner",
    "NetSettings": "settings",
    "make_net": "learner",
    "net_names": "kinds",
    "parse_net": "settings",
}

__all__ = ["KINDS", "NetKind", "NetLearner", "NetSettings", "make_net", "net_names", "parse_net"]


def __getattr__(name: str) -> Any:
    """Import the module behind a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
