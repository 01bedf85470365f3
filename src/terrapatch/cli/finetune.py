"""``terrapatch finetune``: labelled images in, a network tuned to them out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli.options import (
    Average,
    Backbone,
    Debug,
    Device,
    InputSize,
    Json,
    Offline,
    Overwrite,
    Quiet,
    Seed,
)
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.finetuning import FinetuneResult


def finetune(
    samples: Annotated[
        str,
        typer.Argument(
            help="A folder with a folder of images a class, a CSV (path, class, split), or a name "
            "of terrapatch catalog."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    strategy: Annotated[
        str,
        typer.Option(
            help="gradual (head first, then stage by stage from the top), part (all open stages "
            "at once), all, or extractor (the head alone)."
        ),
    ] = "gradual",
    freeze: Annotated[
        int | None,
        typer.Option(help="Lowest stages never trained.", show_default="all but the last three"),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training part.")] = 30,
    lr: Annotated[float, typer.Option(help="Learning rate of the head and the top stage.")] = 5e-4,
    dropout: Annotated[float, typer.Option(help="Features left out while training.")] = 0.2,
    patience: Annotated[
        int, typer.Option(help="Epochs without a lower validation loss until it ends.")
    ] = 10,
    augment: Annotated[
        str, typer.Option(help="none, d4, light, full, or parts such as d4,crop:0.8,colour:0.1.")
    ] = "d4",
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    mixed: Annotated[
        str, typer.Option("--precision", help="fp32, or bf16 for mixed precision.")
    ] = "fp32",
    seed: Seed = 0,
    backbone: Backbone = "efficientnet_lite0",
    input_size: InputSize = None,
    average: Average = "none",
    device: Device = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a network on labelled images: learning curves, a verdict, an accuracy, a model.

    A run that was interrupted goes on when the same command is given again.
    """
    settings: dict[str, Any] = {
        "strategy": strategy,
        "freeze": freeze,
        "epochs": epochs,
        "lr": lr,
        "dropout": dropout,
        "patience": patience,
        "augment": augment,
        "batch": batch,
        "precision": mixed,
    }
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.finetuning import finetune as run

        voice.kept = lambda: f"the epochs done are in {out}; give the same command to go on"
        made = run(
            samples,
            out,
            backbone=backbone,
            input_size=input_size,
            average=average,
            device=device,
            offline=offline,
            seed=seed,
            overwrite=overwrite,
            progress=voice.progress,
            **settings,
        )
        _report(voice, made)


def _report(voice: Voice, made: FinetuneResult) -> None:
    for name, value in made.accuracy.summary():
        voice.show(f"{name}: {value}")
    voice.show(f"split: {made.protocol}")
    if made.diagnosis is not None:
        seen = made.diagnosis
        voice.show(f"learning curves: {seen.verdict}. {seen.reason} {seen.advice}")
    voice.outputs(made.files)
    voice.result(
        {
            "folder": str(made.folder),
            "protocol": made.protocol,
            "verdict": None if made.diagnosis is None else made.diagnosis.verdict,
            "accuracy": made.accuracy.as_dict(),
        }
    )
