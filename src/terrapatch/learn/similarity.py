"""Which cells look like some examples: a direction in the scaled feature space.

Every cell is scaled and brought to unit length, so that what is compared is the angle
between two descriptors. Two methods turn examples into scores:

``ridge`` (the default)
    One least-squares direction (Hoerl and Kennard, Technometrics 12, 1970) that gives the
    examples 1 and the counterexamples, together with cells drawn at random from the scene,
    -1. The groups weigh 1, 0.3 and 1, whatever their sizes. With one example this is the
    exemplar classifier of Malisiewicz, Gupta and Efros (ICCV 2011) with squares for hinges.
    Scores are moved and stretched so that the drawn cells have 0 on average and the best
    example has 1.
``cosine``
    The mean cosine to the examples. It knows no counterexamples.

Some drawn cells are of the kind that is looked for without anybody having said so. That is the
less harm the rarer it is. Mean average precision in per cent, with 1, 3 and 5 examples
(``benchmarks/bench_similar.py``, 105 queries on UC Merced and 20 on each mosaic of Mumbai):

=======================  ====================  ==================  ==================
method                   UC Merced, 5 % of     Mumbai g1_1, 9 %    Mumbai g3_1, 9 %
                         2,100 images          of 675 cells        of 375 cells
=======================  ====================  ==================  ==================
mean cosine              47.1, 63.2, 66.7      89.2, 93.0, 92.8    98.7, 99.0, 98.9
nearest example          47.1, 58.8, 63.8      89.2, 92.9, 93.1    98.7, 98.7, 98.7
ridge                    49.3, 68.9, 75.5      87.6, 92.9, 93.1    98.4, 98.8, 98.8
with 3 counterexamples:
ridge                    53.9, 73.1, 79.5      83.3, 90.8, 91.2    98.1, 98.6, 98.5
cosine less a quarter    50.7, 69.5, 73.9      88.9, 93.0, 92.8    98.8, 98.8, 98.7
in ``pca64-half``:
mean cosine              53.8, 76.8, 83.3      79.7, 90.0, 90.4    93.8, 97.0, 97.4
ridge                    53.1, 77.1, 84.6      75.0, 87.7, 89.2    90.6, 95.1, 96.0
=======================  ====================  ==================  ==================

Counterexamples are the three best wrong answers. On Mumbai these are half informal themselves
and mislead: a counterexample should be of another kind, not a border case. Of kinds that cover
a third of a scene or more ``cosine`` finds more than ``ridge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._features import (
    Features,
    Floats,
    Mask,
    Progress,
    occupied,
    single_thread,
    stream,
)
from terrapatch.learn.scaling import Scaling, covariance_bytes, make_scaling, unit_rows

__all__ = [
    "BACKGROUND",
    "DIGITS",
    "SCALING",
    "Examples",
    "Similarity",
    "fit_similarity",
]

Method = Literal["ridge", "cosine"]

SCALING = "standardise-layer-l2"
BACKGROUND = 1000
"""Cells drawn from the scene, at most, that stand for all that is not asked for."""

# Chosen on UC Merced and two mosaics of Mumbai. A smaller penalty finds rare kinds better with
# five examples and common kinds worse with one.
_PENALTY = 0.1
# Counterexamples lie near the border and are few: as heavy as the others they would turn the
# direction too far.
_UNLIKE_WEIGHT = 0.3
DIGITS = 6
"""Decimals of a score; the bits below depend on how a store is cut into blocks."""

_MEMORY = 1 << 30


@dataclass(frozen=True)
class Examples:
    """What is looked for, or what is not.

    Attributes:
        cells: Numbers of cells, ``row * cols + col``; all of them occupied.
        rows: Features ``(n, F)`` of examples from elsewhere, such as images.
    """

    cells: Sequence[int] = ()
    rows: ArrayLike | None = None

    def __len__(self) -> int:
        """Return how many examples there are."""
        return len(self.cells) + (0 if self.rows is None else len(np.asarray(self.rows)))


@dataclass(frozen=True)
class Similarity:
    """A fitted query.

    Attributes:
        direction: Float64 ``(d,)`` in the scaled space.
        zero: What its product with a cell is for a score of 0.
        gain: What a step of that product is worth.
        scaling: The fitted scaling.
        description: JSON values: how it was made.
    """

    direction: Floats
    zero: float
    gain: float
    scaling: Scaling
    description: dict[str, Any]

    def scores(self, rows: ArrayLike) -> Floats:
        """Return the scores of features ``(n, F)``: ``(n,)`` from -1 to 1."""
        product = unit_rows(self.scaling.transform(rows)) @ self.direction
        stretched: Floats = np.clip(self.gain * (product - self.zero), -1.0, 1.0)
        return np.asarray(np.round(stretched, DIGITS), np.float64)

    def score_cells(
        self, features: Features, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Score all cells, block by block.

        Args:
            features: Features of the space the query was fitted in.
            progress: Called as ``progress(stage, cells done, cells in all)``.

        Returns:
            Scores ``(rows, cols)``, NaN in empty cells.

        Raises:
            ClusterError: If a cell that is not empty holds NaN or infinite features.
        """
        out = np.full(features.shape, np.nan, np.float32)
        with single_thread():
            for cells, rows in stream(features, occupied(features), "comparing", progress):
                out.flat[cells] = self.scores(rows)
        return out


def fit_similarity(
    features: Features,
    like: Examples,
    unlike: Examples | None = None,
    *,
    method: Method = "ridge",
    scaling: str | Scaling = SCALING,
    background: int = BACKGROUND,
    near: Mask | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Similarity:
    """Learn from examples what to look for, in one pass over the features.

    Args:
        features: The feature raster that is searched.
        like: Examples.
        unlike: Counterexamples, for ``ridge``.
        method: ``ridge`` or ``cosine``, see above.
        scaling: A name of ``terrapatch.learn.scaling``, fitted to the cells here, or a
            scaling that is fitted already.
        background: Cells drawn from the others, for ``ridge``; all, if there are fewer.
        near: Boolean ``(rows, cols)``: cells that are not drawn, such as those whose patches
            overlap an example.
        seed: Seed of the draw. The same seed draws the same cells, however the features are
            cut into blocks.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Returns:
        The query; its ``score_cells(features)`` is the answer.

    Raises:
        SamplesError: If there is no example, or no cell is left to compare it with, or nothing
            tells the examples from the rest, or the scaling needs too much memory.
        ClusterError: If the features are not finite, or there is no such scaling.
    """
    unlike = unlike or Examples()
    _check_request(like, unlike, method, background)
    mask = occupied(features)
    drawn = _draw(mask, near, [*like.cells, *unlike.cells], background, seed)
    if method == "cosine":
        drawn = drawn[:0]
    elif len(drawn) + len(unlike) == 0:
        raise SamplesError(
            "no cell is left to compare the examples with; use more or smaller cells, or the "
            "method cosine"
        )
    wanted = [np.asarray(cells, np.int64) for cells in (like.cells, unlike.cells, drawn)]
    with single_thread():
        fitted, rows = _gather(features, mask, scaling, np.concatenate(wanted), progress)
        parts = np.split(rows, np.cumsum([len(cells) for cells in wanted])[:2])
        groups = (like, unlike, Examples())
        scaled = [_scaled(fitted, *pair) for pair in zip(parts, groups, strict=True)]
        direction, zero, gain = _learn(*scaled) if method == "ridge" else _mean(scaled[0])
    description = {
        "method": method,
        "scaling": scaling if isinstance(scaling, str) else "given",
        "like": len(like),
        "unlike": len(unlike),
        "background": len(drawn),
        "seed": seed,
    }
    return Similarity(direction, zero, gain, fitted, description)


def _check_request(like: Examples, unlike: Examples, method: str, background: int) -> None:
    if method not in get_args(Method):
        raise SamplesError(f"there is no method {method!r}; choose ridge or cosine")
    if not len(like):
        raise SamplesError("there is no example of what to look for; give one or more")
    if method == "cosine" and len(unlike):
        raise SamplesError(
            "plain cosine cannot learn from counterexamples; leave them out, or use the method "
            "ridge"
        )
    if background < 0:
        raise SamplesError(f"{background} cells cannot be drawn; give 0 or more")


def _draw(
    mask: Mask, near: Mask | None, examples: Sequence[int], count: int, seed: int
) -> NDArray[np.int64]:
    """Draw numbers of occupied cells that are no examples, in ascending order."""
    free = mask.copy() if near is None else mask & ~near
    free.flat[list(examples)] = False
    numbers = np.flatnonzero(free).astype(np.int64)
    random = np.random.default_rng(seed)
    return np.sort(random.choice(numbers, min(count, len(numbers)), replace=False))


def _gather(
    features: Features,
    mask: Mask,
    scaling: str | Scaling,
    cells: NDArray[np.int64],
    progress: Progress | None,
) -> tuple[Scaling, Floats]:
    """Fit the scaling to all cells, unless it is fitted, and pick the rows of some on the way."""
    known = isinstance(scaling, Scaling)
    fitted = scaling if isinstance(scaling, Scaling) else _new_scaling(scaling, features)
    once, places = np.unique(cells, return_inverse=True)  # a cell may be given twice
    rows = np.empty((len(once), features.n_features))
    wanted = np.zeros_like(mask)
    wanted.flat[cells] = True
    for numbers, block in stream(features, wanted if known else mask, "reading", progress):
        if not known:
            fitted.partial_fit(block)
        found = np.searchsorted(once, numbers)
        held = wanted.flat[numbers]
        rows[found[held]] = block[held]
    return fitted, rows[places]


def _new_scaling(name: str, features: Features) -> Scaling:
    scaling = make_scaling(name, features.groups)
    need = covariance_bytes(name, features.n_features)
    if need > _MEMORY:
        raise SamplesError(
            f"the scaling {name} of {features.n_features} features needs {need / 2**20:.0f} MiB, "
            f"more than the {_MEMORY / 2**20:.0f} MiB allowed; choose {SCALING}, or embed fewer "
            "layers"
        )
    return scaling


def _scaled(scaling: Scaling, rows: Floats, group: Examples) -> Floats:
    """Scale the rows of a group's cells, and those it brings along."""
    if group.rows is not None:
        rows = np.concatenate([rows, np.asarray(group.rows, np.float64)])
    return unit_rows(scaling.transform(rows)) if len(rows) else rows[:, :0]


def _mean(like: Floats) -> tuple[Floats, float, float]:
    return like.mean(axis=0), 0.0, 1.0


def _learn(like: Floats, unlike: Floats, drawn: Floats) -> tuple[Floats, float, float]:
    """Solve the weighted ridge in its dual form, whose size is the number of rows."""
    groups = [(like, 1.0), (unlike, _UNLIKE_WEIGHT), (drawn, 1.0)]
    groups = [(part, weight) for part, weight in groups if len(part)]
    rows = np.concatenate([part for part, _ in groups])
    weights = np.concatenate([np.full(len(part), weight / len(part)) for part, weight in groups])
    target = np.where(np.arange(len(rows)) < len(like), 1.0, -1.0)
    shares = weights / weights.sum()
    rows = rows - shares @ rows
    gram = rows @ rows.T
    gram.flat[:: len(gram) + 1] += _PENALTY / weights
    direction = rows.T @ np.linalg.solve(gram, target - shares @ target)
    others = drawn if len(drawn) else unlike
    zero = float((others @ direction).mean())
    best = float((like @ direction).max())
    if best - zero < 1e-9:
        raise SamplesError(
            "nothing tells the examples from the rest of the scene; check that they are not "
            "examples and counterexamples at once, and that the features differ between cells"
        )
    return direction, zero, 1.0 / (best - zero)
