"""``terrapatch advise``: how to learn from the labels at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli.options import (
    Average,
    Backbone,
    Bands,
    Debug,
    Device,
    InputSize,
    Json,
    Nodata,
    Offline,
    Precision,
    Quiet,
    Seed,
    Units,
)
from terrapatch.cli.train import Cache, Column, Features, Folds, Sources
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.advising import AdviseResult


def advise(
    samples: Sources,
    features: Features = None,
    column: Column = None,
    similarity: Annotated[
        float | None,
        typer.Option(
            help="How similar the imagery is to what the network was trained on, 0 to 1.",
            show_default="not known: treated as different",
        ),
    ] = None,
    folds: Folds = 3,
    seed: Seed = 0,
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    cache: Cache = None,
    backbone: Backbone = "efficientnet_lite0",
    input_size: InputSize = None,
    average: Average = "none",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say how to learn from these samples: two lectures' rules, and a quick trial of layers."""
    embedding = {
        "bands": bands,
        "units": units,
        "nodata": nodata,
        "cache": cache,
        "backbone": backbone,
        "input_size": input_size,
        "average": average,
        "device": device,
        "precision": precision,
        "offline": offline,
    }
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.advising import advise_on

        made = advise_on(
            samples,
            features=features or (),
            column=column,
            similarity=similarity,
            folds=folds,
            seed=seed,
            embedding=embedding,
            progress=voice.progress,
        )
        _report(voice, made)


def _report(voice: Voice, made: AdviseResult) -> None:
    from terrapatch.studies.advising import TRIED

    found = made.advice
    voice.show(found.reason)
    for first, second in zip(found.deck_001, found.deck_002, strict=True):
        voice.show(f"lecture 001: {first}")
        voice.show(f"lecture 002: {second}")
    voice.show("the lectures agree" if found.agree else "the lectures differ: compare")
    voice.show(f"tried here ({made.protocol}):")
    for name, accuracy in made.trials:
        low, high = accuracy.intervals["overall"]
        voice.show(
            f"  {TRIED[name]}: {100 * accuracy.overall:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        )
    for name in made.untried:
        voice.show(f"  not tried: {name}; see terrapatch finetune")
    for caution in found.cautions:
        voice.message(f"note: {caution}")
    voice.result(
        {
            "reason": found.reason,
            "lecture_001": list(found.deck_001),
            "lecture_002": list(found.deck_002),
            "agree": found.agree,
            "protocol": made.protocol,
            "trials": [
                {"name": name, "overall": accuracy.overall,
                 "interval": list(accuracy.intervals["overall"])}
                for name, accuracy in made.trials
            ],
            "untried": list(made.untried),
            "cautions": list(found.cautions),
        }
    )  # fmt: skip
