"""Checks of what is compared: class names, true and predicted ids, weights, groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def checked_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the class names; each may be there once."""
    names = tuple(str(name) for name in classes)
    if not names or len(set(names)) < len(names):
        raise SamplesError(
            f"{len(names)} class names were given, {len(set(names))} of them different; give one "
            "name for each class, each name once"
        )
    return names


def checked_ids(truth: ArrayLike, predicted: ArrayLike, k: int) -> tuple[Counts, Counts]:
    """Return truth and prediction as flat int64 ids from 0 to ``k``."""
    arrays = {"truth": np.asarray(truth), "prediction": np.asarray(predicted)}
    shapes = [array.shape for array in arrays.values()]
    if shapes[0] != shapes[1]:
        raise SamplesError(
            f"truth and prediction have the shapes {shapes[0]} and {shapes[1]}; "
            "give one prediction for each true class"
        )
    for what, array in arrays.items():
        if array.size and array.dtype.kind not in "iub":
            raise SamplesError(f"the {what} holds {array.dtype} values; give integer class ids")
        if array.size and not (array.min() >= 0 and array.max() <= k):
            wrong = array.min() if array.min() < 0 else array.max()
            raise SamplesError(
                f"the {what} holds the id {wrong}, and there are classes 1 to {k} (0 is none); "
                "name all classes, or set other values to 0"
            )
    true, called = (array.astype(np.int64).ravel() for array in arrays.values())
    return true, called


def checked_weights(weights: ArrayLike | None, shape: tuple[int, ...]) -> Floats | None:
    """Return flat weights, finite and not negative, or ``None`` if there are none."""
    if weights is None:
        return None
    mass = np.asarray(weights, np.float64)
    if mass.shape != shape:
        raise SamplesError(
            f"{mass.shape} weights were given for {shape} samples; give one for each sample"
        )
    if not (np.isfinite(mass).all() and (mass >= 0).all()):
        raise SamplesError("a weight is negative or not a number; give areas or 1 / chances")
    return mass.ravel()


def checked_groups(groups: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return one flat label a sample."""
    labels = np.asarray(groups)
    if labels.shape != shape:
        raise SamplesError(
            f"groups have the shape {labels.shape} and samples {shape}; give each sample a group"
        )
    return labels.ravel()
