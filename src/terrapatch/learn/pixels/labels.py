"""Labels of the pixels of a cube: from a raster, polygons, points or an array.

Ids are 1 to the number of classes and 0 is "no label", as everywhere. Labels lie on the
cube's own pixels or are refused; what lies on invalid pixels is left out and counted.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._label_checks import checked_names
from terrapatch.learn.pixels._class_names import ClassNames, read_class_names
from terrapatch.learn.pixels._label_arrays import array_file, read_label_array
from terrapatch.learn.pixels._label_rasters import (
    check_place,
    check_size,
    number_classes,
    read_label_raster,
)
from terrapatch.learn.pixels._label_vectors import label_by_vectors
from terrapatch.learn.pixels.base import LabelledPixels

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

__all__ = ["VECTORS", "PixelLabels", "read_labels", "valid_pixels"]

VECTORS = (
    *(".shp", ".gpkg", ".geojson", ".json", ".fgb", ".kml", ".gml", ".gdb", ".sqlite"),
    *(".parquet", ".zip", ".tab", ".gpx"),
)
"""Endings of files that are read as polygons or points; other files are rasters or arrays."""

_BLOCK_BYTES = 1 << 26

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PixelLabels:
    """Class ids of the pixels of a scene.

    Attributes:
        ids: Class of each pixel ``(rows, cols)`` int32 from 1, 0 for none.
        classes: Names of the classes, id 1 first.
        fields: Polygon that gave each label ``(rows, cols)`` int32, from 1 in the order of the
            file, 0 for none; ``None`` where labels came from no polygons.
        notes: What should be known, a sentence each.
        left_out: What got no label, by reason.

    Raises:
        SamplesError: If ids, names and fields do not fit each other.
    """

    ids: Ids
    classes: tuple[str, ...]
    fields: Ids | None = None
    notes: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and ids, and bring arrays to int32."""
        ids = np.asarray(self.ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iub":
            raise SamplesError(
                f"labels of shape {ids.shape} and type {ids.dtype} were given; give integer "
                "class ids (rows, cols), 0 for none"
            )
        classes = checked_names(self.classes)
        if ids.size and not (ids.min() >= 0 and ids.max() <= len(classes)):
            wrong = int(ids.min() if ids.min() < 0 else ids.max())
            raise SamplesError(
                f"the labels hold the id {wrong}, and there are classes 1 to {len(classes)} (0 is "
                "none); name all classes, or set other values to 0"
            )
        object.__setattr__(self, "ids", ids.astype(np.int32, copy=False))
        object.__setattr__(self, "classes", classes)
        if self.fields is not None:
            fields = np.asarray(self.fields)
            if fields.shape != ids.shape:
                raise SamplesError(
                    f"fields have the shape {fields.shape} and labels {ids.shape}; give each "
                    "pixel its field"
                )
            object.__setattr__(self, "fields", fields.astype(np.int32, copy=False))

    def __len__(self) -> int:
        """Return the number of labelled pixels."""
        return int(self.labelled.sum())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.ids.shape[0]), int(self.ids.shape[1])

    @property
    def labelled(self) -> Mask:
        """Pixels that have a label ``(rows, cols)``."""
        return np.asarray(self.ids > 0)

    @property
    def counts(self) -> dict[str, int]:
        """Labelled pixels of each class, by name."""
        return dict(zip(self.classes, self.counted(), strict=True))

    def counted(self, mask: ArrayLike | None = None) -> list[int]:
        """Return the labelled pixels of each class, id 1 first.

        Args:
            mask: Pixels that count ``(rows, cols)`` bool; all if left out.
        """
        ids = self.ids.ravel() if mask is None else self.ids[np.asarray(mask, bool)]
        return [int(n) for n in np.bincount(ids, minlength=len(self.classes) + 1)[1:]]

    def pixels(
        self, mask: ArrayLike | None = None, *, fields: NDArray[np.int32] | None = None
    ) -> LabelledPixels:
        """Return labelled pixels as a list, in row-major order.

        Args:
            mask: Pixels to take ``(rows, cols)`` bool, such as a split's training part; all
                labelled ones if left out.
            fields: What each belongs to ``(rows, cols)``, such as a split's blocks; the
                polygons if left out.

        Raises:
            SamplesError: If no labelled pixel is left.
        """
        where = self.labelled if mask is None else self.labelled & np.asarray(mask, bool)
        rows, cols = np.nonzero(where)
        if not len(rows):
            raise SamplesError("no labelled pixel lies in the mask; check the mask or the labels")
        fields = self.fields if fields is None else fields
        return LabelledPixels(
            rows,
            cols,
            self.ids[where],
            self.classes,
            None if fields is None else fields[where].astype(np.int32),
        )

    def where(self, mask: ArrayLike, reason: str) -> PixelLabels:
        """Return the labels inside a mask; the others are left out and counted.

        Args:
            mask: Pixels that keep their label ``(rows, cols)`` bool.
            reason: Why the others lose it, for ``left_out``.

        Raises:
            SamplesError: If no label is left.
        """
        keep = np.asarray(mask, bool)
        lost = int((self.labelled & ~keep).sum())
        if not lost:
            return self
        if lost == len(self):
            raise SamplesError(
                f"all {lost:,} labelled pixels are left out ({reason}); check that labels and "
                "scene belong together"
            )
        fields = None if self.fields is None else np.where(keep, self.fields, 0)
        left_out = self.left_out | {reason: self.left_out.get(reason, 0) + lost}
        return replace(self, ids=np.where(keep, self.ids, 0), fields=fields, left_out=left_out)

    def describe(self) -> str:
        """Say in a few lines what is labelled, what was left out, and what else to know."""
        per_class = ", ".join(f"{name} {n:,}" for name, n in self.counts.items())
        lines = [f"{len(self):,} pixels labelled: {per_class}"]
        if self.left_out:
            lost = ", ".join(f"{reason} {n:,}" for reason, n in self.left_out.items())
            lines.append(f"left out: {lost}")
        return "\n".join([*lines, *self.notes])


def read_labels(
    cube: Cube,
    source: Any,
    *,
    column: str | None = None,
    layer: str | None = None,
    classes: ClassNames | None = None,
    ignore: Sequence[int] = (0,),
    rule: str = "centre",
    check_valid: bool = True,
) -> PixelLabels:
    """Read the labels of a cube's pixels.

    Args:
        cube: The cube.
        source: A label raster on the cube's own pixels; polygons or points in any CRS (a file
            OGR reads or a ``GeoDataFrame``); an array out of a file, as ``file.npz:gt``,
            ``file.mat:gt`` or ``labels.npy`` (NetCDF and HDF5 too); or a numpy array
            ``(rows, cols)``. In rasters and arrays 0, negative values and nodata are "no label".
        column: Column of the classes of polygons and points, where several could be meant.
        layer: Layer of a vector file that has several.
        classes: Name of each value, see ``read_class_names``; without it, the names the file
            states, else the values. For polygons and points, names of a column of numbers.
        ignore: Further values of rasters and arrays that are no class.
        rule: How a pixel gets the class of polygons: ``centre`` (of the polygon at its
            centre), ``majority`` or ``share``, see ``label_cells``.
        check_valid: Whether labels on pixels that are invalid in the cube are left out (and
            counted); it reads the cube where there are labels.

    Returns:
        The labels. Ids follow the order of the values in rasters and arrays, the sorted names
        in polygons and points.

    Raises:
        OutsideError: If the labels have another size, CRS or grid, or lie beside the cube.
        SceneError: If a raster cannot be read.
        SamplesError: If anything else about them is not understood, or no pixel is labelled.
    """
    names = read_class_names(classes)
    if _is_vector(source, column, layer):
        ids, kinds, fields, made = label_by_vectors(cube, source, column, layer, names, rule)
        found = PixelLabels(ids, kinds, fields, made.notes, made.left_out)
    else:
        found = _of_values(cube, source, names, ignore)
    if check_valid:
        found = found.where(valid_pixels(cube, found.labelled), "invalid in the cube")
    gone = [name for name, n in found.counts.items() if not n]
    if gone:
        note = f"No pixel of this cube has the class {', '.join(gone)}."
        found = replace(found, notes=(*found.notes, note))
    return found


def valid_pixels(cube: Cube, wanted: ArrayLike) -> Mask:
    """Tell which wanted pixels are valid in a cube, reading only where some are.

    Args:
        cube: The cube.
        wanted: Pixels to look at ``(rows, cols)`` bool.

    Returns:
        ``wanted`` without the invalid pixels.
    """
    out = np.array(wanted, bool)
    rows, cols = cube.shape
    step = max(1, _BLOCK_BYTES // (4 * cols * max(1, cube.n_bands)))
    step = max(1, step // cube.block_shape[0]) * cube.block_shape[0]
    with cube.reader() as reader:
        for top in range(0, rows, step):
            strip = out[top : top + step]
            across = np.flatnonzero(strip.any(axis=0))
            if not len(across):
                continue
            down = np.flatnonzero(strip.any(axis=1))
            part = slice(top + int(down[0]), top + int(down[-1]) + 1)
            span = slice(int(across[0]), int(across[-1]) + 1)
            out[part, span] &= reader.read(part, span).valid
    return out


def _is_vector(source: Any, column: str | None, layer: str | None) -> bool:
    if not isinstance(source, str | os.PathLike):
        return hasattr(source, "geometry")
    ending = Path(os.fspath(source)).suffix.lower()
    return column is not None or layer is not None or ending in VECTORS


def _of_values(
    cube: Cube, source: Any, names: dict[int, str] | None, ignore: Collection[int]
) -> PixelLabels:
    """Take labels from a raster, a file of arrays, or an array."""
    nodata: float | None = None
    stated: dict[int, str] = {}
    notes: list[str] = []
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        where, file = Path(text).name, array_file(text)
        if file is None:
            values, stated, nodata, notes = read_label_raster(text, cube)
        else:
            values, stated, nodata, geobox = read_label_array(*file)
            check_size(values.shape, cube, where)
            notes = check_place(geobox, cube, where)
    else:
        where, values = "the label array", np.asarray(source)
        check_size(values.shape, cube, where)
    ids, classes = number_classes(values, names, stated, ignore, nodata, where)
    return PixelLabels(ids, classes, None, tuple(notes))
