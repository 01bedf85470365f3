"""A folder of results: refused where something stands, made aside, and put in place whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from terrapatch.errors import OutputError, writing


def refuse_existing(folder: Path, overwrite: bool, writers: str) -> None:
    """Refuse a folder that holds something, unless it may be replaced.

    Args:
        folder: The folder to write.
        overwrite: Whether older results in it give way.
        writers: The commands whose results would be replaced.

    Raises:
        OutputError: If it is a file, not empty, or cannot be written.
    """
    if folder.is_file():
        raise OutputError(f"{folder} is a file; give the name of a folder to write")
    refuse_unwritable(folder)
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} exists already and is not empty; pass --overwrite to replace what {writers} "
            "wrote in it, or another name"
        )


def refuse_unwritable(path: Path) -> None:
    """Refuse a place that nothing can be written to, before the work is done for it.

    Args:
        path: What is to be written; folders on the way to it may be missing.

    Raises:
        OutputError: If a part of the path is a file, or the folder is not writable.
    """
    place = path if path.is_dir() else path.absolute().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise OutputError(
            f"cannot write {path}: {place} on the way to it is a file; choose another output path"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {path}: {place} is not writable; choose another output path, or change "
            "its permissions"
        )


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Give a folder beside the final place to write into; it is gone afterwards.

    Raises:
        OutputError: If the disk is full, or the place is not writable.
    """
    with writing(folder):
        home = folder if folder.exists() else folder.parent
        home.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=home))
        try:
            stage.chmod(0o755)
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def publish(stage: Path, folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Put finished files into place: first the older ones go, last the new last one comes.

    Args:
        stage: Where they were written.
        folder: Where they go; other files in it are left alone.
        names: Every file that can be there, the one that says that all are there last.
    """
    made = [name for name in names if (stage / name).exists()]
    if not folder.exists():
        os.replace(stage, folder)
    else:
        for name in reversed(names):
            (folder / name).unlink(missing_ok=True)
        for name in made:
            os.replace(stage / name, folder / name)
    return tuple(folder / name for name in made)
