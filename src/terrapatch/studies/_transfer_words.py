"""What the figures of a transfer mean for a person, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from terrapatch.studies._transfer_measures import Ordered
    from terrapatch.studies.transferring import TransferResult

# A drop in accuracy that a threshold should have warned of, and the share it should have named.
_DROPPED, _WARNED = 0.05, 0.10


def percent(share: float) -> str:
    """Write a share in percent."""
    return f"{100 * share:.1f} %"


def advice(result: TransferResult) -> list[str]:
    """Say what to do: use the model, label here, and where to look first."""
    told = [_drop(result), _labels(result)]
    if result.by_dissimilarity is not None:
        told.append(_tells(result.by_dissimilarity, "distance to its training samples", "nearest"))
        told.append(_threshold(result))
    told.append(_tells(result.by_margin, "margin between its first two classes", "surest"))
    return [sentence for sentence in told if sentence]


def _drop(result: TransferResult) -> str:
    right = f"Among the classes that occur here the model is right for {percent(_closed(result))}"
    if result.ceiling is None:
        return f"{right} of the samples."
    lost = result.drop["closed"]
    return (
        f"{right} of the samples, where the same head trained here reaches "
        f"{percent(result.ceiling.overall)}: {_points(lost.difference)}."
    )


def _points(lost: float) -> str:
    return f"{100 * abs(lost):.1f} points {'lost' if lost >= 0 else 'won'} by coming from elsewhere"


def _labels(result: TransferResult) -> str:
    if result.ceiling is not None and _good_enough(result):
        return "It can be used here as it is: labels here would win less than 2 points."
    if not result.few:
        return ""
    match, top, n = result.labels_to_match, result.labels_to_ceiling, len(result.pairs.classes)
    most = result.few[-1]
    if match is None:
        tried = ", ".join(str(one.k) for one in result.few)
        return (
            f"None of the numbers of local labels tried ({tried} a class) is as good as the model: "
            f"use it, or label more than {most.k} samples a class here."
        )
    bought = f"Label about {match} samples a class here ({match * n} in all): a head trained on "
    bought += "these alone is as good as the model"
    if top == match:
        return f"{bought}, and within 2 points of what can be reached here."
    if top is not None:
        return f"{bought}; about {top} a class come within 2 points of what can be reached here."
    reached = f"{most.k} a class reach {percent(most.mean)}"
    return (
        f"{bought}; {reached}, so label on."
        if result.ceiling is not None
        else f"{bought}; {reached}."
    )


def _good_enough(result: TransferResult) -> bool:
    from terrapatch.studies.transferring import CLOSE

    return result.drop["closed"].difference <= CLOSE


def _tells(found: Ordered, what: str, first: str) -> str:
    best, worst = percent(found.parts[0].overall), percent(found.parts[-1].overall)
    seen = f"of the {first} quarter {best} are right, of the last {worst}"
    if found.spread.certain and found.spread.difference > 0:
        return f"The {what} tells where to trust it ({seen}): check and label the other end first."
    return f"The {what} does not tell where to trust it ({seen})."


def _threshold(result: TransferResult) -> str:
    beyond, lost = result.beyond or 0.0, result.drop.get("closed")
    told = f"{percent(beyond)} of the samples lie beyond the model's threshold of dissimilarity"
    if lost is not None and lost.difference > _DROPPED and beyond < _WARNED:
        return (
            f"{told}, though many more are wrong: lying within it is no promise; go by the order, "
            "not by the threshold."
        )
    return f"{told}: do not trust the model there."


def _closed(result: TransferResult) -> float:
    return result.closed.overall
