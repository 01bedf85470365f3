"""``terrapatch area``: how large classes really are, by a sample that a person has labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Overwrite, Quiet, Seed
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.area import EstimateResult, SampleResult

app = typer.Typer(
    help="Estimate the area of classes, with intervals, from points a person has labelled.",
    no_args_is_help=True,
)


@app.command("sample")
def sample(
    class_map: Annotated[Path, typer.Argument(metavar="MAP", help="A class map, e.g. named.tif.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoPackage of points to write.")],
    n: Annotated[int | None, typer.Option("-n", "--n", help="Points in all.")] = None,
    standard_error: Annotated[
        float | None,
        typer.Option(help="Instead of -n: standard error wanted of the overall accuracy, 0.02."),
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            help="User's accuracy expected, for --standard-error: 0.9, or CLASS=0.6; repeatable.",
            show_default="0.8",
        ),
    ] = None,
    minimum: Annotated[
        int | None,
        typer.Option(
            help="Points of a rare class.", show_default="50, or what half the sample gives each"
        ),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw a random sample of the cells of each class, as points to be labelled in QGIS."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.area import sample_area

        made = sample_area(
            class_map,
            out,
            n,
            standard_error=standard_error,
            expected=_expected(expected or []),
            minimum=minimum,
            seed=seed,
            overwrite=overwrite,
        )
        _report_sample(voice, made)


@app.command("estimate")
def estimate(
    points: Annotated[
        Path, typer.Argument(metavar="POINTS", help="What area sample wrote, labelled.")
    ],
    class_map: Annotated[
        Path, typer.Option("--map", "-m", help="The map the sample was drawn from.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    layer: Annotated[str | None, typer.Option(help="Layer of POINTS, if it has several.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Estimate areas and accuracies with 95 % intervals (Olofsson et al. 2014)."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.area import estimate_area

        made = estimate_area(points, class_map, out, layer=layer, overwrite=overwrite)
        _report_estimate(voice, made)


def _expected(texts: list[str]) -> float | dict[str, float]:
    """Read ``0.9`` or ``CLASS=0.6``."""
    from terrapatch.errors import SamplesError

    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise SamplesError(
                f"--expected is {text!r}; write a number such as 0.9, or CLASS=0.6"
            ) from None
        if not name and len(texts) == 1:
            return value
        if not name or name in found:
            raise SamplesError(
                "give --expected either one number for all classes, or CLASS=NUMBER once a class"
            )
        found[name] = value
    return found or 0.8


def _report_sample(voice: Voice, made: SampleResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("cells", "share", "points"):
        table.add_column(name, justify="right")
    for row in zip(made.classes, made.cells, made.share, made.points, strict=True):
        name, cells, share, points = row
        table.add_row(Text(name), f"{cells:,}", words.share(float(share)), f"{points:,}")
    voice.table(table)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(
        f"next: open {made.files[0]} in QGIS over an image, fill in the column 'reference' for "
        "every point, save, and run terrapatch area estimate"
    )
    voice.result(
        {
            "points": int(made.points.sum()),
            "classes": [
                {"name": name, "cells": int(cells), "share": float(share), "points": int(points)}
                for name, cells, share, points in zip(
                    made.classes, made.cells, made.share, made.points, strict=True
                )
            ],
            "notes": list(made.notes),
        }
    )


def _report_estimate(voice: Voice, made: EstimateResult) -> None:
    from rich.table import Table
    from rich.text import Text

    found = made.as_dict()
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    heads = ("points", f"mapped, {made.unit}", f"estimated, {made.unit}", "user's", "producer's")
    for name in heads:
        table.add_column(name, justify="right")
    for row in found["classes"]:
        area = f"{row['area']:,.1f} ± {row['area_half']:,.1f}"
        table.add_row(
            Text(row["name"]), f"{row['points']:,}", f"{row['mapped']:,.1f}", area,
            _percent(row["users_accuracy"], row["users_accuracy_half"]),
            _percent(row["producers_accuracy"], row["producers_accuracy_half"]),
        )  # fmt: skip
    voice.table(table)
    overall = _percent(found["overall_accuracy"], found["overall_accuracy_half"])
    voice.show(f"overall accuracy {overall} of the area (95 % intervals)")
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.result(found)


def _percent(value: float | None, half: float | None) -> str:
    return "–" if value is None or half is None else f"{100 * value:.1f} ± {100 * half:.1f} %"
