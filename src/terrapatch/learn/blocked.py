"""Folds that lie apart on the ground.

Neighbouring samples are alike, and patches or filters even share pixels; a random
split therefore tests on what was trained on (Roberts et al., Ecography 40, 2017;
Ploton et al., Nature Communications 11, 2020). Here the ground is cut into square
blocks, whole blocks are tested, and training samples near to a tested one are left out.

Distances are Chebyshev's, the larger of the two differences of coordinates: two
square patches of side ``s`` share pixels exactly when their centres are nearer than
``s`` in this measure. So a buffer of one patch side keeps patches apart, and a buffer
of the receptive field keeps hypercolumns apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator

from terrapatch.errors import SamplesError

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FoldSummary:
    """What one fold trains and tests.

    Attributes:
        fold: Number of the fold, from 0.
        train: Samples trained on.
        test: Samples tested.
        dropped: Samples left out because a tested one is near.
        untested: Classes without a tested sample.
        untrained: Classes that are tested without a training sample.
    """

    fold: int
    train: int
    test: int
    dropped: int
    untested: tuple[Any, ...] = ()
    untrained: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Return the summary as a sentence."""
        text = (
            f"fold {self.fold + 1}: trains on {self.train:,}, tests {self.test:,}, "
            f"leaves out {self.dropped:,} near the tested ones"
        )
        if self.untested:
            text += f"; does not test {', '.join(map(str, self.untested))}"
        if self.untrained:
            text += f"; tests {', '.join(map(str, self.untrained))} without a training sample"
        return text


class BlockedFolds(BaseCrossValidator):  # type: ignore[misc]
    """Cross-validation over square blocks of ground with a buffer.

    A scikit-learn splitter: pass it as ``cv``, and the positions as ``groups`` of
    ``cross_val_score`` or ``fit`` unless they were given here. Blocks are squares of a
    grid through the origin of the coordinates, so a new sample moves no block. They are
    dealt to the folds at random, large ones first and each to the fold that has the fewest
    samples yet, so that folds test about equally many.

    Args:
        n_splits: Number of folds, at least 2.
        block: Side of a block in map units (metres in a projected system).
        buffer: Training samples nearer than this to a tested one are left out, in map
            units, Chebyshev; 0 for none.
        seed: Seed of the dealing.
        positions: Positions ``(n, 2)`` of all samples in one coordinate system.
    """

    # With scikit-learn's metadata routing switched on, groups are asked for.
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(
        self,
        n_splits: int = 5,
        *,
        block: float,
        buffer: float = 0.0,
        seed: int = 0,
        positions: ArrayLike | None = None,
    ) -> None:
        if n_splits < 2:
            raise SamplesError(f"{n_splits} folds were asked; ask for at least 2")
        if not (np.isfinite(block) and block > 0):
            raise SamplesError(f"the side of a block is {block}; give map units above 0")
        if not (np.isfinite(buffer) and buffer >= 0):
            raise SamplesError(f"the buffer is {buffer}; give map units, 0 for none")
        self.n_splits = n_splits
        self.block = block
        self.buffer = buffer
        self.seed = seed
        self.positions = positions

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002, N803
        """Return the number of folds."""
        return self.n_splits

    def split(
        self,
        X: Any = None,  # noqa: N803
        y: Any = None,
        groups: ArrayLike | None = None,
    ) -> Iterator[tuple[Index, Index]]:
        """Go over the folds.

        Args:
            X: Looked at for its length only.
            y: Looked at for its length only.
            groups: Positions ``(n, 2)``; those of the constructor if left out.

        Yields:
            Row numbers of the training and of the tested samples, rising.

        Raises:
            SamplesError: If there are no positions, they lie in fewer blocks than there are
                folds, or the buffer leaves a fold nothing to train on.
        """
        places = self._positions(groups)
        for other in (X, y):
            n = len(places) if other is None else _length(other)
            if n != len(places):
                raise SamplesError(
                    f"there are {len(places)} positions and {n} samples; give one position each"
                )
        folds = self.fold_of(places)
        for fold in range(self.n_splits):
            test = folds == fold
            train = ~test & ~self._near(places, test)
            if not train.any():
                raise SamplesError(
                    f"a buffer of {self.buffer:g} leaves fold {fold + 1} no training sample; "
                    "take a smaller buffer, larger blocks or more folds"
                )
            yield np.flatnonzero(train), np.flatnonzero(test)

    def fold_of(self, positions: ArrayLike | None = None) -> Index:
        """Return the fold ``(n,)`` that tests each sample, from 0."""
        places = self._positions(positions)
        member = _squares(places, self.block)
        counts = np.bincount(member)
        if len(counts) < self.n_splits:
            raise SamplesError(
                f"the samples lie in {len(counts)} blocks of {self.block:g} map units, too few "
                f"for {self.n_splits} folds; take smaller blocks or fewer folds"
            )
        return _deal(counts, self.n_splits, self.seed)[member]

    def describe(
        self,
        y: ArrayLike | None = None,
        positions: ArrayLike | None = None,
        classes: Sequence[str] | None = None,
    ) -> list[FoldSummary]:
        """Say what each fold trains, tests and leaves out.

        Args:
            y: Class of each sample ``(n,)``; without it, classes are not looked at.
            positions: Positions ``(n, 2)``; those of the constructor if left out.
            classes: Names of the classes 1 to K, if ``y`` holds such ids and names are
                wanted in place of them.
        """
        places = self._positions(positions)
        labels = None if y is None else np.asarray(y)
        present = [] if labels is None else np.unique(labels).tolist()
        names = {c: c if classes is None else classes[int(c) - 1] for c in present}
        out = []
        for fold, (train, test) in enumerate(self.split(places, labels, places)):
            sizes = (len(train), len(test), len(places) - len(train) - len(test))
            if labels is None:
                out.append(FoldSummary(fold, *sizes))
                continue
            tested, trained = set(labels[test].tolist()), set(labels[train].tolist())
            untested = tuple(names[c] for c in present if c not in tested)
            untrained = tuple(names[c] for c in present if c in tested - trained)
            out.append(FoldSummary(fold, *sizes, untested, untrained))
        return out

    def _positions(self, given: ArrayLike | None) -> Floats:
        places = self.positions if given is None else given
        if places is None:
            raise SamplesError(
                "blocked folds need the position of each sample; give them as groups, (n, 2) in "
                "map units (images without a georeference cannot be blocked)"
            )
        return _checked_positions(places)

    def _near(self, places: Floats, test: Mask) -> Mask:
        """Return which samples are nearer than the buffer to a tested one."""
        if self.buffer == 0:
            return np.zeros(len(places), bool)
        near = np.zeros(len(places), bool)
        near[~test] = _distance(places[test], places[~test], self.buffer) < self.buffer
        return near


def leaks(train_positions: ArrayLike, test_positions: ArrayLike, reach: float) -> int:
    """Count the tested samples that a training sample reaches into.

    Args:
        train_positions: Positions ``(n, 2)`` in map units.
        test_positions: Positions ``(m, 2)`` in the same system.
        reach: Side of the patches, or of the receptive field, in map units.

    Returns:
        How many tested samples are nearer than ``reach`` (Chebyshev) to a training sample.

    Raises:
        SamplesError: If positions are not pairs of finite numbers.
    """
    train, test = _checked_positions(train_positions), _checked_positions(test_positions)
    if not (len(train) and len(test)):
        return 0
    return int((_distance(train, test, reach) < reach).sum())


def _squares(places: Floats, side: float) -> Index:
    """Number the squares that hold samples, row by row; return that of each sample."""
    columns, rows = (np.unique(np.floor(axis / side), return_inverse=True)[1] for axis in places.T)
    _, member = np.unique(rows * (columns.max(initial=0) + 1) + columns, return_inverse=True)
    return np.asarray(member, np.int64)


def _deal(counts: Index, n_folds: int, seed: int) -> Index:
    """Return the fold of each block, random among blocks of about the same size."""
    order = np.random.default_rng(seed).permutation(len(counts))
    size_class = np.floor(np.log2(counts[order]))
    order = order[np.argsort(-size_class, kind="stable")]
    load = np.zeros(n_folds, np.int64)
    fold = np.empty(len(counts), np.int64)
    for block in order:
        fold[block] = load.argmin()
        load[fold[block]] += counts[block]
    return fold


def _distance(to: Floats, places: Floats, limit: float) -> Floats:
    """Return the Chebyshev distance to the nearest of ``to``; infinite beyond the limit."""
    from scipy.spatial import cKDTree

    # Without balancing, many samples at one place do not slow the tree down.
    tree = cKDTree(to, compact_nodes=False, balanced_tree=False)
    found, _ = tree.query(places, p=np.inf, distance_upper_bound=limit)
    return np.asarray(found, np.float64)


def _checked_positions(positions: ArrayLike) -> Floats:
    try:
        places = np.asarray(positions, np.float64)
    except (TypeError, ValueError) as fault:
        raise SamplesError(f"positions have to be numbers (n, 2): {fault}") from fault
    if places.ndim != 2 or places.shape[1] != 2:
        raise SamplesError(
            f"positions have the shape {places.shape}; give two coordinates a sample, (n, 2)"
        )
    bad = ~np.isfinite(places).all(axis=1)
    if bad.any():
        raise SamplesError(
            f"the position of sample {int(bad.argmax())} is {places[bad.argmax()].tolist()}; "
            "leave out samples without a position"
        )
    return places


def _length(rows: Any) -> int:
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)
