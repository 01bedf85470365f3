"""Colours of the classes of a map: those a person gives, those of a map used as labels, or ours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrapatch.errors import LegendError, MapError, SamplesError
from terrapatch.learn._image_list import first_few
from terrapatch.legend import Legend, distinct_colours
from terrapatch.studies._csv import read_rows
from terrapatch.studies.sampling import RASTERS

Colours = Mapping[str, str] | str | os.PathLike[str]

COLUMNS = ("class", "colour")


def legend_of(classes: Sequence[str], given: Colours | None, sources: Any = ()) -> Legend:
    """Return a legend of classes.

    Args:
        classes: Their names, id 1 first.
        given: Colours ``#rrggbb`` by class; a CSV with the columns ``class`` and ``colour``; or a
            class map (``.tif``) whose colours are taken. Classes without one get a colour that
            is far from the others.
        sources: Where labels came from; colours of class maps among them count where none are
            given.

    Raises:
        SamplesError: If a table cannot be read, or names a class that is not there.
        LegendError: If a colour is not ``#rrggbb``.
    """
    known = _of_sources(sources) if given is None else _given(given, classes)
    own = {name: colour for name, colour in known.items() if name in classes}
    taken = {colour.lower() for colour in own.values()}
    free = iter([c for c in distinct_colours(len(classes) + len(own)) if c.lower() not in taken])
    return Legend.of(classes, [own.get(name) or next(free) for name in classes])


def _of_sources(sources: Any) -> dict[str, str]:
    several = sources if isinstance(sources, list | tuple) else [sources]
    found: dict[str, str] = {}
    for source in several:
        if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in RASTERS:
            try:
                found = _of_map(Path(source)) | found
            except (MapError, LegendError):  # a raster of plain ids has no colours to give
                continue
    return found


def _of_map(path: Path) -> dict[str, str]:
    from terrapatch.maps import ClassMap

    return {entry.name: entry.colour for entry in ClassMap.open(path).legend}


def _given(given: Colours, classes: Sequence[str]) -> dict[str, str]:
    if isinstance(given, Mapping):
        pairs = [("the colours", name, colour) for name, colour in given.items()]
    elif Path(given).suffix.lower() in RASTERS:
        return _of_map(Path(given))
    else:
        rows = read_rows(Path(given), COLUMNS, "the table of colours")
        pairs = [(place, name, colour) for place, (name, colour) in rows]
    found: dict[str, str] = {}
    for place, name, colour in pairs:
        if name not in classes:
            raise SamplesError(
                f"{place}: there is no class {name!r}; the samples have {first_few(classes)}"
            )
        if name in found:
            raise SamplesError(f"{place}: the class {name!r} has a colour already; keep one line")
        found[name] = colour
    return found
