"""Label arrays out of files of named arrays, read as the cubes in such files are.

So MATLAB's order of axes, rows stored from south to north and the place of the pixels are the
same for a cube and its labels, and nothing in a file can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.cubes.arrays import Layout
from terrapatch.cubes.axes import ACROSS
from terrapatch.cubes.containers import Container, Variable, listing
from terrapatch.cubes.memory import unplaced
from terrapatch.cubes.placing import place
from terrapatch.cubes.sources import container, split_name
from terrapatch.errors import SamplesError

_NODATA = ("_fillvalue", "missing_value", "nodata", "_nodata")
_NAMES = ("class_names", "classes", "label_names", "names")


def array_file(source: str) -> tuple[Container, str | None] | None:
    """Return the file and the array's name of ``file.npz:gt``; ``None`` for other files.

    Raises:
        SceneNotFoundError: If there is no such file.
        CubeError: If it is damaged.
    """
    path, name = split_name(source)
    box = container(path)
    return None if box is None else (box, name)


def read_label_array(
    box: Container, name: str | None
) -> tuple[NDArray[Any], dict[int, str], float | None, GeoBox]:
    """Read an array of labels, and the names its file gives to values.

    Args:
        box: A file of arrays.
        name: Name of the array; may be left out where the file has one with two axes.

    Returns:
        The array ``(rows, cols)`` as stored; names by value, read from a companion such as
        ``class_names``, whose first entry belongs to 0 if it has more entries than the highest
        value; the nodata value; and the place of the pixels.

    Raises:
        SamplesError: If there is no such array, or several could be meant.
        CubeError: If the file is damaged or the array holds no plain numbers.
    """
    found = list(box.variables())
    chosen = _choose(found, name, box)
    letters = "xy" if chosen.dims and chosen.dims[0].lower() in ACROSS else "yx"
    geobox, flip_y, flip_x, _ = place(box, found, chosen, letters, box.name)
    layout = Layout(letters, chosen.shape, flip_y, flip_x)
    rows, cols = layout.size("y"), layout.size("x")
    handle = box.store(chosen, layout).open()
    try:
        values, _ = handle.read([1], slice(0, rows), slice(0, cols))
    finally:
        handle.close()
    values = np.asarray(values)[..., 0]
    names = _numbered(box, found, values)
    return values, names, _nodata(chosen), geobox or unplaced(rows, cols)


def _nodata(chosen: Variable) -> float | None:
    stated = {key.lower(): value for key, value in chosen.attrs.items()}
    found = next((stated[key] for key in _NODATA if key in stated), None)
    return None if found is None else float(np.asarray(found, np.float64).ravel()[0])


def _choose(found: Sequence[Variable], name: str | None, box: Container) -> Variable:
    """Return the array to read, or list what there is."""
    flat = [v for v in found if v.numeric and len(v.shape) == 2 and min(v.shape) > 1]
    file = Path(box.source).name
    if name is None and len(flat) == 1:
        return flat[0]
    if name is None and flat:
        raise SamplesError(
            f"{file} holds {len(flat)} arrays with rows and columns: {listing(flat)}; name the "
            f"labels, as {file}:{flat[0].name}"
        )
    if name is None:
        raise SamplesError(
            f"{file} holds no array of numbers with rows and columns, but {listing(found)}; give "
            "another file of labels"
        )
    chosen = next((v for v in found if v.name.strip("/") == name.strip("/")), None)
    if chosen is not None and not chosen.numeric:
        raise SamplesError(
            f"{name!r} in {file} holds {chosen.holds}, not numbers; save class ids as whole numbers"
        )
    if chosen is None or len(chosen.shape) != 2:
        raise SamplesError(
            f"{file} has no array {name!r} with rows and columns; it holds {listing(found)}"
        )
    return chosen


def _numbered(box: Container, found: Sequence[Variable], values: NDArray[Any]) -> dict[int, str]:
    """Give names to values: from 0 if there is one for it, else from 1."""
    beside = next((v for v in found if v.leaf in _NAMES and v.holds == "texts"), None)
    if beside is None or values.dtype.kind not in "iuf" or not values.size:
        return {}
    texts = [str(name).strip() for name in np.asarray(box.small(beside.name)).ravel()]
    top = int(np.max(values, initial=0, where=np.isfinite(values)))
    return {n: text for n, text in enumerate(texts, start=int(len(texts) <= top)) if text}
