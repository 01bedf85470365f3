"""``terrapatch backbones get``, ``pack`` and ``unpack``: weights, with and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Offline, Overwrite, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.backbones.bundle_format import BundledFile


def add_to(app: typer.Typer) -> None:
    """Give an application the three commands."""
    app.command("get")(get)
    app.command("pack")(pack)
    app.command("unpack")(unpack)


def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of backbones.")],
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the weights of backbones, or download them, and say where they are."""
    with speaking(as_json, quiet, debug) as voice:
        voice.kept = _downloaded
        from terrapatch.backbones import get_backbone

        chosen = [get_backbone(name) for name in dict.fromkeys(names)]
        rows = [_get(voice, one.name, one.weights, offline) for one in chosen]
        voice.result({"weights": rows})


def _get(voice: Voice, name: str, weights: Any, offline: bool) -> dict[str, Any]:
    from terrapatch.backbones.weights import find

    if weights is None:
        voice.show(f"{name}: needs no file of weights")
        return {"backbone": name, "file": None}
    found = find(weights, name, offline=offline, progress=voice.progress)
    size = found.path.stat().st_size
    voice.show(f"{name}: {found.path} ({words.size(size)}, {found.place}, hash checked)")
    return {
        "backbone": name,
        "file": weights.name,
        "path": str(found.path),
        "place": found.place,
        "bytes": size,
        "sha256": found.sha256,
        "source": weights.source,
        "licence": weights.licence,
        "citation": weights.citation,
    }


def pack(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Names of backbones; NAME=FILE where its registered file lies elsewhere.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Bundle to write, e.g. bundle.tar.")],
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put the weights of backbones into one file for a machine without a network.

    Weights that are not here are downloaded first. On the other machine run:
    terrapatch backbones unpack.
    """
    with speaking(as_json, quiet, debug) as voice:
        voice.kept = _downloaded
        from terrapatch.backbones.bundle import pack as run

        wanted, files = _named(names)
        made = run(
            wanted,
            out,
            files=files,
            offline=offline,
            overwrite=overwrite,
            progress=voice.progress,
        )
        for one in made.files:
            voice.show(_line(one))
        voice.outputs([made.path])
        voice.show(
            f"{words.size(made.size)}, sha256 {made.sha256}\n"
            f"next: on the other machine run terrapatch backbones unpack {made.path.name}"
        )
        voice.result(
            {
                "path": str(made.path),
                "bytes": made.size,
                "sha256": made.sha256,
                "files": [_facts(one) for one in made.files],
                "notes": made.notes,
            }
        )


def unpack(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A file made by terrapatch backbones pack.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", help="Folder to write.", show_default="where backbones look for weights"
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take the weights out of a bundle, so that their backbones work here; opens no socket."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.backbones.bundle import unpack as run

        made = run(bundle, into=into, progress=voice.progress)
        for one in made.files:
            there = ", was there already" if one.file in made.present else ""
            voice.show(f"{_line(one)}{there}")
        voice.outputs(
            [made.folder / one.file for one in made.files if one.file not in made.present]
        )
        voice.result(
            {
                "folder": str(made.folder),
                "files": [
                    _facts(one)
                    | {"path": str(made.folder / one.file), "present": one.file in made.present}
                    for one in made.files
                ],
                "notes": made.notes,
            }
        )


def _named(words_given: list[str]) -> tuple[list[str], dict[str, Path]]:
    """Part ``NAME`` and ``NAME=FILE``."""
    names, files = [], {}
    for word in words_given:
        name, own, file = word.partition("=")
        names.append(name)
        if own:
            files[name] = Path(file).expanduser()
    return names, files


def _line(one: BundledFile) -> str:
    return f"{', '.join(one.backbones)}: {one.file} ({words.size(one.size)}, hash checked)"


def _facts(one: BundledFile) -> dict[str, Any]:
    return {
        "backbones": one.backbones,
        "file": one.file,
        "bytes": one.size,
        "sha256": one.sha256,
        "source": one.source,
        "licence": one.licence,
        "citation": one.citation,
    }


def _downloaded() -> str:
    return "what was downloaded is kept; run the same command again to go on"
