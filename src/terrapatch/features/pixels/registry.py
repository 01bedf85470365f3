"""Features by the text that asks for them, such as ``emp:components=4,radii=1-5``.

A kind is looked up in a table of modules, so that a feature's libraries are loaded
only where it is used. The module of a kind defines one ``PixelFeature``, and one or more
classes of ``FittedFeature``, whose ``kind`` it is.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from terrapatch.errors import FeatureError
from terrapatch.features.pixels.base import FittedFeature, PixelFeature

_HERE = "terrapatch.features.pixels"

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "spectra": f"{_HERE}.spectra",
        "snv": f"{_HERE}.spectra",
        "derivative": f"{_HERE}.shapes",
        "continuum": f"{_HERE}.shapes",
        "pca": f"{_HERE}.projections",
        "mnf": f"{_HERE}.projections",
        "indices": f"{_HERE}.indices",
        "ratios": f"{_HERE}.ratios",
        "mean": f"{_HERE}.windows",
        "patch": f"{_HERE}.windows",
        "texture": f"{_HERE}.texture",
        "emp": f"{_HERE}.profiles",
        "eap": f"{_HERE}.attributes",
        "segments": f"{_HERE}.segments",
        "cnn": f"{_HERE}.hypercolumns",
    }
)


def feature_kinds() -> tuple[str, ...]:
    """Return the kinds of features there are."""
    return tuple(KINDS)


def feature_class(kind: str) -> type[PixelFeature]:
    """Return the class of a kind of feature.

    Raises:
        FeatureError: If there is no such kind.
    """
    for found in _defined(kind):
        if issubclass(found, PixelFeature) and _kind(found) == kind:
            return found
    raise LookupError(f"{KINDS[kind]} defines no feature of the kind {kind!r}")


def fitted_class(kind: str, name: str) -> type[FittedFeature]:
    """Return one of the classes of a kind's fitted features.

    Args:
        kind: The kind.
        name: The class's name.

    Raises:
        FeatureError: If there is no such kind, or it has no such class.
    """
    for found in _defined(kind):
        ours = issubclass(found, FittedFeature) and _kind(found) == kind
        if ours and found.__name__ == name:
            return cast("type[FittedFeature]", found)
    raise FeatureError(f"this Terrapatch has no fitted feature {name!r} of the kind {kind!r}")


def _kind(found: type[Any]) -> str | None:
    """Return a class's kind; what several kinds share has none."""
    return getattr(found, "kind", None)


def _defined(kind: str) -> Iterator[type[Any]]:
    """Go through the classes of a kind's module that can be made."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise FeatureError(
            f"there is no pixel feature {kind!r}{meant}; choose from {', '.join(KINDS)}"
        )
    for found in vars(importlib.import_module(KINDS[kind])).values():
        if inspect.isclass(found) and not inspect.isabstract(found):
            yield found


def parse_feature(text: str) -> PixelFeature:
    """Make a feature from its text.

    Args:
        text: A kind, then ``:`` and options with commas between them, such as
            ``pca:components=10,whiten`` or ``emp:components=4,radii=1-5``. Lists are
            written ``1-5`` or ``1+3+5``; an option without a value means yes.

    Raises:
        FeatureError: If the kind or an option is unknown or not understood.
    """
    kind, _, rest = (part.strip() for part in text.partition(":"))
    options: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name in options:
            raise FeatureError(f"{name} is given twice in {text!r}; give it once")
        options[name] = value
    return feature_class(kind.lower()).of(options)
