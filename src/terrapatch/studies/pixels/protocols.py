"""Which protocols judge a recipe, and how they are set up for one set of labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._pixel_split import refuse_one_class
from terrapatch.learn.pixels.evaluating import Protocol, ProtocolPlan
from terrapatch.learn.pixels.labels import VECTORS, PixelLabels
from terrapatch.learn.pixels.leakage import MODES
from terrapatch.learn.pixels.splits import (
    PixelSplit,
    block_folds,
    block_split,
    field_folds,
    field_split,
    fixed_split,
    random_split,
    region_splits,
)
from terrapatch.studies.pixels.asked import PixelTask

PROTOCOLS = ("random", "fixed", "blocks", "fields", "regions")
FOUR = ("random", "fixed", "blocks", "fields")
# The strip around tested blocks where features see the whole scene, so that no strip is enough.
USUAL_BUFFER = 5
# Scikit-learn's random numbers start from 32 bits.
_LARGEST_SEED = 2**32 - 1

Splits = PixelSplit | Sequence[PixelSplit]


@dataclass(frozen=True)
class Judging:
    """How a recipe is judged.

    Attributes:
        protocols: Names among ``PROTOCOLS``; ``fixed`` and ``regions`` need what they are made of.
        seeds: How many seeds, from ``seed`` on.
        seed: The first seed.
        share: Share of the pixels that trains in the random protocol.
        side: Side of the blocks, pixels.
        buffer: Pixels around tested blocks that train nothing; by default half the window of
            the recipe, so that no tested pixel lies inside a training window.
        field_buffer: The same around tested fields and regions.
        n_train: Training pixels of blocks and fields, drawn in proportion; as many as the
            random protocol has (if there are so many) if ``None``, all for 0. Not with folds,
            which train on all that is not tested.
        folds: Blocks and fields are dealt to so many folds, so that each is tested once;
            without it half of them trains and the other is tested.
        train: Training pixels of the fixed protocol, as labels or a mask.
        test: Its tested pixels; all other labelled pixels if ``None``.
        regions: Region of each pixel, as labels; the quadrants of the scene if ``None``.
        connectivity: 8 or 4: whether pixels that touch at a corner are of one field.
        guard: ``flag`` figures of splits that leak through the window, or ``refuse`` them.
    """

    protocols: tuple[str, ...] = FOUR
    seeds: int = 5
    seed: int = 0
    share: float = 0.1
    side: int = 20
    buffer: int | None = None
    field_buffer: int = 0
    n_train: int | None = None
    folds: int | None = None
    train: Any = None
    test: Any = None
    regions: Any = None
    connectivity: int = 8
    guard: str = "flag"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            SamplesError: If so.
        """
        object.__setattr__(self, "protocols", tuple(self.protocols))
        unknown = [name for name in self.protocols if name not in PROTOCOLS]
        if unknown or not self.protocols:
            raise SamplesError(
                f"the protocol {unknown[0] if unknown else ''!r} is not known; choose among "
                f"{', '.join(PROTOCOLS)}"
            )
        if self.seeds < 1:
            raise SamplesError(f"{self.seeds} seeds were asked for; ask for 1 or more")
        if not 0 <= self.seed <= _LARGEST_SEED - self.seeds:
            raise SamplesError(
                f"the seed is {self.seed}; give one from 0 to {_LARGEST_SEED - self.seeds}"
            )
        if self.test is not None and self.train is None:
            raise SamplesError("tested pixels were given without training pixels; give both")
        for name, value in (("buffer", self.buffer), ("field buffer", self.field_buffer)):
            if value is not None and value < 0:
                raise SamplesError(f"the {name} is {value} pixels; give 0 or more")
        self._check_unused()
        self._check_sizes()

    def _check_unused(self) -> None:
        """Refuse what no protocol would look at, rather than leave it out without a word."""
        given = {"fixed": ("training pixels of a published split", self.train),
                 "regions": ("regions", self.regions)}  # fmt: skip
        for name, (words, value) in given.items():
            if value is not None and name not in self.protocols:
                raise SamplesError(
                    f"{words} were given, but the protocol {name} is not among those asked for "
                    f"({', '.join(self.protocols)}); add it, or leave them out"
                )
        if self.folds is not None and self.n_train:
            raise SamplesError(
                f"{self.n_train:,} training pixels were asked for with {self.folds} folds, which "
                "train on all pixels that are not tested; leave out one of the two"
            )

    def _check_sizes(self) -> None:
        if not 0 < self.share < 1:
            raise SamplesError(
                f"the share {self.share:g} of training pixels must lie between 0 and 1"
            )
        if self.side < 1:
            raise SamplesError(f"the side of a block is {self.side} pixels; give 1 or more")
        if self.n_train is not None and self.n_train < 0:
            raise SamplesError(f"{self.n_train} training pixels were asked for; give 0 or more")
        if self.folds is not None and self.folds < 2:
            raise SamplesError(f"{self.folds} folds were asked for; ask for 2 or more")
        if self.guard not in MODES:
            known = " or ".join(MODES)
            raise SamplesError(f"the guard {self.guard!r} is not known; choose {known}")

    def plan(self, task: PixelTask, window: int | None) -> ProtocolPlan:
        """Split the labels.

        Args:
            task: Cube and labels.
            window: Side of the square that decides a pixel's class; ``None`` for the scene.

        Raises:
            SamplesError: If nothing but the random protocol can be had.
        """
        names = [n for n in self.protocols if n != "fixed" or self.train is not None]
        notes = []
        if "fixed" in self.protocols and self.train is None:
            notes.append("The protocol fixed is missing: no published training pixels were given.")
        made: list[Protocol] = []
        for name in names:
            try:
                protocol = self._made(name, task, self._strip(window))
                for splits in protocol.splits.values():
                    for split in (splits,) if isinstance(splits, PixelSplit) else splits:
                        refuse_one_class(split)
                made.append(protocol)
            except SamplesError as fault:
                if name in ("random", "fixed", "regions"):
                    raise
                notes.append(f"The protocol {name} is missing: {str(fault).removesuffix('.')}.")
        if not made or all(protocol.name == "random" for protocol in made):
            told = "; ".join(note.removesuffix(".") for note in notes)
            raise SamplesError(
                "a random split is never shown alone; add blocks, fields or regions to the "
                f"protocols{f' ({told})' if told else ''}"
            )
        return ProtocolPlan(tuple(made), tuple(notes))

    def _strip(self, window: int | None) -> int:
        if self.buffer is not None:
            return self.buffer
        return USUAL_BUFFER if window is None else window // 2

    def _made(self, name: str, task: PixelTask, strip: int) -> Protocol:
        labels, seeds = task.labels, range(self.seed, self.seed + self.seeds)
        if name == "fixed":
            return self._fixed(task, list(seeds))
        k, near = self.folds, self.connectivity
        makers: dict[str, Callable[[int], Splits]] = {
            "random": lambda seed: random_split(labels, self.share, seed=seed),
            "blocks": lambda seed: (
                self._drawn(task, block_split, self.side, strip, seed=seed)
                if k is None
                else block_folds(labels, k, self.side, strip, seed=seed)
            ),
            "fields": lambda seed: (
                self._drawn(task, field_split, seed=seed, buffer=self.field_buffer,
                            connectivity=near)
                if k is None
                else field_folds(labels, k, seed=seed, buffer=self.field_buffer,
                                 connectivity=near)
            ),
            "regions": lambda _: region_splits(
                labels, self._regions(task), buffer=self.field_buffer
            ),
        }  # fmt: skip
        return Protocol.of(name, labels, makers[name], seeds)

    def _drawn(
        self, task: PixelTask, make: Callable[..., PixelSplit], *where: int, **how: int
    ) -> PixelSplit:
        """Split by ground with as many training pixels as are asked for, or as there are."""
        whole = make(task.labels, *where, n_train=None, **how)
        n = round(self.share * len(task.labels)) if self.n_train is None else self.n_train
        if n == 0 or (self.n_train is None and int(whole.train.sum()) <= n):
            return whole
        return make(task.labels, *where, n_train=n, **how)

    def _fixed(self, task: PixelTask, seeds: list[int]) -> Protocol:
        """Take the labels of a published split: its own, where both parts have some."""
        train = _part(task, self.train)
        test = None if self.test is None else _part(task, self.test)
        labels = task.labels
        if isinstance(train, PixelLabels) and isinstance(test, PixelLabels):
            labels = _joined(labels, train, test)
        split = fixed_split(labels, train, test)
        return Protocol("fixed", labels, dict.fromkeys(seeds, split))

    def _regions(self, task: PixelTask) -> Any:
        if not isinstance(self.regions, str | os.PathLike):
            return self.regions
        return task.more_labels(self.regions, masks=True)


def _joined(labels: PixelLabels, *parts: PixelLabels) -> PixelLabels:
    """Return the labels of several parts as one, with the ids that the classes have here."""
    number = {name: i for i, name in enumerate(labels.classes, start=1)}
    ids = np.zeros(labels.shape, np.int32)
    for part in parts:
        strange = [name for name in part.classes if name not in number]
        if strange:
            raise SamplesError(
                f"the given pixels have the class {strange[0]!r}, which the labels have not "
                f"({', '.join(labels.classes[:5])} …); give them the same names"
            )
        table = np.array([0, *(number[name] for name in part.classes)], np.int32)
        ids = np.where(part.ids > 0, table[part.ids], ids)
    return PixelLabels(ids, labels.classes)


def _part(task: PixelTask, source: Any) -> Any:
    """Read a part of a published split; a file of a single value, such as 0 and 1, is a mask."""
    if not isinstance(source, str | os.PathLike):
        return source
    if Path(os.fspath(source)).suffix.lower() not in VECTORS and len(task.labels.classes) > 1:
        mask = task.more_labels(source, masks=True)
        if len(mask.classes) == 1:
            return mask.ids > 0
    return task.more_labels(source)
