"""Telling bands from rows and columns, or asking."""

from __future__ import annotations

from collections.abc import Sequence

from terrapatch.cubes.containers import Variable
from terrapatch.errors import CubeError

DOWN = {
    *("y", "lat", "latitude", "northing", "row", "rows", "line", "lines", "downtrack"),
    *("along_track", "nrows", "height"),
}
ACROSS = {
    *("x", "lon", "longitude", "easting", "col", "cols", "column", "columns", "sample"),
    *("samples", "crosstrack", "across_track", "ncols", "width"),
}
SPECTRAL = {
    *("band", "bands", "b", "wavelength", "wavelengths", "wl", "wvl", "lambda", "channel"),
    *("channels", "wavenumber", "wavenumbers", "spectral", "nbands"),
}
_USUAL = ("yxb", "byx")


def tell_axes(
    variable: Variable,
    given: str | None,
    counts: Sequence[int],
    flat: Sequence[tuple[int, ...]],
    where: str,
) -> str:
    """Tell which axis of an array is which.

    Args:
        variable: The array.
        given: What a person says, such as ``yxb``.
        counts: How many wavelengths there are, where it is known.
        flat: Shapes of the two-dimensional arrays beside it, such as labels.
        where: Its name, for messages.

    Returns:
        A letter for each axis: ``y``, ``x``, ``b``; ``0`` for an axis of one that is none
        of them.

    Raises:
        CubeError: If it cannot be told, or what is said does not fit.
    """
    shape = variable.shape
    if given is not None:
        return _check(_given(given, shape, where), shape, counts, where)
    named = _named(variable.dims)
    if named is not None and len(named) == len(shape):
        named = _squeezed(named, shape)
    if named is not None:
        return _check(named, shape, counts, where)
    ones = [i for i, n in enumerate(shape) if n == 1] if len(shape) != 3 else []
    short = [n for i, n in enumerate(shape) if i not in ones]
    letters = iter("yx" if len(short) == 2 else _guessed(short, counts, flat, where))
    return "".join("0" if i in ones else next(letters) for i in range(len(shape)))


def _given(text: str, shape: tuple[int, ...], where: str) -> str:
    axes = text.strip().lower()
    fits = len(axes) == len(shape) and {"y", "x"} <= set(axes) <= {"y", "x", "b", "0"}
    fits = fits and all(axes.count(a) == 1 for a in set(axes) - {"0"})
    fits = fits and all(n == 1 for a, n in zip(axes, shape, strict=True) if a == "0")
    if not fits:
        raise CubeError(
            f"axes {text!r} do not fit {where} of shape {shape}; write one letter for each axis "
            "in its order, y for rows, x for columns and b for bands, such as yxb"
        )
    return axes


def _named(dims: tuple[str, ...]) -> str | None:
    """Read the names of the axes; one strange name beside rows and columns means bands."""
    letters = []
    for dim in (d.rpartition("/")[2].lower() for d in dims):
        hits = [a for a, names in (("y", DOWN), ("x", ACROSS), ("b", SPECTRAL)) if dim in names]
        letters.append(hits[0] if hits else "?")
    if any(letters.count(a) > 1 for a in "yxb") or len(letters) < 2:
        return None
    return "".join(letters)


def _squeezed(letters: str, shape: tuple[int, ...]) -> str | None:
    """Settle the axes with strange names: those of one are none, a last one is what lacks."""
    lacking = [a for a in "yxb" if a not in letters]
    strange = [i for i, a in enumerate(letters) if a == "?"]
    left = [i for i in strange if shape[i] > 1]
    if len(left) > 1 or (left and not lacking):
        return None
    answer = list(letters)
    for i in strange:
        answer[i] = "0"
    if left:
        if len(lacking) != 1:
            return None
        answer[left[0]] = lacking[0]
    return "".join(answer) if {"y", "x"} <= set(answer) else None


def _check(axes: str, shape: tuple[int, ...], counts: Sequence[int], where: str) -> str:
    bands = shape[axes.index("b")] if "b" in axes else 1
    for count in counts:
        others = [n for a, n in zip(axes, shape, strict=True) if a in "yx"]
        if count != bands and count in others:
            raise CubeError(
                f"the axes of {where} look swapped: as {axes} its shape {shape} has {bands} "
                f"bands, but there are {count} wavelengths, as many as another axis is long; say "
                "which axis is which with axes= (--axes)"
            )
    return axes


def _guessed(
    shape: Sequence[int], counts: Sequence[int], flat: Sequence[tuple[int, ...]], where: str
) -> str:
    """Tell by the number of wavelengths and by the shape of labels, never by habit."""
    fits = [a for a in _USUAL if not counts or shape[a.index("b")] in counts]
    if not fits:
        middle = shape[1] in counts
        hint = "; is it axes='ybx' (--axes ybx)?" if middle else ""
        raise CubeError(
            f"the {counts[0]} wavelengths fit neither the first nor the last axis of {where}, "
            f"shape {tuple(shape)}{hint or '; check both'}"
        )
    placed = [a for a in _USUAL if tuple(shape[a.index(k)] for k in "yx") in flat]
    both = [a for a in fits if a in placed]
    if placed and not both:
        raise CubeError(
            f"the axes of {where}, shape {tuple(shape)}, look swapped: the {counts[0]} wavelengths "
            f"fit {fits[0]}, but the labels beside it fit {placed[0]}; say which it is with axes= "
            "(--axes)"
        )
    if len(both or fits) == 1:
        return (both or fits)[0]
    raise CubeError(
        f"the shape {tuple(shape)} of {where} does not tell bands from rows and columns; say it "
        "with axes='yxb' (--axes yxb) where bands come last, or axes='byx' where they come first"
    )
