"""``terrapatch demo``: the whole way on a painted scene, without a file and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terrapatch.cli.options import Debug, Json, Overwrite, Quiet, Seed
from terrapatch.cli.voice import speaking


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("demo-out"),
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Paint a settlement scene, embed it, cluster it, and compare with the known truth."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.demo import demo as run

        made = run(out, seed=seed, overwrite=overwrite, progress=voice.progress)
        voice.show("\n".join(made.lines))
        voice.outputs(made.files)
        voice.result({"folder": str(out), "seed": seed, "lines": list(made.lines)})
