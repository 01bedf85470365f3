"""Several heads, each on layers of its own, whose probabilities are averaged.

Layers differ in what suits them: many correlated means want a shrunken linear border,
profiles a kernel. Put side by side in one row they drown one another; averaged as calibrated
probabilities, errors that members do not share cancel (Kittler et al., "On combining
classifiers", IEEE PAMI 20, 1998).

A blend is written as its members with ``|`` between them, a member as the text of a head, then
``@`` and the layers it sees with ``+`` between them (all layers without it):
``blend:lda@eap+mean|rbf-svm:C=100@emp|lda@segments``. A layer is named as in the stack
(``mean5``, ``segments-2``, the first of several ``segments-1``) or by its kind, which means
all layers of it (``mean``, ``segments``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.features.raster import FeatureBlock
from terrapatch.features.recipe import Recipe
from terrapatch.learn._features import Groups
from terrapatch.learn.calibration import apply_temperature, fit_temperature
from terrapatch.learn.pixels.base import Floats, LabelledPixels, PixelLearner, PixelValues, Progress
from terrapatch.learn.pixels.heads import HeadLearner, Held

# Probabilities below this count as this: none is ruled out.
FLOOR = 1e-12
_BETWEEN, _ON, _AND = "|", "@", "+"


@dataclass(frozen=True, eq=False)
class Member:
    """A head and the layers it sees.

    Attributes:
        learner: The head.
        layers: Names as they were asked for; empty for all.
    """

    learner: HeadLearner
    layers: tuple[str, ...] = ()

    def chosen(self, groups: Groups) -> Groups:
        """Return the layers it sees among those there are.

        Raises:
            SamplesError: If one it asks for is not there.
        """
        for name in self.layers:
            if not any(_means(name, layer) for layer, _, _ in groups):
                raise SamplesError(
                    f"the blend asks for the layer {name!r}, which the features do not have; "
                    f"choose from {', '.join(layer for layer, _, _ in groups)}, or add the feature"
                )
        asked = [g for g in groups if any(_means(name, g[0]) for name in self.layers)]
        return tuple(asked) if self.layers else tuple(groups)


def _means(name: str, layer: str) -> bool:
    """Whether a layer is named, by itself or by its kind (``mean`` for ``mean5-2``)."""
    if name.endswith("-1"):
        return layer == name.removesuffix("-1")
    return layer == name or re.fullmatch(re.escape(name) + r"\d*(-\d+)?", layer) is not None


class BlendLearner(PixelLearner):
    """The mean of the calibrated probabilities of several heads.

    Args:
        members: The heads and their layers, two at least.

    Attributes:
        temperature: What its scores are divided by to become logarithms of probabilities,
            fitted on the members' folds; 1 where they have none in common.
        told: How it was chosen and calibrated, in a sentence.

    Raises:
        SamplesError: If there is only one member.
    """

    kind: ClassVar[str] = "blend"

    def __init__(self, members: tuple[Member, ...]) -> None:
        """Keep the members; see the class."""
        if len(members) < 2:
            raise SamplesError(
                "a blend needs two members or more; write them with | between them, such as "
                "blend:lda@eap|rbf-svm@emp"
            )
        self.members, self.temperature, self.told = tuple(members), 1.0, ""

    @property
    def counts(self) -> list[int]:
        """Training pixels of each class in ``classes_``."""
        return self.members[0].learner.counts

    def fit(
        self, values: PixelValues, pixels: LabelledPixels, *, progress: Progress | None = None
    ) -> BlendLearner:
        """Fit every member to the same pixels; see ``PixelLearner.fit``.

        Raises:
            SamplesError: If a layer is not there, or as ``HeadLearner.fit``.
        """
        self._find(values.groups)
        for i, (member, layers) in enumerate(zip(self.members, self._layers, strict=True), 1):
            told = None if progress is None else _of_member(progress, i, len(self.members))
            member.learner.fit(LayerView(values, layers), pixels, progress=told)
        self.classes_ = self.members[0].learner.classes_
        held = [member.learner.held for member in self.members]
        self.temperature = self._calibrated([h for h in held if h is not None])
        said = dict.fromkeys(member.learner.told for member in self.members)
        self.told = f"members {', '.join(said)}"
        return self

    def _find(self, groups: Groups) -> None:
        """Find the columns of the members' layers."""
        self.groups: Groups = tuple((str(n), int(a), int(b)) for n, a, b in groups)
        self._layers = [member.chosen(self.groups) for member in self.members]

    def _calibrated(self, held: list[Held]) -> float:
        """Fit the temperature where all members were held to the same pixels."""
        if len(held) < len(self.members):
            return 1.0
        if any(not np.array_equal(h.pixels, held[0].pixels) for h in held):
            return 1.0
        mixed = self._mixed([h.scores for h in held])
        return fit_temperature(np.log(mixed), held[0].true)

    def _mixed(self, scores: list[NDArray[Any]]) -> NDArray[np.float64]:
        """Average the members' probabilities."""
        total = np.zeros(scores[0].shape)
        for member, own in zip(self.members, scores, strict=True):
            total += apply_temperature(own, member.learner.temperature)
        return np.maximum(total / len(scores), FLOOR)

    def scores(self, values: Floats) -> NDArray[np.float32]:
        """Return logarithms of the mean probabilities; see ``PixelLearner.scores``."""
        rows = values.reshape(-1, values.shape[-1])
        given = [
            member.learner.row_scores(_columns(rows, layers))
            for member, layers in zip(self.members, self._layers, strict=True)
        ]
        made = np.log(self._mixed(given)).astype(np.float32)
        return made.reshape(*values.shape[:-1], len(self.classes_))

    def settings(self) -> dict[str, Any]:
        """Return how it was made and what was chosen, as JSON values."""
        return {
            "members": [
                {"layers": list(member.layers), "settings": member.learner.settings()}
                for member in self.members
            ],
            "groups": [list(group) for group in self.groups],
            "temperature": self.temperature,
            "chosen_by": self.told,
            "classes": [int(id) for id in self.classes_],
            "counts": self.counts,
        }

    def files(self) -> dict[str, bytes]:
        """Return the members' files, each name with the member's number before it."""
        return {
            f"{i}-{name}": data
            for i, member in enumerate(self.members, 1)
            for name, data in member.learner.files().items()
        }

    @classmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> BlendLearner:
        """Make the learner again from ``settings`` and ``files``; nothing in them is run.

        Raises:
            RecipeError: If a file is damaged or holds anything but numbers.
        """
        try:
            members = []
            for i, one in enumerate(settings["members"], 1):
                own = {
                    name.partition("-")[2]: data
                    for name, data in files.items()
                    if name.partition("-")[0] == str(i)
                }
                layers = tuple(str(name) for name in one["layers"])
                members.append(Member(HeadLearner.restore(one["settings"], own), layers))
            made = cls(tuple(members))
            made._find(settings["groups"])
            made.classes_ = np.asarray(settings["classes"], np.int32)
            made.temperature, made.told = float(settings["temperature"]), str(settings["chosen_by"])
            for member, own_layers in zip(made.members, made._layers, strict=True):
                if member.learner.groups != _renumbered(own_layers):
                    raise ValueError("members and layers do not fit each other")
                if not np.array_equal(member.learner.classes_, made.classes_):
                    raise ValueError("members and classes do not fit each other")
        except (KeyError, TypeError, ValueError, AttributeError, SamplesError) as fault:
            raise RecipeError(
                f"the blend of the model is damaged ({fault}); train the model again"
            ) from fault
        return made


def make_blend(text: str, seed: int = 0) -> BlendLearner:
    """Return an unfitted blend.

    Args:
        text: Its members, such as ``lda@eap+mean|rbf-svm:C=100@emp|lda@segments``.
        seed: Seed of everything random.

    Raises:
        SamplesError: If a member is not understood, or no head.
    """
    from terrapatch.learn.pixels.learners import parse_head

    members = []
    for part in text.split(_BETWEEN):
        head, on, listed = (word.strip() for word in part.partition(_ON))
        layers = tuple(dict.fromkeys(name.strip() for name in listed.split(_AND) if name.strip()))
        if not head or (on and not layers):
            raise SamplesError(
                f"the member {part.strip()!r} of a blend is not understood; write a head, then @ "
                "and layers, such as lda@eap+mean"
            )
        members.append(Member(parse_head(head, seed), layers))
    return BlendLearner(tuple(members))


class LayerView:
    """Some layers of the features of a scene.

    Args:
        values: The features.
        layers: The layers to see, as name, start and stop.
    """

    def __init__(self, values: PixelValues, layers: Groups) -> None:
        """Take over the features; they have to stay readable."""
        self._values, self._layers = values, layers

    @property
    def geobox(self) -> GeoBox:
        """Grid of the pixels."""
        return self._values.geobox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._values.shape

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """Name, start and stop of each layer's numbers."""
        return _renumbered(self._layers)

    @property
    def n_features(self) -> int:
        """Numbers of a pixel."""
        return sum(stop - start for _, start, stop in self._layers)

    @property
    def recipe(self) -> Recipe:
        """How they are made."""
        return self._values.recipe

    def read(self, rows: slice, cols: slice) -> Floats:
        """Read ``(rows, cols, features)`` float32 inside the scene, NaN in invalid pixels."""
        return _columns(self._values.read(rows, cols), self._layers)

    def blocks(self) -> Iterator[FeatureBlock]:
        """Go through all pixels block by block."""
        for block in self._values.blocks():
            values = _columns(block.values, self._layers)
            yield FeatureBlock(block.rows, block.cols, values, block.valid)


def _columns(values: Floats, layers: Groups) -> Floats:
    return np.concatenate([values[..., start:stop] for _, start, stop in layers], axis=-1)


def _renumbered(layers: Groups) -> tuple[tuple[str, int, int], ...]:
    """Return layers as they lie side by side."""
    made, at = [], 0
    for name, start, stop in layers:
        made.append((name, at, at + stop - start))
        at += stop - start
    return tuple(made)


def _of_member(progress: Progress, i: int, n: int) -> Progress:
    return lambda stage, done, total: progress(f"{stage} (member {i} of {n})", done, total)
