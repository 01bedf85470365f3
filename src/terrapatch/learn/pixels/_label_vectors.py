"""Labels of pixels from polygons and points."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._vector_source import read_table
from terrapatch.learn.vector_labels import CellLabels, label_cells

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

Ids = NDArray[np.int32]


def label_by_vectors(
    cube: Cube,
    source: Any,
    column: str | None,
    layer: str | None,
    names: dict[int, str] | None,
    rule: str,
) -> tuple[Ids, tuple[str, ...], Ids | None, CellLabels]:
    """Label pixels by polygons or points.

    Args:
        cube: The cube.
        source: A file OGR reads, or a ``GeoDataFrame``.
        column: Column of the classes.
        layer: Layer of the file.
        names: Names of a column of numbers.
        rule: How a pixel gets the class of polygons.

    Returns:
        Class ids ``(rows, cols)``, names, numbers of the polygons from 1 (``None`` for points),
        and what ``label_cells`` had to say.

    Raises:
        SamplesError: If the cube has no georeference, or the vectors are not understood.
    """
    if not cube.georeferenced:
        raise SamplesError(
            f"{cube.name} has no georeference, so polygons and points have no place in it; give "
            "it one with gdal_translate -a_srs CRS -a_ullr LEFT TOP RIGHT BOTTOM, or give labels "
            "as a raster or array of its size"
        )
    made = label_cells(cube.geobox, source, column, rule=rule, layer=layer)
    ids, classes = made.labels, made.classes
    if names is not None:
        ids, classes = _renamed(ids, classes, names)
    fields = None if _are_points(source, layer) else made.feature_ids + 1
    return ids, classes, fields, made


def _renamed(
    ids: Ids, classes: tuple[str, ...], names: dict[int, str]
) -> tuple[Ids, tuple[str, ...]]:
    """Name the classes of a column of numbers; classes of one name become one."""
    texts = {str(value): name for value, name in names.items()}
    unknown = [name for name in classes if name not in texts]
    if unknown:
        raise SamplesError(
            f"the labels hold {', '.join(unknown[:5])}, which have no name; name every value of "
            "the column in classes, or choose the column that holds the names"
        )
    order = tuple(dict.fromkeys(texts[name] for name in classes))
    number = np.array([0, *(order.index(texts[name]) + 1 for name in classes)], np.int32)
    return number[ids], order


def _are_points(source: Any, layer: str | None) -> bool:
    if not isinstance(source, str | os.PathLike):
        return bool(source.geom_type.dropna().str.contains("Point").all())
    table, _ = read_table(source, layer)
    return bool(table.geom_type.dropna().str.contains("Point").all())
