"""``terrapatch backbones fit``: random filters of a scene, kept for other scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terrapatch.cli.options import (
    Bands,
    Debug,
    Json,
    Nodata,
    Overwrite,
    Quiet,
    SceneArgument,
    Seed,
    Units,
)
from terrapatch.cli.voice import speaking


def fit(
    scene: SceneArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, e.g. filters.safetensors.")
    ],
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cut the filters of rcf:empirical out of a scene, to describe other scenes by the same."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.features.filters import draw

        path = draw(
            scene, out, bands=bands, units=units, nodata=nodata, seed=seed, overwrite=overwrite
        )
        voice.outputs([path])
        voice.show(
            f"next: terrapatch embed OTHER -o other.zarr --size 60m --backbone rcf:empirical "
            f"--weights {path}"
        )
        voice.result({"path": str(path)})
