"""Names a person gave are never lost: a copy is kept before others take their place."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from terrapatch.errors import LegendError, MapError
from terrapatch.maps import ClassMap
from terrapatch.studies.names import Names
from terrapatch.studies.names_file import read_names
from terrapatch.studies.result_folder import NAMES


def keep_names(folder: Path, new: Names) -> list[str]:
    """Copy ``names.csv`` to ``names.csv.bak`` if it says something that ``new`` does not.

    A copy that is there already with the same content is enough; another is never replaced.

    Args:
        folder: The folder of clusters.
        new: The names that will take the place of the old ones.

    Returns:
        A note, if a copy was made or is there.
    """
    path = folder / NAMES
    if not path.is_file() or not _worth_keeping(path, new):
        return []
    data = path.read_bytes()
    for number in count(1):
        copy = folder / (f"{NAMES}.bak" if number == 1 else f"{NAMES}.bak{number}")
        if not copy.exists():
            part = copy.with_name(f".{copy.name}.part")
            shutil.copyfile(path, part)
            part.replace(copy)
            break
        if copy.read_bytes() == data:
            break
    return [f"the older names are kept in {copy.name}"]


def _worth_keeping(path: Path, new: Names) -> bool:
    try:
        legend = ClassMap.open(path.with_name("clusters.tif")).legend
        old = read_names(path, legend)
    except (LegendError, MapError):  # a person wrote it, and may mend it
        return True
    return old not in (new, Names.of(legend))
