"""Downloads of weights: resumed after a break, checked by hash, and only then moved into place.

What has come lies in ``NAME.partial``; ``NAME.partial.json`` beside it says what it is part of.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from terrapatch.backbones import asking
from terrapatch.backbones.weights import (
    Progress,
    Weights,
    check,
    is_offline,
    missing,
    sha256_of,
)
from terrapatch.errors import OutputError, WeightsError, writing

if TYPE_CHECKING:
    from requests import Response

log = logging.getLogger("terrapatch")

CHUNK = 1 << 18
# How often a download that broke off is gone on with at once.
RESUMES = 2
# A file of unknown length may be so many times as long as it should be.
TOO_LONG = 4

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def fetch(weights: Weights, owner: str, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file of weights into a folder, or go on with a download that broke off.

    Two processes may ask for the same file: the second waits for the first.

    Args:
        weights: Which file.
        owner: Name of the backbone, for messages.
        folder: Where it goes.
        progress: Called as ``progress("download", bytes done, bytes in all)``.

    Returns:
        The file, whole and with its registered size and hash.

    Raises:
        WeightsError: If it cannot be had, or what came is another file.
        OutputError: If the folder is full or not writable.
    """
    if weights.url is None or is_offline():
        raise WeightsError(missing(weights, owner, is_offline()))
    return _Download(weights, weights.url, owner, folder / weights.name, progress).run()


@dataclass(frozen=True)
class _Memo:
    """What a partial file is part of."""

    url: str
    validator: str
    total: int | None
    sha256: str


class _Download:
    """One download of one file."""

    def __init__(
        self, weights: Weights, url: str, owner: str, target: Path, progress: Progress | None
    ) -> None:
        self.weights, self.url, self.owner, self.target = weights, url, owner, target
        self.partial = target.with_name(f"{target.name}.partial")
        self.memo_file = target.with_name(f"{target.name}.partial.json")
        self.progress = progress or (lambda _stage, _done, _total: None)
        self.host = urlsplit(url).hostname or url
        self.have = 0

    def run(self) -> Path:
        with self._saving():
            make_folder(self.target.parent)
            stream = _alone(self.partial)
        with stream:
            try:
                # Another process may have finished while this one waited for it.
                if not self.target.is_file():
                    self.have = os.fstat(stream.fileno()).st_size
                    self._complete(stream)
                    self._publish(stream)
            finally:
                self._tidy()
        return self.target

    def _complete(self, stream: FileIO) -> None:
        """Bring the partial file to its full length."""
        memo = self._memo()
        if memo is not None and self.have == memo.total:
            return
        log.info("downloading %s%s", self.weights.describe(), self._going_on())
        why = ""
        for _ in range(1 + RESUMES):
            with self._ask(stream) as response:
                why = self._receive(response, stream)
            if not why:
                return
        raise self._refusal(why)

    def _ask(self, stream: FileIO) -> Response:
        """Ask for what is not here yet; where that cannot be had, for the whole file."""
        headers, memo = {}, self._resumable()
        if memo is not None:
            headers["Range"] = f"bytes={self.have}-"
            if memo.validator:
                headers["If-Range"] = memo.validator
        response = self._get(headers)
        if memo is not None and self._goes_on(response, memo):
            return response
        if memo is not None and response.status_code in (206, 416):
            response.close()
            self._clear(stream)
            return self._ask(stream)
        if response.status_code != 200:
            response.close()
            raise self._refusal(f"{self.host} answers {response.status_code} {response.reason}")
        self._begin(response, stream)
        return response

    def _get(self, headers: dict[str, str]) -> Response:
        import requests

        try:
            return asking.ask(self.url, headers)
        except requests.RequestException as fault:
            raise self._refusal(asking.why(fault, self.host)) from fault

    def _goes_on(self, response: Response, memo: _Memo) -> bool:
        """Whether an answer holds the rest of the very file that is partly here."""
        part = asking.span(response)
        if part is None or part[0] != self.have:
            return False
        same_total = None in (part[1], memo.total) or part[1] == memo.total
        return same_total and asking.validator(response) in ("", memo.validator)

    def _begin(self, response: Response, stream: FileIO) -> None:
        """Make ready for the whole file, unless it can be seen already that it is another."""
        total = asking.length(response)
        if asking.is_compressed(response):
            response.close()
            raise self._refusal(f"{self.host} sends it compressed, which was not asked for")
        if total is not None and not self.weights.fits(total):
            response.close()
            raise self._refusal(
                f"{self.host} offers a file of {total:,} bytes, not {self.weights.size:,}"
            )
        with self._saving():
            # What is here of an older version gives way.
            check_room(self.target.parent, (total or self.weights.size) - self.have)
        self._clear(stream)
        memo = _Memo(self.url, asking.validator(response), total, asking.published_hash(response))
        with self._saving():
            beside = self.memo_file.with_name(f"{self.memo_file.name}.new")
            beside.write_text(json.dumps(asdict(memo)), encoding="utf-8")
            os.replace(beside, self.memo_file)

    def _receive(self, response: Response, stream: FileIO) -> str:
        """Take in the body; say why it broke off, or nothing when it is whole."""
        import requests

        memo = self._memo()
        total = None if memo is None else memo.total
        most = self.weights.size * TOO_LONG if total is None else total
        try:
            for chunk in response.iter_content(CHUNK):
                if self.have + len(chunk) > most:
                    self._clear(stream)
                    raise self._refusal(f"{self.host} sends more than {most:,} bytes")
                with self._saving():
                    _write(stream, chunk)
                self.have += len(chunk)
                self.progress("download", self.have, total or max(self.weights.size, self.have))
        except requests.RequestException as fault:
            return asking.why(fault, self.host)
        short = total is not None and self.have < total
        return f"the connection to {self.host} broke" if short else ""

    def _publish(self, stream: FileIO) -> None:
        """Check the whole file and move it into place."""
        memo = self._memo()
        with self._saving():
            os.fsync(stream.fileno())
        try:
            digest = check(self.partial, self.weights, self.owner)
        except WeightsError as fault:
            raise self._unwanted(stream) from fault
        if not self.weights.sha256 and memo is not None and not digest.startswith(memo.sha256):
            raise self._unwanted(stream)
        with self._saving():
            os.replace(self.partial, self.target)
            self.memo_file.unlink(missing_ok=True)

    def _unwanted(self, stream: FileIO) -> WeightsError:
        """Remove what came, which is another file, and say so."""
        digest = sha256_of(self.partial, "run the same command again")
        size = self.have
        self._clear(stream)
        return self._refusal(
            f"what came from {self.host} is damaged or another file, of {size:,} bytes and a "
            f"sha256 that begins {digest[:12]}, and was removed"
        )

    def _memo(self) -> _Memo | None:
        """Return what the partial file is part of, where that is known."""
        try:
            data: Any = json.loads(self.memo_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        match data:
            case {
                "url": self.url,
                "validator": str(validator),
                "total": int() | None as total,
                "sha256": str(digest),
            }:
                return _Memo(self.url, validator, total, digest)
        return None

    def _resumable(self) -> _Memo | None:
        """Return what to go on with, where a mix of two versions would be found out."""
        memo = self._memo() if self.have else None
        known = memo is not None and bool(memo.validator or self.weights.sha256)
        return memo if known else None

    def _going_on(self) -> str:
        return f", from byte {self.have:,} on" if self._resumable() else ""

    def _clear(self, stream: FileIO) -> None:
        """Forget what came so far."""
        with self._saving():
            stream.truncate(0)
            self.have = 0
            self.memo_file.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Leave no trace of a download of which nothing came."""
        with self._saving():
            if self.partial.is_file() and self.partial.stat().st_size == 0:
                self.memo_file.unlink(missing_ok=True)
                self.partial.unlink(missing_ok=True)

    def _kept(self) -> str:
        if not self._resumable():
            return ""
        return (
            f"; {self.have:,} bytes of it are kept in {self.partial.parent}, and the same command "
            "goes on from there"
        )

    def _refusal(self, why: str) -> WeightsError:
        return WeightsError(missing(self.weights, self.owner, False, why + self._kept()))

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turn faults of writing into the one sentence that names the ways out."""
        try:
            with writing(self.target):
                yield
        except OutputError as fault:
            why = f"{fault}, with XDG_CACHE_HOME{self._kept()}"
            raise OutputError(missing(self.weights, self.owner, False, why)) from fault
        except OSError as fault:
            why = f"cannot write {self.target}: {fault.strerror or fault}{self._kept()}"
            raise OutputError(missing(self.weights, self.owner, False, why)) from fault


def _alone(path: Path) -> FileIO:
    """Open a file to append to, once no other process holds it."""
    while True:
        stream = FileIO(path, "a")
        try:
            _lock(stream, path)
            if _is_at(stream, path):
                return stream
        except BaseException:
            stream.close()
            raise
        # Its holder has moved or removed it in the meantime.
        stream.close()


def _lock(stream: FileIO, path: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another process is downloading %s; waiting for it", path.stem)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as fault:
        if fault.errno not in _NO_LOCKS:  # some network disks know no locks; the hash remains
            raise


def _is_at(stream: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _write(stream: FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[stream.write(view) :]


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        OSError: If that cannot be; ``ENOTDIR`` also where a file has its very name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as fault:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from fault


def check_room(folder: Path, need: int) -> None:
    """Check that so many bytes are free on the disk of a folder.

    Raises:
        OSError: ``ENOSPC``, as from writing them.
    """
    if shutil.disk_usage(folder).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
