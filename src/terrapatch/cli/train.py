"""``terrapatch train`` and ``evaluate``: labelled samples in, a classifier and its worth out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli.options import (
    READING,
    Average,
    Backbone,
    Bands,
    Debug,
    Device,
    InputSize,
    Json,
    Layers,
    Nodata,
    Offline,
    Overwrite,
    Pooling,
    Precision,
    Quiet,
    Seed,
    Units,
)
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.training import TrainResult

_LABELS = "Labels on the ground"
_HEAD = "Classifier"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SAMPLES...",
        help="A folder with a folder of images a class, a CSV (path, class, split), a name of "
        "terrapatch catalog; or polygons, points or label rasters over --features.",
    ),
]
Colours = Annotated[
    Path | None,
    typer.Option(
        "--colours",
        help="Colours of the classes: a CSV (class, colour), or a class map that has them.",
        show_default="those of a class map among the samples",
        rich_help_panel=_HEAD,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")]
Features = Annotated[
    list[Path] | None,
    typer.Option(
        "--features",
        help="Store of a scene the labels lie on; may be given again.",
        rich_help_panel=_LABELS,
    ),
]
Column = Annotated[
    str | None,
    typer.Option("--column", help="Column that holds the class.", rich_help_panel=_LABELS),
]
Rule = Annotated[
    str,
    typer.Option(
        "--rule",
        help="A cell takes the class of the majority, of its centre, or one with enough share.",
        rich_help_panel=_LABELS,
    ),
]
Minimum = Annotated[
    float,
    typer.Option(
        "--minimum", help="Share of a cell that must be labelled.", rich_help_panel=_LABELS
    ),
]
HeadName = Annotated[
    str | None,
    typer.Option(
        "--head",
        help="ridge, logistic, linear-svm, rbf-svm, forest, lda, knn, centroid, mlp; or cnn, which "
        "learns from whole maps and sets --pooling flatten and --layers if neither is given.",
        show_default="what measured best",
        rich_help_panel=_HEAD,
    ),
]
Scaling = Annotated[
    str | None,
    typer.Option(
        "--scaling",
        help="How features are scaled, e.g. standardise-layer-l2.",
        rich_help_panel=_HEAD,
        show_default="what measured best",
    ),
]
Folds = Annotated[
    int, typer.Option("--folds", help="Folds of the cross-validation.", rich_help_panel=_HEAD)
]
Alpha = Annotated[
    float,
    typer.Option("--alpha", help="Share of conformal sets that may miss.", rich_help_panel=_HEAD),
]
Baselines = Annotated[
    bool,
    typer.Option(
        "--baselines/--no-baselines",
        help="Test simpler descriptions of the images beside it.",
        rich_help_panel=_HEAD,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder that keeps features of images, for the next run.",
        rich_help_panel=READING,
    ),
]


def train(
    samples: Sources,
    out: Out,
    features: Features = None,
    column: Column = None,
    rule: Rule = "majority",
    minimum: Minimum = 0.5,
    head: HeadName = None,
    scaling: Scaling = None,
    folds: Folds = 5,
    alpha: Alpha = 0.05,
    seed: Seed = 0,
    baselines: Baselines = True,
    colours: Colours = None,
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    cache: Cache = None,
    backbone: Backbone = "efficientnet_lite0",
    layers: Layers = None,
    pooling: Pooling = None,
    input_size: InputSize = None,
    average: Average = "none",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a scene classifier from labelled samples: a model, its accuracy, a report.

    Accuracy is measured on samples that were not trained on: by folds apart in space where
    samples lie on a scene, by the part test of a CSV that names one, else by stratified folds.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.training import train as run

        made = run(**_arguments(dict(locals())), colours=colours)
        _report(voice, made)


def evaluate(
    samples: Sources,
    out: Out,
    features: Features = None,
    column: Column = None,
    rule: Rule = "majority",
    minimum: Minimum = 0.5,
    head: HeadName = None,
    scaling: Scaling = None,
    folds: Folds = 5,
    alpha: Alpha = 0.05,
    seed: Seed = 0,
    baselines: Baselines = True,
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    cache: Cache = None,
    backbone: Backbone = "efficientnet_lite0",
    layers: Layers = None,
    pooling: Pooling = None,
    input_size: InputSize = None,
    average: Average = "none",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Test a recipe on labelled samples without keeping a model; options as in train."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.training import evaluate as run

        made = run(**_arguments(dict(locals())))
        _report(voice, made)


_EMBEDDING = (
    "backbone", "layers", "pooling", "bands", "units", "nodata", "input_size", "average",
    "device", "precision", "offline", "cache",
)  # fmt: skip
_OWN = (
    "samples", "out", "column", "rule", "minimum", "head", "scaling", "folds", "alpha", "seed",
    "baselines", "overwrite",
)  # fmt: skip


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Sort what was given into the arguments of ``studies.training``."""
    return {name: given[name] for name in _OWN} | {
        "features": given["features"] or (),
        "embedding": {name: given[name] for name in _EMBEDDING},
        "progress": given["voice"].progress,
    }


def _report(voice: Voice, made: TrainResult) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    head, *rows = made.accuracy.table()
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    voice.table(table)
    for name, value in made.accuracy.summary():
        voice.show(f"{name}: {value}")
    voice.show(f"protocol: {made.checked.protocol}")
    for one in made.baselines:
        voice.show(f"beside it, {one.name}: {100 * one.overall:.1f} %")
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    if made.model is not None:
        size = " --size SIZE" if made.model.any_size else ""  # images have none on the ground
        voice.show(f"next: terrapatch classify SCENE{size} --model {made.folder} -o map.tif")
    voice.result({"folder": str(made.folder), "notes": list(made.notes), **made.metrics})
