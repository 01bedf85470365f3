"""Write the list of published weights, from what torchvision and timm say of them.

The list lies in the package, so that a missing file can be named at once, without importing
torch. Run it when either library is renewed; a test compares the list with the libraries.

Usage: python data_catalog/make_weights_list.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import timm
from torchvision.models import get_model_weights

from terrapatch.backbones import timm_nets, torchvision_nets
from terrapatch.backbones.analysis import count_parameters

OUT = Path(__file__).parents[1] / "src" / "terrapatch" / "backbones" / "catalogue.json"
HASHED = re.compile(r"-([0-9a-f]{8,})\.pth$")
# torchvision's Google networks rescale their input themselves when their weights are loaded.
RESCALED = {"googlenet": 0.5, "inception_v3": 0.5}


def on_bytes(values: tuple[float, ...] | list[float]) -> list[float]:
    """Bring means or deviations on 0–1 to 0–255."""
    return [round(255.0 * v, 6) for v in values]


def hash_of(url: str) -> str:
    """Return the digits of the hash that a file's name carries."""
    found = HASHED.search(url)
    return found[1] if found else ""


def from_torchvision(name: str) -> dict[str, Any]:
    """List the weights that torchvision publishes for a network."""
    found = {}
    for one in get_model_weights(name):
        preset = one.transforms()
        mean, std = list(preset.mean), list(preset.std)
        if name in RESCALED:
            mean, std = [RESCALED[name]] * 3, [RESCALED[name]] * 3
        variant = one.name.lower().removeprefix("imagenet1k_")
        found[variant] = {
            "file": one.url.rsplit("/", 1)[-1],
            "url": one.url,
            "sha256": hash_of(one.url),
            "size": round(one.meta["_file_size"] * 2**20),
            "exact": "rounded",
            "source": f"torchvision, {type(one).__name__}.{one.name}",
            "licence": "BSD-3-Clause",
            "mean": on_bytes(mean),
            "std": on_bytes(std),
            "side": preset.crop_size[0],
            "interpolation": preset.interpolation.value,
        }
    return found


def from_timm(architecture: Any) -> dict[str, Any]:
    """List the weights that timm publishes for a network, under their tag."""
    config = timm.get_pretrained_cfg(timm_nets.MODELS[architecture.name])
    tag = config.tag.replace("_", "-")
    url, file = config.url, config.url.rsplit("/", 1)[-1] if config.url else ""
    if not hash_of(url or ""):
        url = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
        file = f"{timm_nets.MODELS[architecture.name]}.{config.tag}.safetensors"
    return {
        tag: {
            "file": file,
            "url": url,
            "sha256": hash_of(url),
            "size": 4 * count_parameters(architecture),
            "exact": "about",
            "source": f"timm, {config.architecture}.{config.tag}",
            "licence": {"apache-2.0": "Apache-2.0", "mit": "MIT"}.get(
                str(config.license).lower(), "Apache-2.0 (timm)"
            ),
            "mean": on_bytes(config.mean),
            "std": on_bytes(config.std),
            "side": config.input_size[1],
            "interpolation": config.interpolation,
        }
    }


def listing() -> dict[str, dict[str, Any]]:
    """Return every network's published weights, the default first."""
    found = {a.name: from_torchvision(a.name) for a in torchvision_nets.ARCHITECTURES}
    found |= {a.name: from_timm(a) for a in timm_nets.ARCHITECTURES}
    return found


if __name__ == "__main__":
    OUT.write_text(json.dumps(listing(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {OUT}")
