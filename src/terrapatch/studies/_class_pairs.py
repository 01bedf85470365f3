"""Which class of a model is which class of other samples: by name, a CSV or a mapping."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._image_list import first_few
from terrapatch.studies._csv import read_rows

COLUMNS = ("model", "here")

Pairs = Mapping[str, str] | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """Classes of a model and their counterparts among the classes of samples.

    Attributes:
        classes: Classes of the samples that have a counterpart, in the samples' order.
        counterpart: Place in ``classes``, from 1, of each class of the model ``(K,)``;
            0 where it has none.
        unmapped_model: Classes of the model without a counterpart.
        unmapped_here: Classes of the samples without a counterpart.
    """

    classes: tuple[str, ...]
    counterpart: NDArray[np.int32]
    unmapped_model: tuple[str, ...]
    unmapped_here: tuple[str, ...]


def pair_classes(
    model: Sequence[str], here: Sequence[str], given: Pairs | None = None
) -> ClassPairs:
    """Pair the classes of a model with those of samples.

    Args:
        model: Classes of the model, id 1 first.
        here: Classes of the samples.
        given: A mapping from classes of the model to classes of the samples, or a CSV with the
            columns ``model`` and ``here``; several classes of the model may have one
            counterpart. Without it, classes of the same name are the same.

    Raises:
        SamplesError: If a name is not known, a class of the model stands twice, or fewer than
            two classes of the samples have a counterpart.
    """
    found: dict[str, str] = {}
    source = _where(given)
    lines = ((n, n) for n in model if n in here) if given is None else _checked(given, model, here)
    found.update(lines)
    classes = tuple(name for name in here if name in found.values())
    if len(classes) < 2:
        _refuse_few(classes, source, model, here)
    of = [classes.index(found[name]) + 1 if name in found else 0 for name in model]
    return ClassPairs(
        classes,
        np.array(of, np.int32),
        tuple(name for name in model if name not in found),
        tuple(name for name in here if name not in classes),
    )


def _where(given: Pairs | None) -> str:
    return Path(given).name if isinstance(given, str | os.PathLike) else "the class map"


def _checked(given: Pairs, model: Sequence[str], here: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Go over the pairs, and refuse a name that is not known or stands twice."""
    first: dict[str, str] = {}
    for place, mine, theirs in _given(given):
        if mine not in model:
            raise SamplesError(
                f"{place}: the model has no class {mine!r}; it has {first_few(model)}"
            )
        if theirs not in here:
            raise SamplesError(
                f"{place}: the samples have no class {theirs!r}; they have {first_few(here)}"
            )
        if mine in first:
            raise SamplesError(
                f"{place}: the model's class {mine!r} is mapped already by {first[mine]}; a class "
                "of the model has one counterpart here, so keep one of the two lines"
            )
        first[mine] = place.rpartition(", ")[2]
        yield mine, theirs


def _given(given: Pairs) -> Iterator[tuple[str, str, str]]:
    """Go over the pairs as they are given: where each stands, and its two names."""
    if isinstance(given, Mapping):
        for mine, theirs in given.items():
            yield "the class map", str(mine), str(theirs)
        return
    for place, (mine, theirs) in read_rows(Path(given), COLUMNS, "the class map"):
        yield place, mine, theirs


def _refuse_few(
    classes: Sequence[str], source: str, model: Sequence[str], here: Sequence[str]
) -> None:
    names = f"the model has {first_few(model)}, the samples {first_few(here)}"
    if classes:
        raise SamplesError(
            f"{source} leads to one class of the samples only, {classes[0]!r}, which needs no "
            f"telling apart; map classes to two or more ({names})"
        )
    if source == "the class map":
        raise SamplesError(
            f"no class of the model has a counterpart in the samples ({names}); give a class map "
            "with the columns model and here (--class-map)"
        )
    raise SamplesError(f"{source} maps no class; add a line for each pair ({names})")
