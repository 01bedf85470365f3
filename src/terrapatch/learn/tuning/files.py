"""Files of a run and of a tuned network: written whole or not at all, and read without code.

A tuned network is a folder of two files. ``model.json`` says what it is and holds the
SHA-256 of ``head.safetensors`` and of its own content; it is written last, so a killed
write is never taken for a model, and no change goes unseen. Neither can hold code. The
checkpoint of a run is torch's own format and is read with ``weights_only=True``, which
builds tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.errors import OutputError, RecipeError, writing
from terrapatch.learn._model_folder import TUNED

if TYPE_CHECKING:
    import torch

FORMAT = TUNED
VERSION = 1
MODEL, HEAD = "model.json", "head.safetensors"


def put(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, and move it into place.

    Raises:
        OutputError: If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def put_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values in torch's format.

    Raises:
        OutputError: If the file cannot be written.
    """
    import torch

    data = io.BytesIO()
    torch.save(state, data)
    put(path, data.getvalue())


def get_state(path: Path) -> dict[str, Any]:
    """Read what ``put_state`` wrote; anything that could run code is refused.

    Raises:
        RecipeError: If it is damaged, or no file of tensors and plain values.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise RecipeError(
            f"{path} holds more than tensors and plain values, and loading it could run code, so "
            "it is refused; delete it to begin the run again"
        ) from fault
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as fault:
        raise RecipeError(f"{path} is damaged; delete it to begin the run again") from fault
    if not isinstance(state, dict):
        raise RecipeError(f"{path} is no checkpoint of a run; delete it to begin the run again")
    return state


def write_model(
    folder: Path, description: dict[str, Any], tensors: dict[str, torch.Tensor], overwrite: bool
) -> Path:
    """Write a tuned network; see ``Tuned.save``."""
    if (folder / MODEL).exists() and not overwrite:
        raise OutputError(
            f"there is a model in {folder} already; choose another folder, or ask to overwrite"
        )
    content, head = model_content(description, tensors)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MODEL).unlink(missing_ok=True)
    put(folder / HEAD, head)
    put(folder / MODEL, text.encode())
    return folder


def model_content(
    description: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> tuple[dict[str, Any], bytes]:
    """Return what ``model.json`` holds, with its own hash, and the bytes of the tensors."""
    from safetensors.torch import save

    head = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "head_sha256": hashlib.sha256(head).hexdigest(),
        "model": description,
    }
    content["sha256"] = _hash(content)
    return content, head


def read_model(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a tuned network; see ``Tuned.load``."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content, head = _content(folder / MODEL), _bytes(folder / HEAD)
    if hashlib.sha256(head).hexdigest() != content.get("head_sha256"):
        raise _damaged(folder / HEAD, "its bytes are not those the model was saved with")
    try:
        return content["model"], load(head)
    except (SafetensorError, KeyError, ValueError) as fault:
        raise _damaged(folder / HEAD, str(fault)) from fault


def _content(path: Path) -> dict[str, Any]:
    text = _bytes(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise _damaged(path, "it is not whole JSON") from fault
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RecipeError(f"{path} is not a tuned network; name a folder that tuning wrote")
    if content.get("version") != VERSION:
        raise RecipeError(
            f"{path} has version {content.get('version')!r} and this program reads version "
            f"{VERSION}; tune again, or use the program that wrote it"
        )
    if content.get("sha256") != _hash(content) or not isinstance(content.get("model"), dict):
        raise _damaged(path, "its content was changed after it was saved")
    return content


def _hash(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as fault:
        raise RecipeError(
            f"there is no {path}, so no whole model is there; name a folder that tuning wrote"
        ) from fault
    except OSError as fault:
        raise RecipeError(
            f"{path} cannot be read ({fault.strerror}); check the path and its permissions"
        ) from fault


def _damaged(path: Path, why: str) -> RecipeError:
    return RecipeError(f"{path} is damaged: {why}; tune and save the model again")
