"""Wavelengths and widths of bands, brought to nanometres."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from terrapatch.errors import CubeError

Waves = npt.NDArray[np.float64]

# Optical sensors see from 0.2 to 100 micrometres, so a number tells its unit.
MICROMETRES_BELOW = 100.0

_UNITS = {
    "nm": "nm",
    "nanometer": "nm",
    "nanometre": "nm",
    "um": "um",
    "µm": "um",
    "μm": "um",
    "micron": "um",
    "micrometer": "um",
    "micrometre": "um",
    "m": "m",
    "meter": "m",
    "metre": "m",
    "cm-1": "cm-1",
    "cm^-1": "cm-1",
    "1/cm": "cm-1",
    "cm**-1": "cm-1",
    "wavenumber": "cm-1",
    "wavenumbers": "cm-1",
}
_FACTORS = {"nm": 1.0, "um": 1e3, "m": 1e9}
_NUMBER_AND_UNIT = re.compile(
    r"([\d.]+)\s*(nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?|nm|um|µm|μm)\b", re.IGNORECASE
)


def unit_of(text: object, where: str) -> str | None:
    """Read the name of a unit; ``None`` where none is stated.

    Raises:
        CubeError: If it is no unit of wavelengths (``Index`` counts as none stated).
    """
    plain = str(text or "").strip().lower()
    if plain in ("", "unknown", "index", "1", "none"):
        return None
    unit = _UNITS.get(plain) or _UNITS.get(plain.removesuffix("s"))
    if unit is None:
        raise CubeError(
            f"the wavelengths of {where} are in {text!r}, which is not understood; give them in "
            "nm with wavelengths="
        )
    return unit


def to_nanometres(values: npt.ArrayLike, unit: str | None) -> Waves:
    """Bring wavelengths to nm.

    Args:
        values: Wavelengths or, for ``cm-1``, wave numbers; what is not positive is unknown.
        unit: ``nm``, ``um``, ``m``, ``cm-1``, or ``None`` to tell by the size of the
            numbers (below 100 they are micrometres).

    Returns:
        Wavelengths in nm, NaN where unknown.
    """
    waves = np.asarray(values, np.float64).ravel().copy()
    waves[~(waves > 0) | ~np.isfinite(waves)] = np.nan
    if unit == "cm-1":
        return np.asarray(1e7 / waves)
    return np.asarray(waves * _FACTORS[unit or guess(waves)])


def widths_to_nanometres(values: npt.ArrayLike, waves: Waves, unit: str | None) -> Waves:
    """Bring widths of bands to nm.

    Args:
        values: Full widths at half maximum, in ``unit``.
        waves: The centres, nm.
        unit: As for ``to_nanometres``; it is needed here, since a width tells no unit.
    """
    widths = np.asarray(values, np.float64).ravel().copy()
    widths[~(widths > 0) | ~np.isfinite(widths)] = np.nan
    if unit == "cm-1":
        return np.asarray(widths * waves**2 / 1e7)
    return np.asarray(widths * _FACTORS[unit or "nm"])


def guess(values: Waves) -> str:
    """Tell nm from um by the size of the numbers."""
    known = values[np.isfinite(values)]
    return "um" if known.size and float(np.median(known)) < MICROMETRES_BELOW else "nm"


def in_text(text: str) -> float | None:
    """Find a wavelength in a band's name, such as ``band 3 (429.294 Nanometers)``, in nm."""
    found = _NUMBER_AND_UNIT.search(text)
    if found is None:
        return None
    try:
        value = float(found[1])
    except ValueError:
        return None
    nano = found[2].lower() == "nm" or found[2].lower().startswith("nano")
    return value * (1.0 if nano else 1e3)


def given(choice: Sequence[float] | Waves | str | Path, count: int, where: str) -> Waves:
    """Take the wavelengths a person gives for all bands of a cube.

    Args:
        choice: Numbers in nm (or um, told by their size), or a text file of them.
        count: Number of bands of the cube.
        where: The cube's name, for messages.

    Raises:
        CubeError: If the file holds no numbers, or their number does not fit.
    """
    waves = read(choice)
    if len(waves) != count:
        raise CubeError(
            f"{len(waves)} wavelengths are given but {where} has {count} bands; give one for "
            "every band of the file, in the order of the bands"
        )
    return waves


def read(choice: Sequence[float] | Waves | str | Path) -> Waves:
    """Take wavelengths, or read them from a text file, in nm.

    Raises:
        CubeError: If the file holds no numbers.
    """
    values = _from_text(Path(choice)) if isinstance(choice, str | Path) else choice
    return to_nanometres(values, None)


def _from_text(path: Path) -> list[float]:
    try:
        words = re.split(r"[\s,;]+", path.read_text("utf-8").strip())
        return [float(word) for word in words]
    except FileNotFoundError as fault:
        raise CubeError(f"there is no file of wavelengths {path}; check the path") from fault
    except (IsADirectoryError, PermissionError) as fault:
        why = "is a folder" if path.is_dir() else "may not be read"
        raise CubeError(f"{path} {why}, so it lists no wavelengths; give a text file") from fault
    except (ValueError, UnicodeDecodeError) as fault:
        raise CubeError(
            f"{path} is no list of wavelengths; write one number in nm a line, nothing else"
        ) from fault
