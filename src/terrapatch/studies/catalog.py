"""The data catalogue: what there is, how to get it, where it lies, and whether it is whole.

The catalogue itself is the STAC in ``data_catalog/``. Downloads go through the data sets of
torchgeo and torchvision, with their hashes; where neither has one, a person is told what to do.
"""

from __future__ import annotations

import contextlib
import io
import logging
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from terrapatch.backbones.weights import OFFLINE_ENV, is_offline
from terrapatch.errors import CatalogError, TerrapatchError, writing
from terrapatch.studies._catalog_check import Counted, Progress, Verified, count, verify
from terrapatch.studies._catalog_items import (
    Archive,
    Entry,
    LabelClass,
    catalog_list,
    catalog_root,
    catalog_show,
    folder_of,
)

__all__ = [
    "Archive",
    "Entry",
    "LabelClass",
    "Verified",
    "catalog_list",
    "catalog_root",
    "catalog_show",
    "folder_of",
    "get",
    "verify",
]

_log = logging.getLogger(__name__)


def get(
    id: str, folder: Path | str, *, offline: bool = False, progress: Progress | None = None
) -> Path:
    """Download a data set, unless it is in the folder already.

    The archive is downloaded and unpacked by the data set's class in torchgeo or torchvision,
    which compares its hash. How big it is and where it comes from is said before (logged).

    Args:
        id: Name of a data set.
        folder: Where to put it; made if it does not exist.
        offline: Whether to open no socket; ``TERRAPATCH_OFFLINE=1`` does the same.
        progress: Told when the download begins and ends; the library shows its own bar in
            between, and without ``progress`` shows nothing.

    Returns:
        The folder that holds the class folders.

    Raises:
        CatalogError: If it is no data set, has to be got by hand (the sentence says how), may
            not be downloaded, the download fails, or what lies there is not whole.
        OutputError: If the folder cannot be written.
    """
    entry = catalog_show(id)
    target = Path(folder).expanduser()
    if entry.kind != "dataset":
        raise CatalogError(f"{entry.id} holds weights, not data; to get them: {entry.how_to_get}")
    here = _counted(entry, target)
    if here is not None and not here.faults:
        _log.info("%s is in %s already", entry.id, here.folder)
        return here.folder
    if not entry.loader:
        raise CatalogError(f"terrapatch cannot download {entry.id}; by hand: {entry.by_hand}")
    if is_offline(offline):
        raise CatalogError(
            f"{entry.id} is not in {target} and no socket may be opened; leave out --offline and "
            f"unset {OFFLINE_ENV}, or {entry.by_hand}"
        )
    _log.info("%s: %s, by %s, to %s", entry.title, _size(entry), entry.loader, target)
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    _download(entry, target, progress)
    here = _counted(entry, target)
    if here is None or here.faults:
        raise CatalogError(
            f"{entry.id} in {target} is not whole ({_first(here)}); remove its unpacked folder, "
            "keep the archive, and get it again"
        )
    return here.folder


def _counted(entry: Entry, folder: Path) -> Counted | None:
    """Count the images of a data set in a folder; ``None`` if none of it is there."""
    if entry.layout != "folders" or not folder.is_dir():
        return None
    try:
        return count(entry, folder)
    except CatalogError:
        return None


def _first(here: Counted | None) -> str:
    if here is None:
        return "none of its class folders is there"
    more = len(here.faults) - 1
    return here.faults[0] + (f", and {more} more" if more else "")


def _size(entry: Entry) -> str:
    size = entry.download_size
    if size is None:
        return "size not known"
    rounded = "about " if any(one.about for one in entry.archives) else ""
    return f"{rounded}{size / 1e9:.2f} GB" if size >= 1e9 else f"{rounded}{size / 1e6:.0f} MB"


def _download(entry: Entry, target: Path, progress: Progress | None) -> None:
    """Let the library's data set class download and unpack itself."""
    total = entry.download_size or 1
    if progress is not None:
        progress("download", 0, total)
    options: dict[str, Any] = {"root": str(target), "download": True}
    if entry.download == "torchgeo":
        options["checksum"] = True  # torchvision always compares the hash
    try:
        with writing(target), _hushed(everything=progress is None):
            _loader(entry)(**options)
    except TerrapatchError:
        raise
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile) as fault:
        why = " ".join(str(fault).split()) or type(fault).__name__
        raise CatalogError(
            f"{entry.id} could not be downloaded ({why}); try again, or {entry.by_hand}"
        ) from fault
    if progress is not None:
        progress("download", total, total)


def _loader(entry: Entry) -> Any:
    """Import the class that downloads a data set."""
    module, name = entry.loader.rsplit(".", 1)
    loader = getattr(import_module(module), name, None)
    if loader is None:
        raise CatalogError(
            f"the installed {entry.download} has no {name} any more; by hand: {entry.by_hand}"
        )
    return loader


@contextlib.contextmanager
def _hushed(everything: bool) -> Iterator[None]:
    """Keep what a library prints off stdout, and its bars off stderr too if wanted."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if everything:
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield
