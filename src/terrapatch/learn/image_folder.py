"""Labelled images: a folder per class, or a CSV of paths; and their pixels.

``find_images`` and ``from_csv`` return the same ``ImageList``; ``with_split`` divides one by
the CSV files that come with a data set.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from terrapatch.errors import SamplesError
from terrapatch.learn._image_csv import from_csv, with_split
from terrapatch.learn._image_list import SPLITS, ImageList, Sample, list_images, split_word
from terrapatch.learn._image_reading import check_images, read_image

__all__ = [
    "EXTENSIONS",
    "SPLITS",
    "ImageList",
    "check_images",
    "find_images",
    "from_csv",
    "read_image",
    "with_split",
]

EXTENSIONS = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
"""File names that are taken for images, in any letter case."""

_IGNORED = {
    "hidden": ("hidden file", "hidden files"),
    "other": ("file that is no image", "files that are no images"),
    "deeper": ("image deeper than its class folder", "images deeper than their class folder"),
    "outside": ("image outside a class folder", "images outside a class folder"),
}


def find_images(folder: str | os.PathLike[str]) -> ImageList:
    """Find the images of a data set with a folder per class.

    The folder holds ``class/image`` or ``split/class/image`` with the splits ``train``, ``val``
    (or ``valid``, ``validation``) and ``test``. Images are GeoTIFF, PNG and JPEG files, told by
    their extension. Whatever else is there is ignored, and the notes say how much it was.

    Args:
        folder: The folder of the data set.

    Returns:
        The images; see ``ImageList``.

    Raises:
        SamplesError: If there is no such folder, there are no images in it, splits and classes
            stand side by side, a file (or link to it) is in two splits or classes, there is one
            class only, or a class has one image only.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise SamplesError(f"{root} {what}; give a folder that holds a folder per class")
    ignored: Counter[str] = Counter()
    bare: list[str] = []
    samples: list[Sample] = []
    for split, parent in _parents(root, ignored):
        for directory in _folders(parent, ignored):
            images = list(_images(directory, ignored))
            samples += [Sample(image, directory.name, split) for image in images]
            if not images:
                bare.append(str(directory.relative_to(root)))
    if not samples:
        raise _no_images(root, ignored)
    return list_images(samples, str(root), _notes(ignored, bare))


def _parents(root: Path, ignored: Counter[str]) -> Iterator[tuple[str | None, Path]]:
    """Yield the folders that hold the class folders, with the split each stands for."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not _hidden(path)]
    divided = [path for path in folders if split_word(path.name) and _has_folders(path)]
    beside = [path.name for path in folders if split_word(path.name) is None]
    if not divided:
        yield None, root
        return
    if beside:
        raise SamplesError(
            f"{root} holds splits ({divided[0].name}) and other folders ({beside[0]}) side by "
            "side; move the others away, or give a folder of classes only"
        )
    _folders(root, ignored)
    for path in folders:
        yield split_word(path.name), path


def _has_folders(path: Path) -> bool:
    return any(entry.is_dir() and not _hidden(entry) for entry in path.iterdir())


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS


def _folders(parent: Path, ignored: Counter[str]) -> list[Path]:
    """Return the class folders in a folder, and count what stands beside them."""
    found = []
    for path in sorted(parent.iterdir()):
        if _hidden(path):
            ignored["hidden"] += 1
        elif path.is_dir():
            found.append(path)
        else:
            ignored["outside" if _is_image(path) else "other"] += 1
    return found


def _images(directory: Path, ignored: Counter[str]) -> Iterator[Path]:
    """Yield the images of a class folder, and count what else is in it."""
    for path in sorted(directory.iterdir()):
        if _hidden(path):
            ignored["hidden"] += 1
        elif path.is_dir():
            _count_deeper(path, ignored)
        elif _is_image(path):
            yield path
        else:
            ignored["other"] += 1


def _count_deeper(directory: Path, ignored: Counter[str]) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            kind = "hidden" if _hidden(path) else "deeper" if _is_image(path) else "other"
            ignored[kind] += 1


def _notes(ignored: Counter[str], bare: Sequence[str]) -> list[str]:
    notes = []
    parts = [_counted(kind, ignored[kind]) for kind in _IGNORED if ignored[kind]]
    if parts:
        notes.append(f"Ignored: {', '.join(parts)}.")
    if bare:
        notes.append(f"No images are in the folder {', '.join(sorted(bare))}: it is no class.")
    return notes


def _counted(kind: str, count: int) -> str:
    return f"{count} {_IGNORED[kind][count != 1]}"


def _no_images(root: Path, ignored: Counter[str]) -> SamplesError:
    parts = [_counted(kind, ignored[kind]) for kind in _IGNORED if ignored[kind]]
    there = f" (there: {', '.join(parts)})" if parts else ""
    return SamplesError(
        f"{root} has no images in folders of classes{there}; put GeoTIFF, PNG or JPEG files into "
        "one folder per class"
    )
