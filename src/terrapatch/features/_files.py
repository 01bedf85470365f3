"""Small steps on files and folders that the store's writer is made of."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from terrapatch.errors import OutputError


def make_folder(part: Path, path: Path) -> None:
    """Make the folder a store is written in, and those above it.

    Raises:
        OutputError: If a file stands where a folder is needed.
    """
    try:
        part.mkdir(parents=True, exist_ok=True)
    except FileExistsError as fault:
        raise OutputError(
            f"cannot write {path}: {fault.filename} is a file where a folder is needed; "
            "move it, or choose another name"
        ) from None


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds, where there is one."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def lock(folder: Path, path: Path) -> int:
    """Hold a lock on a folder that the system lets go of when the process ends.

    Args:
        folder: What to lock.
        path: The output a person asked for, for the message.

    Returns:
        The handle that holds it.

    Raises:
        OutputError: If another run holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other run may have renamed the folder between opening and locking it.
        if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except BlockingIOError:
        pass
    os.close(handle)
    raise OutputError(f"another run is writing {path}; wait for it, or choose another name")


def flush(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
