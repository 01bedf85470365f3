"""Whether a data set on the disk is what the catalogue says it is."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from terrapatch.errors import CatalogError
from terrapatch.studies._catalog_items import Archive, Entry, catalog_show, folder_of

Progress = Callable[[str, int, int], None]

IMAGES = frozenset({".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
# How many levels below a folder its class folders are looked for.
DEPTH = 2


@dataclass(frozen=True)
class Verified:
    """What was found in the folder of a data set.

    Attributes:
        id: Name of the data set.
        folder: The folder that was looked at; for a folder per class of images, the one that
            holds the class folders.
        images: How many images were opened and read in full.
        counts: Images of each class that was found.
        unreadable: Images that cannot be read, as paths below the folder.
        archives: Archives that are here and have the hash of the catalogue.
        faults: Everything that is not as the catalogue says, one sentence each; empty when
            the data set is whole.
    """

    id: str
    folder: Path
    images: int
    counts: dict[str, int]
    unreadable: tuple[str, ...]
    archives: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, too much or damaged."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self) | {"folder": str(self.folder), "whole": self.whole}


@dataclass(frozen=True)
class Counted:
    """The class folders of a data set and what is in them, nothing opened yet."""

    folder: Path
    images: dict[str, list[Path]]
    faults: tuple[str, ...]


def verify(
    id: str, folder: Path | str | None = None, *, progress: Progress | None = None
) -> Verified:
    """Compare a data set on the disk with its entry of the catalogue.

    For a folder per class of images: the names of the classes, how many images each has, how
    many bands, and whether every image can be read to its end. For a set of rasters: whether
    each can be read. For every archive that is in the folder (or, of an unpacked archive,
    above it): its hash.

    Args:
        id: Name of a data set.
        folder: Where it lies: the folder it was downloaded to, or the one that holds the class
            folders; where ``folder_of`` finds it if left out.
        progress: Told how many images have been read.

    Returns:
        What was found; ``faults`` is empty when the data set is whole.

    Raises:
        CatalogError: If the folder is not there or holds nothing of the data set, or the
            catalogue does not say what belongs to it.
    """
    entry = catalog_show(id)
    place = Path(folder) if folder is not None else folder_of(id)
    if not place.is_dir():
        raise CatalogError(f"{place} is no folder; name the folder of {entry.id}")
    if entry.layout == "folders":
        counted = count(entry, place)
    else:
        counted = Counted(place, {"": _rasters(place)} if entry.layout == "rasters" else {}, ())
    archives, damaged = _compare(_archives(entry, place, counted.folder))
    images = [path for paths in counted.images.values() for path in paths]
    if not images and not archives and not damaged:
        raise CatalogError(_nothing(entry, place))
    bands = entry.band_count if entry.layout == "folders" else None
    with warnings.catch_warnings():  # here, since a thread cannot do it for itself
        warnings.filterwarnings("ignore", "Dataset has no geotransform")
        unreadable, unread = _read_all(images, counted.folder, bands, progress)
    return Verified(
        id=entry.id,
        folder=counted.folder,
        images=len(images) - len(unreadable),
        counts={name: len(paths) for name, paths in counted.images.items() if name},
        unreadable=unreadable,
        archives=archives,
        faults=(*counted.faults, *unread, *damaged),
    )


def count(entry: Entry, folder: Path) -> Counted:
    """Find the class folders and count their images, without opening one.

    Args:
        entry: A data set with a folder per class of images.
        folder: The folder that holds the class folders, or one above it.

    Raises:
        CatalogError: If no folder of a class is there.
    """
    names = {one.name.casefold(): one for one in entry.classes}
    root = _class_root(entry, folder, set(names))
    found = {path.name: _images(path) for path in _folders(root)}
    known = {name: paths for name, paths in found.items() if name.casefold() in names}
    here: Counter[str] = Counter()
    for name, paths in known.items():
        here[name.casefold()] += len(paths)
    faults = []
    for key, one in names.items():
        if key not in here:
            faults.append(f"class {one.name}: there is no folder of it")
        elif one.count is not None and here[key] != one.count:
            faults.append(f"class {one.name}: {here[key]:,} images instead of {one.count:,}")
    extra = [name for name, paths in found.items() if paths and name not in known]
    faults += [f"folder {name}: {entry.id} has no such class" for name in extra]
    total = sum(here.values())
    if entry.images is not None and total != entry.images and not faults:
        faults.append(f"{total:,} images instead of {entry.images:,}")
    return Counted(root, known, tuple(faults))


def _class_root(entry: Entry, folder: Path, names: set[str]) -> Path:
    """Return the folder, of those that come into question, that holds the most classes."""
    best, most = folder, 0
    inside = [folder / entry.inside] if entry.inside else []
    for place in [*inside, *_below(folder, DEPTH)]:
        hits = sum(path.name.casefold() in names for path in _folders(place))
        if hits > most:
            best, most = place, hits
        if most == len(names):
            break
    if not most:
        first = ", ".join(one.name for one in entry.classes[:3])
        raise CatalogError(
            f"{folder} holds no folder of a class of {entry.id} ({first}, …); name the folder "
            f"that holds them, or get the data: {entry.how_to_get}"
        )
    return best


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Give a folder and those below it, the nearest first."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        level = [child for path in level for child in _folders(path)]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted(Path(one.path) for one in found if one.is_dir())


def _images(folder: Path) -> list[Path]:
    with os.scandir(folder) as found:
        names = [one.name for one in found if one.is_file()]
    return sorted(folder / n for n in names if Path(n).suffix.lower() in IMAGES)


def _rasters(folder: Path) -> list[Path]:
    return [path for place in _below(folder, DEPTH) for path in _images(place)]


def _archives(entry: Entry, folder: Path, root: Path) -> list[tuple[Archive, Path]]:
    """Find the archives that are here: in the folder, or above an unpacked archive."""
    above = root.parents[: len(Path(entry.inside).parts)] if entry.inside else ()
    found = []
    for archive in entry.archives:
        places = [place / archive.path for place in dict.fromkeys((folder, root, *above))]
        found += [(archive, path) for path in places if path.is_file()][:1]
    return found


def _compare(found: list[tuple[Archive, Path]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the archives whose hash is right, and a sentence for each of the others."""
    right, wrong = [], []
    for archive, path in found:
        name, wanted = ("sha256", archive.sha256) if archive.sha256 else ("md5", archive.md5)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False))
        if digest.hexdigest() == wanted:
            right.append(archive.path)
        else:
            wrong.append(
                f"{path} is not the file that the catalogue knows ({name} {digest.hexdigest()}, "
                f"not {wanted}); download it again"
            )
    return tuple(right), tuple(wrong)


def _read_all(
    images: list[Path], root: Path, bands: int | None, progress: Progress | None
) -> tuple[tuple[str, ...], list[str]]:
    """Read every image to its end.

    Returns:
        Those that cannot be read, and a sentence for each, with one for each wrong number of
        bands.
    """
    unreadable, faults = [], []
    odd: Counter[int] = Counter()
    first: dict[int, str] = {}
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        for done, (path, seen) in enumerate(zip(images, pool.map(_read, images), strict=True), 1):
            name, (has, why) = path.relative_to(root).as_posix(), seen
            if why:
                unreadable.append(name)
                faults.append(f"{name} cannot be read ({why})")
            elif bands is not None and has != bands:
                odd[has] += 1
                first.setdefault(has, name)
            if progress is not None:
                progress("verify", done, len(images))
    finally:
        pool.shutdown(cancel_futures=True)
    for has, times in sorted(odd.items()):
        faults.append(
            f"{times:,} images have {has} bands instead of {bands}; the first is {first[has]}"
        )
    return tuple(unreadable), faults


def _read(path: Path) -> tuple[int, str]:
    """Return how many bands an image has, and why it cannot be read, if so."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        # libjpeg fills what is missing with grey and only warns; here that is a fault.
        with (
            rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True),
            rasterio.open(path) as image,
        ):
            image.read()
            return image.count, ""
    except (RasterioError, OSError) as fault:
        return 0, " ".join(str(fault).split()) or type(fault).__name__


def _nothing(entry: Entry, folder: Path) -> str:
    if entry.layout == "rasters" or entry.archives:
        return f"{folder} holds no file of {entry.id}; to get it: {entry.how_to_get}"
    return (
        f"the catalogue does not know the files of {entry.id} by name or hash, so there is nothing "
        f"to compare {folder} with; read its page, {entry.page}"
    )
