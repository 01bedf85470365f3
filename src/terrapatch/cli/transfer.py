"""``terrapatch transfer``: a trained model tested in another place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli.options import (
    NETWORK,
    Bands,
    Debug,
    Device,
    Json,
    Nodata,
    Offline,
    Overwrite,
    Precision,
    Quiet,
    Seed,
    Units,
)
from terrapatch.cli.train import Cache, Column, Features, Minimum, Out, Rule, Sources
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.transferring import TransferResult

_LOCAL = "Labels of the place itself"


def transfer(
    samples: Sources,
    model: Annotated[Path, typer.Option("--model", "-m", help="A folder train wrote.")],
    out: Out,
    class_map: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns model and here: which class of the model is which here.",
            show_default="classes of the same name",
        ),
    ] = None,
    features: Features = None,
    column: Column = None,
    rule: Rule = "majority",
    minimum: Minimum = 0.5,
    few: Annotated[
        str,
        typer.Option(
            help="Numbers of local labels a class to compare with; with commas.",
            rich_help_panel=_LOCAL,
        ),
    ] = "1,5,10,20",
    seeds: Annotated[int, typer.Option(help="Draws of each number.", rich_help_panel=_LOCAL)] = 5,
    folds: Annotated[
        int,
        typer.Option(help="Folds among the samples, for the ceiling.", rich_help_panel=_LOCAL),
    ] = 5,
    seed: Seed = 0,
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    cache: Cache = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="File of the network's weights.", rich_help_panel=NETWORK),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Test a trained model in another place: what it is worth there, and what labels there are.

    Images are embedded by the model's own recipe. The report says how many local labels a class
    are as good as the model, and where its answers can be trusted.
    """
    embedding = {
        "bands": bands,
        "units": units,
        "nodata": nodata,
        "cache": cache,
        "weights": weights,
        "device": device,
        "precision": precision,
        "offline": offline,
    }
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.transferring import transfer as run

        made = run(
            samples,
            model,
            out,
            class_map=class_map,
            features=features or (),
            column=column,
            rule=rule,
            minimum=minimum,
            few=_numbers(few),
            seeds=seeds,
            folds=folds,
            seed=seed,
            embedding=embedding,
            overwrite=overwrite,
            progress=voice.progress,
        )
        _report(voice, made)


def _numbers(text: str) -> list[int]:
    from terrapatch.errors import SamplesError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong:
        raise SamplesError(f"--few is {text!r}, and {wrong[0]!r} is no number; write 1,5,10,20")
    return [int(part) for part in parts]


def _report(voice: Voice, made: TransferResult) -> None:
    from rich.table import Table

    metrics = made.metrics
    table = Table(box=None, pad_edge=False)
    for name in ("trained on", "overall accuracy, %"):
        table.add_column(name, justify="left" if name == "trained on" else "right")
    for name, found in (("elsewhere, all its classes", made.open),
                        ("elsewhere, classes that occur here", made.closed),
                        ("all samples here (ceiling)", made.ceiling)):  # fmt: skip
        if found is not None:
            table.add_row(name, dict(found.summary())["overall"])
    for one in made.few:
        # A single draw has no deviation.
        about = f" ± {100 * one.deviation:.1f}" if len(one.accuracies) > 1 else ""
        table.add_row(f"{one.k} samples a class here", f"{100 * one.mean:.1f}{about}")
    voice.table(table)
    for sentence in metrics["advice"]:
        voice.show(sentence)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.result({"folder": str(made.folder), "notes": list(made.notes), **metrics})
