"""A network as a pixel learner: fitted on labelled pixels, read out over whole blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.backbones.precision import choose_device
from terrapatch.errors import SamplesError
from terrapatch.learn.calibration import fit_temperature
from terrapatch.learn.pixels.base import (
    Floats,
    LabelledPixels,
    PixelLearner,
    PixelValues,
    Progress,
)
from terrapatch.learn.pixels.nets.files import net_bytes, read_net
from terrapatch.learn.pixels.nets.holding import held_pixels
from terrapatch.learn.pixels.nets.kinds import find_net
from terrapatch.learn.pixels.nets.parts import PixelNet
from terrapatch.learn.pixels.nets.patches import cut_patches
from terrapatch.learn.pixels.nets.settings import NetSettings, parse_net
from terrapatch.learn.pixels.nets.training import (
    Standard,
    Training,
    steady,
    turned,
    turned_back,
)

# Numbers of the widest layer that may be held at once when classes are told.
FLOATS = 8 << 20
_WIDEST = 256


class NetLearner(PixelLearner):
    """A network that tells the classes of pixels apart.

    Args:
        settings: Kind of network, and how it is trained.

    Attributes:
        window: Side of the square it looks at.
        classes_: Class ids it has learned, rising, after ``fit``.
        temperature: After ``fit``: what scores are divided by to be the best logarithms of
            probabilities, by the held pixels; 1 where none are held.
        chosen: After ``fit``: pixels trained on and held, how the held were chosen, the epoch
            that was kept, the number of weights.
        history: After ``fit``: losses and accuracies of every epoch, by name.
    """

    kind: ClassVar[str] = "net"

    def __init__(self, settings: NetSettings) -> None:
        self.options = settings
        self.window = settings.patch
        self.temperature = 1.0
        self.chosen: dict[str, Any] = {}
        self.history: dict[str, list[Any]] = {}
        self._network: PixelNet | None = None
        self._standard: Standard | None = None

    def fit(
        self, values: PixelValues, pixels: LabelledPixels, *, progress: Progress | None = None
    ) -> NetLearner:
        """Train it; a part of the pixels decides which epoch is kept.

        Args:
            values: Features of the scene.
            pixels: The training part.
            progress: Called as ``progress(stage, done, total)`` with the stages ``reading
                features``, ``training`` and, where it is trained twice, ``training again``.

        Raises:
            SamplesError: If there are fewer than two classes, pixels without features, or the
                loss stops being a number.
        """
        classes, targets = np.unique(pixels.ids, return_inverse=True)
        if len(classes) < 2:
            raise SamplesError(
                f"{self.options.net} needs training pixels of two classes or more, and there "
                f"are {len(classes)}; label more"
            )
        self.classes_ = classes.astype(np.int32)
        seed = int(np.random.SeedSequence([self.options.seed, 5]).generate_state(1)[0])
        patches = cut_patches(values, pixels, self.options.patch, progress)
        with steady(self.options.threads, seed):
            self._standard = Standard.of(patches.centres())
            training = Training(
                self.options,
                patches,
                targets.astype(np.int64),
                self._standard,
                choose_device(self.options.device),
                progress,
            )
            self._train(training, pixels, values.n_features)
        return self

    def _train(self, training: Training, pixels: LabelledPixels, features: int) -> None:
        """Train once, or again on all pixels, and note what was chosen."""
        options = self.options
        held, told = held_pixels(pixels, options.held, options.seed)
        train, tried = np.flatnonzero(~held), np.flatnonzero(held)
        network = self._fresh(features)
        history = training.run(network, train, tried, options.epochs, "training")
        best = history.best if len(tried) else len(history) - 1
        self.temperature = 1.0
        if len(tried):
            scores = training.scores(network, tried).numpy()
            self.temperature = fit_temperature(scores, training.targets[tried] + 1)
        if options.refit and len(tried):
            network = self._fresh(features)
            training.run(network, np.arange(len(pixels)), tried[:0], best + 1, "training again")
        self._network = network
        self.history = {
            name: numbers
            for name, numbers in history.as_dict().items()
            if name != "lowest" and (len(tried) or not name.startswith("val_"))
        }
        self.chosen = {
            "epoch": best + 1,
            "train": len(pixels) if options.refit else len(train),
            "held": len(tried),
            "held_by": told,
            "weights": sum(p.numel() for p in network.parameters()),
        }

    def _fresh(self, features: int) -> PixelNet:
        options = self.options
        return find_net(options.net).build(
            features, len(self.classes_), options.patch, options.width, options.dropout
        )

    def scores(self, values: Floats) -> NDArray[np.float32]:
        """Return logarithms of probabilities; a block goes through the network in one go.

        Args:
            values: ``(rows + window - 1, cols + window - 1, features)`` float32, a block with
                half a window of context on every side; NaN counts as the mean.

        Returns:
            ``(rows, cols, len(classes_))`` float32.

        Raises:
            SamplesError: If it is not fitted, or the block has other features.
        """
        network, standard = self._fitted()
        if values.shape[2] != len(standard.mean):
            raise SamplesError(
                f"the network was trained on {len(standard.mean)} features and the pixels have "
                f"{values.shape[2]}; give the features it was trained on"
            )
        shape = tuple(n - self.window + 1 for n in values.shape[:2])
        if self.window == 1:
            values = values.reshape(1, -1, values.shape[2])
        halo = self.window - 1
        rows, cols = values.shape[0] - halo, values.shape[1] - halo
        out = np.empty((rows, cols, len(self.classes_)), np.float32)
        down, across = self._side(network)
        device = torch.device(choose_device(self.options.device))
        network, standard = network.to(device), standard.to(device)
        with torch.inference_mode():
            for top in range(0, rows, down):
                for left in range(0, cols, across):
                    part = values[top : top + down + halo, left : left + across + halo]
                    x = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))
                    told = self._told(network, standard(x[None].float().to(device)))
                    out[top : top + down, left : left + across] = (
                        told.permute(1, 2, 0).cpu().numpy()
                    )
        return out.reshape(*shape, -1)

    def _told(self, network: PixelNet, x: torch.Tensor) -> torch.Tensor:
        """Return ``(classes, rows, cols)`` of a standardised block."""
        if self.options.average == "none" or self.window == 1:
            return network(x)[0].log_softmax(0)  # type: ignore[no-any-return]
        parts = [turned_back(network(turned(x, way)), way).softmax(1) for way in range(8)]
        return torch.stack(parts).mean(0)[0].clamp_min(1e-12).log()

    def _side(self, network: PixelNet) -> tuple[int, int]:
        """Return rows and columns of the parts that a block is cut into, for layers to fit."""
        most = FLOATS // network.floats
        if self.window == 1:
            return 1, max(64, min(_WIDEST**2, most))
        side = max(8, min(_WIDEST, math.isqrt(most) - self.window + 1))
        return side, side

    def _fitted(self) -> tuple[PixelNet, Standard]:
        if self._network is None or self._standard is None:
            raise SamplesError(f"{self.options.net} is not trained; call fit first")
        return self._network, self._standard

    def settings(self) -> dict[str, Any]:
        """Return how it was made and what was chosen, as JSON values."""
        _, standard = self._fitted()
        return {
            "kind": self.kind,
            "text": self.options.text,
            "options": self.options.as_dict(),
            "features": len(standard.mean),
            "classes": self.classes_.tolist(),
            "temperature": self.temperature,
            "chosen": self.chosen,
            "history": self.history,
        }

    def files(self) -> dict[str, bytes]:
        """Return weights, means and spreads as one file of tensors."""
        network, standard = self._fitted()
        return net_bytes(network, standard)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> NetLearner:
        """Make the learner again from ``settings`` and ``files``.

        Raises:
            RecipeError: If a file is missing or damaged, or does not fit the settings.
        """
        options, classes, network, standard = read_net(settings, files)
        made = cls(options)
        made.classes_, made._network, made._standard = classes, network, standard
        made.temperature = float(settings["temperature"])
        made.chosen, made.history = dict(settings["chosen"]), dict(settings["history"])
        return made


def make_net(text: str, seed: int = 0) -> NetLearner:
    """Make a learner of a text such as ``net:hybridsn,patch=9,epochs=60``.

    Args:
        text: Kind of network and its options; ``net:`` may be left out.
        seed: The seed, where the text names none.

    Raises:
        SamplesError: If it is not understood.
    """
    return NetLearner(parse_net(text, seed))
