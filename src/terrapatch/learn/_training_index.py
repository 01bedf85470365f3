"""What a scene classifier remembers of its training samples, to say how far new ones are.

The dissimilarity index (``terrapatch.learn.applicability``) of scaled features brought to
their first principal components: in the space the head sees, without the hundreds of
directions in which all distances are much the same, and small enough to stand in a model.
Components keep their variances, so distances stay those between scaled features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._features import single_thread
from terrapatch.learn.applicability import DissimilarityIndex

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

COMPONENTS = 32
MOST = 5_000
# What the arrays are called in a model's file.
PREFIX = "index."


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """Principal components of scaled training samples, and the index in them.

    Attributes:
        centre: Mean of the scaled features ``(F,)``, float32.
        components: Directions ``(d, F)`` of unit length, float32, the first the strongest.
        index: The dissimilarity index in these directions.
    """

    centre: NDArray[np.float32]
    components: NDArray[np.float32]
    index: DissimilarityIndex

    @property
    def threshold(self) -> float:
        """The largest index training samples usually have against those of other groups."""
        return self.index.threshold

    @classmethod
    def fit(cls, values: NDArray[Any], scaling: Any, groups: NDArray[Any], seed: int = 0) -> Self:
        """Keep at most 5,000 samples in at most 32 components.

        Args:
            values: Features of the training samples ``(n, F)``, finite.
            scaling: The fitted scaling of the head.
            groups: Group of each sample ``(n,)``; samples are measured against other groups.
            seed: Seed of the draw of samples and of the components.

        Raises:
            SamplesError: If there is one group only, or all samples are the same.
        """
        kept = drawn(groups, MOST, seed)
        with single_thread():
            rows = scaling.transform(np.asarray(values[kept], np.float64))
            centre, components, deviation = _principal(rows, seed)
            held = (rows - centre.astype(np.float64)) @ components.T.astype(np.float64)
        index = DissimilarityIndex.fit(held, weights=deviation, groups=groups[kept])
        return cls(centre, components, index)

    def transform(self, scaled: Floats) -> Floats:
        """Return the index ``(m,)`` of scaled features ``(m, F)``; NaN where one is not finite."""
        rows = np.asarray(scaled, np.float64) - self.centre.astype(np.float64)
        return self.index.transform(rows @ self.components.T.astype(np.float64))

    def as_dict(self) -> dict[str, Any]:
        """Return what was kept, as JSON values."""
        return {
            "components": len(self.components),
            "samples": len(self.index.train),
            "threshold": self.threshold,
        }

    def to_arrays(self) -> Arrays:
        """Return all that was learned, as named arrays for a safetensors file."""
        held = {"centre": self.centre, "components": self.components, **self.index.to_arrays()}
        return {PREFIX + name: array for name, array in held.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what ``to_arrays`` gave.

        Raises:
            SamplesError: If an array is missing, has another shape, or is not finite.
        """
        held = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
        index = DissimilarityIndex.from_arrays(held)
        centre, components = held.get("centre"), held.get("components")
        if centre is None or components is None:
            raise SamplesError("the components of the dissimilarity index are missing")
        if components.shape != (len(index.mean), len(centre)):
            raise SamplesError("the components of the dissimilarity index do not fit it")
        if not (np.isfinite(centre).all() and np.isfinite(components).all()):
            raise SamplesError("the components of the dissimilarity index are damaged")
        return cls(np.asarray(centre, np.float32), np.asarray(components, np.float32), index)


def drawn(groups: NDArray[Any], most: int, seed: int) -> NDArray[np.intp]:
    """Draw at most ``most`` samples, of each group one at least; all if there are no more.

    Returns:
        Their places, rising.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    order = np.random.default_rng(seed).permutation(len(groups))
    _, first = np.unique(groups[order], return_index=True)
    rest = np.setdiff1d(np.arange(len(groups)), first)[: max(0, most - len(first))]
    return np.asarray(np.sort(order[np.concatenate([first, rest])]), np.intp)


def _principal(rows: Floats, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Floats]:
    """Return the mean, the leading directions, and the deviation of the rows along each."""
    from sklearn.decomposition import PCA

    wanted = min(COMPONENTS, len(rows) - 1, rows.shape[1])
    if wanted < 1 or not np.ptp(rows, axis=0).any():
        raise SamplesError(
            f"all {len(rows)} training samples have the same features, so nothing can be learned "
            "from them; check that the features were made from the right bands"
        )
    found = PCA(wanted, random_state=seed).fit(rows)
    variance = found.explained_variance_
    # A direction whose variance is rounding says nothing; it must not be blown up.
    there = variance > variance[0] * max(rows.shape) * np.finfo(np.float32).eps ** 2
    components = found.components_[there].astype(np.float32)
    return found.mean_.astype(np.float32), components, np.sqrt(variance[there])
