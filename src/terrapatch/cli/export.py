"""``terrapatch export``: features as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terrapatch.cli.options import Debug, FeaturesArgument, Json, Overwrite, Quiet
from terrapatch.cli.voice import speaking


def export(
    features: FeaturesArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="File to write: .parquet, .tif, .npz, .npy or .png."),
    ],
    picture: Annotated[
        bool,
        typer.Option("--picture", help="Three principal components as a picture, also as .tif."),
    ] = False,
    bands: Annotated[
        str | None, typer.Option("--bands", help="Which features become bands (.tif alone).")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="float32 or float16 (tables and arrays alone).")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write features for other programs: GeoParquet, GeoTIFF, numpy arrays, or a picture."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.features import FeatureRaster
        from terrapatch.features.exports import export as run

        written = run(
            FeatureRaster.open(features),
            out,
            "picture" if picture else None,
            bands=bands,
            dtype=dtype,
            overwrite=overwrite,
            progress=voice.progress,
        )
        voice.outputs([written])
        voice.result({"path": str(written), "bytes": written.stat().st_size})
