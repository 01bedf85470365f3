"""Bundles: weights as one file that is carried to a machine without a network."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from terrapatch.backbones.bundle_format import (
    BundledFile,
    Step,
    extract,
    is_plain,
    read_manifest,
    write_bundle,
)
from terrapatch.backbones.download import check_room, make_folder
from terrapatch.backbones.weights import (
    BUNDLE_ENV,
    Progress,
    Weights,
    bundle_folder,
    find,
    sha256_of,
)
from terrapatch.errors import BackboneError, OutputError, WeightsError, writing

log = logging.getLogger("terrapatch")

NOT_TO_PASS_ON = "no redistribution"


@dataclass(frozen=True)
class PackResult:
    """A bundle that was written.

    Attributes:
        path: The bundle.
        size: Its size in bytes.
        sha256: Its hash.
        files: What is in it, by name.
        notes: What to know before it is passed on.
    """

    path: Path
    size: int
    sha256: str
    files: tuple[BundledFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnpackResult:
    """A bundle that was unpacked.

    Attributes:
        folder: Where its files are.
        files: What was in it, by name.
        present: Names of those that were there already.
        notes: What to know before they are used.
    """

    folder: Path
    files: tuple[BundledFile, ...]
    present: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where each of the files is."""
        return tuple(self.folder / one.file for one in self.files)


def pack(
    names: Sequence[str],
    out: str | Path,
    *,
    files: Mapping[str, Path] | None = None,
    offline: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PackResult:
    """Put the weights of backbones into one file; those that are not here are downloaded.

    Args:
        names: Names of backbones.
        out: The bundle to write.
        files: Registered files that lie elsewhere, by the name of their backbone.
        offline: Whether a download is ruled out.
        overwrite: Whether an older file of that name gives way.
        progress: Called as ``progress(stage, bytes done, bytes in all)``.

    Raises:
        BackboneError: If there is no such backbone, or it has no file of weights.
        WeightsError: If a file is missing, damaged or another.
        OutputError: If the bundle exists already or cannot be written.
    """
    out, files = Path(out), files or {}
    if out.is_dir():
        raise OutputError(f"cannot write {out}: it is a folder; choose another output path")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already; pass --overwrite, or choose another name")
    entries, sources = _collect(dict.fromkeys([*names, *files]), files, offline, progress)
    step = _steps("pack", sum(one.size for one in entries), progress)
    with _staged(out.parent, out) as folder:
        check_room(folder, sum(one.size for one in entries))
        part = folder / out.name
        with part.open("xb") as stream:
            write_bundle(stream, entries, sources, step)
            stream.flush()
            os.fsync(stream.fileno())
        size, digest = part.stat().st_size, sha256_of(part, "pack it again")
        os.replace(part, out)
    return PackResult(out, size, digest, entries, _said(_terms(entries)))


def unpack(
    bundle: str | Path, *, into: str | Path | None = None, progress: Progress | None = None
) -> UnpackResult:
    """Take the weights out of a bundle, all of them or none; opens no socket.

    Args:
        bundle: A file made by ``pack``.
        into: Where the weights go; by default where backbones look for them.
        progress: Called as ``progress("unpack", bytes done, bytes in all)``.

    Raises:
        WeightsError: If it is no bundle, is damaged, or holds other weights than those
            that the backbones here are registered with.
        OutputError: If the folder is full or not writable.
    """
    bundle = Path(bundle)
    folder = bundle_folder() if into is None else Path(into)
    with _reading(bundle) as stream:
        entries = read_manifest(stream, bundle)
        notes = _compare_with_registry(entries, bundle)
        present = _present(entries, folder)
        new = [one for one in entries if one.file not in present]
        step = _steps("unpack", sum(one.size for one in entries), progress)
        with _staged(folder, folder) as staged:
            check_room(staged, sum(one.size for one in entries))
            extract(stream, bundle, entries, staged, step)
            for one in new:
                os.replace(staged / one.file, folder / one.file)
    if folder.absolute() != bundle_folder().absolute():
        notes.append(f"backbones look there only while {BUNDLE_ENV}={folder.absolute()} is set")
    return UnpackResult(folder, entries, present, _said(notes))


def _collect(
    names: Mapping[str, None], own: Mapping[str, Path], offline: bool, progress: Progress | None
) -> tuple[tuple[BundledFile, ...], dict[str, Path]]:
    """Find every file; those that several backbones share are taken once."""
    if not names:
        raise BackboneError("no backbone is named; see terrapatch backbones list")
    made: dict[str, BundledFile] = {}
    sources: dict[str, Path] = {}
    for asked in names:
        name, weights = _weights_of(asked)
        path, digest = _locate(weights, name, own.get(asked), offline, progress)
        users: tuple[str, ...] = (name,)
        if (twin := made.get(weights.name)) is not None:
            if twin.sha256 != digest:
                raise WeightsError(
                    f"{', '.join(twin.backbones)} and {name} have different files of the same "
                    f"name {weights.name}; pack them into two bundles"
                )
            users = tuple(sorted({*twin.backbones, name}))
        made[weights.name] = BundledFile(
            users,
            weights.name,
            path.stat().st_size,
            digest,
            weights.source,
            weights.licence,
            weights.citation,
        )
        sources[weights.name] = path
    return tuple(made[file] for file in sorted(made)), sources


def _weights_of(asked: str) -> tuple[str, Weights]:
    from terrapatch.backbones import get_backbone

    backbone = get_backbone(asked)
    name, weights = backbone.name, backbone.weights
    if weights is None:
        raise BackboneError(
            f"{name} has no file of weights, so nothing can be packed; leave it out"
        )
    if not is_plain(weights.name):
        raise WeightsError(f"{name} cannot be packed: {weights.name!r} is no plain file name")
    return name, weights


def _locate(
    weights: Weights, name: str, own: Path | None, offline: bool, progress: Progress | None
) -> tuple[Path, str]:
    if own is None:
        found = find(weights, name, offline=offline, progress=progress)
        return found.path, found.sha256
    if not own.is_file():
        what = "is a folder" if own.is_dir() else "does not exist"
        raise WeightsError(f"the weights {own} cannot be packed: it {what}; give a file")
    digest = sha256_of(own, "make it readable")
    if not weights.fits(own.stat().st_size) or not digest.startswith(weights.sha256):
        raise WeightsError(
            f"{own} is not the registered {weights.describe()}, since its sha256 begins "
            f"{digest[:12]}; a bundle carries registered files only, so copy it yourself and "
            f"pass it with --weights FILE"
        )
    return own, digest


def _terms(entries: Sequence[BundledFile]) -> list[str]:
    closed = [one.file for one in entries if NOT_TO_PASS_ON in one.licence.lower()]
    if not closed:
        return []
    return [
        f"the licence of {', '.join(closed)} allows no redistribution: the bundle is for "
        "your own machines only"
    ]


def _compare_with_registry(entries: Sequence[BundledFile], bundle: Path) -> list[str]:
    """Refuse files that are not those of the registry; note backbones that it does not have."""
    from terrapatch.backbones import get_backbone

    unused = []
    for one in entries:
        for name in one.backbones:
            try:
                weights = get_backbone(name).weights
            except BackboneError:
                unused.append(name)
                continue
            if weights is None or not _is(one, weights):
                here = "none" if weights is None else weights.describe()
                raise WeightsError(
                    f"{bundle} holds {one.file} with a sha256 that begins {one.sha256[:12]} for "
                    f"{name}, but this version of Terrapatch uses {here}; pack it again with this "
                    "version"
                )
    return [f"this version has no backbone {', '.join(unused)}"] if unused else []


def _is(one: BundledFile, weights: Weights) -> bool:
    known = one.file == weights.name and weights.fits(one.size)
    return known and one.sha256.startswith(weights.sha256)


def _present(entries: Sequence[BundledFile], folder: Path) -> tuple[str, ...]:
    """Return the names of the files that are in the folder already."""
    there = []
    for one in entries:
        path = folder / one.file
        if not path.exists() and not path.is_symlink():
            continue
        same = path.is_file() and path.stat().st_size == one.size
        if not same or sha256_of(path, "make it readable") != one.sha256:
            raise WeightsError(
                f"{path} is there already but is not the {one.file} of the bundle; remove it, "
                "then unpack again"
            )
        there.append(one.file)
    return tuple(there)


def _steps(stage: str, total: int, progress: Progress | None) -> Step:
    done = 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(stage, done, total)

    return step


def _said(notes: Sequence[str]) -> tuple[str, ...]:
    for note in notes:
        log.info("%s", note)
    return tuple(notes)


@contextmanager
def _staged(parent: Path, path: Path) -> Iterator[Path]:
    """Give a temporary folder in ``parent``; faults of writing become a sentence on ``path``."""
    folder = None
    try:
        with writing(path):
            make_folder(parent)
            folder = Path(tempfile.mkdtemp(prefix=".bundle.", suffix=".part", dir=parent))
            yield folder
    except (OutputError, WeightsError):
        raise
    except OSError as fault:
        raise OutputError(
            f"cannot write {path}: {fault.strerror or fault}; choose another output path"
        ) from fault
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reading(bundle: Path) -> Iterator[IO[bytes]]:
    """Open a bundle.

    Raises:
        WeightsError: If it cannot be read.
    """
    try:
        stream = bundle.open("rb")
    except OSError as fault:
        raise WeightsError(
            f"the bundle {bundle} cannot be read: {fault.strerror or fault}; check the path"
        ) from fault
    with stream:
        yield stream
