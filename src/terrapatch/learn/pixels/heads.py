"""Heads on pixels: the classifiers of ``terrapatch.learn.heads``, chosen and calibrated in space.

Hyper-parameters and the temperature are chosen inside the training part alone, on folds that
keep whole fields or blocks together where there are enough of them: folds of single pixels
test on neighbours of what was trained on and choose what remembers, not what generalises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn._features import Groups, single_thread
from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn.heads import find_head, make_head, scores, tune
from terrapatch.learn.pixels._inner_folds import WAYS, InnerFolds, inner_folds, stratified_sample
from terrapatch.learn.pixels._svm_grid import choose_svm
from terrapatch.learn.pixels._tiles import gather
from terrapatch.learn.pixels.base import LabelledPixels, PixelLearner, PixelValues, Progress
from terrapatch.learn.pixels.fast_svm import CHUNK, FastSvm
from terrapatch.learn.scaling import make_scaling

Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]

HEAD_FILE, SCALING_FILE = "head.skops", "scaling.safetensors"
MOST_TUNED = 4000
"""Training pixels by which hyper-parameters are chosen at most; a stratified sample of more."""
# The score of a class a fold has not seen, below the lowest it has.
UNSEEN = -50.0
_RBF = "rbf-svm"


@dataclass(frozen=True, eq=False)
class Held:
    """What a learner says of training pixels that it did not see.

    Attributes:
        pixels: Numbers of the pixels among those it chose by ``(n,)``.
        scores: Their scores ``(n, classes)``, each without its own fold.
        true: Position of each one's class, from 1 ``(n,)``.
    """

    pixels: NDArray[np.intp]
    scores: Floats
    true: NDArray[np.intp]


class HeadLearner(PixelLearner):
    """A scaling and a scikit-learn classifier on each pixel's numbers.

    Args:
        head: A name of ``terrapatch.learn.heads`` (not ``cnn``), or a scikit-learn classifier.
        scaling: A name of ``terrapatch.learn.scaling``.
        balance: ``balanced`` weighs classes alike, ``None`` by their pixels.
        seed: Seed of everything random.
        folds: How the inner folds are made: ``auto``, ``fields``, ``blocks``, ``stratified``.
        parameters: Hyper-parameters of the classifier to take instead of choosing them.

    Attributes:
        temperature: What makes its scores the best logarithms of probabilities, fitted on the
            inner folds (Guo et al., ICML 2017); 1 where there are none.
        told: How hyper-parameters and temperature were chosen, in a sentence.
        chosen: The hyper-parameters.
        counts: Training pixels of each class in ``classes_``.
        held: Scores of the pixels of the folds, after ``fit``.

    Raises:
        SamplesError: If head, balance or folds do not exist.
    """

    kind: ClassVar[str] = "head"

    def __init__(
        self,
        head: str | Any = _RBF,
        scaling: str = "standardise",
        balance: str | None = None,
        seed: int = 0,
        *,
        folds: str = "auto",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the parameters; see the class."""
        self.name = find_head(head).name
        if find_head(head).spatial:
            raise SamplesError(
                f"the head {self.name} learns from maps, and a pixel has none; choose another "
                "head, or a network that looks at the square around a pixel (net:…)"
            )
        if balance not in (None, "balanced"):
            raise SamplesError(f"there is no balance {balance!r}; choose balanced, or leave it out")
        if folds not in WAYS:
            raise SamplesError(f"there are no folds {folds!r}; choose one of {', '.join(WAYS)}")
        make_scaling(scaling, ())
        make_head(head, "none", (), seed, class_weight=balance)
        self.head, self.scaling, self.balance, self.seed = head, scaling, balance, seed
        self.folds, self.parameters = folds, dict(parameters or {})
        self.temperature, self.told = 1.0, ""
        self.chosen: dict[str, Any] = {}
        self.counts: list[int] = []
        self.held: Held | None = None

    def fit(
        self, values: PixelValues, pixels: LabelledPixels, *, progress: Progress | None = None
    ) -> HeadLearner:
        """Learn from labelled pixels; see ``PixelLearner.fit``.

        Raises:
            SamplesError: If there are fewer than two classes, or a pixel has no features.
        """
        self.classes_, counts = np.unique(pixels.ids, return_counts=True)
        if len(self.classes_) < 2:
            only = f"only {pixels.classes[self.classes_[0] - 1]} has" if len(counts) else "none has"
            raise SamplesError(
                f"a learner needs training pixels of two classes, and {only} any; label more"
            )
        self.__dict__.pop("_fast", None)
        self.counts = [int(n) for n in counts]
        self.groups: Groups = tuple(values.groups)
        rows = gather(values, pixels, progress).astype(np.float64)
        some = stratified_sample(pixels.ids, MOST_TUNED, self.seed)
        part = _taken(pixels, some)
        folds = inner_folds(part, self.folds, seed=self.seed)
        with single_thread():
            self.chosen = self._choose(rows[some], part.ids, folds, progress)
            if progress is not None:
                progress("fitting", 0, 1)
            self.pipeline = self._fitted(rows, pixels.ids)
            self.temperature = self._calibrated(rows[some], part.ids, folds)
        self.told = self._said(folds, len(some), len(rows))
        if progress is not None:
            progress("fitting", 1, 1)
        return self

    def scores(self, values: Floats32) -> Floats32:
        """Return how strongly pixels are held for each class; see ``PixelLearner.scores``."""
        rows = values.reshape(-1, values.shape[-1])
        return self.row_scores(rows).reshape(*values.shape[:-1], len(self.classes_))

    def row_scores(self, rows: NDArray[Any]) -> Floats32:
        """Return the scores ``(n, len(classes_))`` float32 of rows ``(n, features)``."""
        if self._fast is not None:
            return self._fast.decision(rows, self.pipeline[:-1].transform)
        out = np.empty((len(rows), len(self.classes_)), np.float32)
        with single_thread():
            for start in range(0, len(rows), CHUNK):
                part = np.asarray(rows[start : start + CHUNK], np.float64)
                out[start : start + CHUNK] = scores(self.pipeline, part)
        return out

    @cached_property
    def _fast(self) -> FastSvm | None:
        last = self.pipeline[-1]
        if type(last).__name__ != "SVC" or last.kernel != "rbf" or last.probability is True:
            return None
        return FastSvm.of(last)

    def settings(self) -> dict[str, Any]:
        """Return how it was made and what was chosen, as JSON values."""
        return {
            "head": self.name,
            "scaling": self.scaling,
            "balance": self.balance,
            "seed": self.seed,
            "folds": self.folds,
            "parameters": self.parameters,
            "chosen": self.chosen,
            "chosen_by": self.told,
            "temperature": self.temperature,
            "classes": [int(id) for id in self.classes_],
            "counts": self.counts,
            "groups": [[name, int(a), int(b)] for name, a, b in self.groups],
        }

    def files(self) -> dict[str, bytes]:
        """Return the classifier and its scaling.

        Raises:
            SamplesError: If the classifier could only be kept together with code.
        """
        from safetensors.numpy import save

        arrays = self.pipeline[0].to_arrays()
        held = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
        return {HEAD_FILE: dumped(self.pipeline[-1]), SCALING_FILE: save(held)}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> HeadLearner:
        """Make the learner again from ``settings`` and ``files``; nothing in them is run.

        Raises:
            RecipeError: If a file is damaged or holds anything but numbers.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load
        from sklearn.pipeline import Pipeline

        try:
            classifier = restored(files[HEAD_FILE], HEAD_FILE)
            made = cls(
                classifier,
                settings["scaling"],
                None,
                int(settings["seed"]),
                folds=settings["folds"],
                parameters=settings["parameters"],
            )
            made.name, made.balance = str(settings["head"]), settings["balance"]
            made.chosen, made.told = dict(settings["chosen"]), str(settings["chosen_by"])
            made.temperature = float(settings["temperature"])
            made.classes_ = np.asarray(settings["classes"], np.int32)
            made.counts = [int(n) for n in settings["counts"]]
            made.groups = tuple((str(n), int(a), int(b)) for n, a, b in settings["groups"])
            width = made.groups[-1][2]
            scaling = make_scaling(made.scaling, made.groups)
            scaling = scaling.from_arrays(width, load(files[SCALING_FILE]))
            made.pipeline = Pipeline([("scaling", scaling), ("head", classifier)])
            if not np.array_equal(classifier.classes_, made.classes_):
                raise ValueError("classifier and classes do not fit each other")
            if not np.isfinite(made.row_scores(np.zeros((1, width)))).all():
                raise ValueError("its scores are not numbers")
        except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as fault:
            if isinstance(fault, RecipeError):
                raise
            raise RecipeError(
                f"the learner of the model is damaged ({fault}); train the model again"
            ) from fault
        return made

    def _fitted(self, rows: Floats, ids: NDArray[np.int32]) -> Any:
        """Return the pipeline with all that was chosen, fitted to rows."""
        made = make_head(self.head, self.scaling, self.groups, self.seed, class_weight=self.balance)
        _set(made[-1], self.chosen, self.name)
        if "n_neighbors" in made[-1].get_params():
            made[-1].set_params(n_neighbors=min(made[-1].n_neighbors, len(rows)))
        if "break_ties" in made[-1].get_params():
            # Its own ``predict`` then says what its scores say, where pairs of classes vote alike.
            made[-1].set_params(break_ties=True)
        made.fit(rows, ids)
        if "n_jobs" in made[-1].get_params():
            # Trees that vote in threads add up in an order that changes the last bits.
            made[-1].set_params(n_jobs=1)
        return made

    def _choose(
        self,
        rows: Floats,
        ids: NDArray[np.int32],
        folds: InnerFolds,
        progress: Progress | None,
    ) -> dict[str, Any]:
        if self.parameters:
            return dict(self.parameters)
        if not folds or not find_head(self.head).grid:
            return {}
        if self.name == _RBF:
            scaled = make_scaling(self.scaling, self.groups).fit(rows).transform(rows)
            told = None if progress is None else _stage(progress)
            return dict(choose_svm(scaled, ids, folds.pairs, self.balance, told).parameters)
        return tune(
            self.head,
            self.scaling,
            self.groups,
            rows,
            ids,
            self.seed,
            folds.pairs,
            class_weight=self.balance,
        )[1]

    def _calibrated(self, rows: Floats, ids: NDArray[np.int32], folds: InnerFolds) -> float:
        """Fit the temperature on pixels of the folds, each scored without its own fold."""
        from terrapatch.learn.calibration import fit_temperature

        self.held = None
        if not folds:
            return 1.0
        found, true = [], []
        for train, test in folds.pairs:
            fitted = self._fitted(rows[train], ids[train])
            given = scores(fitted, rows[test])
            full = np.full((len(test), len(self.classes_)), given.min() + UNSEEN)
            full[:, np.searchsorted(self.classes_, fitted.classes_)] = given
            found.append(full)
            true.append(np.searchsorted(self.classes_, ids[test]) + 1)
        pixels = np.concatenate([test for _, test in folds.pairs])
        self.held = Held(pixels, np.concatenate(found), np.concatenate(true))
        return fit_temperature(self.held.scores, self.held.true)

    def _said(self, folds: InnerFolds, n_tuned: int, n: int) -> str:
        if not folds:
            return "too few training pixels for folds: parameters are defaults, not calibrated"
        of = "" if n_tuned == n else f", on a stratified sample of {n_tuned:,} of {n:,} pixels"
        return f"{'given' if self.parameters else 'chosen'} and calibrated by {folds.told}{of}"


def _set(classifier: Any, chosen: Mapping[str, Any], name: str) -> None:
    unknown = sorted(set(chosen) - set(classifier.get_params()))
    if unknown:
        grid = find_head(name).grid if isinstance(name, str) else {}
        raise SamplesError(
            f"the head {name} has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(grid) or 'none to choose'}"
        )
    classifier.set_params(**chosen)


def _stage(progress: Progress) -> Any:
    return lambda done, total: progress("choosing parameters", done, total)


def _taken(pixels: LabelledPixels, some: NDArray[np.intp]) -> LabelledPixels:
    return LabelledPixels(
        pixels.rows[some],
        pixels.cols[some],
        pixels.ids[some],
        pixels.classes,
        None if pixels.fields is None else pixels.fields[some],
    )
