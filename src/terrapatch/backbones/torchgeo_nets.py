"""The one place that knows torchgeo: its weights, and its random filters.

Every set of weights of the installed torchgeo is called ``network:weights`` in lower case,
such as ``resnet50:sentinel2_all_moco``. Nothing is listed here: networks, files, bands and
scales are read from torchgeo, with ``torchgeo_families`` for how the networks are built
and ``torchgeo_inputs`` for what their pixels count.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.backbones import torchgeo_families, torchgeo_inputs
from terrapatch.backbones.asking import quiet_urllib3
from terrapatch.backbones.base import Backbone, Descriptor
from terrapatch.backbones.weights import Weights

NO_SCALE = (
    "comes without the scale of its pixels, which embed would have to guess; use torchgeo itself"
)
HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
# Digits in names of files of torchgeo 0.8 that are not those of the files' hashes; torchgeo
# renamed the files when it began to check them (github.com/torchgeo/torchgeo/pull/3929).
NO_HASH = ("8b632e30", "65292b83", "90ec322f", "98ed9821")


def random_filters(
    bands: int,
    features: int,
    kernel: int,
    bias: float,
    seed: int,
    windows: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Draw the filters of random convolutional features with torchgeo.

    Args:
        bands: Bands of each filter.
        features: Features; half as many filters, each rectified both ways.
        kernel: Side of a filter in pixels.
        bias: Added to what every filter gives.
        seed: Seed of the drawing.
        windows: ``(n, bands, side, side)`` to cut the filters out of, whitened; a normal
            distribution if ``None``.

    Returns:
        ``(features / 2, bands, kernel, kernel)`` float32.
    """
    import torch

    quiet_urllib3()
    from torchgeo.models import RCF

    dataset: Any = None
    if windows is not None:
        dataset = [{"image": torch.from_numpy(np.ascontiguousarray(w))} for w in windows]
    drawn = RCF(
        in_channels=bands,
        features=features,
        kernel_size=kernel,
        bias=bias,
        seed=seed + 1,  # torchgeo takes seed 0 for none
        mode="gaussian" if windows is None else "empirical",
        dataset=dataset,
    )
    return np.ascontiguousarray(drawn.weights.numpy(), np.float32)


def names() -> list[str]:
    """Return the names of all weights of the installed torchgeo, ``network:weights``."""
    quiet_urllib3()
    from torchgeo.models import list_models

    return [f"{model}:{one}" for model in list_models() for one in _entries(model)]


def get(name: str) -> Backbone | None:
    """Return a backbone with weights of the installed torchgeo, or ``None``.

    Args:
        name: ``network:weights``; anything without a colon is answered without torchgeo.
    """
    model, colon, variant = name.strip().lower().partition(":")
    return _backbone(model, variant) if colon and model and variant else None


def _entries(model: str) -> dict[str, Any]:
    """Return torchgeo's weights of a network by lower-case name; some networks have none."""
    quiet_urllib3()
    from torchgeo.models import get_model_weights

    try:
        found = get_model_weights(model)
    except KeyError:
        return {}
    return {one.name.lower(): one for one in found}


@cache
def _backbone(model: str, variant: str) -> Backbone | None:
    entry = _entries(model).get(variant)
    if entry is None:
        return None
    reason = torchgeo_families.refusal(model)
    return _refused(model, entry, reason) if reason else _made(model, entry)


def _made(model: str, entry: Any) -> Backbone:
    from terrapatch.backbones import registry

    meta, channels = entry.meta, torchgeo_inputs.channels_of(model, entry.meta)
    bands = torchgeo_inputs.roles(entry.name, meta, channels)
    done = torchgeo_inputs.steps(entry.transforms, channels)
    scale = None if done is None else torchgeo_inputs.scale(entry.name, meta, bands, done)
    if done is None or scale is None:
        return _refused(model, entry, NO_SCALE)
    summary = _summary(model, meta) + torchgeo_inputs.note(entry.name, meta, bands, scale)
    architecture, sides, parameters = torchgeo_families.architecture(
        model, channels, meta, done.side, summary
    )
    contract = torchgeo_inputs.contract(bands, scale, done, sides)
    return registry.network(
        f"{model}:{entry.name.lower()}", architecture, contract, _weights(entry, 4 * parameters)
    )


def _refused(model: str, entry: Any, reason: str) -> Backbone:
    """Describe weights that cannot embed; their network is not built."""
    from terrapatch.backbones import registry

    return Backbone(
        name=f"{model}:{entry.name.lower()}",
        summary=_summary(model, entry.meta),
        layers=("features",),
        default=Descriptor(("features",)),
        contract=None,
        loader=registry.load_network,
        packages=("torch", "torchgeo"),
        refusal=reason,
    )


def _summary(model: str, meta: dict[str, Any]) -> str:
    method, dataset = meta.get("ssl_method"), meta.get("dataset")
    trained = " on ".join(str(part) for part in (method, dataset) if part)
    return f"{model}, {trained}" if trained else model


def _weights(entry: Any, size: int) -> Weights:
    """Describe the file of weights; torchgeo states no size, and a hash only in its name."""
    meta, url = entry.meta, str(entry.url)
    name = url.rsplit("/", 1)[-1]
    digits = HASH.search(name)
    about = ", ".join(str(meta[key]) for key in ("dataset", "ssl_method") if meta.get(key))
    paper = str(meta.get("publication") or meta.get("repo") or url)
    return Weights(
        name=name,
        source=f"torchgeo, {entry}",
        size=size,
        licence=str(meta.get("license") or f"not stated by torchgeo, see {meta.get('repo', url)}"),
        citation=f"{paper} ({about})" if about else paper,
        sha256=digits[1] if digits and digits[1] not in NO_HASH else "",
        exact="about",
        url=url,
    )
