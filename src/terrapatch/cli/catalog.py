"""``terrapatch catalog``: the data sets and weights that the project speaks of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Offline, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.catalog import Entry, LabelClass, Verified

app = typer.Typer(
    help="List data sets and weights, show one, get it, and check that it is whole.",
    no_args_is_help=False,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name of terrapatch catalog list, e.g. ucmerced.")
]


@app.callback(invoke_without_command=True)
def catalog(ctx: typer.Context) -> None:
    """List data sets and weights, show one, get it, and check that it is whole."""
    if ctx.invoked_subcommand is None:
        listing()


@app.command("list")
def listing(as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the data sets and weights: size, classes, licence, and how each is had."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.catalog import catalog_list

        entries = catalog_list()
        _show_list(voice, entries)
        voice.result({"entries": [entry.as_dict() for entry in entries]})


def _show_list(voice: Voice, entries: tuple[Entry, ...]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    table.add_column("classes", justify="right")
    table.add_column("licence", no_wrap=True)
    table.add_column("get", no_wrap=True)
    for one in entries:
        classes = "" if one.class_count is None else str(one.class_count)
        way = one.download if one.loader else "by hand" if one.kind == "dataset" else "backbones"
        table.add_row(one.id, f"{one.title}{_brief(one)}", classes, one.licence, way)
    voice.table(table)
    voice.show("\none of them: terrapatch catalog show NAME")


def _brief(entry: Entry) -> str:
    """Say how much of it there is, in a few words."""
    if entry.images is None or entry.kind == "weights":
        return ""
    if entry.images > 1:
        return f", {entry.images:,} images"
    return f", {' x '.join(map(str, entry.size_px))} px" if entry.size_px else ""


@app.command("show")
def show(name: Name, as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Show a data set or weights: images, classes, terms, what to cite, how to get it."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.catalog import catalog_show

        entry = catalog_show(name)
        voice.show(words.facts(_about(entry)))
        voice.result(entry.as_dict())


def _about(entry: Entry) -> list[tuple[str, str]]:
    size = " x ".join(map(str, entry.size_px))
    span = " to ".join(f"{one:g}" for one in entry.gsd_range)
    rows = [
        ("name", ", ".join((entry.id, *entry.aliases))),
        ("what", entry.title),
        ("", entry.description),
        ("images", "" if entry.images is None else f"{entry.images:,}"),
        ("size", f"{size} px" if size else ""),
        ("bands", _bands(entry)),
        ("ground", f"{entry.gsd:g} m" if entry.gsd is not None else span and f"{span} m"),
        ("classes", _classes(entry)),
        ("licence", entry.licence if not entry.terms else f"{entry.licence}: {entry.terms}"),
        ("cite", entry.citation),
        ("doi", entry.doi),
        ("page", entry.page),
        ("folder", f"$TERRAPATCH_DATA/{entry.folder}" if entry.folder else ""),
        ("get", entry.how_to_get),
        ("files", "\n".join(_archives(entry))),
    ]
    return [(name, value) for name, value in rows if value]


def _bands(entry: Entry) -> str:
    if entry.band_count is None:
        return ""
    names = f": {', '.join(entry.bands)}" if entry.bands else ""
    return f"{entry.band_count}{names}"


def _classes(entry: Entry) -> str:
    """Say the classes with their counts; the count once where all are equal."""
    if not entry.class_count:
        return ""
    unit = "images" if entry.labels == "image" else "pixels"
    counts = {one.count for one in entry.classes}
    if len(counts) == 1:
        each = counts.pop()
        head = f"{entry.class_count}" + (f" of {each:,} {unit}" if each else "")
        names = "; ".join(one.name for one in entry.classes)
        return f"{head}: {names}"
    if any(one.train for one in entry.classes):
        unit = f"{unit} to train and to test"
    names = "; ".join(f"{one.name} {_count(one)}" for one in entry.classes)
    return f"{entry.class_count}, with {unit}: {names}" if names else f"{entry.class_count}"


def _count(one: LabelClass) -> str:
    if one.train is not None and one.test is not None:
        return f"{one.train:,} + {one.test:,}"
    return "" if one.count is None else f"{one.count:,}"


def _archives(entry: Entry) -> list[str]:
    lines = []
    for one in entry.archives:
        about = "about " if one.about else ""
        size = f"{about}{words.size(one.size)}, " if one.size is not None else ""
        digest = f"sha256 {one.sha256}" if one.sha256 else f"md5 {one.md5}"
        lines.append(f"{one.path} ({size}{digest})")
    return lines


@app.command("get")
def get(
    name: Name,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put it.")],
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Download a data set, its hash compared; or say how a person gets it."""
    with speaking(as_json, quiet, debug) as voice:
        voice.kept = lambda: "what was downloaded is kept; remove a broken archive before trying"
        from terrapatch.studies.catalog import get as run

        silent = as_json or quiet
        place = run(name, folder, offline=offline, progress=None if silent else voice.progress)
        voice.show(f"{place}\nnext: terrapatch catalog verify {name} {folder}")
        voice.result({"path": str(place)})


@app.command("verify")
def verify(
    name: Name,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]", help="Where it lies.", show_default="found in $TERRAPATCH_DATA"
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a data set: classes, counts, every image read in full, hashes of archives.

    Leaves with 2 when something is not as the catalogue says; each fault is a line.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.catalog import verify as run

        found = run(name, folder, progress=voice.progress)
        _show_verified(voice, found)
        voice.result(found.as_dict())
        if not found.whole:
            raise typer.Exit(2)


def _show_verified(voice: Voice, found: Verified) -> None:
    for fault in found.faults:
        voice.show(fault)
    archives = f", hash of {', '.join(found.archives)} right" if found.archives else ""
    classes = f" in {len(found.counts)} classes" if found.counts else ""
    state = "whole" if found.whole else f"{len(found.faults):,} faults"
    voice.show(f"{found.folder}: {found.images:,} images read{classes}{archives}; {state}")
