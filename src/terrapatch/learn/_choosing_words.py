"""What the measures of the number of clusters say, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from terrapatch.learn.choosing import KChoice

_WEAK = 0.5
_NAMES = {
    "silhouette": "the silhouette",
    "davies_bouldin": "the Davies-Bouldin index",
    "gap": "the gap statistic",
    "elbow": "the elbow of the inertia",
}


def sentences(choice: KChoice) -> list[str]:
    """Return the sentences of ``KChoice.words``."""
    told = [_recommendation(choice), *_weak(choice), *_trivial(choice), _others(choice)]
    told.append(
        "None of them knows what a settlement is, and the silhouette alone is a poor guide: on "
        "images it often just rises (or falls) with k. Look at the clusters, and where two are "
        "one kind, merge them by name."
    )
    if choice.why not in ("separate", "few"):
        told.append(
            "Where the curve is flat, another seed can name another number: it is a place to "
            "begin, not a finding."
        )
    if choice.cells_used < choice.cells:
        told.append(
            f"A sample of {choice.cells_used:,} of the {choice.cells:,} non-empty cells was "
            "looked at."
        )
    return told


def _at(choice: KChoice, k: int) -> str:
    place = int(np.flatnonzero(choice.ks == k)[0])
    return f"{choice.stability[place]:.2f} ± {choice.stability_error[place]:.2f}"


def _recommendation(choice: KChoice) -> str:
    k = choice.recommended
    agree = f"two samples of {choice.share:.0%} of the cells agree to {_at(choice, k)}"
    agree += " (adjusted Rand index: 1 is always the same clusters, 0 is chance)"
    reason = {
        "separate": f"the cells fall into {k} groups that lie apart; {agree}",
        "peak": f"{agree}; of the peaks of stability at eight clusters and more that are about "
        "as high as the highest, this one has most clusters",
        "no peak": f"{agree}; stability has no peak among eight clusters and more, and this is "
        "the largest number that is about as stable as the best of them",
        "last": f"{agree}; this is the largest number that was tried, so still more clusters "
        "may be as stable",
        "few": f"{agree}; there are too few cells to try eight clusters and more",
    }[choice.why]
    return f"Begin with {k} clusters: {reason}."


def _weak(choice: KChoice) -> list[str]:
    place = int(np.flatnonzero(choice.ks == choice.recommended)[0])
    if choice.stability[place] >= _WEAK:
        return []
    return [
        "That is weak: the cells pass into each other gradually, and clusters cut them where "
        "chance has it. Use consensus, and trust only clusters that are stable one by one."
    ]


def _trivial(choice: KChoice) -> list[str]:
    most = choice.picks()["stability"]
    if most is None or most >= choice.recommended or choice.why in ("separate", "few"):
        return []
    return [
        f"{most} clusters are the most stable of all ({_at(choice, most)}), but so few only part "
        "what is plainly different, such as water from land, and hide kinds of settlement in "
        "one cluster."
    ]


def _others(choice: KChoice) -> str:
    picks = choice.picks()
    said = [
        f"{_NAMES[name]} takes {picks[name]}"
        if picks[name] is not None
        else f"{_NAMES[name]} takes none that was tried"
        for name in _NAMES
    ]
    differ = len({picks[name] for name in _NAMES} | {choice.recommended}) > 1
    end = "; they differ, since each asks another question" if differ else "; all agree"
    text = f"{', '.join(said[:-1])} and {said[-1]}{end}."
    return text[0].upper() + text[1:]
