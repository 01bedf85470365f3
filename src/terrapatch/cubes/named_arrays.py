"""A cube out of a file of named arrays: its axes, wavelengths, scale, nodata and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes import waves
from terrapatch.cubes.arrays import ROWS, Layout
from terrapatch.cubes.axes import tell_axes
from terrapatch.cubes.containers import Container, Variable, pick
from terrapatch.cubes.memory import make_bands, unplaced
from terrapatch.cubes.placing import place
from terrapatch.cubes.raw import RawCube
from terrapatch.errors import CubeError

_CENTRES: dict[str, str | None] = {
    **dict.fromkeys(("wavelength", "wavelengths", "wl", "wvl", "lambda", "band_centers")),
    **dict.fromkeys(("center_wavelength", "center_wavelengths", "central_wavelength")),
    **dict.fromkeys(("centre_wavelength", "band_centres")),
    **dict.fromkeys(("wavelength_nm", "wavelengths_nm", "wl_nm"), "nm"),
    **dict.fromkeys(("wavelength_um", "wavelengths_um", "wl_um"), "um"),
    **dict.fromkeys(("wavenumber", "wavenumbers"), "cm-1"),
}
_WIDTHS: dict[str, str | None] = {
    **dict.fromkeys(("fwhm", "fwhms", "bandwidth", "bandwidths")),
    "fwhm_nm": "nm",
    "fwhm_um": "um",
}
_GOOD = ("bbl", "good_bands", "good_wavelengths", "good_band")
_NAMES = ("band_names", "band_name")
_NODATA = ("_fillvalue", "missing_value", "nodata", "nodatavals", "no_data_value")


def raw_from_container(box: Container, wanted: str | None, axes: str | None, given: Any) -> RawCube:
    """Take a variable of a file as a cube.

    Args:
        box: The file.
        wanted: Name of the variable; ``None`` takes the only cube there is.
        axes: Order of its axes, where a person says it.
        given: Wavelengths a person gives (they help to tell the axes).

    Raises:
        CubeError: If it has to be named, its axes cannot be told, or it does not fit.
    """
    found = box.variables()
    chosen = pick(found, wanted, box.name)
    where = box.name if chosen.name in ("", box.name) else f"{box.name}:{chosen.name}"
    _refuse_unsigned(chosen, where)
    beside = Beside(box, found, chosen, where, given is not None)
    counts = [len(waves.read(given))] if given is not None else beside.counts()
    letters = tell_axes(chosen, axes, counts, beside.flat(), where)
    rows, cols = (chosen.shape[letters.index(a)] for a in "yx")
    count = chosen.shape[letters.index("b")] if "b" in letters else 1
    geobox, flip_y, flip_x, notes = place(box, found, chosen, letters, where)
    layout = Layout(letters, chosen.shape, flip_y, flip_x)
    centres, widths, said = beside.spectral(count)
    store = box.store(chosen, layout)
    return RawCube(
        name=where,
        source=box.source,
        store=store,
        kind=box.kind,
        geobox=geobox or unplaced(rows, cols),
        dtype=np.dtype(chosen.dtype).name,
        bands=make_bands(count, where, beside.names(count), centres, widths),
        good=beside.good(count),
        nodata=beside.nodata(count),
        scale=beside.numbers("scale_factor", count, 1.0),
        offset=beside.numbers("add_offset", count, 0.0),
        block_shape=_block(chosen, letters, (rows, cols)),
        variable=chosen.name or None,
        axes=letters,
        datetime=_time(box, chosen),
        notes=(*notes, *said),
    )


def _refuse_unsigned(chosen: Variable, where: str) -> None:
    """Refuse the old way of NetCDF to keep unsigned numbers in a signed type."""
    stated = _text(chosen.attrs.get("_Unsigned")).lower()
    if stated == "true" and chosen.dtype is not None and chosen.dtype.kind == "i":
        raise CubeError(
            f"{where} keeps unsigned numbers in a signed type (_Unsigned), which is not read; "
            "convert it to a type of its own, for example with ncap2 or gdal_translate"
        )


def _block(chosen: Variable, letters: str, shape: tuple[int, int]) -> tuple[int, int]:
    if chosen.chunks is None:
        return min(ROWS, shape[0]), shape[1]
    rows, cols = (chosen.chunks[letters.index(a)] for a in "yx")
    return rows, cols


def _time(box: Container, chosen: Variable) -> str | None:
    from terrapatch.cubes.gdal import when

    stated = {k.lower(): v for k, v in {**box.attrs(), **chosen.attrs}.items()}
    return when(stated)


class Beside:
    """What lies beside a cube in its file, found by the usual names."""

    def __init__(
        self,
        box: Container,
        found: Sequence[Variable],
        chosen: Variable,
        where: str,
        given: bool,
    ) -> None:
        """Remember where to look.

        Args:
            box: The file.
            found: Its variables.
            chosen: The cube.
            where: The cube's name, for messages.
            given: Whether a person gives the wavelengths.
        """
        self._given = given
        self._box, self._found, self._chosen, self._where = box, found, chosen, where
        self._stated = {k.lower(): v for k, v in chosen.attrs.items()}

    def _lists(self, names: Sequence[str]) -> list[Variable]:
        """Return lists of these names whose length is that of an axis, the nearest first."""
        group = self._chosen.name.rpartition("/")[0]
        hits = [
            v
            for v in self._found
            if v.leaf in names and sum(n > 1 for n in v.shape) <= 1 and v is not self._chosen
            if int(np.prod(v.shape)) in self._chosen.shape
        ]
        return sorted(hits, key=lambda v: (v.name.rpartition("/")[0] != group, v.name))

    def counts(self) -> list[int]:
        """Return how many wavelengths there are; nothing where none are stated."""
        lists = self._lists(tuple(_CENTRES)) or self._lists((*_WIDTHS, *_GOOD))
        return [int(np.prod(v.shape)) for v in lists[:1]]

    def flat(self) -> list[tuple[int, ...]]:
        """Return the shapes of the two-dimensional arrays, such as labels."""
        return [v.shape for v in self._found if v.numeric and len(v.shape) == 2]

    def _of_length(self, names: Sequence[str], count: int) -> Variable | None:
        return next((v for v in self._lists(names) if int(np.prod(v.shape)) == count), None)

    def spectral(
        self, count: int
    ) -> tuple[waves.Waves | None, waves.Waves | None, tuple[str, ...]]:
        """Return centres and widths in nm, and what was assumed."""
        listed = self._of_length(tuple(_CENTRES), count)
        if listed is None or not listed.numeric:
            self._refuse_odd_list(count)
            return self._named_waves(count), None, ()
        values = self._values(listed)
        notes: tuple[str, ...] = ()
        unit = waves.unit_of(self._unit(listed), self._where) or _CENTRES[listed.leaf]
        if unit is None:
            unit = waves.guess(values)
            notes = (f"the unit of {listed.name} is not stated; by its size it is {unit}",)
        centres = waves.to_nanometres(values, unit)
        wide = self._of_length(tuple(_WIDTHS), count)
        if wide is None or not wide.numeric:
            return centres, None, notes
        own = waves.unit_of(self._unit(wide), self._where) or _WIDTHS[wide.leaf] or unit
        return centres, waves.widths_to_nanometres(self._values(wide), centres, own), notes

    def _named_waves(self, count: int) -> waves.Waves | None:
        """Return the wavelengths that stand in the names of the bands."""
        found = [waves.in_text(name) for name in self.names(count) or ()]
        if all(centre is None for centre in found):
            return None
        return np.array([np.nan if centre is None else centre for centre in found])

    def _refuse_odd_list(self, count: int) -> None:
        """Refuse the only list of wavelengths there is where it fits no axis."""
        lists = [v for v in self._found if v.leaf in _CENTRES and v.numeric and v.shape]
        sizes = [int(np.prod(v.shape)) for v in lists]
        if self._given or len(lists) != 1 or sizes[0] in (1, *self._chosen.shape):
            return
        raise CubeError(
            f"{lists[0].name} beside {self._where} lists {sizes[0]} wavelengths for {count} bands; "
            "mend the list, or give wavelengths= (--wavelengths)"
        )

    def _unit(self, variable: Variable) -> object:
        return _text(variable.attrs.get("units", variable.attrs.get("unit")))

    def _values(self, variable: Variable) -> npt.NDArray[np.float64]:
        return np.asarray(self._box.small(variable.name), np.float64).ravel()

    def good(self, count: int) -> tuple[bool, ...]:
        """Return which bands the file's list lets pass."""
        listed = self._of_length(_GOOD, count)
        if listed is None:
            return (True,) * count
        return tuple(bool(v) for v in np.asarray(self._box.small(listed.name)).ravel())

    def names(self, count: int) -> list[str] | None:
        """Return the names of the bands: a list of texts, or texts along the band axis."""
        dims = [d.rpartition("/")[2].lower() for d in self._chosen.dims]
        listed = self._of_length((*_NAMES, *(d for d in dims if d in ("band", "bands"))), count)
        if listed is None or listed.numeric:
            return self._long_names(count)
        return [_text(v) for v in np.asarray(self._box.small(listed.name)).ravel()]

    def _long_names(self, count: int) -> list[str] | None:
        """Return the names that rioxarray keeps in an attribute."""
        written = self._chosen.attrs.get("long_name")
        several = isinstance(written, tuple | list | np.ndarray) and len(written) == count
        return [_text(v) for v in written] if several and written is not None else None

    def nodata(self, count: int) -> tuple[float | None, ...]:
        """Return the nodata value of every band."""
        for key in _NODATA:
            if key in self._stated:
                values = np.asarray(self._stated[key], np.float64).ravel()
                if len(values) in (1, count):
                    return tuple(float(v) for v in np.broadcast_to(values, count))
        return (None,) * count

    def numbers(self, key: str, count: int, usual: float) -> tuple[float, ...]:
        """Return a number for every band out of an attribute that has one, or one a band.

        Raises:
            CubeError: If the attribute has another length.
        """
        if key not in self._stated:
            return (usual,) * count
        values = np.asarray(self._stated[key], np.float64).ravel()
        if len(values) not in (1, count):
            raise CubeError(
                f"{self._where} states {len(values)} values of {key} for {count} bands; "
                "give scale= yourself"
            )
        return tuple(float(v) for v in np.broadcast_to(values, count))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
