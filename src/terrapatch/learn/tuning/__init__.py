"""Fine-tuning: augmentation of nadir imagery, and networks trained on labelled images.

Nothing is imported until a name is used: torch and Lightning cost nothing to those who
do not tune.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.learn.tuning.augment import Augment, Augmented, augment_transform
    from terrapatch.learn.tuning.history import History
    from terrapatch.learn.tuning.plan import Plan
    from terrapatch.learn.tuning.running import tune
    from terrapatch.learn.tuning.tuned import Tuned

_HOMES = {
    "Augment": "augment",
    "Augmented": "augment",
    "History": "history",
    "Plan": "plan",
    "Tuned": "tuned",
    "augment_transform": "augment",
    "tune": "running",
}

__all__ = ["Augment", "Augmented", "History", "Plan", "Tuned", "augment_transform", "tune"]


def __getattr__(name: str) -> Any:
    """Import the module behind a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
