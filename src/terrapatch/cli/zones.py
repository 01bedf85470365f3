"""``terrapatch zones``: the classes of a map by zone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Overwrite, Quiet, Seed
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.zones import ZonesResult

_VALUE = "Holding classes against a column"
_MOST_ROWS = 40


def zones(
    class_map: Annotated[Path, typer.Argument(metavar="MAP", help="A class map, e.g. named.tif.")],
    zones: Annotated[Path, typer.Argument(metavar="ZONES", help="Polygons, in any CRS.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="GeoPackage to write; .csv and .html stand beside it."),
    ],
    id: Annotated[
        str | None,
        typer.Option("--id", help="Column that names the zones.", show_default="numbered from 1"),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(help="Column of the zones to compare with.", rich_help_panel=_VALUE),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="What that column holds: category, number, or auto by its type.",
            rich_help_panel=_VALUE,
        ),
    ] = "auto",
    permutations: Annotated[
        int, typer.Option(help="Permutations of the zones.", rich_help_panel=_VALUE)
    ] = 999,
    layer: Annotated[str | None, typer.Option(help="Layer of ZONES, if it has several.")] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure the classes of a map in zones: hectares, shares, a table, a report.

    With --value, say how strongly the classes go with a column of the zones, and whether chance
    would do the same.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.zones import zones as run

        options: dict[str, Any] = {"kind": _kind(kind)}
        made = run(
            class_map,
            zones,
            out,
            id=id,
            value=value,
            layer=layer,
            permutations=permutations,
            seed=seed,
            overwrite=overwrite,
            **options,
        )
        _report(voice, made)


def _kind(text: str) -> str:
    from terrapatch.errors import SamplesError

    if text not in ("auto", "category", "number"):
        raise SamplesError(f"--kind is {text!r}; give auto, category or number")
    return text


def _report(voice: Voice, made: ZonesResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("zone")
    for name in ("hectares", "covered"):
        table.add_column(name, justify="right")
    table.add_column("dominant class")
    table.add_column("its share", justify="right")
    share = made.share
    for i, name in enumerate(made.names[:_MOST_ROWS]):
        dominant = int(made.dominant[i])
        part = words.share(float(share[i, dominant - 1])) if dominant else "–"
        covered = words.share(float(made.areas.covered[i]))
        area = f"{made.areas.zone[i]:,.1f}"
        table.add_row(Text(name), area, covered, Text(made.dominant_name(i) or "–"), part)
    voice.table(table)
    if len(made.names) > _MOST_ROWS:
        voice.show(f"… and {len(made.names) - _MOST_ROWS:,} more zones")
    for one in made.association:
        voice.show(one.sentence())
    if made.association:
        from terrapatch.learn.association import CAVEATS

        voice.show("What it does not mean: " + " ".join(CAVEATS))
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.result({**made.as_dict(), "notes": list(made.notes)})
