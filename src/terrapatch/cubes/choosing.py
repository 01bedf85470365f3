"""Which bands of a cube are kept, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from terrapatch.bands import BandChoice, choose_bands
from terrapatch.cubes.bands import CubeBand, DropChoice, DroppedBand, find_dropped
from terrapatch.cubes.describing import spans
from terrapatch.cubes.raw import RawCube
from terrapatch.cubes.survey import Survey, survey
from terrapatch.errors import CubeError

# Where water vapour lets no light through; only narrow bands lie wholly inside.
VAPOUR = ((1350.0, 1420.0), (1800.0, 1950.0))
NARROW = 30.0
OFTEN_MISSING = 0.1
OFTEN_BLANK = 0.01


@dataclass(frozen=True)
class Choice:
    """Which bands are kept.

    Attributes:
        raw: The cube, with the fill values that were found in it.
        kept: Places from 1 in ``raw.bands``.
        dropped: The bands left out, in the order of the file.
        notes: What to know about the bands kept.
        valid: Share of sampled pixels that are valid.
    """

    raw: RawCube
    kept: tuple[int, ...]
    dropped: tuple[DroppedBand, ...]
    notes: tuple[str, ...]
    valid: float


def choose(
    raw: RawCube,
    bands: BandChoice | None,
    drop: DropChoice,
    keep_bad: bool,
    water_vapour: bool,
    find_fills: bool,
) -> Choice:
    """Choose bands by what a person asks, by the file's list, by rule and by their values.

    Args:
        raw: The cube.
        bands: Bands to take, as for a scene; ``None`` for all.
        drop: Bands to leave out.
        keep_bad: Whether to keep bands that the file calls bad, and constant ones.
        water_vapour: Whether to leave out bands where water vapour absorbs all light.
        find_fills: Whether to look for nodata values that the file does not state.

    Raises:
        BandError: If a band that is asked for does not exist.
        CubeError: If a band to drop does not exist, or no band is left.
    """
    asked = _asked(raw, bands)
    reasons = _reasons(raw, find_dropped(drop, raw.bands, raw.name), keep_bad, water_vapour)
    left = tuple(n for n in asked if n not in reasons)
    if left:
        raw, seen = survey(raw, left, find_fills)
        reasons |= _nothing(seen, keep_bad)
        left = tuple(n for n in left if n not in reasons)
    dropped = tuple(
        DroppedBand(raw.bands[n - 1], reasons[n]) for n in sorted(set(asked)) if n in reasons
    )
    if not left:
        raise CubeError(_none_left(raw, dropped))
    notes, valid = _gaps(raw, seen, left)
    notes = (*_fills(raw, left), *notes)
    if len(asked) < len(raw.bands):
        notes = (f"{len(asked)} of {len(raw.bands)} bands were asked for", *notes)
    return Choice(raw, left, dropped, notes, valid)


def _fills(raw: RawCube, kept: tuple[int, ...]) -> tuple[str, ...]:
    """Say which values are taken for nodata though the file does not state them."""
    values = {raw.fills[n - 1] for n in kept} - {None} if raw.fills else set()
    notes = []
    for value in sorted(v for v in values if v is not None):
        numbers = [raw.bands[n - 1].number for n in kept if raw.fills[n - 1] == value]
        which = "all bands" if len(numbers) == len(kept) else f"band {spans(numbers)}"
        notes.append(
            f"{value:g} in {which} is taken for nodata, which the file does not state: it is "
            "frequent and far from all other values; give nodata= (--nodata) to decide yourself"
        )
    return tuple(notes)


def _asked(raw: RawCube, bands: BandChoice | None) -> tuple[int, ...]:
    if bands is None:
        return tuple(range(1, len(raw.bands) + 1))
    names = [b.name for b in raw.bands]
    asked = choose_bands(bands, names, raw.name)
    twice = sorted({n for n in asked if asked.count(n) > 1})
    if twice:
        raise CubeError(f"band {twice[0]} of {raw.name} is chosen twice; name each band once")
    return asked


def _reasons(raw: RawCube, listed: set[int], keep_bad: bool, water_vapour: bool) -> dict[int, str]:
    """Return reasons, by place from 1, that need no look at the pixels."""
    found = {}
    narrow = _narrow(raw.bands)
    for place, band in enumerate(raw.bands, 1):
        if band.number in listed:
            found[place] = "asked to drop"
        elif not (raw.good[place - 1] or keep_bad):
            found[place] = "bad-band list"
        elif water_vapour and narrow[place - 1] and _in_vapour(band.wavelength):
            found[place] = "water vapour"
    return found


def _in_vapour(nm: float | None) -> bool:
    return nm is not None and any(low <= nm <= high for low, high in VAPOUR)


def _narrow(bands: Sequence[CubeBand]) -> list[bool]:
    """Tell bands at most 30 nm wide, by their width or else by the distance to the next."""
    known = np.sort([b.wavelength for b in bands if b.wavelength is not None])
    answer = []
    for band in bands:
        width = band.fwhm
        if width is None and band.wavelength is not None and len(known) > 1:
            away = np.abs(known - band.wavelength)
            width = float(np.partition(away, 1)[1])
        answer.append(band.wavelength is not None and width is not None and width <= NARROW)
    return answer


def _nothing(seen: Survey, keep_bad: bool) -> dict[int, str]:
    """Return bands without information; a constant tells nothing unless there is one pixel."""
    found = {}
    several = int(seen.filled.any(axis=1).sum()) > 1
    for place, number in enumerate(seen.numbers):
        if seen.empty[place]:
            found[number] = "no data"
        elif several and not seen.varies[place] and not keep_bad:
            found[number] = f"constant ({seen.level[place]:g})"
    return found


def _none_left(raw: RawCube, dropped: tuple[DroppedBand, ...]) -> str:
    why = sorted({d.reason.split(" (")[0] for d in dropped})
    counts = ", ".join(f"{sum(d.reason.startswith(w) for d in dropped)} {w}" for w in why)
    return (
        f"no band of {raw.name} is left: all {len(dropped)} are dropped ({counts}); check its "
        "nodata value and bad-band list, or keep some with keep_bad (--keep-bad) or fewer to drop"
    )


def _gaps(raw: RawCube, seen: Survey, kept: tuple[int, ...]) -> tuple[tuple[str, ...], float]:
    """Say how many sampled pixels miss only some of the bands that are kept."""
    places = [seen.numbers.index(n) for n in kept]
    filled = seen.filled[:, places]
    some, every = filled.any(axis=1), filled.all(axis=1)
    partly = some & ~every
    notes = []
    blank = float((every & seen.zero[:, places].all(axis=1)).mean())
    if blank > OFTEN_BLANK and len(kept) > 1:
        notes.append(
            f"{100 * blank:.0f} % of the sampled pixels are 0 in every band; if that means no "
            "data, say nodata=0 (--nodata 0)"
        )
    if partly.any():
        share = 100 * float(partly.mean())
        shown = "<0.1" if share < 0.1 else f"{share:.1f}"
        notes.append(f"{shown} % of the sampled pixels miss some bands and count as invalid")
        missing = (~filled[some]).mean(axis=0)
        worst = int(missing.argmax())
        if missing[worst] > OFTEN_MISSING:
            band = raw.bands[kept[worst] - 1]
            notes.append(
                f"{band.label} is missing in {100 * missing[worst]:.0f} % of the pixels that "
                f"other bands have; dropping it (drop={band.number}) may free them"
            )
    return tuple(notes), float(every.mean())
