"""``terrapatch view``: look at clusters, name them and save, in a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli.options import Debug, Json, Overwrite, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.viewer import PageServer


def view(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder made by terrapatch cluster.")
    ],
    port: Annotated[
        int | None, typer.Option(help="Port on this machine.", show_default="a free one")
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    static: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write the view into one offline file instead, and end."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at clusters, name and merge them, find what is similar; Ctrl+C ends it.

    The page is served on 127.0.0.1 only, and no request leaves this machine.
    """
    with speaking(as_json, quiet, debug) as voice:
        if static is not None:
            _write(voice, folder, static, overwrite)
            return
        from terrapatch.viewer import PageServer

        server = PageServer(folder, port=port)
        for note in server.study.notes:
            voice.message(f"note: {note}")
        voice.show(f"the page is at {server.url}\nCtrl+C ends it")
        voice.result({"url": server.url, "port": server.port, "folder": str(folder)})
        if open_browser:
            _open(voice, server)
        server.run()


def _write(voice: Voice, folder: Path, target: Path, overwrite: bool) -> None:
    from terrapatch.viewer import save_static

    made = save_static(folder, target, overwrite=overwrite, progress=voice.progress)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs([made.path])
    voice.result({"path": str(made.path), "bytes": made.size, "notes": list(made.notes)})


def _open(voice: Voice, server: PageServer) -> None:
    import webbrowser

    if not webbrowser.open(server.url):
        voice.message("note: no browser could be opened; open the address yourself")
