"""The decisions of a Gaussian support vector machine by matrix products.

scikit-learn decides pixel by pixel: kernels of one pixel, then a sum for each of the
``k (k - 1) / 2`` pairs of classes over the support vectors of both (libsvm, Chang and Lin
2011). A support vector of class ``i`` has one coefficient against each other class, so what
it adds to all pairs of its class is one product of matrices: with ``S_i`` the support
vectors of class ``i`` and ``A_i`` their coefficients,

    F_i = A_i exp(-g |S_i - X|^2),    d_ij = F_ij + F_ji + b_ij.

Each support vector is so used once for ``k - 1`` pairs, in BLAS. Squared distances come out
of the product itself, by two more columns that hold the lengths of the centred vectors.
Everything is float32. Pixels go in chunks of one size, each through BLAS on one thread, so
the number of threads changes no bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn._features import single_thread

Floats32 = NDArray[np.float32]
Scale = Callable[[NDArray[np.float64]], NDArray[np.float64]]

CHUNK = 1024
"""Pixels that are decided at once."""
VECTORS = 512
"""Support vectors whose kernels are held at once: 2 MiB of them beside a chunk."""
MOST_THREADS = 16


@dataclass(frozen=True, eq=False)
class FastSvm:
    """The decisions of a fitted ``sklearn.svm.SVC`` with a Gaussian kernel.

    Attributes:
        classes: Its classes ``(k,)``, rising.
        gamma: Width of its kernel.
        centre: Mean of the support vectors ``(d,)``, subtracted for accuracy.
        vectors: Support vectors with the two columns of their lengths, by class, each
            ``(n_i, d + 2)``.
        coefficients: Coefficients by class ``(k, n_i)``, against each other class; 0 against
            its own.
        intercepts: ``(k (k - 1) / 2,)`` in the order 01, 02, …, 12, …
    """

    classes: NDArray[Any]
    gamma: float
    centre: NDArray[np.float64]
    vectors: tuple[Floats32, ...]
    coefficients: tuple[Floats32, ...]
    intercepts: Floats32

    @classmethod
    def of(cls, svc: Any) -> FastSvm:
        """Take over a fitted ``SVC``.

        Raises:
            ValueError: If its kernel is not Gaussian.
        """
        if svc.kernel != "rbf":
            raise ValueError(f"the kernel is {svc.kernel!r}, not 'rbf'")
        held = np.asarray(svc.support_vectors_, np.float64)
        gamma, k = float(svc._gamma), len(svc.classes_)
        centre = held.mean(axis=0) if len(held) else np.zeros(held.shape[1])
        ends = np.cumsum(svc.n_support_)
        # scikit-learn turns the signs of a machine of two classes for those who read it.
        sign = -1.0 if k == 2 else 1.0
        vectors, coefficients = [], []
        for i, (start, stop) in enumerate(zip(ends - svc.n_support_, ends, strict=True)):
            scaled = np.sqrt(2 * gamma) * (held[start:stop] - centre)
            vectors.append(_lengthened(scaled, first=True))
            against = sign * np.asarray(svc.dual_coef_)[:, start:stop]
            coefficients.append(np.insert(against, i, 0.0, axis=0).astype(np.float32))
        intercepts = (sign * np.asarray(svc.intercept_)).astype(np.float32)
        return cls(
            np.asarray(svc.classes_), gamma, centre, tuple(vectors), tuple(coefficients), intercepts
        )

    @property
    def n_vectors(self) -> int:
        """Number of support vectors."""
        return sum(len(v) for v in self.vectors)

    def decision(
        self, rows: NDArray[Any], scale: Scale | None = None, threads: int | None = None
    ) -> Floats32:
        """Return what ``SVC.decision_function`` of shape ``ovr`` gives.

        Args:
            rows: Features ``(n, F)``.
            scale: Scales rows ``(m, F)`` to those the machine was fitted on ``(m, d)``.
            threads: Threads; all there are if ``None``. They change no bit of the result.

        Returns:
            ``(n, k)`` float32: votes of the pairs, with confidences between whole votes; of two
            classes the decision of the second, with its opposite for the first.
        """
        return self._over(self._graded, rows, scale, threads)

    def predict(
        self, rows: NDArray[Any], scale: Scale | None = None, threads: int | None = None
    ) -> NDArray[Any]:
        """Return what ``SVC.predict`` gives: the class of most votes, the first of equals.

        Args:
            rows: Features ``(n, F)``.
            scale: See ``decision``.
            threads: See ``decision``.

        Returns:
            Classes ``(n,)``.
        """
        votes = self._over(self._votes, rows, scale, threads)
        return np.asarray(self.classes[votes.argmax(axis=1)])

    def _over(
        self,
        judge: Callable[[_Desk], Floats32],
        rows: NDArray[Any],
        scale: Scale | None,
        threads: int | None,
    ) -> Floats32:
        """Judge all chunks, each at the desk of the thread that takes it."""
        out = np.empty((len(rows), len(self.classes)), np.float32)
        desks = threading.local()

        def chunk(start: int) -> None:
            if not hasattr(desks, "own"):
                desks.own = _Desk(len(self.classes))
            part = np.asarray(rows[start : start + CHUNK], np.float64)
            self._decide(part if scale is None else scale(part), desks.own)
            out[start : start + CHUNK] = judge(desks.own).T[: len(part)]

        starts = range(0, len(rows), CHUNK)
        with single_thread(), ThreadPoolExecutor(threads or usable_threads()) as pool:
            list(pool.map(chunk, starts))
        return out

    def _decide(self, rows: NDArray[np.float64], desk: _Desk) -> None:
        """Put the decisions of all pairs into ``desk.pairs``, above 0 for the first class."""
        whole = np.zeros((CHUNK, rows.shape[1]))
        whole[: len(rows)] = np.sqrt(2 * self.gamma) * (rows - self.centre)
        pixels = np.ascontiguousarray(_lengthened(whole, first=False).T)
        parts = zip(desk.sums, self.vectors, self.coefficients, strict=True)
        for sums, vectors, coefficients in parts:
            sums[:] = 0.0
            for start in range(0, len(vectors), VECTORS):
                part = vectors[start : start + VECTORS]
                held = desk.kernels[: len(part)]
                np.matmul(part, pixels, out=held)
                np.exp(held, out=held)
                sums += coefficients[:, start : start + VECTORS] @ held
        k = len(self.classes)
        first, second = np.triu_indices(k, 1)
        rows_of = desk.sums.reshape(k * k, CHUNK)
        np.take(rows_of, first * k + second, axis=0, out=desk.pairs, mode="clip")
        np.take(rows_of, second * k + first, axis=0, out=desk.other, mode="clip")
        desk.pairs += desk.other
        desk.pairs += self.intercepts[:, None]

    def _votes(self, desk: _Desk, tie: float = 0.0) -> Floats32:
        """Return the votes ``(k, CHUNK)``; ``tie`` is what an undecided pair gives its first."""
        np.heaviside(desk.pairs, np.float32(tie), out=desk.other)
        seconds = np.arange(len(self.classes), dtype=np.float32)
        return np.asarray(self._incidence @ desk.other + seconds[:, None])

    def _graded(self, desk: _Desk) -> Floats32:
        """Return votes and confidences as scikit-learn's ``_ovr_decision_function``."""
        if len(self.classes) == 2:
            return np.concatenate([desk.pairs, -desk.pairs])
        sums = self._incidence @ desk.pairs
        return np.asarray(self._votes(desk, 1.0) + sums / (3 * (np.abs(sums) + 1)))

    @cached_property
    def _incidence(self) -> Floats32:
        """What adds pairs up for their first class and subtracts them for their second."""
        k = len(self.classes)
        first, second = np.triu_indices(k, 1)
        table = np.zeros((k, len(first)), np.float32)
        table[first, np.arange(len(first))] = 1.0
        table[second, np.arange(len(first))] = -1.0
        return table


class _Desk:
    """Arrays that one thread works in, chunk after chunk.

    Attributes:
        kernels: Kernels of some support vectors and a chunk ``(VECTORS, CHUNK)``.
        sums: What the vectors of a class add against another ``(k, k, CHUNK)``.
        pairs: Decisions of the pairs ``(k (k - 1) / 2, CHUNK)``.
        other: As large, for what comes between.
    """

    def __init__(self, k: int) -> None:
        self.kernels = np.empty((VECTORS, CHUNK), np.float32)
        self.sums = np.empty((k, k, CHUNK), np.float32)
        self.pairs = np.empty((k * (k - 1) // 2, CHUNK), np.float32)
        self.other = np.empty_like(self.pairs)


def usable_threads() -> int:
    """Return how many threads may work: the processors given, and no more than BLAS may use."""
    from threadpoolctl import threadpool_info

    given = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if given else (os.cpu_count() or 1)
    blas = [int(lib["num_threads"]) for lib in threadpool_info() if lib["user_api"] == "blas"]
    return max(1, min(processors, MOST_THREADS, *blas))


def _lengthened(rows: NDArray[np.float64], *, first: bool) -> Floats32:
    """Add two columns, so that a product of rows is half their squared distance, negative."""
    half = -0.5 * np.einsum("ij,ij->i", rows, rows)[:, None]
    one = np.ones_like(half)
    ends = (half, one) if first else (one, half)
    return np.concatenate([rows, *ends], axis=1).astype(np.float32)
