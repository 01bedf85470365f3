"""ENVI's header: the list beside the pixels that says what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from terrapatch.cubes import waves
from terrapatch.cubes.raw import RawCube
from terrapatch.errors import CubeError, SceneNotFoundError

DATA_SUFFIXES = ("", ".dat", ".img", ".bsq", ".bil", ".bip", ".raw", ".bin", ".cube")
_ENTRY = re.compile(r"^([^\n={]+?)\s*=\s*(\{.*?\}|[^\n]*)", re.MULTILINE | re.DOTALL)
_BYTES = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 9: 16, 12: 2, 13: 4, 14: 8, 15: 8}
_LONGEST = 64 << 20


@dataclass(frozen=True)
class Header:
    """The entries of a header, their names in lower case.

    Attributes:
        path: The header's file.
        entries: Texts as they stand; lists keep their braces.
    """

    path: Path
    entries: dict[str, str]

    def words(self, key: str) -> list[str]:
        """Return the parts of a list, or of a single value."""
        text = self.entries.get(key, "").strip().strip("{}")
        return [part.strip() for part in text.split(",") if part.strip()]

    def numbers(self, key: str, count: int | None = None) -> list[float]:
        """Return a list of numbers; nothing where it is not there.

        Raises:
            CubeError: If it holds something else, or not as many.
        """
        words = self.words(key)
        try:
            values = [float(w) for w in words]
        except ValueError as fault:
            raise CubeError(
                f"{self.path.name} lists {key!r} with something that is no number; mend the list"
            ) from fault
        if values and count is not None and len(values) != count:
            raise CubeError(
                f"{self.path.name} lists {len(values)} values of {key!r} for {count} bands; mend "
                "the list"
            )
        return values

    def one(self, key: str, usual: float | None = None) -> float | None:
        """Return a single number, or what is usual where it is not there."""
        values = self.numbers(key)
        return values[0] if values else usual


def read_header(path: Path) -> Header | None:
    """Read a header; ``None`` if the file is none.

    Raises:
        CubeError: If it lacks the size of the image.
    """
    if path.stat().st_size > _LONGEST:
        return None
    text = _decoded(path.read_bytes())
    if not text.lstrip("\ufeff \r\n").startswith("ENVI"):
        return None
    text = re.sub(r"^;.*$", "", text.replace("\r", ""), flags=re.MULTILINE)
    entries = {k.strip().lower(): v.strip() for k, v in _ENTRY.findall(text)}
    header = Header(path, entries)
    lacking = [k for k in ("samples", "lines", "bands", "data type") if header.one(k) is None]
    if lacking:
        raise CubeError(f"{path.name} does not state {' and '.join(lacking)}; mend the header")
    return header


def _decoded(text: bytes) -> str:
    """Read UTF-8, or else what ENVI writes on Windows: names with umlauts are common."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def find_pair(path: str) -> tuple[Path, Header] | None:
    """Find the pixels of a header, or the header of a file of pixels.

    Args:
        path: Either of the two.

    Returns:
        The file of pixels and the header; ``None`` if there is no header.

    Raises:
        CubeError: If a header has no file of pixels, or several.
        SceneNotFoundError: If there is no such file.
    """
    given = Path(path)
    if given.suffix.lower() == ".hdr":
        if not given.is_file():
            raise SceneNotFoundError(f"there is no file {path}; check the path")
        header = read_header(given)
        return None if header is None else (_pixels_of(given), header)
    if not given.is_file():
        return None
    for beside in (Path(f"{path}.hdr"), given.with_suffix(".hdr")):
        for name in (beside, beside.with_suffix(".HDR")):
            if name.is_file() and (header := read_header(name)) is not None:
                return given, header
    return None


def _pixels_of(header: Path) -> Path:
    stem = header.with_suffix("")
    names = dict.fromkeys(
        str(stem) + s for suffix in DATA_SUFFIXES for s in (suffix, suffix.upper())
    )
    found = [p for p in map(Path, names) if p.is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(p.name for p in found)
        raise CubeError(
            f"{header.name} may belong to {listed}; give the file of pixels instead of the header"
        )
    raise CubeError(
        f"there are no pixels beside {header.name}: looked for {stem.name} with the endings "
        f"{' '.join(s for s in DATA_SUFFIXES if s)} or none; put the two files together"
    )


def check_length(pixels: Path, header: Header) -> None:
    """Refuse a file of pixels that is shorter than its header says.

    Raises:
        CubeError: If it is.
    """
    if header.one("file compression", 0):
        return
    width = _BYTES.get(int(header.one("data type") or 0))
    if width is None:
        return  # GDAL names the type it does not know
    size = np.prod([int(header.one(k) or 0) for k in ("samples", "lines", "bands")], dtype=object)
    need = int(header.one("header offset", 0) or 0) + int(size) * width
    have = pixels.stat().st_size
    if have < need:
        raise CubeError(
            f"{pixels.name} is cut short: its header asks for {need} bytes but it has {have}; "
            "fetch it again, or mend the header"
        )


def with_header(raw: RawCube, header: Header) -> RawCube:
    """Return a cube with what its header says.

    Raises:
        CubeError: If a list of the header does not fit.
    """
    count = int(header.one("bands") or 0)
    unit = waves.unit_of(header.entries.get("wavelength units"), header.path.name)
    centres = header.numbers("wavelength", count)
    notes = raw.notes
    bands = raw.bands
    if centres:
        if unit is None:
            unit = waves.guess(np.asarray(centres))
            notes = (
                *notes,
                f"the header states no unit of wavelengths; by their size it is {unit}",
            )
        nm = waves.to_nanometres(centres, unit)
        widths = header.numbers("fwhm", count) or [np.nan] * count
        wide = waves.widths_to_nanometres(widths, nm, unit)
        bands = tuple(
            replace(b, wavelength=_known(nm[b.number - 1]), fwhm=_known(wide[b.number - 1]))
            for b in bands
        )
    names = header.words("band names")
    if len(names) != count:
        names = [f"band {n}" for n in range(1, count + 1)]
    # What programs write where a band has no name: "Band 1" is "band 1" elsewhere.
    names = [w.lower() if w.lower() == f"band {n}" else w for n, w in enumerate(names, 1)]
    bands = tuple(replace(b, name=names[b.number - 1]) for b in bands)
    good = header.numbers("bbl", count)
    factor = header.one("reflectance scale factor")
    scale = raw.scale
    if factor:
        scale = tuple(s / factor for s in scale)
    return replace(
        raw,
        bands=bands,
        good=tuple(good[b.number - 1] != 0 for b in bands) if good else raw.good,
        scale=scale,
        notes=notes,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
