"""What the data catalogue says: its items as plain records, and where a data set lies.

The catalogue is a folder of STAC items (``data_catalog/``). It is read as JSON, so that nothing
has to be imported to list it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from terrapatch.errors import CatalogError

DATA_ENV = "TERRAPATCH_DATA"


@dataclass(frozen=True)
class LabelClass:
    """A class of a data set.

    Attributes:
        name: Its name; for a folder per class of images, the folder's.
        count: Images or pixels of it, if known.
        value: Its number in a raster of labels.
        train: How many of them a published split trains on.
        test: How many of them that split tests on.
    """

    name: str
    count: int | None = None
    value: int | None = None
    train: int | None = None
    test: int | None = None


@dataclass(frozen=True)
class Archive:
    """A file that a data set is handed out in.

    Attributes:
        path: Its name, below the folder it is downloaded to.
        md5: Its MD5.
        url: Where it is, or the page that hands it out.
        size: Its size in bytes, if known.
        about: Whether the size is rounded.
        sha256: Its SHA-256, if known.
    """

    path: str
    md5: str
    url: str
    size: int | None = None
    about: bool = False
    sha256: str = ""


@dataclass(frozen=True)
class Entry:
    """A data set, or weights, of the catalogue. What is not certain is empty or ``None``.

    Attributes:
        id: Its name.
        aliases: Other names it answers to.
        kind: ``dataset`` or ``weights``.
        title: Its name in words.
        description: What it is.
        licence: SPDX identifier, or ``other``.
        terms: The terms in words, where the licence is ``other``.
        citation: What to cite.
        doi: DOI of the data.
        paper: DOI of the paper.
        page: Where its page is.
        labels: What has a class: ``image``, ``pixel``, or ``none``; empty for weights.
        layout: How the files lie: ``folders`` (one per class of images), ``cube``,
            ``rasters`` or ``hdf5``; empty for weights.
        images: How many images.
        size_px: Width and height of an image, in pixels.
        band_count: Bands of an image.
        bands: Their names.
        gsd: Ground sampling distance in metres.
        gsd_range: The smallest and the largest where it varies.
        class_count: How many classes.
        classes: The classes, where their names are certain.
        folder: Where it lies below ``$TERRAPATCH_DATA``.
        inside: Where its class folders lie below the folder it is unpacked in.
        archives: The files it is handed out in.
        torchgeo: The class of ``torchgeo.datasets`` that reads it.
        torchvision: The class of ``torchvision.datasets`` that reads it.
        download: The library that downloads it, or ``manual``.
        by_hand: How a person gets it.
        how_to_get: The same, with the command where there is one.
    """

    id: str
    kind: str
    title: str
    description: str
    licence: str
    citation: str
    page: str
    by_hand: str
    how_to_get: str
    aliases: tuple[str, ...] = ()
    terms: str = ""
    doi: str = ""
    paper: str = ""
    labels: str = ""
    layout: str = ""
    images: int | None = None
    size_px: tuple[int, ...] = ()
    band_count: int | None = None
    bands: tuple[str, ...] = ()
    gsd: float | None = None
    gsd_range: tuple[float, ...] = ()
    class_count: int | None = None
    classes: tuple[LabelClass, ...] = ()
    folder: str = ""
    inside: str = ""
    archives: tuple[Archive, ...] = ()
    torchgeo: str = ""
    torchvision: str = ""
    download: str = "manual"

    @property
    def loader(self) -> str:
        """The class that downloads it, e.g. ``torchgeo.datasets.UCMerced``; empty if none."""
        if self.download == "manual":
            return ""
        name = self.torchgeo if self.download == "torchgeo" else self.torchvision
        return f"{self.download}.datasets.{name}"

    @property
    def download_size(self) -> int | None:
        """Size of what is downloaded, in bytes and often rounded; ``None`` if not known."""
        sizes = [one.size for one in self.archives]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, the classes and archives as dictionaries."""
        return asdict(self) | {"loader": self.loader, "download_size": self.download_size}


def catalog_root() -> Path:
    """Return the folder of the catalogue: in the package, or beside it in a checkout.

    Raises:
        CatalogError: If it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "data_catalog", package.parents[1] / "data_catalog"):
        if (place / "catalog.json").is_file():
            return place
    raise CatalogError(
        f"the data catalogue is not in {package}; install terrapatch again, or run it from a "
        "checkout that has the folder data_catalog"
    )


def catalog_list() -> tuple[Entry, ...]:
    """Return every entry of the catalogue, data sets before weights, in its own order.

    Raises:
        CatalogError: If the catalogue is not there or a file of it cannot be read.
    """
    return _read(catalog_root())


@cache
def _read(root: Path) -> tuple[Entry, ...]:
    links = _json(root / "catalog.json")["links"]
    items = [_json(root / link["href"]) for link in links if link["rel"] == "item"]
    return tuple(_entry(item) for item in items)


def catalog_show(id: str) -> Entry:
    """Return one entry.

    Args:
        id: Its name or an alias; capitals, dashes and underscores do not matter.

    Raises:
        CatalogError: If there is none of that name; the nearest names are listed.
    """
    entries = catalog_list()
    known = {_plain(name): entry for entry in entries for name in (entry.id, *entry.aliases)}
    found = known.get(_plain(id))
    if found is not None:
        return found
    near = difflib.get_close_matches(_plain(id), known, n=3)
    names = dict.fromkeys(known[name].id for name in near)
    hint = f"did you mean {' or '.join(names)}?" if names else "see terrapatch catalog list"
    raise CatalogError(f"the catalogue has no {id!r}; {hint}")


def folder_of(id: str, root: Path | str | None = None) -> Path:
    """Find a data set that is here already.

    Looked for are the folder that the item names below the root, and before it the place where
    the archive unpacks to below that folder's first part.

    Args:
        id: Name of a data set.
        root: The folder of all data; ``$TERRAPATCH_DATA`` if left out.

    Returns:
        The folder: for a folder per class of images, the one that holds the class folders.

    Raises:
        CatalogError: If it is not there, or no root is known; says how to get it.
    """
    entry = catalog_show(id)
    if not entry.folder:
        raise CatalogError(f"{entry.id} holds weights, not data; see terrapatch backbones get")
    base = root if root is not None else os.environ.get(DATA_ENV, "").strip()
    if not base:
        raise CatalogError(
            f"where {entry.id} lies is not known; set {DATA_ENV} to the folder of all data, or "
            "name the data set's own folder"
        )
    places = [Path(base) / entry.folder]
    if entry.inside:
        places.insert(0, Path(base) / Path(entry.folder).parts[0] / entry.inside)
    for place in places:
        if place.is_dir():
            return place
    looked = " or ".join(str(place) for place in places)
    raise CatalogError(f"{entry.id} is not here ({looked}); to get it: {entry.how_to_get}")


def _plain(name: str) -> str:
    """Leave of a name what matters: its letters and digits."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise CatalogError(
            f"{path} of the data catalogue cannot be read ({fault}); install terrapatch again"
        ) from fault
    if not isinstance(content, dict):
        raise CatalogError(f"{path} of the data catalogue is no STAC; install terrapatch again")
    return content


def _entry(item: dict[str, Any]) -> Entry:
    """Make a record of a STAC item."""
    told = item["properties"]
    own: dict[str, Any] = {
        name.removeprefix("terrapatch:"): tuple(value) if isinstance(value, list) else value
        for name, value in told.items()
        if name.startswith("terrapatch:")
    }
    own["classes"] = tuple(LabelClass(**one) for one in own.get("classes", ()))
    papers = told.get("sci:publications", [])
    assets = item["assets"].values()
    return Entry(
        id=item["id"],
        title=told["title"],
        description=told["description"],
        licence=told["license"],
        citation=told["sci:citation"],
        doi=told.get("sci:doi", ""),
        paper=papers[0]["doi"] if papers else "",
        page=next(iter(assets))["href"],
        gsd=told.get("gsd"),
        archives=tuple(_archive(asset) for asset in assets if _is_archive(asset)),
        **own,
    )


def _is_archive(asset: dict[str, Any]) -> bool:
    return "md5" in asset.get("terrapatch:file", {})


def _archive(asset: dict[str, Any]) -> Archive:
    return Archive(url=asset["href"], **asset["terrapatch:file"])
