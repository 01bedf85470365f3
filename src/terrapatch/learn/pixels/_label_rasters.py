"""Label rasters that lie on the pixels of a cube, or the sentence that says why one does not."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from terrapatch.cubes.envi import find_pair
from terrapatch.errors import OutsideError, SamplesError
from terrapatch.learn._vector_raster import same_corners, stated_names
from terrapatch.opening import open_raster

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

MOST_CLASSES = 1000
Ids = NDArray[np.int32]


def read_label_raster(
    path: str, cube: Cube
) -> tuple[NDArray[Any], dict[int, str], float | None, list[str]]:
    """Read the one band of a label raster on the cube's own pixels.

    Args:
        path: Anything GDAL reads.
        cube: The cube it has to fit.

    Returns:
        The values ``(rows, cols)`` as stored, the names the file gives to values (attribute
        table or category names beside it, a tag ``classes``, an ENVI header's class names), its
        nodata value, and what should be known.

    Raises:
        SceneError: If the file is missing or is no raster.
        SamplesError: If it has several bands, or is damaged.
        OutsideError: If it has another size, CRS or grid.
    """
    name = Path(path).name
    if path.lower().endswith(".hdr") and (pair := find_pair(path)) is not None:
        path = str(pair[0])
    with warnings.catch_warnings():  # that there is no georeference is said below
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        src = open_raster(path)
    with src:
        if src.count != 1:
            raise SamplesError(
                f"{name} has {src.count} bands, but a label raster has one; extract it with "
                f"gdal_translate -b 1 {name} labels.tif"
            )
        check_size((src.height, src.width), cube, name)
        notes = check_place(GeoBox(src.shape, src.transform, src.crs), cube, name)
        names = stated_names(src, Path(path)) or _envi_names(src, path)
        try:
            values = np.asarray(src.read(1))
        except RasterioIOError as fault:
            raise SamplesError(
                f"{name} is damaged; fetch the file again or restore it from a copy"
            ) from fault
        return values, names, src.nodata, notes


def check_size(shape: tuple[int, ...], cube: Cube, name: str) -> None:
    """Refuse labels of another size than the cube's.

    Raises:
        OutsideError: If the sizes differ; labels that would fit turned are told so.
    """
    if tuple(shape) == cube.shape:
        return
    theirs, ours = " x ".join(map(str, shape)), " x ".join(map(str, cube.shape))
    if tuple(shape) == cube.shape[::-1]:
        raise OutsideError(
            f"{name} has {theirs} pixels (rows x columns) but {cube.name} has {ours}: that looks "
            "like swapped axes; transpose the labels, or read the cube with its axes the other "
            "way (axes=)"
        )
    raise OutsideError(
        f"{name} has {theirs} pixels (rows x columns) but {cube.name} has {ours}; give the labels "
        "of this cube, on the same pixels"
    )


def number_classes(
    values: NDArray[Any],
    names: dict[int, str] | None,
    stated: dict[int, str],
    ignore: Collection[int],
    nodata: float | None,
    where: str,
) -> tuple[Ids, tuple[str, ...]]:
    """Turn label values into class ids from 1, in the order of the values.

    Args:
        values: Whole numbers ``(rows, cols)``, of any type.
        names: Names that a person gave; then every value must have one.
        stated: Names that the file states; other values are named by their number.
        ignore: Values that are no class, beside negative ones and nodata.
        nodata: The value that means "nothing here", if there is one.
        where: What to call the labels in messages.

    Returns:
        Ids ``(rows, cols)`` int32, 0 where unlabelled, and the names of the classes that occur;
        values of one name are one class.

    Raises:
        SamplesError: If there are fractions, too many values, values without a name or no label.
    """
    whole = _whole_numbers(values, where)
    left_out = {*ignore, *([int(nodata)] if nodata is not None and nodata % 1 == 0 else [])}
    found = [v for v in np.unique(whole).tolist() if v >= 0 and v not in left_out]
    if not found:
        raise SamplesError(f"{where} labels no pixel: it holds only 0, nodata or ignored values")
    if len(found) > MOST_CLASSES:
        raise SamplesError(
            f"{where} holds {len(found)} different values, so they are no classes; give an array "
            "whose pixels are class numbers"
        )
    unknown = [str(v) for v in found if names is not None and v not in names]
    if unknown:
        raise SamplesError(
            f"{where} holds the values {', '.join(unknown[:5])}{' and more' * (len(unknown) > 5)}, "
            "which have no name; name them in classes, or ignore them"
        )
    texts = [(stated if names is None else names).get(v, str(v)) for v in found]
    classes = tuple(dict.fromkeys(texts))
    ids = np.zeros(whole.shape, np.int32)
    place = np.minimum(np.searchsorted(found, whole), len(found) - 1)
    number = np.array([classes.index(text) + 1 for text in texts], np.int32)
    hit = np.asarray(found)[place] == whole
    ids[hit] = number[place[hit]]
    return ids, classes


def _whole_numbers(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Return int64, -1 where not finite, or refuse fractions."""
    if values.dtype.kind not in "biuf":
        raise SamplesError(f"{where} holds {values.dtype} values; give whole numbers, 0 for none")
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    finite = np.isfinite(values)
    if (values[finite] % 1 != 0).any():
        first = values[finite][values[finite] % 1 != 0][0]
        raise SamplesError(
            f"{where} holds fractions such as {first:g}, so they are no classes; give an array "
            "whose pixels are class numbers"
        )
    return np.where(finite, values, -1).astype(np.int64)


def check_place(theirs: GeoBox, cube: Cube, name: str) -> list[str]:
    """Refuse another CRS or grid of labels of the right size; say where nothing can be told.

    Raises:
        OutsideError: If CRS or grid differ, or only one of the two has a CRS.
    """
    placed = theirs.crs is not None or not theirs.affine.is_identity
    if not placed and not cube.georeferenced:
        return []
    if not placed or not cube.georeferenced:
        which = cube.name if placed else name
        return [
            f"{which} has no georeference: {name} is taken to lie on the pixels of {cube.name} "
            "because it has as many rows and columns."
        ]
    if (theirs.crs is None) != (cube.geobox.crs is None):
        one, other = (name, cube.name) if theirs.crs is None else (cube.name, name)
        raise OutsideError(
            f"{one} states no CRS but {other} has one; assign it with gdal_edit.py -a_srs"
        )
    if not same_corners(_Raster(theirs), cube.geobox, (1, 1)):
        raise OutsideError(
            f"{name} does not lie on the pixels of {cube.name} though it has as many: "
            f"{_other_grid(theirs, cube)}; warp it to the cube's grid: {_warp(cube, name)}"
        )
    return []


class _Raster:
    """A grid with the names that rasterio gives to its parts."""

    def __init__(self, geobox: GeoBox) -> None:
        self.transform, self.crs = geobox.affine, geobox.crs
        self.height, self.width = geobox.shape


def _other_grid(theirs: GeoBox, cube: Cube) -> str:
    from pyproj import CRS

    ours = cube.geobox
    if theirs.crs is not None and ours.crs is not None:
        one, other = CRS.from_wkt(theirs.crs.to_wkt()), CRS.from_wkt(ours.crs.to_wkt())
        if one != other:
            return f"its CRS is {one.name}, the cube's {other.name}"
    t, o = theirs.affine, ours.affine
    return (
        f"its corner is ({t.c:.10g}, {t.f:.10g}) with pixels of {t.a:.10g}, the cube's "
        f"({o.c:.10g}, {o.f:.10g}) with {o.a:.10g}"
    )


def _warp(cube: Cube, name: str) -> str:
    o, (rows, cols) = cube.geobox.affine, cube.shape
    corners = (o.c, o.f + o.e * rows, o.c + o.a * cols, o.f)
    extent = " ".join(f"{v:.10g}" for v in corners)
    code = None if cube.geobox.crs is None else cube.geobox.crs.to_epsg()
    target = "" if code is None else f"-t_srs EPSG:{code} "
    return f"gdalwarp -r near {target}-te {extent} -ts {cols} {rows} {name} labels.tif"


def _envi_names(src: Any, path: str) -> dict[int, str]:
    """Return the class names of an ENVI classification, the first of which belongs to 0."""
    pair = find_pair(path) if src.driver == "ENVI" else None
    listed = "" if pair is None else pair[1].entries.get("class names", "").strip("{}")
    names = [part.strip() for part in listed.split(",")]
    return {value: name for value, name in enumerate(names) if name}
