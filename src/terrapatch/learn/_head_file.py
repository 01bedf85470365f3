"""A fitted scikit-learn classifier as bytes that hold no code (skops), the same every time.

skops names its parts by where they lay in memory and stamps them with the time, and the nodes
of a tree have gaps that hold whatever lay in memory; all are replaced here, so that the same
classifier gives the same bytes.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
import zipfile
from typing import Any

import numpy as np

from terrapatch.errors import RecipeError, SamplesError

# Types that skops does not know of itself and that hold numbers alone.
HARMLESS = frozenset(
    {
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "terrapatch.learn.cnn_head.CnnHead",
        "terrapatch.learn.discriminant.ShrunkDiscriminant",
    }
)
_SCHEMA = "schema.json"
_TORCH_ADAPTER = "sklearn.externals.array_api_compat.torch"
_NAMED = re.compile(r'"__id__": (\d+)|"(\d+)\.np')
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dumped(classifier: Any) -> bytes:
    """Return a fitted classifier as bytes.

    Raises:
        SamplesError: If it could only be kept together with code.
    """
    data = _plain(_skops().dumps(classifier))
    strange = _strange(data)
    if strange:
        raise SamplesError(
            f"the classifier {type(classifier).__name__} cannot be saved without code "
            f"({', '.join(strange)}); use a classifier of scikit-learn"
        )
    return data


def restored(data: bytes, name: str) -> Any:
    """Return the classifier in bytes that ``dumped`` made; nothing in them is run.

    Args:
        data: The bytes.
        name: What to call them in an error.

    Raises:
        RecipeError: If they are damaged, or hold anything but a scikit-learn classifier.
    """
    try:
        strange = _strange(data)
        if strange:
            raise RecipeError(
                f"{name} holds what is no part of scikit-learn ({', '.join(strange)}) and could "
                "run code, so it is not opened; train the model again"
            )
        return _skops().loads(data, trusted=sorted(HARMLESS))
    except RecipeError:
        raise
    except Exception as fault:  # skops raises whatever a damaged file makes it meet
        why = str(fault).strip().splitlines()[0][:160] if str(fault).strip() else repr(fault)
        raise RecipeError(f"{name} is damaged ({why}); train the model again") from fault


def _strange(data: bytes) -> list[str]:
    return sorted(set(_skops().get_untrusted_types(data=data)) - HARMLESS)


def _skops() -> Any:
    """Import skops, but not torch with it.

    skops imports every module of scikit-learn to list its classifiers, and one of them, an
    adapter to torch that holds none, would load half a gigabyte.
    """
    if "skops.io" in sys.modules:
        return sys.modules["skops.io"]
    absent = _TORCH_ADAPTER not in sys.modules
    if absent:
        sys.modules[_TORCH_ADAPTER] = None  # type: ignore[assignment] # cannot be imported
    try:
        return importlib.import_module("skops.io")
    finally:
        if absent:
            del sys.modules[_TORCH_ADAPTER]


def _plain(data: bytes) -> bytes:
    """Number the parts in the order of the schema, and take the time out."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    schema = parts.pop(_SCHEMA).decode()
    numbers: dict[str, int] = {}
    for match in _NAMED.finditer(schema):
        numbers.setdefault(match[1] or match[2], len(numbers) + 1)
    plain = _NAMED.sub(lambda m: m[0].replace(m[1] or m[2], str(numbers[m[1] or m[2]])), schema)
    renamed = {_renumbered(name, numbers): _without_gaps(part) for name, part in parts.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(renamed):
            new.writestr(_entry(name), renamed[name])
        new.writestr(_entry(_SCHEMA), plain)
    return out.getvalue()


def _without_gaps(part: bytes) -> bytes:
    """Return an array file of records with zeros in the gaps between their fields."""
    if not part.startswith(np.lib.format.MAGIC_PREFIX):
        return part
    array = np.load(io.BytesIO(part), allow_pickle=False)
    if array.dtype.names is None:
        return part
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()


def _renumbered(name: str, numbers: dict[str, int]) -> str:
    stem, dot, ending = name.partition(".")
    return f"{numbers[stem]}{dot}{ending}" if stem in numbers else name


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
