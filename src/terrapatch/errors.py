"""The error tree: what a user can get wrong, and the one sentence that says so.

Every message names what is wrong, where, and how to fix it. The command line
prints the message and nothing else, and leaves with the error's ``exit_code``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TerrapatchError(Exception):
    """Root of every error the package raises on purpose."""

    exit_code = 2


class SceneError(TerrapatchError, ValueError):
    """A raster that cannot be read, or that must be prepared before it is read."""


class SceneNotFoundError(SceneError, FileNotFoundError):
    """There is no file at the scene's path."""

    def __str__(self) -> str:
        """Return the message alone (``FileNotFoundError`` would show a tuple)."""
        return str(self.args[0])


class BandError(SceneError):
    """A band that the scene does not have, or a number of bands that does not fit."""


class UnitsError(SceneError):
    """Values whose meaning has to be declared before they are scaled."""


class CubeError(SceneError):
    """A cube of many bands that cannot be read, or that does not say what is needed of it."""


class CorruptBlockError(SceneError, OSError):
    """A block of a file that cannot be decoded."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would show a tuple)."""
        return str(self.args[0])


class GridError(TerrapatchError, ValueError):
    """A patch size, stride or edge rule that cannot be laid over the scene."""


class WeightsError(TerrapatchError, OSError):
    """Weights that are missing, damaged, or of another network."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would show a tuple)."""
        return str(self.args[0])


class BackboneError(TerrapatchError, ValueError):
    """A backbone, layer, pooling or precision that does not exist or does not fit."""


class RecipeError(TerrapatchError, ValueError):
    """Features, a store or a model made by another recipe or version."""


class FeatureError(TerrapatchError, ValueError):
    """A pixel feature that does not exist, is not understood, or that a cube cannot give."""


class StoreError(TerrapatchError, ValueError):
    """A feature store that is missing, unfinished or not ours."""


class LegendError(TerrapatchError, ValueError):
    """Class ids, names or colours that do not make a legend."""


class MapError(TerrapatchError, ValueError):
    """An array and a grid that do not make a map."""


class ClusterError(TerrapatchError, ValueError):
    """Features that cannot be clustered as asked."""


class SamplesError(TerrapatchError, ValueError):
    """Labelled samples that cannot be read, or from which nothing can be learned."""


class OutsideError(SamplesError):
    """Labels that give no cell of a scene a class: they lie beside it, or on another grid."""


class CatalogError(TerrapatchError, ValueError):
    """A data set that the catalogue does not know, or whose files are not what it says."""


class OutputError(TerrapatchError, OSError):
    """An output that exists already or cannot be written."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would show a tuple)."""
        return str(self.args[0])


class MissingExtraError(TerrapatchError, ImportError):
    """A part of the package whose optional dependency is not installed."""


_WRITE_FAULTS = {
    errno.ENOSPC: "the disk is full; free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or write elsewhere",
    errno.EFBIG: "the file would be larger than this system allows; write elsewhere",
    errno.EACCES: "the folder is not writable for you; choose another output path",
    errno.EPERM: "the folder is not writable for you; choose another output path",
    errno.EROFS: "the disk is mounted read-only; choose another output path",
    errno.ENOTDIR: "a part of that path is a file; choose another output path",
}


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn the operating system's write faults into one sentence about ``path``.

    Args:
        path: The output a person asked for (not the temporary file behind it).

    Raises:
        OutputError: If the disk is full, or the place is not writable.
    """
    try:
        yield
    except TerrapatchError:
        raise
    except OSError as fault:
        reason = _WRITE_FAULTS.get(fault.errno or 0)
        if reason is None:
            raise
        raise OutputError(f"cannot write {path}: {reason}") from fault
