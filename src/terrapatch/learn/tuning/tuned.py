"""A tuned network: what it says of images, and how it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from terrapatch.backbones import Backbone, get_backbone
from terrapatch.backbones.build import random
from terrapatch.backbones.mixing import Mixing
from terrapatch.backbones.turning import check_average, turns
from terrapatch.errors import RecipeError, TerrapatchError
from terrapatch.features.image_files import strictly
from terrapatch.learn.tuning.feeds import ahead, in_order
from terrapatch.learn.tuning.files import model_content, read_model, write_model
from terrapatch.learn.tuning.history import History
from terrapatch.learn.tuning.images import Given, Images, Read
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.loop import Progress
from terrapatch.learn.tuning.network import TunedNetwork

# Options of ``TunedNetwork`` that its file repeats.
BUILT_WITH = ("pooling", "hidden", "dropout", "batch_norm")


@dataclass(frozen=True)
class Tuned:
    """A network tuned to classes.

    Attributes:
        network: The network, in evaluation mode.
        backbone: What it was made from.
        classes: Names of the classes 1, 2, ….
        history: What happened in every epoch; ``history.best`` is the one that was kept.
        description: JSON values: backbone, classes, history, how it is built, settings
            and versions; where it was calibrated also ``temperature``, and ``average``, how
            images were looked at for it.
    """

    network: TunedNetwork
    backbone: Backbone
    classes: tuple[str, ...]
    history: History
    description: dict[str, Any]

    def __post_init__(self) -> None:
        """Bring the description to what it will be when read back from JSON."""
        plain = json.loads(json.dumps(self.description, sort_keys=True))
        object.__setattr__(self, "description", plain)

    @property
    def side(self) -> int:
        """Side in pixels that images are brought to."""
        return int(self.description["input_size"])

    @property
    def temperature(self) -> float:
        """What scores are divided by before the softmax; 1 where it was not calibrated."""
        return float(self.description.get("temperature", 1.0))

    def identity(self) -> str:
        """Return the SHA-256 of all that ``save`` writes; other networks have other ones."""
        tensors = self.network.tensors(int(self.description["freeze"]))
        return str(model_content(self.description, tensors)[0]["sha256"])

    def logits(
        self,
        images: Given,
        *,
        read: Read | None = None,
        batch: int = 32,
        device: str = "cpu",
        average: str = "none",
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Return the classes' scores before the softmax, for calibration.

        Args:
            images: ``(n, bands, h, w)`` uint8, or paths.
            read: Reads a path; see ``tune``.
            batch: Images at once.
            device: ``auto``, ``cpu`` or ``cuda``.
            average: ``d4`` for the mean over an image's eight turns and flips.
            progress: Called with ``("predict", images done, images in all)``.

        Returns:
            ``(n, classes)`` float32.

        Raises:
            SamplesError: If an image cannot be read.
            BackboneError: If the device cannot be used.
        """
        from terrapatch.backbones.precision import choose_device

        check_average(average)
        where = torch.device(choose_device(device))
        given = Images(images, read, "given")
        scaler, network = Scaler(self.backbone, self.side, where), self.network.to(where).eval()
        out = np.empty((len(given), len(self.classes)), np.float32)
        with torch.no_grad(), strictly():
            for places, squares in ahead(given.__getitem__, in_order(len(given), batch)):
                out[places] = _scores(network, scaler, squares, average).cpu().numpy()
                if progress is not None:
                    progress("predict", int(places[-1]) + 1, len(given))
        return out

    def predict(self, images: Given, **options: Any) -> NDArray[np.float32]:
        """Return the probabilities of the classes ``(n, classes)``; options as in ``logits``."""
        return softmax(self.logits(images, **options) / np.float32(self.temperature))

    def classify(self, images: Given, **options: Any) -> NDArray[np.int64]:
        """Return the likeliest class of each image, its id from 1; options as in ``logits``."""
        return np.asarray(self.logits(images, **options).argmax(1) + 1, np.int64)

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write ``model.json`` and ``head.safetensors`` into a folder.

        The second holds the stages that may have been trained, and the head; the frozen
        ones stay in the backbone's own file. The same network gives the same bytes.

        Args:
            folder: Made if missing; may hold other files.
            overwrite: Replace a model that is there.

        Returns:
            The folder.

        Raises:
            OutputError: If there is a model already, or the folder cannot be written.
        """
        tensors = self.network.tensors(int(self.description["freeze"]))
        return write_model(Path(folder), self.description, tensors, overwrite)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        backbone: Backbone | None = None,
        weights: Path | str | None = None,
        offline: bool = False,
    ) -> Tuned:
        """Read back what ``save`` wrote; nothing in it is ever run.

        Args:
            folder: The model's folder.
            backbone: Its backbone, where it is not in the registry.
            weights: A file of the backbone's weights; only asked for if stages were frozen.
            offline: Whether a download of those is ruled out.

        Raises:
            RecipeError: If a file is missing, damaged, changed or of another version, or the
                backbone has other weights than the frozen stages had.
            WeightsError: If the backbone's weights are missing.
        """
        description, tensors = read_model(Path(folder))
        try:
            return cls._restored(description, tensors, backbone, weights, offline)
        except TerrapatchError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as fault:
            raise RecipeError(
                f"{Path(folder)} is not a usable tuned network ({fault}); tune and save it again"
            ) from fault

    @classmethod
    def _restored(
        cls,
        description: dict[str, Any],
        tensors: dict[str, torch.Tensor],
        given: Backbone | None,
        weights: Path | str | None,
        offline: bool,
    ) -> Tuned:
        told, freeze = description["backbone"], int(description["freeze"])
        backbone = given or get_backbone(str(told["name"]))
        if told["mixing"] is not None:
            backbone = replace(backbone, mixing=Mixing.from_dict(told["mixing"]))
        trunk = None
        if freeze:
            backbone = backbone.ready(weights, offline=offline)
            _check_identity(backbone, str(told["weights"]))
        elif backbone.architecture is not None:
            trunk = random(backbone.architecture, 0)  # every weight of it is replaced
        classes = tuple(str(name) for name in description["classes"])
        options = {name: description[name] for name in BUILT_WITH}
        side = int(description["input_size"])
        network = TunedNetwork(backbone, side, len(classes), network=trunk, **options)
        network.put(tensors, freeze)
        history = History.from_dict(description["history"])
        return cls(network.eval(), backbone, classes, history, description)


def softmax(scores: ArrayLike) -> NDArray[np.float32]:
    """Return probabilities of scores ``(n, classes)``."""
    shifted = np.asarray(scores, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def _scores(
    network: TunedNetwork, scaler: Scaler, squares: list[NDArray[np.uint8]], average: str
) -> torch.Tensor:
    if average == "none":
        scores: torch.Tensor = network(scaler(squares))
        return scores
    versions = zip(*(turns(image) for image in squares), strict=True)
    return torch.stack([network(scaler(list(version))) for version in versions]).mean(0)


def _check_identity(backbone: Backbone, weights: str) -> None:
    if str(backbone.identity()) != weights:
        raise RecipeError(
            f"the frozen stages of this network are those of {backbone.name} with the weights "
            f"{weights[:12]}…, but {str(backbone.identity())[:12]}… are given; give the same file "
            "of weights"
        )
