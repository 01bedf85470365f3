"""Files of the opened folder, and the fixed files of the page: nothing else is ever read."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

from terrapatch.viewer.errors import MissingError

__all__ = ["FROZEN", "LEAFLET", "MODULES", "STYLES", "folder_files", "page_file", "read_file"]

MODULES = (
    "grid.js",
    "names.js",
    "paint.js",
    "messages.js",
    "map.js",
    "legend.js",
    "cluster.js",
    "cell.js",
    "merge.js",
    "keys.js",
    "page.js",
)
"""Our modules, each after those it imports from."""

LIVE, FROZEN = "live.js", "frozen.js"
"""Where data come from: a server, or the offline file itself."""

LEAFLET = ("leaflet/leaflet.js", "leaflet/leaflet.css")
STYLES = ("leaflet/leaflet.css", "page.css")
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
_SERVED = frozenset((*MODULES, *LEAFLET, *STYLES, LIVE, FROZEN, "start.js", "index.html"))


@cache
def page_file(name: str) -> tuple[bytes, str]:
    """Return one of the page's own files and its media type.

    Raises:
        MissingError: If the page has no such file.
    """
    if name not in _SERVED:
        raise MissingError(f"the page has no file {name!r}")
    data = (files("terrapatch.viewer") / "static" / name).read_bytes()
    return data, f"{_KINDS[Path(name).suffix]}; charset=utf-8"


def folder_files(folder: Path) -> list[str]:
    """List the files of a folder, as paths inside it; what a link leads to is left out."""
    found = []
    for home, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(home, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                found.append(path.relative_to(folder).as_posix())
    return found


def read_file(folder: Path, name: str) -> bytes:
    """Return a file of a folder.

    Args:
        folder: The folder.
        name: One of ``folder_files``; any other name is refused, whatever it leads to.

    Raises:
        MissingError: If the folder has no such file.
    """
    if name not in folder_files(folder):
        raise MissingError(f"the opened folder has no file {name!r}")
    # Once more, for a link that took the file's place meanwhile.
    handle = os.open(folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as stream:
        return stream.read()
