"""Reading and writing a model folder: ``model.json``, ``head.safetensors``, perhaps more.

``model.json`` holds the SHA-256 of the other files and one of its own content, and
is written last: a killed or half-finished write is never taken for a model, and no
change goes unseen. (The hashes guard against damage, not against a forger.) No file
can hold code.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import OutputError, RecipeError, writing

CLUSTERS, SCENES = "terrapatch cluster model", "terrapatch scene classifier"
TUNED = "terrapatch tuned network"
PIXELS = "terrapatch pixel classifier"
VERSION = 1
_WRITERS = {
    CLUSTERS: ("a cluster model", "cluster"),
    SCENES: ("a scene classifier", "train"),
    TUNED: ("a tuned network", "finetune"),
    PIXELS: ("a pixel classifier", "pixels train"),
}
MODEL, HEAD = "model.json", "head.safetensors"


def write(
    folder: Path,
    description: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    overwrite: bool,
    kind: str = CLUSTERS,
    more: dict[str, bytes] | None = None,
) -> Path:
    """Write a model folder; see ``ClusterModel.save`` and ``SceneModel.save``."""
    from safetensors.numpy import save

    head = save({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    files = more or {}
    content = {
        "format": kind,
        "version": VERSION,
        "head_sha256": hashlib.sha256(head).hexdigest(),
        **{_hash_of(name): hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "model": description,
    }
    content["sha256"] = _content_hash(content)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    with writing(folder):
        if (folder / MODEL).exists() and not overwrite:
            raise OutputError(
                f"there is a model in {folder} already; choose another folder, or ask to overwrite"
            )
        folder.mkdir(parents=True, exist_ok=True)
        _put(folder / HEAD, head)
        for name, data in files.items():
            _put(folder / name, data)
        _put(folder / MODEL, text.encode())
    return folder


def read(folder: Path, kind: str = CLUSTERS) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a model folder; see ``ClusterModel.load``."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = _read_json(folder, kind)
    head = _bytes(folder / HEAD, kind)
    if hashlib.sha256(head).hexdigest() != content.get("head_sha256"):
        raise _damaged(folder / HEAD, "its bytes are not those the model was saved with")
    try:
        return content["model"], load(head)
    except (SafetensorError, KeyError, ValueError) as fault:
        raise _damaged(folder / HEAD, str(fault)) from fault


def read_more(folder: Path, name: str, kind: str) -> bytes:
    """Read another file of a model folder, unchanged since it was written."""
    content, data = _read_json(folder, kind), _bytes(folder / name, kind)
    if hashlib.sha256(data).hexdigest() != content.get(_hash_of(name)):
        raise _damaged(folder / name, "its bytes are not those the model was saved with")
    return data


def _hash_of(name: str) -> str:
    return f"{name.replace('.', '_')}_sha256"


def kind_of(folder: Path) -> str | None:
    """Return what kind of model a folder says it holds; ``None`` where it says nothing."""
    try:
        found = json.loads((folder / MODEL).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if found in _WRITERS else None


def _read_json(folder: Path, kind: str) -> dict[str, Any]:
    path, (what, command) = folder / MODEL, _WRITERS[kind]
    text = _bytes(path, kind)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise _damaged(path, "it is not whole JSON") from fault
    if not isinstance(content, dict) or content.get("format") != kind:
        other = content.get("format") if isinstance(content, dict) else None
        held = f"holds {_WRITERS[other][0]}, not {what}" if other in _WRITERS else f"is not {what}"
        raise RecipeError(f"{path} {held}; name a folder that {command} wrote")
    if content.get("version") != VERSION:
        raise RecipeError(
            f"{path} has version {content.get('version')!r} and this program reads version "
            f"{VERSION}; fit the model again, or use the program that wrote it"
        )
    if content.get("sha256") != _content_hash(content) or not isinstance(
        content.get("model"), dict
    ):
        raise _damaged(path, "its content was changed after it was saved")
    return content


def _content_hash(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as fault:
        raise RecipeError(
            f"there is no {path}, so no whole model is there; name a folder that "
            f"{_WRITERS[kind][1]} wrote"
        ) from fault
    except OSError as fault:
        raise RecipeError(
            f"{path} cannot be read ({fault.strerror}); check the path and its permissions"
        ) from fault


def _damaged(path: Path, why: str) -> RecipeError:
    return RecipeError(f"{path} is damaged: {why}; fit and save the model again")


def _put(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, and move it into place."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
