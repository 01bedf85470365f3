"""The words in which a look at a raster is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from terrapatch.studies.look import BandFacts, Look

MOST_BANDS = 16


def rows(seen: Look) -> list[tuple[str, str]]:
    """Return names and values for people, in order."""
    pairs = [
        ("scene", seen.path),
        ("format", _format(seen)),
        ("size", f"{seen.width:,} x {seen.height:,} pixels (across x down)"),
        ("CRS", seen.crs or "none: metres on the ground are not known"),
        ("pixel", _pixel(seen)),
        ("bands", "\n".join(_bands(seen.bands))),
        ("validity", _validity(seen)),
    ]
    if seen.taken:
        pairs.append(("taken", seen.taken))
    units = [("units", _units(seen))] if seen.units or seen.suggestions else []
    if seen.obstacle:
        return [*pairs, *units, ("in the way", seen.obstacle)]
    return [*pairs, ("picture", _shown(seen)), *units]


def _format(seen: Look) -> str:
    height, width = seen.blocks
    overviews = ", ".join(map(str, seen.overviews)) if seen.overviews else "none"
    return (
        f"{seen.driver}, {seen.compression}, blocks of {width} x {height} pixels, "
        f"overviews: {overviews}"
    )


def _pixel(seen: Look) -> str:
    if seen.pixel_unit is None:
        return f"{_pair(seen.pixel)}, of unknown size on the ground"
    ground = "of unknown size" if seen.ground is None else f"{_pair(seen.ground)} m"
    return f"{_pair(seen.pixel)} {seen.pixel_unit}, on the ground {ground} (across x down)"


def _pair(height_width: tuple[float, float]) -> str:
    height, width = height_width
    return f"{_number(width)} x {_number(height)}"


def _number(value: float) -> str:
    """Write a number in about four digits, never with an exponent that hides its size."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def _bands(bands: tuple[BandFacts, ...]) -> list[str]:
    lines = []
    for band in bands[:MOST_BANDS]:
        text = f"{band.number} {band.name or 'without a name'}, {band.dtype}"
        if band.nodata is not None:
            text += f", nodata {band.nodata:.10g}"
        if band.low is not None and band.high is not None:
            text += f", mostly {_number(band.low)} to {_number(band.high)}"
        lines.append(text)
    if len(bands) > MOST_BANDS:
        lines.append(f"… {len(bands)} in all")
    return lines


def _validity(seen: Look) -> str:
    if seen.valid is None:
        return seen.mask
    return f"{seen.mask}; {_percent(seen.valid)} of a thinned sample is valid"


def _percent(share: float) -> str:
    """Write a share so that only all is 100 % and only nothing is 0 %."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.3g} %"


def _shown(seen: Look) -> str:
    if seen.shown is None:
        return (
            "which bands are red, green and blue is not known; choose three with --bands "
            "(those below are a guess)"
        )
    names = {band.number: band.name for band in seen.bands}
    chosen = ", ".join(f"{n} {names[n]}".strip() for n in seen.shown)
    return f"bands {chosen} are taken as red, green and blue"


def _units(seen: Look) -> str:
    if seen.units is not None:
        return "0 to 255, taken as they are" if seen.units == "uint8" else seen.units
    return f"not known; declare them with --units, for example {' or '.join(seen.suggestions)}"
