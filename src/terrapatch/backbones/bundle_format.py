"""What a bundle of weights is, byte by byte: a plain tar whose first member lists the others.

The same weights make the same bytes. What a bundle says is believed only where its hashes bear
it out: nothing is unpacked but the regular files that its list names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from terrapatch.errors import WeightsError

MANIFEST, FORMAT = "terrapatch-weights.json", 1
# Nobody lists so much; a longer manifest would only fill the memory.
MANIFEST_BYTES = 1 << 20
BLOCK, RECORD, CHUNK = 512, 10_240, 1 << 20

# Names that are plain in every file system and fit into the header of a tar.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@,-]{0,98}")
_LABEL = re.compile(r"[\x21-\x7e]{1,200}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

Step = Callable[[int], None]


@dataclass(frozen=True)
class BundledFile:
    """A file of weights in a bundle.

    Attributes:
        backbones: The backbones that use it.
        file: Its name.
        size: Its size in bytes.
        sha256: Its hash.
        source: Where it comes from, in words.
        licence: SPDX identifier, or words.
        citation: What to cite.
    """

    backbones: tuple[str, ...]
    file: str
    size: int
    sha256: str
    source: str
    licence: str
    citation: str


def is_plain(name: str) -> bool:
    """Whether a name can be that of a file in a bundle."""
    return _PLAIN.fullmatch(name) is not None and name != MANIFEST


def write_bundle(
    stream: IO[bytes], entries: Sequence[BundledFile], sources: Mapping[str, Path], step: Step
) -> None:
    """Write a whole bundle.

    Args:
        stream: Where to, at its start.
        entries: What goes in, in order.
        sources: Where each of these files is, by its name.
        step: Called with the number of bytes of every piece that is done.

    Raises:
        WeightsError: If a file is no longer what its entry says.
    """
    listed = {"format": FORMAT, "files": [asdict(one) for one in entries]}
    manifest = json.dumps(listed, indent=1, sort_keys=True).encode()
    stream.write(_header(MANIFEST, len(manifest)) + manifest + _padding(len(manifest)))
    for one in entries:
        stream.write(_header(one.file, one.size))
        with sources[one.file].open("rb") as source:
            if _copy(source, stream, one.size, step) != one.sha256:
                raise WeightsError(
                    f"{sources[one.file]} was changed while it was packed; pack it again"
                )
        stream.write(_padding(one.size))
    stream.write(bytes(2 * BLOCK))
    stream.write(bytes(-stream.tell() % RECORD))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def read_manifest(stream: IO[bytes], bundle: Path) -> tuple[BundledFile, ...]:
    """Read the first member, which says what the others are.

    Args:
        stream: The bundle, at its start.
        bundle: Its path, for messages.

    Raises:
        WeightsError: If it is no bundle, damaged, or made by a newer version.
    """
    foreign = WeightsError(
        f"{bundle} is no bundle of weights; make one with: terrapatch backbones pack NAME "
        "-o bundle.tar"
    )
    member = _next_member(stream, bundle, foreign)
    if member is None or member.name != MANIFEST or member.size > MANIFEST_BYTES:
        raise foreign
    data = stream.read(member.size)
    if len(data) < member.size:
        raise _cut_short(bundle)
    stream.read(len(_padding(member.size)))
    try:
        listed: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise foreign from None
    version = listed.get("format") if isinstance(listed, dict) else None
    if type(version) is not int:
        raise foreign
    if version > FORMAT:
        raise WeightsError(
            f"{bundle} is a bundle of format {version}, which a newer Terrapatch made; update "
            "Terrapatch here, or pack it again with this version"
        )
    entries = _entries(listed["files"]) if version == FORMAT and "files" in listed else None
    if entries is None:
        raise foreign
    return entries


def _entries(listed: Any) -> tuple[BundledFile, ...] | None:
    """Return what a manifest lists, or ``None`` where it is not as ``pack`` writes it."""
    if not isinstance(listed, list) or not listed:
        return None
    entries = [_entry(one) for one in listed]
    good = [one for one in entries if one is not None]
    if len({one.file for one in good}) < len(listed):
        return None
    return tuple(sorted(good, key=lambda one: one.file))


def _entry(one: Any) -> BundledFile | None:
    match one:
        case {
            "backbones": list(users),
            "file": str(file),
            "size": int(size),
            "sha256": str(digest),
            "source": str(source),
            "licence": str(licence),
            "citation": str(citation),
        } if len(one) == len(fields(BundledFile)):
            named = users and all(isinstance(u, str) and _LABEL.fullmatch(u) for u in users)
            if named and is_plain(file) and size >= 0 and _DIGEST.fullmatch(digest):
                return BundledFile(tuple(users), file, size, digest, source, licence, citation)
    return None


def extract(
    stream: IO[bytes], bundle: Path, entries: Sequence[BundledFile], folder: Path, step: Step
) -> None:
    """Copy every listed file into an empty folder, in whatever order they come.

    Args:
        stream: The bundle, after its manifest.
        bundle: Its path, for messages.
        entries: What the manifest lists.
        folder: Where to.
        step: Called with the number of bytes of every piece that is done.

    Raises:
        WeightsError: If a member is not as it is listed, is missing or is listed nowhere.
    """
    awaited = {one.file: one for one in entries}
    while (member := _next_member(stream, bundle, _cut_short(bundle))) is not None:
        one = awaited.pop(member.name, None)
        if one is None or member.size != one.size:
            raise WeightsError(
                f"{bundle} is damaged or was tampered with: it holds {member.name[:99]!r} of "
                f"{member.size:,} bytes, which its list does not; get the bundle again"
            )
        with (folder / one.file).open("xb") as target:
            digest = _copy(stream, target, one.size, step)
            target.flush()
            os.fsync(target.fileno())
            if target.tell() < one.size:
                raise _cut_short(bundle)
        if digest != one.sha256:
            raise WeightsError(
                f"{bundle} is damaged: its {one.file} has a sha256 that begins {digest[:12]}, not "
                f"{one.sha256[:12]}; get the bundle again"
            )
        stream.read(len(_padding(one.size)))
    if awaited:
        raise _cut_short(bundle)


def _next_member(stream: IO[bytes], bundle: Path, empty: WeightsError) -> tarfile.TarInfo | None:
    """Read one header: of a regular file and nothing else; ``None`` at the end mark.

    Headers are read one by one, since ``tarfile`` by itself would follow links, sparse maps and
    extensions of any length.
    """
    block = stream.read(BLOCK)
    if block == bytes(BLOCK):
        return None
    if len(block) < BLOCK:
        raise empty
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise empty from None
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.size < 0:
        raise WeightsError(
            f"{bundle} is no bundle that terrapatch packed: {member.name[:99]!r} in it is no "
            "regular file, so nothing was unpacked; get the bundle again"
        )
    return member


def _cut_short(bundle: Path) -> WeightsError:
    return WeightsError(f"{bundle} is cut short or damaged; get the bundle again")


def _copy(source: IO[bytes], target: IO[bytes], size: int, step: Step) -> str:
    """Copy so many bytes, or as many as there are, and return their hash."""
    digest, left = hashlib.sha256(), size
    while left and (data := source.read(min(CHUNK, left))):
        target.write(data)
        digest.update(data)
        left -= len(data)
        step(len(data))
    return digest.hexdigest()
