"""A tuned network on scenes: patches become the classes' scores, and these become classes.

To the embedding engine a tuned network is one more backbone, whose only layer are the
scores of its classes: so units, nodata, edges, resuming and stores are the engine's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from terrapatch.backbones.base import Backbone, Batch, Descriptor, Groups
from terrapatch.backbones.flight import Flight, plain_fp32
from terrapatch.backbones.network import fill_up, usable_device
from terrapatch.backbones.weights import Found
from terrapatch.errors import BackboneError, RecipeError
from terrapatch.learn._features import Features, Progress, occupied, stream
from terrapatch.learn.calibration import apply_temperature
from terrapatch.learn.scene_model import Classified
from terrapatch.learn.tuning.files import HEAD
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.tuned import Tuned
from terrapatch.legend import Legend

LAYER = "scores"


class ScoreEmbedder:
    """Describes patches by a tuned network's scores, those of ``Tuned.logits``.

    Attributes:
        groups: One group, ``scores``, with a number a class.
    """

    def __init__(self, tuned: Tuned, device: str) -> None:
        """Put the network on a device.

        Raises:
            BackboneError: If the device cannot be used.
        """
        self._device = usable_device(device)
        self._network = tuned.network.to(self._device).eval()
        self._scaler = Scaler(tuned.backbone, tuned.side, self._device)
        self.groups: Groups = ((LAYER, 0, len(tuned.classes)),)

    def features(
        self,
        batch: Batch,
        valid: Batch | None = None,  # noqa: ARG002 (invalid pixels are filled already)
    ) -> npt.NDArray[np.float32]:
        """Describe patches ``(n, bands, h, w)`` in 0–255 by ``(n, classes)`` float32.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        return self.begin(batch).result()

    def begin(self, batch: Batch) -> Flight:
        """Start describing patches; see ``NetworkEmbedder.begin``.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        if len(batch) == 0:
            return Flight(torch.empty((0, self.groups[-1][2])), 0)
        try:
            with torch.inference_mode(), plain_fp32(self._device, torch.float32):
                return Flight(self._network(self._scaler(fill_up(batch))).float(), len(batch))
        except torch.OutOfMemoryError as fault:
            raise BackboneError(
                f"the GPU's memory does not hold a batch of {len(batch)} patches; give smaller "
                "batches, or pass --device cpu"
            ) from fault


def score_backbone(tuned: Tuned) -> Backbone:
    """Describe a tuned network as a backbone, for ``embed``.

    Args:
        tuned: The network.

    Returns:
        A backbone whose one layer is ``scores``, with the contract of the network it was
        tuned from and the SHA-256 of the tuned network for its identity.

    Raises:
        BackboneError: If what it was tuned from is no network.
    """
    base, side = tuned.backbone, tuned.side
    if base.contract is None:
        raise BackboneError(f"{base.name} is no network, so nothing can be tuned from it")
    contract, only = replace(base.contract, sizes=(side, side)), Descriptor((LAYER,), ("mean",))
    if base.mixing is not None:  # the scaler mixes
        bands = tuple(f"band {n}" for n in range(1, base.mixing.bands + 1))
        contract = replace(contract, channels=bands)

    def load(
        backbone: Backbone, wanted: Descriptor, size: int | None, device: str, _precision: str
    ) -> ScoreEmbedder:
        if wanted != only or size not in (None, side) or backbone.mixing is not None:
            raise BackboneError(
                f"{backbone.name} gives the scores of its classes for patches brought to {side} "
                "px and nothing else; leave out layers, pooling, l2, input size and adapt"
            )
        return ScoreEmbedder(tuned, device)

    return Backbone(
        name=f"{base.name}:tuned",
        summary=f"{base.summary}, tuned to {len(tuned.classes)} classes",
        layers=(LAYER,),
        default=only,
        contract=contract,
        loader=load,
        found=Found(Path(HEAD), tuned.identity(), "a tuned network"),
        poolings=("mean",),
        precisions=("fp32",),
        packages=base.packages,
    )


@dataclass(frozen=True, eq=False)
class SceneNetwork:
    """A tuned network as a classifier of scenes, beside ``SceneModel``.

    Attributes:
        tuned: The network.
        average: ``d4`` for the mean over a patch's eight turns and flips, else ``none``.
        any_size: It was tuned on images, which have no size on the ground.
        index_threshold: It does not know how far a patch is from its training images.
    """

    tuned: Tuned
    average: str = "none"
    any_size: bool = True
    index_threshold: float | None = None

    @cached_property
    def legend(self) -> Legend:
        """The classes."""
        return Legend.of(self.tuned.classes)

    @cached_property
    def backbone(self) -> Backbone:
        """The network as ``embed`` takes it."""
        return score_backbone(self.tuned)

    def embedding_options(self) -> dict[str, Any]:
        """Return the options of ``embed`` that make this network's scores."""
        return {"backbone": self.backbone, "average": self.average, "dtype": "float32"}

    def check(self, features: Features) -> list[str]:
        """Refuse what are not the scores of this network.

        Args:
            features: Anything with a ``recipe``.

        Returns:
            Sentences a person should know.

        Raises:
            RecipeError: If the features were made by another network, or averaged otherwise.
        """
        theirs = dict(features.recipe.space)
        mine = {key: value for key, value in theirs.items() if key != "average"}
        mine |= {"backbone": self.backbone.name, "weights": self.backbone.identity()}
        mine |= {"layers": [LAYER]} | ({} if self.average == "none" else {"average": self.average})
        if mine != theirs:
            told = "; ".join(features.recipe.space_differences(mine))
            raise RecipeError(
                f"these features are not the scores of this tuned network ({told}); classify the "
                "scene itself, and name a new place for its scores with --store"
            )
        return self._notes(str(theirs["size"]))

    def _notes(self, size: str) -> list[str]:
        notes = [
            f"the network was tuned on images and patches are {size}; both are brought to "
            f"{self.tuned.side} px, so patches should show as much ground as the images did"
        ]
        if "temperature" not in self.tuned.description:
            notes.append(
                "the network keeps no temperature, so confidences are those of its softmax as it "
                "is (temperature 1), which is mostly too sure; tune it again to have one fitted"
            )
        elif self.tuned.description.get("average", "none") != self.average:
            notes.append(
                "the temperature was fitted with another --average than the one given, so "
                "confidences are less exact"
            )
        return notes

    def predict(self, features: Features, progress: Progress | None = None) -> Classified:
        """Turn the scores of every non-empty cell into a class, and say how sure it is.

        Args:
            features: Scores of this network.
            progress: Called as ``progress(stage, cells done, cells in all)``.

        Raises:
            RecipeError: If the features are not the scores of this network.
        """
        self.check(features)
        shape = features.shape
        labels = np.zeros(shape, np.uint8 if len(self.legend) <= 254 else np.uint16)
        confidence, margin = (np.full(shape, np.nan, np.float32) for _ in range(2))
        for cells, rows in stream(features, occupied(features), "classifying", progress):
            given = apply_temperature(rows, self.tuned.temperature)
            order = np.sort(given, axis=1)
            labels.flat[cells] = rows.argmax(axis=1) + 1
            confidence.flat[cells] = order[:, -1]
            margin.flat[cells] = order[:, -1] - order[:, -2]
        told = {"network": self.tuned.description, "features": features.recipe.as_dict()}
        return Classified(labels, confidence, margin, None, features.geobox, told)
