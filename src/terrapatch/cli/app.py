"""The application: its commands, and the one place where a run ends."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from terrapatch.cli import (
    advise,
    apply,
    area,
    backbones,
    catalog,
    change,
    classify,
    cluster,
    demo,
    doctor,
    embed,
    explain,
    export,
    finetune,
    info,
    look,
    name,
    similar,
    smooth,
    train,
    transfer,
    view,
    zones,
)
from terrapatch.cli.faults import one_line, our_fault, wants_debug
from terrapatch.cli.pixels import app as pixels

app = typer.Typer(
    name="terrapatch",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("doctor")(doctor.doctor)
app.command("info")(info.info)
app.command("embed")(embed.embed)
app.command("cluster")(cluster.cluster)
app.command("look")(look.look)
app.command("name")(name.name)
app.command("apply")(apply.apply)
app.command("change")(change.change)
app.command("view")(view.view)
app.command("similar")(similar.similar)
app.command("advise")(advise.advise)
app.command("train")(train.train)
app.command("evaluate")(train.evaluate)
app.command("finetune")(finetune.finetune)
app.command("classify")(classify.classify)
app.command("transfer")(transfer.transfer)
app.command("smooth")(smooth.smooth)
app.command("zones")(zones.zones)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("demo")(demo.demo)
app.add_typer(area.app, name="area")
app.add_typer(pixels.app, name="pixels")
app.add_typer(backbones.app, name="backbones")
app.add_typer(catalog.app, name="catalog")


@app.callback(invoke_without_command=True)
def terrapatch(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """From a GeoTIFF scene to patch embeddings to a settlement map that opens right in QGIS.

    Begin with: terrapatch info SCENE. Exit codes: 0 done, 2 bad input, 1 our fault,
    130 interrupted.
    """
    if version:
        from terrapatch import __version__

        typer.echo(f"terrapatch {__version__}")
    elif ctx.invoked_subcommand is None:
        if text := ctx.get_help():  # with Rich the help has been shown by now
            typer.echo(text)
        raise typer.Exit(2)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        code: Any = app(prog_name="terrapatch", standalone_mode=False)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:  # the last place: everything ends in one sentence
        if hasattr(fault, "format_message"):
            return _complain(f"error: {_usage(fault)}", 2)
        if wants_debug("--debug" in sys.argv):
            raise
        return _complain(f"error: {our_fault(fault)}", 1)
    return code if isinstance(code, int) else 0


def _usage(fault: Any) -> str:
    """Make one sentence of what Typer says about a wrong option, and add where help is."""
    path = getattr(getattr(fault, "ctx", None), "command_path", "terrapatch")
    return f"{one_line(fault.format_message()).rstrip('.')}; see {path} --help"


def _complain(text: str, code: int) -> int:
    if "--json" in sys.argv:
        plain = text.removeprefix("error: ")
        typer.echo(json.dumps({"type": "error", "text": plain, "exit_code": code}))
    typer.echo(text, err=True)
    return code
