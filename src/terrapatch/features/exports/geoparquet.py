"""Features as a table of polygons: GeoParquet 1.1 for DuckDB, GDAL, geopandas and the like.

Specification: https://geoparquet.org/releases/v1.1.0/ .
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from odc.geo.geobox import GeoBox

from terrapatch.features.engine import Progress
from terrapatch.features.exports import _common as common
from terrapatch.features.raster import FeatureBlock, FeatureRaster

GROUP_BYTES = 64 << 20
"""Embeddings in a row group, before compression; a group ends with the block that fills it."""

_CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))  # (col, row); anticlockwise when north is up
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_RING = np.dtype(
    [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))]
)


def to_geoparquet(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write one row for every cell that is not empty.

    Columns: ``geometry`` (the cell's footprint in the CRS of the scene, WKB),
    ``bbox`` (its covering, ``xmin ymin xmax ymax``), ``row`` and ``col`` of the
    cell, ``valid`` (share of valid pixels) and ``embedding`` (a list of as many
    numbers as there are features). The file's metadata holds the recipe as JSON
    under ``terrapatch`` and the layers under ``terrapatch:layers``. Rows follow the
    blocks of the store, so that a row group is a compact area.

    Args:
        features: A finished feature raster.
        path: The file; must end in ``.parquet`` or ``.geoparquet``.
        dtype: ``float32``, which every reader knows, or ``float16``.
        overwrite: Whether an older file gives way.
        progress: Told how many cells are done.

    Returns:
        The path of the file.

    Raises:
        OutputError: If the file exists, the type does not fit, or the place is full
            or not writable.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    common.check_dtype(dtype)
    schema = _schema(features, dtype)
    with (
        common.staged(path, (".parquet", ".geoparquet"), overwrite) as part,
        part.open("wb") as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=False,
            # Half of a float32 that was a float16 is zeros, which this brings together.
            use_byte_stream_split=["embedding.list.element"] if dtype == "float32" else False,
            write_statistics=["row", "col", "valid", *(f"bbox.{side}" for side in _SIDES)],
        ) as writer,
    ):
        for group in _row_groups(features, schema, dtype, progress):
            writer.write_table(group, row_group_size=len(group))
    return path


def _row_groups(
    features: FeatureRaster, schema: Any, dtype: str, progress: Progress | None
) -> Iterator[Any]:
    """Gather blocks into tables that are large enough to be worth a row group."""
    waiting: list[Any] = []
    size = 0
    for block, held in common.blocks(features, "export", progress):
        if held.any():
            waiting.append(_batch(features, block, held, schema, dtype))
            size += waiting[-1].num_rows * features.n_features * np.dtype(dtype).itemsize
        if size >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _batch(
    features: FeatureRaster,
    block: FeatureBlock,
    held: npt.NDArray[np.bool_],
    schema: Any,
    dtype: str,
) -> Any:
    row, col = np.nonzero(held)
    numbers = common.cast(block.values[row, col], dtype, features)
    valid = block.valid[row, col]
    row, col = row + block.rows.start, col + block.cols.start
    rings = _footprints(features.geobox, row, col)
    low, high = rings.min(axis=1), rings.max(axis=1)
    box = pa.StructArray.from_arrays(
        [pa.array(side) for side in (low[:, 0], low[:, 1], high[:, 0], high[:, 1])],
        fields=list(schema.field("bbox").type),
    )
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), features.n_features)
    columns = [_wkb(rings), box, row.astype(np.int32), col.astype(np.int32), valid, embedding]
    return pa.RecordBatch.from_arrays([pa.array(c) for c in columns], schema=schema)


def _footprints(
    geobox: GeoBox, row: npt.NDArray[np.int64], col: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the closed anticlockwise outlines of cells as ``(cells, 5, 2)`` x and y."""
    affine = geobox.affine
    corners = _CORNERS if affine.determinant < 0 else _CORNERS[::-1]
    steps = np.array([*corners, corners[0]])
    x = col[:, None] + steps[:, 0]
    y = row[:, None] + steps[:, 1]
    return np.stack(
        [affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f], axis=-1
    )


def _wkb(rings: npt.NDArray[np.float64]) -> Any:
    """Return outlines as an Arrow array of little-endian WKB polygons."""
    records = np.zeros(len(rings), _RING)
    records["order"], records["type"], records["rings"], records["points"] = 1, 3, 1, 5
    records["xy"] = rings
    ends = np.arange(len(rings) + 1, dtype=np.int32) * _RING.itemsize
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(records.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(rings), buffers)


def _schema(features: FeatureRaster, dtype: str) -> Any:
    number = pa.float16() if dtype == "float16" else pa.float32()
    fields = [
        pa.field("geometry", pa.binary(), nullable=False),
        pa.field(
            "bbox",
            pa.struct([pa.field(side, pa.float64(), nullable=False) for side in _SIDES]),
            nullable=False,
        ),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("col", pa.int32(), nullable=False),
        pa.field("valid", pa.float32(), nullable=False),
        pa.field("embedding", pa.list_(number, features.n_features), nullable=False),
    ]
    metadata = {
        "geo": json.dumps(_geo(features), sort_keys=True),
        "terrapatch": common.recipe_json(features),
        "terrapatch:layers": common.layers_json(features),
    }
    return pa.schema(fields, metadata=metadata)


def _geo(features: FeatureRaster) -> dict[str, Any]:
    """Return the metadata that makes a Parquet file a GeoParquet file."""
    crs = features.geobox.crs
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else crs.proj.to_json_dict(),  # null: undefined
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
    }
    held = features.valid() > 0
    if held.any():
        column["bbox"] = _extent(features.geobox, held)
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _extent(geobox: GeoBox, held: npt.NDArray[np.bool_]) -> list[float]:
    """Return the bounding box of some cells; corners decide, even on a turned grid."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for row in np.flatnonzero(held.any(axis=1)):
        col = np.flatnonzero(held[row])[[0, -1]]
        points = _footprints(geobox, np.full(2, row), col).reshape(-1, 2)
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
    return [*low.tolist(), *high.tolist()]
