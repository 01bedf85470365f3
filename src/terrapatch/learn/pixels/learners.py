"""Learners by their text: ``rbf-svm``, ``forest:balance=balanced``, ``net:hybridsn,patch=9``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.heads import HEADS
from terrapatch.learn.pixels.base import PixelLearner
from terrapatch.learn.pixels.heads import HeadLearner

NETS = "terrapatch.learn.pixels.nets"
BLEND = "terrapatch.learn.pixels.blend"
_NET, _BLEND = "net", "blend"
_OPTIONS = ("scaling", "balance", "folds")
_WORDS = {"gamma": ("scale",), "shrinkage": ("auto",)}
"""What a parameter may be beside a number."""
_MOST = {"shrinkage": 1.0}


def learner_names() -> list[str]:
    """Return the heads that ``parse_learner`` knows; there are ``net:…`` and ``blend:…`` too."""
    return [name for name, head in HEADS.items() if not head.spatial]


def parse_learner(text: str, seed: int = 0) -> PixelLearner:
    """Return an unfitted learner.

    Args:
        text: The name of a head with options after a colon, such as
            ``rbf-svm:C=100,gamma=scale`` (parameters that are given are not chosen),
            ``forest:balance=balanced``, ``rbf-svm:folds=stratified,scaling=none``;
            ``net:NAME,OPTION=…`` (see ``terrapatch.learn.pixels.nets``); or several heads,
            each on some of the layers, ``blend:lda@eap+mean|rbf-svm:C=100@emp`` (see
            ``terrapatch.learn.pixels.blend``).
        seed: Seed of everything random.

    Raises:
        SamplesError: If head, network or option are unknown or not understood.
        ClusterError: If there is no scaling of this name.
    """
    name, _, rest = text.strip().partition(":")
    if name == _NET:
        made: PixelLearner = _from(f"{NETS}:make_net")(rest, seed)
        return made
    if name == _BLEND:
        blend: PixelLearner = _from(f"{BLEND}:make_blend")(rest, seed)
        return blend
    return parse_head(text, seed)


def parse_head(text: str, seed: int = 0) -> HeadLearner:
    """Return the unfitted learner of one head, see ``parse_learner``.

    Raises:
        SamplesError: If head or option are unknown or not understood.
        ClusterError: If there is no scaling of this name.
    """
    name, _, rest = text.strip().partition(":")
    if name not in learner_names():
        raise SamplesError(
            f"there is no learner {name!r}; choose one of {', '.join(learner_names())}, "
            "a network (net:NAME), or several heads (blend:…)"
        )
    options = _options(text, rest)
    parameters = {key: options.pop(key) for key in list(options) if key not in _OPTIONS}
    unknown = [key for key in parameters if key not in HEADS[name].grid]
    if unknown:
        known = (*_OPTIONS, *HEADS[name].grid)
        raise SamplesError(
            f"the learner {name} has no option {unknown[0]!r}; it has {', '.join(known)}"
        )
    return HeadLearner(
        name,
        options.get("scaling", "standardise"),
        options.get("balance"),
        seed,
        folds=options.get("folds", "auto"),
        parameters={key: _value(name, key, value) for key, value in parameters.items()},
    )


def restore_learner(
    kind: str, settings: Mapping[str, Any], files: Mapping[str, bytes]
) -> PixelLearner:
    """Make a saved learner again.

    Args:
        kind: Its kind.
        settings: What its ``settings`` gave.
        files: What its ``files`` gave.

    Raises:
        RecipeError: If there is no such kind, or a file is damaged.
    """
    if kind == HeadLearner.kind:
        return HeadLearner.restore(settings, files)
    if kind == _NET:
        made: PixelLearner = _from(f"{NETS}:NetLearner").restore(settings, files)
        return made
    if kind == _BLEND:
        blend: PixelLearner = _from(f"{BLEND}:BlendLearner").restore(settings, files)
        return blend
    raise RecipeError(
        f"the model holds a learner of kind {kind!r}, which this program does not know; train the "
        "model again, or use the program that wrote it"
    )


def _from(place: str) -> Any:
    """Import ``module:name`` where it is needed: networks need torch."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _options(text: str, rest: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise SamplesError(f"{part!r} in {text!r} is not understood; write option=value")
        options[key.strip()] = value.strip()
    return options


def _value(name: str, key: str, value: str) -> int | float | str:
    """Return a parameter as the type that the head's own grid has."""
    kinds = {type(v) for v in HEADS[name].grid[key]}
    if value in _WORDS.get(key, ()):
        return value
    try:
        found = int(value) if kinds == {int} else float(value)
    except ValueError:
        found = 0
    most = _MOST.get(key, float("inf"))
    if not 0 < found <= most or found == float("inf"):
        upto = f" and up to {most:g}" if key in _MOST else ""
        raise SamplesError(f"{key}={value} of the learner {name} is no number above 0{upto}")
    return found
