"""The recipe of a feature raster: all that decides its numbers, and what a model may rely on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1

_SPACE_WORDS = {
    "backbone": "backbone",
    "weights": "weights",
    "layers": "layers",
    "pooling": "pooling",
    "l2": "L2 per layer",
    "input_size": "input size",
    "adapt": "mixing of bands",
    "average": "averaging",
    "mode": "mode",
    "bands": "bands",
    "size": "patch size",
}


@dataclass(frozen=True)
class Recipe:
    """How a feature raster was made.

    Attributes:
        scene: The raster, its grid, bands, nodata and units.
        grid: Sizes, stride and edge rule.
        backbone: Name, hash of the weights, channels, input size, and the mixing of bands
            where there is one.
        descriptor: Layers, poolings and scaling.
        execution: Mode, device kind, precision, batch, block and stored type.
        versions: Versions of the packages whose code makes the numbers.
        format: Version of the store's layout.
    """

    scene: dict[str, Any]
    grid: dict[str, Any]
    backbone: dict[str, Any]
    descriptor: dict[str, Any]
    execution: dict[str, Any]
    versions: dict[str, str]
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Build a recipe from plain data."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the numbers; what a file is called does not."""
        data = self.as_dict()
        labels = ("name", "datetime")
        data["scene"] = {key: v for key, v in self.scene.items() if key not in labels}
        return _hash(data)

    @property
    def space(self) -> dict[str, Any]:
        """What two feature rasters must share for one model to serve both.

        Units, stride, edge rule and precision are left out: units are a declared
        conversion to one scale, the stride moves patches but does not change them,
        and lower precisions are only chosen where they agree with fp32.
        """
        return {
            "backbone": self.backbone["name"],
            "weights": self.backbone["weights"],
            "layers": self.descriptor["layers"],
            "pooling": self.descriptor["pooling"],
            "l2": self.descriptor["l2"],
            "input_size": self.backbone["input_size"],
            **({"adapt": self.backbone["adapt"]} if "adapt" in self.backbone else {}),
            **({"average": self.descriptor["average"]} if "average" in self.descriptor else {}),
            "mode": self.execution["mode"],
            "bands": self.backbone["bands"],
            "size": self.grid["size"],
        }

    @property
    def space_fingerprint(self) -> str:
        """A hash of the feature space."""
        return _hash(self.space)

    def space_differences(self, other: Mapping[str, Any]) -> list[str]:
        """Say where the feature space of a model differs from this one, one line each."""
        return [
            f"{word}: the features have {_show(self.space.get(key))}, "
            f"the model was made with {_show(other.get(key))}"
            for key, word in _SPACE_WORDS.items()
            if self.space.get(key) != other.get(key)
        ]

    def differences(self, other: Recipe) -> list[str]:
        """Name everything in which two recipes differ, as ``part.key: old, now new``."""
        mine, theirs = self.as_dict(), other.as_dict()
        lines = []
        for part, value in mine.items():
            if not isinstance(value, dict):
                if value != theirs[part]:
                    lines.append(f"{part}: {_show(theirs[part])}, now {_show(value)}")
                continue
            for key in sorted({*value, *theirs[part]}):
                new, old = value.get(key), theirs[part].get(key)
                if new != old:
                    lines.append(f"{part} {key}: {_show(old)}, now {_show(new)}")
        return lines


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of the packages whose code makes the numbers.

    Args:
        packages: Those of the backbone.
    """
    names = ("terrapatch", "numpy", "rasterio", *packages)
    return {name: importlib.metadata.version(name) for name in names}


def _hash(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _show(value: Any) -> str:
    if isinstance(value, dict) and "kind" in value:
        return f"{value['kind']} ({_hash(value)[:8]})"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"
