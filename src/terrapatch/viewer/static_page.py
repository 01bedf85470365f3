"""The same view as one offline HTML file: nothing in it is loaded, nothing is sent."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrapatch.errors import OutputError, writing
from terrapatch.viewer.copy import SmallCopy
from terrapatch.viewer.files import FROZEN, LEAFLET, MODULES, STYLES, page_file
from terrapatch.viewer.pictures import Picture, encoded
from terrapatch.viewer.sketch import sketch
from terrapatch.viewer.study import Study

__all__ = ["StaticPage", "save_static"]

Progress = Callable[[str, int, int], None]

_SIDE = 4096
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_PICTURE = re.compile(r"url\([^)]*\)")
_POLICY = (
    "default-src 'none'; img-src data: blob:; script-src {scripts}; style-src {styles}; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class StaticPage:
    """A page that was written.

    Attributes:
        path: The file.
        size: Its size in bytes.
        notes: Sentences a person should know.
    """

    path: Path
    size: int
    notes: tuple[str, ...]


def save_static(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StaticPage:
    """Write the view of a result into one HTML file that opens anywhere without a server.

    Args:
        folder: A folder that ``cluster`` wrote.
        path: The file; must end in ``.html``. It appears whole or not at all.
        overwrite: Whether an older file gives way.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was written.

    Raises:
        OutputError: If the file exists or cannot be written.
        TerrapatchError: If the folder cannot be shown (see ``Study``).
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"cannot write a page to {target}: give it a name that ends in .html")
    if target.is_dir():
        raise OutputError(f"{target} is a folder; give the name of a file to write")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; pass --overwrite, or choose another name")
    study = Study(folder)
    data = _data(study, progress)
    content = _html(data, study.folder.path.resolve().name).encode("utf-8")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    words = f"similarities in the file are approximate: {data['sketch']['words']}"
    return StaticPage(target, len(content), (*study.notes, words))


def _data(study: Study, progress: Progress | None) -> dict[str, Any]:
    """Gather all that the page asks a server for."""
    ids = [entry.id for entry in study.folder.class_map.legend]
    told, patches = {}, {}
    for done, id in enumerate(ids, start=1):
        told[id] = study.cluster(id)["exemplars"]
        if study.pyramid is not None:
            for cell in told[id]:
                patch = study.patch(cell["row"], cell["col"])
                patches[f"{cell['row']}/{cell['col']}"] = _link(patch)
        if progress is not None:
            progress("gathering patches", done, len(ids))
    return {
        "study": study.describe(),
        "cells": base64.b64encode(study.cells()).decode(),
        "scene": _scene(study),
        "exemplars": told,
        "patches": patches,
        "sketch": sketch(study.space),
    }


def _scene(study: Study) -> str | None:
    """Return the scene as one picture of at most 4,096 pixels a side."""
    if study.pyramid is None:
        return None
    return _link(encoded(*SmallCopy(study.pyramid.scene, _SIDE).whole()))


def _link(picture: Picture) -> str:
    return f"data:{picture.kind};base64,{base64.b64encode(picture.data).decode()}"


def _html(data: dict[str, Any], title: str) -> str:
    """Put page, styles, scripts and data into one text."""
    from html import escape

    text = _text("index.html")
    leaflet = _text(LEAFLET[0])
    script = _script()
    styles = [_PICTURE.sub("none", _text(name)) for name in STYLES]
    policy = _POLICY.format(
        scripts=" ".join(map(_hash, (leaflet, script))), styles=" ".join(map(_hash, styles))
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'
    text = text.replace('<meta charset="utf-8"/>', f'<meta charset="utf-8"/>\n{meta}', 1)
    text = text.replace("<title>Terrapatch</title>", f"<title>{escape(title)}</title>", 1)
    links = re.compile(r'<link rel="stylesheet"[^>]*/>\n')
    text = links.sub("", text).replace("</head>", "".join(f"<style>{s}</style>\n" for s in styles)
                                       + "</head>", 1)  # fmt: skip
    plain = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = (
        f'<script type="application/json" id="data">{plain}</script>\n'
        f"<script>{leaflet}</script>\n"
        f'<script type="module">{script}</script>\n'
    )
    begin, end = text.index("<!--scripts-->"), text.index("<!--end-->")
    return text[:begin] + parts + text[end + len("<!--end-->") :]


def _script() -> str:
    """Join our modules into one: each stands after those it imports from."""
    joined = [_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in (*MODULES, FROZEN)]
    begin = 'startPage(new FrozenSource(JSON.parse(document.getElementById("data").textContent)));'
    return "\n".join([*joined, begin, ""])


def _text(name: str) -> str:
    # A browser reads line ends as \n, and hashes what it has read.
    return page_file(name)[0].decode("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
    return f"'sha256-{digest}'"
