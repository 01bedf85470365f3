"""Fine-tuning a backbone on labelled images: one call from images to a tuned network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from terrapatch.backbones import Backbone
from terrapatch.backbones.precision import choose_device
from terrapatch.errors import SamplesError
from terrapatch.features.image_files import strictly
from terrapatch.learn.tuning.feeding import Feeding, digest
from terrapatch.learn.tuning.images import Given, Ids, Images, Read, checked_ids
from terrapatch.learn.tuning.loop import Loop, Part, Progress, is_over, previous_history
from terrapatch.learn.tuning.network import TunedNetwork
from terrapatch.learn.tuning.plan import Plan
from terrapatch.learn.tuning.settings import Settings, settings_of
from terrapatch.learn.tuning.tuned import Tuned

# Bytes that kept maps may take on the disk by default.
CACHE_BYTES = 4 << 30


def tune(
    train_images: Given,
    train_ids: ArrayLike,
    val_images: Given,
    val_ids: ArrayLike,
    classes: Sequence[str],
    backbone: Backbone,
    *,
    out: Path | str,
    read: Read | None = None,
    input_size: int | None = None,
    device: str = "auto",
    cache_bytes: int = CACHE_BYTES,
    progress: Progress | None = None,
    **options: Any,
) -> Tuned:
    """Tune a network to classes of whole images.

    The head is trained alone first, then stages are opened as the strategy says; the
    weights with the lowest validation loss are kept. After every epoch ``out`` holds a
    checkpoint and the learning curves, and the same call goes on from there. Where stages
    stay frozen and images come as they are or in their eight turns, what the frozen
    stages give is computed once and kept on the disk while the run lasts.

    Args:
        train_images: ``(n, bands, h, w)`` uint8, or paths.
        train_ids: Class ids from 1, one for each image.
        val_images: Images that decide when to stop and which weights are kept.
        val_ids: Their class ids.
        classes: Names of the classes 1, 2, ….
        backbone: The network to begin with.
        out: Folder of checkpoint, learning curves (``history.csv``) and kept maps.
        read: Reads a path to ``(bands, h, w)`` uint8; red, green and blue through GDAL if
            ``None``.
        input_size: Side in pixels that images are brought to; the backbone's own rule if
            ``None``.
        device: ``auto``, ``cpu`` or ``cuda``.
        cache_bytes: What kept maps may take on the disk; where they need more, the frozen
            stages are computed anew in every epoch.
        progress: Called with ``("maps", images done, images in all)`` and ``("tune",
            epochs done, epochs in all)``.
        **options: Any of ``Settings``: ``strategy``, ``freeze``, ``epochs``, ….

    Returns:
        The tuned network. On a CPU the same call gives the same numbers, in one go or
        resumed.

    Raises:
        SamplesError: If the images, ids or settings cannot be trained with.
        BackboneError: If the backbone is no network or does not take such images.
        WeightsError: If its weights are missing.
        RecipeError: If ``out`` holds another run.
        OutputError: If ``out`` cannot be written.
    """
    settings, names = settings_of(options), tuple(classes)
    parts = Images(train_images, read, "training"), Images(val_images, read, "validation")
    ids = (
        _enough(checked_ids(train_ids, len(parts[0]), names, "training"), names),
        checked_ids(val_ids, len(parts[1]), names, "validation"),
    )
    place = _Place(Path(out), input_size, choose_device(device), cache_bytes, progress)
    with strictly():
        return _tuned(parts, ids, names, backbone.ready(), settings, place)


@dataclass(frozen=True)
class _Place:
    """Where and in what a run is done; see ``tune``."""

    out: Path
    input_size: int | None
    device: str
    cache_bytes: int
    progress: Progress | None


def _tuned(
    parts: tuple[Images, Images],
    ids: tuple[Ids, Ids],
    names: tuple[str, ...],
    ready: Backbone,
    settings: Settings,
    place: _Place,
) -> Tuned:
    """Tune with images, ids and settings that are checked."""
    train, val = parts
    network, side = _network(ready, train[0], names, settings, place.input_size)
    plan = _plan(settings, len(network.stages))
    description = _described(ready, network, side, names, plan, settings)
    description["images"] = {"training": len(train), "validation": len(val)}
    keys = [train.key(), val.key(), digest([one.tolist() for one in ids])]
    key = digest([description, keys])
    done = previous_history(place.out, key)
    budget = 0 if is_over(done, plan, settings.patience) else place.cache_bytes
    run = Feeding(ready, network, plan, settings, place.out, side, torch.device(place.device))
    feeds = run.feeds(train, val, budget, keys, place.progress)
    loop = Loop(
        network,
        plan,
        Part(feeds.train, ids[0] - 1),
        Part(feeds.val, ids[1] - 1),
        settings,
        place.out,
        key,
        device=place.device,
        pooled=feeds.pooled,
        progress=place.progress,
    )
    history = loop.run()
    feeds.close()
    network.to("cpu")
    return Tuned(network, ready, names, history, description | {"history": history.as_dict()})


def _network(
    ready: Backbone,
    first: Any,
    classes: tuple[str, ...],
    settings: Settings,
    input_size: int | None,
) -> tuple[TunedNetwork, int]:
    side = ready.input_size(first.shape[1:], input_size) or max(first.shape[1:])
    wanted = ready.channels if ready.mixing is None else ready.mixing.bands
    if wanted is not None and len(first) != wanted:
        raise SamplesError(
            f"{ready.name} takes images of {wanted} bands and these have {len(first)}; choose "
            "the bands, or another backbone"
        )
    network = TunedNetwork(
        ready,
        side,
        len(classes),
        pooling=settings.pooling,
        hidden=settings.hidden,
        dropout=settings.dropout,
        batch_norm=_norms(ready, settings),
        seed=settings.seed,
    )
    return network, side


def _norms(ready: Backbone, settings: Settings) -> str:
    if settings.batch_norm != "auto":
        return settings.batch_norm
    return "batch" if ready.weights is None else "running"


def _plan(settings: Settings, stages: int) -> Plan:
    return Plan.of(
        settings.strategy,
        stages,
        settings.freeze,
        settings.epochs,
        settings.head_epochs,
        settings.lr,
        settings.discriminative,
    )


def _described(
    ready: Backbone,
    network: TunedNetwork,
    side: int,
    classes: tuple[str, ...],
    plan: Plan,
    settings: Settings,
) -> dict[str, Any]:
    """Return what the model's file says beside its history."""
    from terrapatch.features.recipe import package_versions

    return {
        "backbone": {
            "name": ready.name,
            "weights": ready.identity(),
            "mixing": None if ready.mixing is None else ready.mixing.as_dict(),
        },
        "batch_norm": _norms(ready, settings),
        "classes": list(classes),
        "dropout": settings.dropout,
        "freeze": plan.freeze,
        "hidden": settings.hidden,
        "input_size": side,
        "pooling": settings.pooling,
        "settings": settings.as_dict(),
        "stages": list(network.stages),
        "versions": package_versions((*ready.packages, "lightning")),
    }


def _enough(ids: Ids, classes: tuple[str, ...]) -> Ids:
    """Refuse a training part from which nothing can be learned."""
    there = np.unique(ids)
    if len(there) < 2:
        raise SamplesError(
            f"all training images are of the class {classes[int(ids[0]) - 1]!r}; give images of "
            "at least two classes"
        )
    missing = [name for i, name in enumerate(classes, 1) if i not in there]
    if missing:
        raise SamplesError(
            f"no training image is of the class {missing[0]!r}; add some, or leave the class out"
        )
    return ids
