"""``terrapatch change``: what became of what between two dates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli.options import NETWORK, Debug, Json, Offline, Overwrite, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.changing import ChangeResult

_NOISE = "Noise floor"
_MOST_ROWS = 15


def change(
    before: Annotated[
        Path,
        typer.Argument(metavar="A", help="First date: folder of clusters, class map or features."),
    ],
    after: Annotated[Path, typer.Argument(metavar="B", help="Second date, likewise.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of a named model, if A or B are features."),
    ] = None,
    noise: Annotated[
        bool,
        typer.Option(
            "--noise/--no-noise",
            help="Embed A again with patches moved: what changes then is noise.",
            rich_help_panel=_NOISE,
        ),
    ] = True,
    offset: Annotated[
        float, typer.Option(help="How far they are moved, in cells.", rich_help_panel=_NOISE)
    ] = 0.5,
    scene: Annotated[
        str | None,
        typer.Option(
            help="Scene of A.", rich_help_panel=_NOISE, show_default="where it was embedded from"
        ),
    ] = None,
    most: Annotated[
        int, typer.Option(help="Changes that get a colour of their own in the map.")
    ] = 12,
    weights: Annotated[
        Path | None, typer.Option(help="File of the network's weights.", rich_help_panel=NETWORK)
    ] = None,
    offline: Offline = False,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write changes as polygons too.")
    ] = True,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare the classes of two dates: a map of changes, matrices, gains and losses, a report.

    Both dates need the classes of one model: terrapatch apply DIR FEATURES.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.changing import change as run

        embedding: dict[str, Any] = {"weights": weights, "offline": offline}
        made = run(
            before,
            after,
            out,
            model=model,
            scene=scene,
            noise=noise,
            offset=offset,
            most=most,
            embedding=embedding,
            polygons=polygons,
            overwrite=overwrite,
            progress=voice.progress,
        )
        _report(voice, made)


def _report(voice: Voice, made: ChangeResult) -> None:
    from rich.table import Table
    from rich.text import Text

    from terrapatch.studies._change_map import WITHIN, pair_rows

    rows = pair_rows(made.transitions, made.noise, made.legend)
    areas, known = made.transitions.hectares is not None, made.noise is not None
    table = Table(box=None, pad_edge=False)
    heads = ["from", "to", "cells", *["hectares"] * areas, *["by noise", ""] * known]
    for head in heads:
        left = head in ("from", "to", "")
        table.add_column(head, justify="left" if left else "right")
    for old, new, cells, area, _, noise, clear in rows[:_MOST_ROWS]:
        more = [] if area is None else [f"{area:,.1f}"]
        if noise is not None:
            more += [f"{noise:,.1f}", "" if clear else WITHIN]
        table.add_row(Text(old), Text(new), f"{cells:,}", *more)
    if rows:
        voice.table(table)
    if len(rows) > _MOST_ROWS:
        voice.show(f"… and {len(rows) - _MOST_ROWS} more changes, in transitions.csv")
    for sentence in made.words:
        voice.show(sentence)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in QGIS, and look at a sample of each change")
    voice.result(
        {
            "folder": str(made.folder),
            "cells": made.transitions.n,
            "changed": made.transitions.changed,
            "share": made.transitions.share,
            "noise_share": None if made.noise is None else made.noise.share,
            "words": list(made.words),
            "changes": [
                {"from": old, "to": new, "cells": cells, "hectares": area, "noise_cells": noise,
                 "above_noise": clear}
                for old, new, cells, area, _, noise, clear in rows
            ],
            "notes": list(made.notes),
        }
    )  # fmt: skip
