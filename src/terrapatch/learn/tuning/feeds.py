"""Batches of a run: which images, in which order, in which version.

All of it follows from the seed, the epoch and the number of an image, so neither a
resumed run nor the number of readers changes a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.learn.tuning.augment import Augment, draw_turn
from terrapatch.learn.tuning.images import Image, Images
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.maps import Maps

Places = NDArray[np.int64]

# Validation images are never augmented; batches that are evaluated have no epoch.
PLAIN = -1
READERS = 2


class Feed(Protocol):
    """Something that gives batches in their order."""

    def batches(self, parts: Sequence[Places], epoch: int) -> Iterator[tuple[Places, torch.Tensor]]:
        """Give the images of every part, as what the network takes."""
        ...


def shuffled(count: int, batch: int, seed: int, epoch: int) -> list[Places]:
    """Return the images of every batch of an epoch, in an order of its own.

    A last batch of one image joins the one before, since batch norms learn nothing
    from one.
    """
    return _cut(np.random.default_rng([seed, epoch, 1]).permutation(count), batch)


def in_order(count: int, batch: int) -> list[Places]:
    """Return the images of batches in their own order."""
    return _cut(np.arange(count), batch)


def _cut(order: Places, batch: int) -> list[Places]:
    parts = [order[i : i + batch] for i in range(0, len(order), batch)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [np.concatenate(parts[-2:])]
    return parts


def image_rng(seed: int, epoch: int, i: int) -> np.random.Generator:
    """Return the generator of what happens to an image in an epoch."""
    return np.random.default_rng([seed, epoch, 2, i])


def ahead(
    get: Callable[[int], Image], parts: Sequence[Places]
) -> Iterator[tuple[Places, list[Image]]]:
    """Get the images of every part, those of the next one while a part is worked on."""
    with ThreadPoolExecutor(READERS, "terrapatch-tune") as pool:

        def start(part: Places) -> list[Future[Image]]:
            return [pool.submit(get, int(i)) for i in part]

        coming = start(parts[0]) if parts else []
        try:
            for n, part in enumerate(parts):
                now, coming = coming, start(parts[n + 1]) if n + 1 < len(parts) else []
                yield part, [future.result() for future in now]
        finally:
            for future in coming:
                future.cancel()


class ImageFeed:
    """Images that are read, augmented and scaled batch by batch, the next one meanwhile.

    Args:
        images: The images.
        scaler: Brings them to the network's input.
        augment: What may happen to them while training.
        seed: Seed of that.
    """

    def __init__(self, images: Images, scaler: Scaler, augment: Augment, seed: int) -> None:
        """Keep what is needed; nothing is read yet."""
        self._images, self._scaler = images, scaler
        self._augment, self._seed = augment, seed

    def batches(self, parts: Sequence[Places], epoch: int) -> Iterator[tuple[Places, torch.Tensor]]:
        """Give the images of every part; see ``Feed``."""
        for part, images in ahead(lambda i: self._one(i, epoch), parts):
            yield part, self._scaler(images)

    def _one(self, i: int, epoch: int) -> Image:
        image = self._images[i]
        if epoch == PLAIN or not self._augment.steps:
            return image
        return self._augment.apply(image, image_rng(self._seed, epoch, i)).image


class MapFeed:
    """Maps at the cut, or pooled features, that are on the disk.

    Args:
        maps: The maps, one version for each of ``augment``'s turns.
        augment: Turns only.
        seed: Seed of which turn an image takes.
        device: Where the batches go.
    """

    def __init__(self, maps: Maps, augment: Augment, seed: int, device: torch.device) -> None:
        """Keep what is needed; nothing is read yet."""
        self._maps, self._augment, self._seed, self._device = maps, augment, seed, device

    def batches(self, parts: Sequence[Places], epoch: int) -> Iterator[tuple[Places, torch.Tensor]]:
        """Give the maps of every part; see ``Feed``."""
        turns = self._augment.turns
        for part in parts:
            columns = [0] * len(part)
            if epoch != PLAIN:
                draw = (
                    draw_turn(self._augment, image_rng(self._seed, epoch, int(i))) for i in part
                )
                columns = [turns.index(which) for which in draw]
            maps = self._maps.take(part, columns)
            if maps.ndim == 4:
                maps = maps.contiguous(memory_format=torch.channels_last)
            yield part, maps.to(self._device)
