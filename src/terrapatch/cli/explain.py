"""``terrapatch explain``: how something of ours was made, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Quiet
from terrapatch.cli.voice import speaking


def explain(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A map, its STAC .json, a feature store, a cluster or model folder.",
        ),
    ],
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say how a map, a feature store or a model was made: scene, grid, backbone, clusters."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.explain import explain as run

        told = run(file)
        voice.show(f"{told.path}: {told.what}\n{words.facts(told.rows)}")
        voice.result(
            {"path": str(told.path), "kind": told.kind, "what": told.what, "recipe": told.recipe}
        )
