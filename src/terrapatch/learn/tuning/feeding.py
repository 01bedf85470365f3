"""Whether the frozen stages' maps are kept, or images go through the whole network."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from terrapatch.backbones import Backbone
from terrapatch.learn.tuning.augment import Augment
from terrapatch.learn.tuning.feeds import Feed, ImageFeed, MapFeed
from terrapatch.learn.tuning.images import Images
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.maps import Maps, Progress, map_bytes
from terrapatch.learn.tuning.network import TunedNetwork
from terrapatch.learn.tuning.plan import Plan
from terrapatch.learn.tuning.prefix import Prefix
from terrapatch.learn.tuning.settings import Settings
from terrapatch.learn.tuning.stages import Cut

log = logging.getLogger("terrapatch")

# The folder that kept maps are in.
MAPS = "maps"


def digest(value: Any) -> str:
    """Return a hash of JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Feeds:
    """Both parts of the data as the loop takes them, and what is to be undone after it.

    Attributes:
        train: The training part.
        val: The validation part.
        pooled: Whether they give pooled features.
        maps: Kept maps.
        cut: Where the network was cut for them.
    """

    train: Feed
    val: Feed
    pooled: bool = False
    maps: tuple[Maps, ...] = ()
    cut: Cut | None = None

    def close(self) -> None:
        """Make the network whole again and delete the kept maps."""
        if self.cut is not None:
            self.cut.put_back()
        for one in self.maps:
            one.remove()


@dataclass(frozen=True)
class Feeding:
    """Chooses how a run gets its batches.

    Attributes:
        backbone: The backbone, ready.
        network: Its network.
        plan: Which stages stay frozen.
        settings: How it is trained.
        out: Folder of the run.
        side: Side of the network's input.
        device: Where it runs.
    """

    backbone: Backbone
    network: TunedNetwork
    plan: Plan
    settings: Settings
    out: Path
    side: int
    device: torch.device

    def feeds(
        self,
        train: Images,
        val: Images,
        budget: int,
        keys: Sequence[str],
        progress: Progress | None,
    ) -> Feeds:
        """Return feeds of kept maps where they pay and fit, of images where not.

        Args:
            train: Images of the training part.
            val: Images of the validation part.
            budget: Bytes that kept maps may take.
            keys: What tells both parts' images from others.
            progress: See ``Maps.fill``.

        Raises:
            OutputError: If the maps cannot be written.
            SamplesError: If an image cannot be read.
        """
        scaler, changes = Scaler(self.backbone, self.side, self.device), self.settings.changes
        if self.plan.freeze and changes.only_turns and budget > 0:
            kept = self._kept(train, val, scaler, budget, keys, progress)
            if kept is not None:
                return kept
        seed = self.settings.seed
        return Feeds(
            ImageFeed(train, scaler, changes, seed), ImageFeed(val, scaler, Augment(), seed)
        )

    def _kept(
        self,
        train: Images,
        val: Images,
        scaler: Scaler,
        budget: int,
        keys: Sequence[str],
        progress: Progress | None,
    ) -> Feeds | None:
        architecture, turns = self.backbone.architecture, self.settings.changes.turns
        if architecture is None:
            return None
        self.network.to(self.device)
        prefix = Prefix(
            self.network, architecture, self.plan.freeze, scaler, len(train[0]), self.device
        )
        need = map_bytes(len(train), len(turns), prefix.shape) + map_bytes(
            len(val), 1, prefix.shape
        )
        if need > budget:
            log.info("the maps would take %d MiB, more than allowed: none are kept", need >> 20)
            return None
        cut = prefix.cut()
        if cut is None and not prefix.pooled:
            log.info("%s cannot be cut there: no maps are kept", self.backbone.name)
            return None
        made = self._maps(train, val, prefix, keys, progress)
        seed, changes = self.settings.seed, self.settings.changes
        return Feeds(
            MapFeed(made[0], changes, seed, self.device),
            MapFeed(made[1], Augment(), seed, self.device),
            prefix.pooled,
            made,
            cut,
        )

    def _maps(
        self,
        train: Images,
        val: Images,
        prefix: Prefix,
        keys: Sequence[str],
        progress: Progress | None,
    ) -> tuple[Maps, Maps]:
        """Make the maps of both parts."""
        own = [self.backbone.identity(), self.side, self.plan.freeze, self.settings.pooling]
        parts = (("train", train, self.settings.changes.turns, 0), ("val", val, (0,), 1))
        made = []
        for name, images, turns, i in parts:
            key = digest([own, list(turns), keys[i], torch.__version__])
            maps = Maps(self.out / MAPS, name, images, turns, prefix.shape, key)
            maps.fill(prefix, progress)
            made.append(maps)
        return made[0], made[1]
