"""The commands of ``terrapatch pixels``."""

from __future__ import annotations

import typer

from terrapatch.cli.pixels import classify, evaluate, features, info, ladder, train

app = typer.Typer(
    help="Every pixel a class: many bands, few labels.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("info")(info.info)
app.command("features")(features.features)
app.command("train")(train.train)
app.command("classify")(classify.classify)
app.command("evaluate")(evaluate.evaluate)
app.command("ladder")(ladder.ladder)
