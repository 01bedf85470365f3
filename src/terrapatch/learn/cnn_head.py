"""A small convolutional network on feature maps, as a scikit-learn classifier.

After Marmanis et al. 2016 (IEEE Geoscience and Remote Sensing Letters 13(1)): what a frozen
network gives is kept as a map, and a small supervised network learns from where things lie in
it, which pooling over positions has thrown away.

Maps of all layers are brought to the smallest side among them (means over windows) and joined
by channel. Then follow a 1 x 1 convolution, a 3 x 3 convolution, the mean over positions and
one linear layer. A turned map is nearly the map of the turned image, so training samples are
turned by quarters and mirrored, which costs no run of the frozen network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from terrapatch.errors import SamplesError

if TYPE_CHECKING:
    import torch

Maps = tuple[tuple[int, int, int], ...]
"""Channels, rows and columns of each layer's map, in the order of the features."""
Weights = dict[str, "torch.Tensor"]

# Rows that go through the network at once when classes are predicted.
CHUNK = 256
# Longest gradient a step may follow.
LONGEST_STEP = 1.0
# Share of a layer's root mean square deviation that a channel is taken to have at least:
# one that hardly varies among few samples must not be blown up where it does vary.
LEAST_SPREAD = 0.1


class CnnHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A 1 x 1 and a 3 x 3 convolution over feature maps, trained with AdamW on a half cosine.

    Args:
        maps: ``(channels, rows, columns)`` of each layer. A row of features holds the layers
            one after another, each channel by channel (pooling ``flatten``).
        filters: Channels of either convolution.
        epochs: Passes over the samples.
        least_steps: Steps that are made at least; with few samples there are more passes.
        batch: Samples of a step.
        rate: Learning rate of the first step; it falls to 0 along half a cosine
            (Loshchilov and Hutter 2017 and 2019, ICLR).
        decay: Weight decay.
        dropout: Share of channels left out before the linear layer while training.
        smoothing: Label smoothing (Szegedy et al. 2016, CVPR).
        turns: Whether samples are turned and mirrored at random while training.
        random_state: Seed of first weights, order, turns and dropout.

    Attributes:
        classes_: Labels, sorted.
        weights_: The fitted network as float32 arrays: ``mix`` ``(filters, channels, 1, 1)``,
            ``look`` ``(filters, filters, 3, 3)``, ``tell`` ``(classes, filters)`` and a
            ``…_bias`` of each.
        losses_: Mean training loss of each epoch, float64.
    """

    def __init__(
        self,
        maps: Maps | None = None,
        filters: int = 128,
        epochs: int = 30,
        least_steps: int = 500,
        batch: int = 64,
        rate: float = 2e-3,
        decay: float = 0.05,
        dropout: float = 0.5,
        smoothing: float = 0.1,
        turns: bool = True,
        random_state: int = 0,
    ) -> None:
        """Keep the parameters as given."""
        self.maps = maps
        self.filters = filters
        self.epochs = epochs
        self.least_steps = least_steps
        self.batch = batch
        self.rate = rate
        self.decay = decay
        self.dropout = dropout
        self.smoothing = smoothing
        self.turns = turns
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Learn from rows ``(n, F)`` and their labels ``(n,)``; one thread, whatever the machine.

        Raises:
            SamplesError: If the rows are not as long as the maps, or the loss is no longer a
                number.
            ValueError: If there is one class only, or a number that is not finite.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("a classifier needs samples of two classes or more")
        with _alone(self.random_state) as torch:
            maps = self._joined(rows)
            weights, losses = self._trained(maps, torch.from_numpy(targets.astype(np.int64)))
        self.weights_ = {name: tensor.detach().numpy() for name, tensor in weights.items()}
        self.losses_ = np.array(losses)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class ``(n, classes)`` for rows ``(n, F)``."""
        check_is_fitted(self, "weights_")
        rows = validate_data(self, X, reset=False, dtype=np.float32)
        with _alone(self.random_state) as torch, torch.inference_mode():
            weights = {name: torch.from_numpy(array) for name, array in self.weights_.items()}
            parts = [
                _forward(weights, self._joined(rows[start : start + CHUNK]))
                for start in range(0, len(rows), CHUNK)
            ]
            found = torch.cat(parts).double().softmax(1).numpy()
        return np.asarray(found, np.float64)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likeliest label of rows ``(n, F)``."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def _joined(self, rows: NDArray[np.float32]) -> torch.Tensor:
        """Return rows as one map ``(n, channels, rows, columns)`` of the smallest side."""
        import torch
        from torch.nn import functional

        if self.maps is None:
            raise SamplesError(
                "the head cnn is not told the maps its features are of; give it maps, for "
                "example ((320, 8, 8),)"
            )
        lengths = [math.prod(shape) for shape in self.maps]
        if sum(lengths) != rows.shape[1]:
            told = " and ".join(" x ".join(map(str, shape)) for shape in self.maps)
            raise SamplesError(
                f"the head cnn was told maps of {told}, {sum(lengths):,} numbers, but samples have "
                f"{rows.shape[1]:,}; give it the maps of these features"
            )
        side = (min(h for _, h, _ in self.maps), min(w for _, _, w in self.maps))
        given = torch.from_numpy(np.ascontiguousarray(rows))
        cut = torch.split_with_sizes(given, lengths, 1)
        parts = [part.view(-1, *shape) for part, shape in zip(cut, self.maps, strict=True)]
        return torch.cat([functional.adaptive_avg_pool2d(part, side) for part in parts], 1)

    def _trained(self, maps: torch.Tensor, targets: torch.Tensor) -> tuple[Weights, list[float]]:
        """Return fitted weights for maps as they come, and the loss of every epoch."""
        import torch
        from torch.nn import functional

        centre, spread = _moments(maps, [channels for channels, _, _ in self.maps or ()])
        maps = (maps - centre) / spread
        weights = self._first_weights(maps.shape[1])
        kept = [
            {"params": [w for n, w in weights.items() if n.endswith("bias")], "weight_decay": 0}
        ]
        drawn = [{"params": [w for n, w in weights.items() if not n.endswith("bias")]}]
        optimiser = torch.optim.AdamW(drawn + kept, lr=self.rate, weight_decay=self.decay)
        a_pass = -(-len(maps) // self.batch)
        epochs = max(self.epochs, -(-self.least_steps // a_pass))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * a_pass)
        losses = []
        for epoch in range(epochs):
            total = 0.0
            order = torch.randperm(len(maps))
            for start in range(0, len(maps), self.batch):
                places = order[start : start + self.batch]
                part = self._turned(maps[places])
                scores = _forward(weights, part, self.dropout)
                loss = functional.cross_entropy(
                    scores, targets[places], label_smoothing=self.smoothing
                )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(weights.values(), LONGEST_STEP)
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(places)
            losses.append(total / len(maps))
            if not math.isfinite(losses[-1]):
                raise SamplesError(
                    f"the loss of the head cnn is no longer a number in epoch {epoch + 1}; choose "
                    "a lower rate"
                )
        return _for_plain_maps(weights, centre, spread), losses

    def _first_weights(self, channels: int) -> Weights:
        """Draw weights of the same spread in every layer (He et al. 2015, ICCV)."""
        import torch

        shapes = {
            "mix": (self.filters, channels, 1, 1),
            "look": (self.filters, self.filters, 3, 3),
            "tell": (len(self.classes_), self.filters),
        }
        weights = {}
        for name, shape in shapes.items():
            spread = math.sqrt(2.0 / math.prod(shape[1:]))
            weights[name] = torch.randn(shape).mul_(spread).requires_grad_()
            weights[f"{name}_bias"] = torch.zeros(shape[0]).requires_grad_()
        return weights

    def _turned(self, maps: torch.Tensor) -> torch.Tensor:
        """Turn and mirror each map at random; maps that are no squares by half turns alone."""
        import torch

        if not self.turns:
            return maps
        kept = (1, 2, 3) if maps.shape[2] == maps.shape[3] else (2,)
        quarters = torch.tensor((0, *kept))[torch.randint(len(kept) + 1, (len(maps),))]
        mirrored = torch.rand(len(maps)) < 0.5
        out = torch.where(mirrored.view(-1, 1, 1, 1), maps.flip(3), maps)
        for quarter in kept:
            here = quarters == quarter
            out[here] = torch.rot90(out[here], quarter, (2, 3))
        return out


@contextmanager
def _alone(seed: int) -> Iterator[Any]:
    """Give torch with one thread and a seed of its own, and leave both as they were.

    Threads add in an order that changes with their number, and so do the last bits.
    """
    import torch

    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield torch
        finally:
            torch.set_num_threads(before)


def _forward(weights: Weights, maps: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
    """Return scores ``(n, classes)`` of maps ``(n, channels, rows, columns)``."""
    from torch.nn import functional

    mixed = functional.conv2d(maps, weights["mix"], weights["mix_bias"]).relu()
    seen = functional.conv2d(mixed, weights["look"], weights["look_bias"], padding=1).relu()
    pooled = functional.dropout(seen.mean((2, 3)), dropout, training=dropout > 0)
    return functional.linear(pooled, weights["tell"], weights["tell_bias"])


def _moments(maps: torch.Tensor, layers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of every channel over samples and positions.

    Args:
        maps: ``(n, channels, rows, columns)``.
        layers: Channels of each layer.
    """
    import torch

    centre = maps.mean((0, 2, 3), keepdim=True)
    variance = (maps - centre).square().mean((0, 2, 3), keepdim=True)
    spreads = []
    for part in torch.split_with_sizes(variance, layers, 1):
        least = float(part.mean().sqrt()) * LEAST_SPREAD
        spreads.append(part.sqrt().clamp(min=least or 1.0))  # a constant layer says nothing
    return centre, torch.cat(spreads, 1)


def _for_plain_maps(weights: Weights, centre: torch.Tensor, spread: torch.Tensor) -> Weights:
    """Fold the scaling of the channels into the first convolution, which is linear too."""
    mix = weights["mix"].detach() / spread
    bias = weights["mix_bias"].detach() - (mix * centre).sum((1, 2, 3))
    return weights | {"mix": mix, "mix_bias": bias}
