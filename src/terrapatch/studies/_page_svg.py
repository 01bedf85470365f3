"""An SVG made fit to stand inside a page: nothing that runs, loads, or clashes.

Only elements and attributes that draw are kept. What refers to something refers to an element
of the same picture, and every id gets a prefix of its own, since ids are one namespace on a
page. The inks and letters of our own figures become those of the page, so that they follow
it into the dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from terrapatch.studies._figure_canvas import FIGURE_ID, INK, LINE, PAPER, SOFT

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = ("href", "{http://www.w3.org/1999/xlink}href")
_ELEMENTS = (
    "svg g defs path rect circle ellipse line polyline polygon text tspan use symbol marker "
    "clipPath mask pattern image linearGradient radialGradient stop"
)
_ATTRIBUTES = (
    "id x y x1 x2 y1 y2 dx dy cx cy r rx ry fx fy d points width height viewBox "
    "preserveAspectRatio transform style fill fill-opacity fill-rule stroke stroke-width "
    "stroke-opacity stroke-linecap stroke-linejoin stroke-dasharray stroke-dashoffset "
    "stroke-miterlimit opacity color font-size font-family font-style font-weight text-anchor "
    "dominant-baseline baseline-shift rotate clip-path clip-rule mask marker-start marker-mid "
    "marker-end offset stop-color stop-opacity gradientUnits gradientTransform spreadMethod "
    "patternUnits patternTransform patternContentUnits clipPathUnits maskUnits refX refY "
    "markerWidth markerHeight markerUnits orient image-rendering display visibility"
)
_DRAWN = frozenset(_ELEMENTS.split())
_KEPT = frozenset(_ATTRIBUTES.split())
_INKS = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)", PAPER: "var(--paper)"}
_INK = re.compile("|".join(map(re.escape, _INKS)), re.IGNORECASE)
_URL = re.compile(r"url\(\s*['\"]?(#?)([^)'\"]*)['\"]?\s*\)?", re.IGNORECASE)
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_HIDDEN_URL = re.compile(r"\\|image-set|@import|expression|/\*", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]*\Z")
_JOINS = "stroke-linejoin: round; stroke-linecap: butt"  # what matplotlib's style sheet says


def is_ours(svg: bytes) -> bool:
    """Return whether ``terrapatch.studies.figures`` drew an SVG."""
    return f'id="{FIGURE_ID}"'.encode() in svg


def inline_svg(svg: bytes, prefix: str, alt: str) -> str:
    """Return an SVG as markup for the inside of an HTML page.

    Args:
        svg: A whole SVG file, UTF-8.
        prefix: What to put before each of its ids; unique on the page.
        alt: What the picture shows, for those who do not see it.

    Returns:
        An ``<svg>`` element without anything that runs or loads.

    Raises:
        ValueError: If it is no well-formed SVG, or declares entities.
    """
    root = _parsed(svg)
    ours = is_ours(svg)
    _clean(root, prefix, ours)
    if "viewBox" not in root.attrib:
        size = [_points(root.get(side, "")) for side in ("width", "height")]
        root.set("viewBox", f"0 0 {size[0]:g} {size[1]:g}")
    width = _points(root.attrib.pop("width", "")) or float(root.attrib["viewBox"].split()[2])
    root.attrib.pop("height", None)
    joins = f"{_JOINS}; " if ours else ""
    root.set("style", f"{joins}max-width: {width * 4 / 3:.0f}px")
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(svg: bytes) -> ElementTree.Element:
    if b"<!ENTITY" in svg:
        raise ValueError("the SVG declares entities; write it without")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as fault:
        raise ValueError(f"the picture is no well-formed SVG: {fault}; draw it anew") from fault
    if root.tag != f"{_SVG}svg":
        raise ValueError(f"the picture is no SVG: it begins with <{root.tag}>")
    return root


def _clean(element: ElementTree.Element, prefix: str, ours: bool) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    attributes = dict(_attributes(element, prefix))
    if ours and "style" in attributes:
        attributes["style"] = _INK.sub(_page_ink, _FAMILY.sub("", attributes["style"]))
    element.attrib.clear()
    element.attrib.update(attributes)
    for child in list(element):
        name = child.tag.removeprefix(_SVG) if isinstance(child.tag, str) else ""
        if name in _DRAWN:
            _clean(child, prefix, ours)
        if name not in _DRAWN or (name in ("image", "use") and "href" not in child.attrib):
            element.remove(child)
    if element.tag not in ("text", "tspan"):
        element.text = None
        for child in element:
            child.tail = None


def _attributes(element: ElementTree.Element, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what an element may keep, in its order; references get the prefix too."""
    for name, value in element.attrib.items():
        if name in _HREF:
            target = _target(element.tag, value, prefix)
            if target:
                yield "href", target
        elif name == "id":
            yield "id", prefix + value
        elif name in _KEPT and not _HIDDEN_URL.search(value):
            yield name, _URL.sub(lambda m: f"url(#{prefix}{m[2]})" if m[1] else "none", value)


def _target(tag: str, value: str, prefix: str) -> str | None:
    if value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return value if tag == "image" and _PICTURE.match(value) else None


def _page_ink(found: re.Match[str]) -> str:
    return _INKS[found[0].lower()]


def _points(length: str) -> float:
    """Return a length in points, 0 where it has none; a number alone is pixels."""
    found = re.match(r"\s*([\d.]+)\s*(pt|px|)\s*\Z", length)
    if not found:
        return 0.0
    return float(found[1]) * (1.0 if found[2] == "pt" else 0.75)
