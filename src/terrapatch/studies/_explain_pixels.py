"""A pixel classifier in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terrapatch.studies._explain_words import MOST_NAMES, Rows

Plain = Mapping[str, Any]


def about_pixel_model(description: Plain, classes: Sequence[str] = ()) -> Rows:
    """Put the description of a pixel classifier into words.

    Args:
        description: What ``model.json`` or the provenance of a map holds of it.
        classes: Names of the classes, id 1 first, where they are known.
    """
    bands = description["space"]["bands"]
    return [
        ("classifier", _learner(description["learner"])),
        ("told by", _window(description["window"])),
        ("smoothing", description["smooth"] or "none"),
        ("trained on", _counts(description["counts"], classes)),
        *_accuracy(description["metrics"]),
        ("certainty", f"temperature {description['temperature']:.3g}"),
        ("features", "; ".join(description["features"])),
        ("bands", f"{len(bands)}: {_some(bands)}"),
        ("fitted with", ", ".join(f"{k} {v}" for k, v in description["versions"].items())),
    ]


def _learner(held: Plain) -> str:
    settings = held["settings"]
    if "members" in settings:
        members = [
            f"{_head(m['settings'])} on {'+'.join(m['layers']) or 'all layers'}"
            for m in settings["members"]
        ]
        return f"the mean of {' and '.join(members)}"
    if "head" in settings:
        return _head(settings)
    return str(settings.get("text", held["kind"]))


def _head(settings: Plain) -> str:
    chosen = {**settings.get("parameters", {}), **settings.get("chosen", {})}
    told = ", ".join(f"{key} {_short(value)}" for key, value in chosen.items())
    return f"{settings['head']}{f' ({told})' if told else ''}, scaling {settings['scaling']}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _window(side: int | None) -> str:
    if side is None:
        return "the whole scene"
    return "the pixel alone" if side == 1 else f"the {side} x {side} pixels around a pixel"


def _counts(counts: Sequence[int], classes: Sequence[str]) -> str:
    total = f"{sum(counts):,} pixels"
    if len(classes) != len(counts):
        return total
    return f"{total}: {_some([f'{c} {n:,}' for c, n in zip(classes, counts, strict=True)])}"


def _accuracy(metrics: Plain) -> Rows:
    """Say what each protocol found, those that flatter last and called so."""
    if not metrics:
        return [("accuracy", "not judged on pixels it had not seen")]
    order = sorted(metrics, key=lambda name: (bool(metrics[name].get("leaky")), name))
    return [("accuracy", "\n".join(_protocol(name, metrics[name]) for name in order))]


def _protocol(name: str, row: Plain) -> str:
    if row.get("overall") is None:
        return f"{name}: nothing was tested"
    low, high = row.get("overall_low"), row.get("overall_high")
    span = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    flag = f"; {row['flag']}: this figure flatters" if row.get("leaky") else ""
    return f"{name}: {100 * row['overall']:.1f} %{span} of the tested pixels{flag}"


def _some(names: Sequence[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:MOST_NAMES])
    return shown + (f", … {len(names)} in all" if len(names) > MOST_NAMES else "")
