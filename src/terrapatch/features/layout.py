"""What a feature store looks like on disk: its arrays, attributes and recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from odc.geo.geobox import GeoBox
from zarr.codecs import ZstdCodec

from terrapatch.errors import OutputError, RecipeError, StoreError
from terrapatch.features.recipe import FORMAT, Recipe

ZSTD_LEVEL = 3
DTYPES = ("float16", "float32")
MARKS = ".done"
FINISHED = ".finished"
PARTS = frozenset({"zarr.json", "features", "valid", "y", "x", "spatial_ref", MARKS, FINISHED})


def part_of(path: Path) -> Path:
    """Return where a store lies while it is being written.

    Raises:
        OutputError: If the path names no store, such as ``.``.
    """
    if path.name in ("", ".."):
        raise OutputError(
            f"{path} is a folder, not the name of a new store; "
            f"write for example {path / 'features.zarr'}"
        )
    return path.with_name(path.name + ".part")


def create_layout(
    folder: Path,
    recipe: Recipe,
    geobox: GeoBox,
    groups: Sequence[tuple[str, int, int]],
    side: int,
    dtype: str,
) -> None:
    """Lay out an empty store; the recipe goes in last, so its presence means all is there.

    Args:
        folder: An empty folder.
        recipe: All that decides the numbers.
        geobox: Coarse GeoBox, one pixel a cell.
        groups: Name, start and stop of each layer's numbers.
        side: Cells along each side of a block.
        dtype: ``float16`` or ``float32``.
    """
    group = zarr.open_group(folder, mode="w-", zarr_format=3)
    rows, cols = (int(n) for n in geobox.shape)
    n_features = groups[-1][2]
    side = min(side, max(rows, cols))
    shared: dict[str, Any] = {
        "compressors": ZstdCodec(level=ZSTD_LEVEL, checksum=True),
        "fill_value": float("nan"),
    }
    located = {"grid_mapping": "spatial_ref", "coordinates": "spatial_ref"}
    group.create_array(
        "features",
        shape=(rows, cols, n_features),
        chunks=(side, side, n_features),
        dtype=dtype,
        dimension_names=("y", "x", "feature"),
        attributes={**located, "long_name": "embedding"},
        **shared,
    )
    group.create_array(
        "valid",
        shape=(rows, cols),
        chunks=(side, side),
        dtype="float32",
        dimension_names=("y", "x"),
        attributes={**located, "long_name": "share of valid pixels in the cell", "units": "1"},
        **shared,
    )
    _create_coordinates(group, geobox)
    layers: list[Any] = [{"layer": n, "start": a, "stop": b} for n, a, b in groups]
    # One write for all of them: `group.attrs.update` would make one for each.
    group.update_attributes(
        {"Conventions": "CF-1.11", "terrapatch": recipe.as_dict(), "layers": layers}
    )


def _create_coordinates(group: Any, geobox: GeoBox) -> None:
    affine, shape = geobox.affine, geobox.shape
    geographic = geobox.crs is not None and geobox.crs.geographic
    for axis, name in enumerate(("y", "x")):
        step, start = (affine.e, affine.f) if name == "y" else (affine.a, affine.c)
        centres = start + step * (np.arange(int(shape[axis])) + 0.5)
        plain = {"y": "latitude", "x": "longitude"} if geographic else {}
        kind = plain.get(name, f"projection_{name}_coordinate")
        array = group.create_array(
            name,
            shape=centres.shape,
            chunks=centres.shape,
            dtype="float64",
            dimension_names=(name,),
            attributes={"standard_name": kind, "axis": name.upper()},
        )
        array[:] = centres
    mapping: dict[str, Any] = {"GeoTransform": " ".join(repr(float(v)) for v in affine.to_gdal())}
    if geobox.crs is not None:
        wkt = geobox.crs.to_wkt()
        mapping |= {"crs_wkt": wkt, "spatial_ref": wkt}
    reference = group.create_array(
        "spatial_ref", shape=(), dtype="int32", dimension_names=(), attributes=mapping
    )
    reference[...] = 0


def opened(path: Path) -> Any:
    """Open a finished store's Zarr group for reading.

    Raises:
        StoreError: If there is none, it is unfinished, not ours, or not readable.
        RecipeError: If it has another version of the layout.
    """
    try:
        _refuse_unfinished(path)
        recipe_in(path)
        return zarr.open_group(path, mode="r")
    except PermissionError as fault:
        raise StoreError(
            f"{path} is not readable for you; ask its owner for the right to read it"
        ) from fault


def _refuse_unfinished(path: Path) -> None:
    begun = path if path.exists() else part_of(path)
    if (begun / MARKS).exists():
        raise StoreError(
            f"{path} is not finished ({len(list((begun / MARKS).iterdir()))} blocks are done); "
            "run the same embed command again to go on"
        )
    if not path.exists():
        raise StoreError(f"there is no feature store {path}; make one with: terrapatch embed")


def recipe_in(path: Path) -> Recipe:
    """Read the recipe of a store.

    Raises:
        StoreError: If it is not a store of ours.
        RecipeError: If it has another version of the layout.
    """
    recipe = read_recipe(path)
    if recipe is None:
        raise StoreError(
            f"{path} is not a feature store of Terrapatch; give a folder made by terrapatch embed"
        )
    return recipe


def read_recipe(path: Path) -> Recipe | None:
    """Read the recipe of a store or of one begun; ``None`` where there is none.

    Raises:
        RecipeError: If it has another version of the layout.
    """
    data = _written_recipe(path)
    if data is None:
        return None
    if data["format"] != FORMAT:
        begun = (path / MARKS).exists()
        raise RecipeError(
            f"{path} was written in version {data['format']} of the store's layout but this "
            f"Terrapatch reads version {FORMAT}; embed the scene again with "
            + ("--restart" if begun else "--overwrite")
        )
    try:
        return Recipe.from_dict(data)
    except KeyError:
        return None


def is_store(path: Path) -> bool:
    """Whether a folder is a feature store of ours, in whatever version."""
    return _written_recipe(path) is not None


def _written_recipe(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads((path / "zarr.json").read_text())["attributes"]["terrapatch"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return data if isinstance(data, dict) and "format" in data else None
