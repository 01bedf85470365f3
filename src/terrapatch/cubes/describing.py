"""A cube in words: what is kept, what is left out and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.cubes.bands import DroppedBand
    from terrapatch.cubes.cube import Cube

LISTED_NAMES = 12


def sentences(cube: Cube) -> list[str]:
    """Say how many bands are kept, which are not and why, and the notes."""
    rows, cols = cube.shape
    lines = [f"{cube.name}: {rows} x {cols} pixels, {_kept(cube)}"]
    for reason, numbers in by_reason(cube.dropped).items():
        lines.append(f"dropped {spans(numbers)}: {reason}")
    return lines + list(cube.notes)


def facts(cube: Cube) -> list[tuple[str, str]]:
    """Return names and values for people, in order."""
    rows, cols = cube.shape
    lines = [
        ("file", f"{cube.source} ({cube.raw.kind})"),
        ("size", f"{rows} x {cols} pixels"),
        ("CRS", _crs(cube)),
        ("bands", _kept(cube)),
        ("wavelengths", _waves(cube)),
        ("values", f"{cube.dtype}, {_scaling(cube)}"),
        ("nodata", _nodata(cube)),
        ("blocks", f"{cube.block_shape[0]} x {cube.block_shape[1]} pixels"),
    ]
    if cube.raw.variable:
        axes = f"{cube.raw.variable}, axes {cube.raw.axes}"
        lines.insert(1, ("variable", axes))
    if cube.datetime:
        lines.append(("taken", cube.datetime))
    gone = [f"{spans(numbers)}: {why}" for why, numbers in by_reason(cube.dropped).items()]
    lines.append(("dropped", "\n".join(gone) or "none"))
    if cube.notes:
        lines.append(("notes", "\n".join(cube.notes)))
    return lines


def as_data(cube: Cube) -> dict[str, Any]:
    """Return all that is known of a cube as plain data, for machines."""
    return {
        **cube.as_dict(),
        "source": cube.source,
        "kind": cube.raw.kind,
        "georeferenced": cube.georeferenced,
        "block_shape": list(cube.block_shape),
        "valid_share": cube.valid_share,
        "dropped": [
            {
                "band": d.band.number,
                "name": d.band.name,
                "wavelength": d.band.wavelength,
                "reason": d.reason,
            }
            for d in cube.dropped
        ],
        "notes": list(cube.notes),
    }


def _kept(cube: Cube) -> str:
    total = len(cube.bands) + len(cube.dropped)
    counted = f"{len(cube.bands)} of {total} bands kept"
    named = [b.name for b in cube.bands if b.name != f"band {b.number}" and b.wavelength is None]
    if not named:
        return counted
    more = ", …" if len(named) > LISTED_NAMES else ""
    return f"{counted}: {', '.join(named[:LISTED_NAMES])}{more}"


def _crs(cube: Cube) -> str:
    if not cube.georeferenced:
        return "no georeference"
    t = cube.geobox.affine
    pixel = f"pixels of {abs(t.e):g} x {t.a:g}"
    crs = cube.geobox.crs
    if crs is None:
        return f"none, but a place: {pixel}"
    code = f"EPSG:{crs.to_epsg()} " if crs.to_epsg() else ""
    return f"{code}{crs.proj.name}, {pixel}"


def _waves(cube: Cube) -> str:
    known = [b.wavelength for b in cube.bands if b.wavelength is not None]
    if not known:
        return "not known"
    part = "" if len(known) == len(cube.bands) else f", known of {len(known)} bands"
    return f"{min(known):g} to {max(known):g} nm{part}"


def _scaling(cube: Cube) -> str:
    scales, offsets = sorted(set(cube.scale)), sorted(set(cube.offset))
    if scales == [1.0] and offsets == [0.0]:
        return "as they are"
    factor = f"{scales[0]:g}" if len(scales) == 1 else f"{scales[0]:g} to {scales[-1]:g} by band"
    if offsets == [0.0]:
        return f"times {factor}"
    shift = f"{offsets[0]:g}" if len(offsets) == 1 else f"{offsets[0]:g} to {offsets[-1]:g} by band"
    return f"times {factor} plus {shift}"


def _nodata(cube: Cube) -> str:
    stated = sorted({f"{v:g}" for v in cube.nodata if v is not None})
    listed = stated[:3] + (["…"] if len(stated) > 3 else [])
    value = ", ".join(listed) or "none stated"
    share = 100 * (1 - cube.valid_share)
    shown = "<0.1" if 0 < share < 0.05 else f"{share:.1f}"
    return f"{value}; {shown} % of the sampled pixels are invalid"


def by_reason(dropped: Iterable[DroppedBand]) -> dict[str, list[int]]:
    """Gather the numbers of dropped bands by their reasons."""
    found: dict[str, list[int]] = {}
    for entry in dropped:
        found.setdefault(entry.reason, []).append(entry.band.number)
    return found


def spans(numbers: Iterable[int]) -> str:
    """Write numbers as ``1-5, 9``."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1][1:] = [n]
        else:
            runs.append([n])
    return ", ".join("-".join(map(str, run)) for run in runs)
