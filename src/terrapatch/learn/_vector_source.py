"""Reading labelled shapes from a file or a table, and the column their classes stand in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.scene import REMOTE

Codes = NDArray[np.int32]

_KEYS = {"id", "fid", "gid", "ogc_fid", "objectid", "osm_id", "uuid"}
_MOST_DIFFERENT = 20
"""A column in which this many features or more all differ numbers them and names no class."""
_WHOLE = re.compile(r"[+-]?\d+\Z")


def read_table(vectors: Any, layer: str | None) -> tuple[Any, str]:
    """Return labelled shapes as a ``GeoDataFrame`` and the name they go by in messages.

    Args:
        vectors: Path of anything OGR reads, or a ``GeoDataFrame``.
        layer: Layer of the file; may be left out where the file has one.

    Raises:
        SamplesError: If there is no such file or layer, or nothing with a geometry in it.
    """
    if isinstance(vectors, str | os.PathLike):
        path = os.fspath(vectors)
        return _read_file(path, layer), Path(path).name
    if not hasattr(vectors, "columns") or not hasattr(vectors, "crs"):
        raise SamplesError(
            f"vectors must be the path of a file or a GeoDataFrame, not {type(vectors).__name__}"
        )
    if layer is not None:
        raise SamplesError(f"layer {layer!r} is for files; a table has no layers, so leave it out")
    return vectors, "the table"


def _read_file(path: str, layer: str | None) -> Any:
    import pyogrio

    name = Path(path).name
    if not path.startswith(REMOTE) and not Path(path).exists():
        raise SamplesError(f"there is no file {path}; check the path of the vectors")
    try:
        layer = _layer(pyogrio.list_layers(path), layer, name)
        return pyogrio.read_dataframe(path, layer=layer)
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
        pyogrio.errors.GeometryError,
    ) as fault:
        raise SamplesError(
            f"{name} cannot be read as vectors ({str(fault).strip().splitlines()[0]}); check that "
            "it is a GeoPackage, Shapefile or GeoJSON, and whole"
        ) from fault


def _layer(layers: NDArray[Any], wanted: str | None, name: str) -> str:
    """Choose the layer, ignoring tables without geometries such as styles."""
    shaped = [str(layer) for layer, geometry in layers if geometry is not None]
    if wanted is not None:
        if wanted in shaped:
            return wanted
        raise SamplesError(
            f"{name} has no layer {wanted!r} with shapes; its layers: {_listed(shaped)}"
        )
    if len(shaped) == 1:
        return shaped[0]
    if not shaped:
        raise SamplesError(f"{name} holds no shapes, only tables; give a file with geometries")
    raise SamplesError(
        f"{name} has {len(shaped)} layers; name the labelled one with layer=: {_listed(shaped)}"
    )


def choose_column(table: Any, column: str | None, name: str) -> str:
    """Return the column classes are read from.

    A column is plausible that holds texts or whole numbers and is not a key: neither named
    like one (``id``, ``fid``, ...) nor different in each of 20 features or more.

    Args:
        table: A ``GeoDataFrame``.
        column: Its name, or ``None`` for the only plausible one.
        name: What to call the table in messages.

    Raises:
        SamplesError: If there is no such column, or none or several could be meant.
    """
    shape = _geometry_name(table)
    columns = [c for c in table.columns if isinstance(c, str) and c != shape]
    if column is not None:
        if column in columns:
            return column
        raise SamplesError(f"{name} has no column {column!r}; its columns: {_listed(columns)}")
    plausible = [c for c in columns if _plausible(table[c], c)]
    if len(plausible) == 1:
        return plausible[0]
    if plausible:
        raise SamplesError(
            f"several columns of {name} could hold the classes; name one with column=: "
            f"{_listed(plausible)}"
        )
    raise SamplesError(
        f"no column of {name} looks like classes (texts or whole numbers that repeat); name it "
        f"with column=: {_listed(columns)}"
    )


def class_codes(table: Any, column: str, name: str) -> tuple[Codes, tuple[str, ...]]:
    """Number the classes of a column.

    Returns:
        Codes ``(n,)`` from 1, 0 where a feature has no class; and the names in the order of
        the codes, see ``sorted_names``.

    Raises:
        SamplesError: If the column holds neither texts nor whole numbers, or nothing at all.
    """
    series = table[column]
    missing = np.asarray(series.isna(), bool)
    if missing.all():
        raise SamplesError(f"the column {column!r} of {name} is empty; name one with classes")
    values = series[~missing].tolist()
    kind = _kind(values)
    if kind is None:
        raise SamplesError(
            f"the column {column!r} of {name} holds values such as {values[0]!r}, but classes "
            "are texts or whole numbers; name another column"
        )
    texts = [v.strip() if kind == "text" else str(int(v)) for v in values]
    classes = sorted_names(text for text in texts if text)
    if not classes:
        raise SamplesError(f"the column {column!r} of {name} is blank; name one with classes")
    number = {text: code for code, text in enumerate(classes, start=1)}
    codes = np.zeros(len(series), np.int32)
    codes[~missing] = [number.get(text, 0) for text in texts]
    return codes, classes


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names in order: by value if all are whole numbers, else as texts."""
    different = set(names)
    if all(_WHOLE.match(name) for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def _plausible(series: Any, name: str) -> bool:
    if name.lower() in _KEYS:
        return False
    values = series[~np.asarray(series.isna(), bool)].tolist()
    if _kind(values) is None:
        return False
    return len(values) < _MOST_DIFFERENT or len(set(values)) < len(values)


def _kind(values: list[Any]) -> str | None:
    """Tell texts from whole numbers (Shapefiles keep those with gaps as floats)."""
    if not values or any(isinstance(v, bool | np.bool_) for v in values):
        return None
    if all(isinstance(v, str) for v in values):
        return "text"
    whole = all(
        isinstance(v, Integral) or (isinstance(v, float) and v.is_integer()) for v in values
    )
    return "whole" if whole else None


def _geometry_name(table: Any) -> str | None:
    try:
        return str(table.geometry.name)
    except AttributeError:
        return None


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
