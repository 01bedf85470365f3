"""Figures of a report, as SVG: how well a classifier did, and how sure of it one may be.

Each function returns the bytes of one SVG that is 640 pixels wide on a page, with words as
words, in colours that colour-blind readers tell apart, and without a trace of when or where
it was drawn: the same numbers give the same bytes. Shares (recall, accuracy, confidence) come
as numbers from 0 to 1 and are shown in percent. Names may hold anything; one that is too long
for its place is cut in its middle.

matplotlib is loaded when the first figure is drawn; neither pyplot nor a setting of
matplotlib is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from terrapatch.legend import Legend
from terrapatch.studies import _figure_canvas as sheet
from terrapatch.studies._figure_curves import draw_few_labels, draw_learning, draw_reliability
from terrapatch.studies._figure_matrix import draw_confusion
from terrapatch.studies._figure_points import draw_embedding
from terrapatch.studies._figure_rows import draw_bars, draw_per_class

__all__ = [
    "bars_with_intervals",
    "confusion_figure",
    "embedding_figure",
    "few_labels_figure",
    "learning_curve_figure",
    "per_class_figure",
    "reliability_figure",
]

_CURVES = {
    ("loss", "training"): "train_loss",
    ("loss", "validation"): "val_loss",
    ("accuracy (%)", "training"): "train_accuracy",
    ("accuracy (%)", "validation"): "val_accuracy",
}


def confusion_figure(confusion: ArrayLike, classes: Sequence[str]) -> bytes:
    """Draw a confusion matrix, each row shaded by its shares.

    The diagonal is blue, the rest orange, the stronger the larger the share of the true
    class, and so that one mistake in a hundred is seen. Up to 25 classes the counts stand in the
    cells (0 is left blank) and up to 20 the recall beside the rows; above 60 classes only
    some rows and columns are named.

    Args:
        confusion: Counts (K, K), rows the true and columns the predicted class.
        classes: K names.

    Returns:
        SVG.

    Raises:
        ValueError: If the counts are not whole numbers from 0 in as many rows and columns
            as there are names.
    """
    counts = np.asarray(confusion)
    k = len(classes)
    if k < 1 or counts.shape != (k, k):
        raise ValueError(
            f"a confusion of shape {counts.shape} does not fit {k} classes; "
            "give one row and one column a class"
        )
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError("a confusion holds counts; give whole numbers from 0, not shares")
    with sheet.house_style():
        return sheet.svg(draw_confusion(counts.astype(np.int64), classes))


def per_class_figure(
    names: Sequence[str], recall: ArrayLike, precision: ArrayLike, f1: ArrayLike
) -> bytes:
    """Draw recall, precision and F1 of each class, the one of lowest F1 on top.

    Args:
        names: K names.
        recall: Shares (K,), NaN where undefined.
        precision: Likewise.
        f1: Likewise.

    Returns:
        SVG; the axis begins at the ten below the least score.

    Raises:
        ValueError: If there is no class, lengths differ, or a number is no share.
    """
    k = _some(names, "class")
    scores = [
        sheet.percent(sheet.numbers(values, what, k), what)
        for values, what in ((recall, "recall"), (precision, "precision"), (f1, "F1"))
    ]
    with sheet.house_style():
        return sheet.svg(draw_per_class(names, *scores))


def reliability_figure(
    confidence: ArrayLike, accuracy: ArrayLike, count: ArrayLike, ece: float
) -> bytes:
    """Draw a reliability curve over the numbers of samples.

    After DeGroot and Fienberg (The Statistician 32, 1983); the orange bars are the gaps of
    which the expected calibration error is the mean (Naeini, Cooper and Hauskrecht, AAAI 2015).

    Args:
        confidence: Mean confidence of each bin (bins,), a share; NaN in an empty one. Bins
            are of equal width from 0 to 1.
        accuracy: Share of right answers in each bin, likewise.
        count: Samples in each bin.
        ece: The expected calibration error, a share.

    Returns:
        SVG.

    Raises:
        ValueError: If lengths differ, a number is no share, or a count is negative.
    """
    held = sheet.numbers(count, "the count")
    if not held.size or not np.isfinite(held).all() or held.min() < 0:
        raise ValueError("counts of a reliability curve must be numbers from 0, one a bin")
    sure = sheet.percent(sheet.numbers(confidence, "the confidence", len(held)), "the confidence")
    right = sheet.percent(sheet.numbers(accuracy, "the accuracy", len(held)), "the accuracy")
    error = sheet.percent(np.array([ece], dtype=np.float64), "the calibration error")
    with sheet.house_style():
        return sheet.svg(draw_reliability(sure, right, held, float(error[0])))


def learning_curve_figure(
    history: Mapping[str, Sequence[float]], verdict: str | None = None
) -> bytes:
    """Draw loss and accuracy against the epoch, for training and validation.

    Args:
        history: One number an epoch under ``train_loss``, ``val_loss``, ``train_accuracy``
            and ``val_accuracy`` (shares), of which some may be missing; other keys are
            not drawn.
        verdict: What the curves say, written above them.

    Returns:
        SVG; a dotted line marks the epoch of least validation loss.

    Raises:
        ValueError: If none of the four is there, or an accuracy is no share.
    """
    curves: dict[str, dict[str, sheet.Floats]] = {}
    for (measure, name), key in _CURVES.items():
        if key in history and len(history[key]):
            values = sheet.numbers(history[key], key)
            if measure != "loss":
                values = sheet.percent(values, key)
            curves.setdefault(measure, {})[name] = values
    if not curves:
        raise ValueError(
            f"a history with {', '.join(map(repr, history)) or 'nothing'} has no curve to draw; "
            f"give some of {', '.join(_CURVES.values())}"
        )
    with sheet.house_style():
        return sheet.svg(draw_learning(curves, verdict))


def bars_with_intervals(
    names: Sequence[str],
    values: ArrayLike,
    lows: ArrayLike,
    highs: ArrayLike,
    xlabel: str,
    reference: float | tuple[float, str] | None = None,
    from_zero: bool = True,
) -> bytes:
    """Draw one bar a method with its interval, and write the numbers beside it.

    Args:
        names: n names, from the top.
        values: Numbers (n,) in the unit of the axis; NaN where there is none.
        lows: Lower ends of the intervals (n,), NaN where there is none.
        highs: Upper ends.
        xlabel: What the axis shows, with its unit.
        reference: A number to hold them against, drawn as a dashed line; a pair gives it a
            name too.
        from_zero: Whether the axis begins at 0. If not, there are points without bars on an
            axis cut to the values.

    Returns:
        SVG.

    Raises:
        ValueError: If there is no name, or lengths differ.
    """
    n = _some(names, "method")
    value = sheet.numbers(values, "the values", n)
    low = sheet.numbers(lows, "the lower ends", n)
    high = sheet.numbers(highs, "the upper ends", n)
    pair = (reference, "") if isinstance(reference, int | float) else reference
    if pair is not None:
        pair = (float(pair[0]), pair[1] or f"{pair[0]:g}")
    with sheet.house_style():
        return sheet.svg(draw_bars(names, value, low, high, xlabel, pair, from_zero))


def few_labels_figure(
    x: ArrayLike,
    methods: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    *,
    ylabel: str = "overall accuracy (%)",
    xlabel: str = "labels a class",
) -> bytes:
    """Draw how accuracy grows with labels, one curve a method with its band.

    Args:
        x: Labels a class (n,), rising, at least 1.
        methods: Mean, low and high (n,) of each method as shares; NaN where not measured.
        ylabel: What is shown; shares are brought to percent.
        xlabel: What the axis of labels counts.

    Returns:
        SVG with a logarithmic axis of labels; names stand at the ends of their curves.

    Raises:
        ValueError: If there is no method, lengths differ, a number is no share, or ``x``
            does not rise from 1.
    """
    at = sheet.numbers(x, "the numbers of labels")
    if not at.size or not np.isfinite(at).all() or at[0] < 1 or (np.diff(at) <= 0).any():
        raise ValueError(f"numbers of labels must rise from 1 or more; got {at.tolist()}")
    _some(methods, "method")
    curves = {}
    for name, three in methods.items():
        mean, low, high = (
            sheet.percent(sheet.numbers(part, f"{name!r}", len(at)), f"{name!r}") for part in three
        )
        curves[name] = (mean, low, high)
    with sheet.house_style():
        return sheet.svg(draw_few_labels(at, curves, ylabel, xlabel))


def embedding_figure(points: ArrayLike, ids: ArrayLike, legend: Legend) -> bytes:
    """Draw features that were brought to a plane, each class with its number at its median.

    Args:
        points: Places (n, 2), for instance of a principal component analysis or t-SNE; rows
            with NaN are not drawn.
        ids: Class of each point (n,), 0 for none (grey).
        legend: Names and colours; of more than 30 classes those with most points are named.

    Returns:
        SVG; above 2,500 points they are a picture inside it.

    Raises:
        ValueError: If there is no point, lengths differ, or an id is not in the legend.
    """
    places, classes = np.asarray(points, dtype=np.float64), np.asarray(ids)
    if places.ndim != 2 or places.shape[1:] != (2,) or classes.shape != places.shape[:1]:
        raise ValueError(
            f"points of shape {places.shape} and ids of shape {classes.shape} do not go "
            "together; give (n, 2) and (n,)"
        )
    if classes.dtype.kind not in "iu":
        raise ValueError(f"ids are {classes.dtype}; give whole numbers, 0 for no class")
    if not np.isfinite(places).all(axis=1).any():
        raise ValueError("there is no point to draw; give at least one without NaN")
    if classes.min() < 0 or classes.max() > len(legend):
        worst = classes.min() if classes.min() < 0 else classes.max()
        raise ValueError(f"the id {worst} is not in a legend of {len(legend)} classes")
    with sheet.house_style():
        return sheet.svg(draw_embedding(places, classes.astype(np.int64), legend))


def _some(names: Sequence[str] | Mapping[str, object], what: str) -> int:
    if not len(names):
        raise ValueError(f"there is no {what} to draw; give at least one")
    return len(names)
