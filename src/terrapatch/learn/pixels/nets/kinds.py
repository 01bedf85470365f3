"""The networks there are, each with what suits it; nothing here imports torch.

=============  ================================================================  ==========
name           what it is                                                        patch
=============  ================================================================  ==========
spectral1d     convolutions along the spectrum of one pixel (Hu 2015)            1
cnn2d          convolutions over a square of features (Chen 2016)                odd, >= 3
cnn3d          convolutions over bands and square at once (Ben Hamida 2018)      odd, >= 3
hybridsn       3-D convolutions, then 2-D ones (Roy 2020)                        odd, >= 3
ssrn           residual blocks along the spectrum, then over the square          odd, >= 3
               (Zhong 2018)
spectralformer attention over groups of neighbouring bands (Hong 2022)           odd, >= 1
=============  ================================================================  ==========
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from terrapatch.errors import SamplesError

if TYPE_CHECKING:
    from terrapatch.learn.pixels.nets.parts import PixelNet

_HERE = "terrapatch.learn.pixels.nets"


@dataclass(frozen=True)
class NetKind:
    """One kind of network.

    Attributes:
        name: Its name.
        home: ``module:Class`` of the network.
        summary: What it is, in a few words.
        source: The paper behind it.
        least: Smallest patch it takes.
        most: Largest patch it takes.
        defaults: Settings that suit it, where they differ from those of all.
    """

    name: str
    home: str
    summary: str
    source: str
    least: int = 3
    most: int = 65
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def build(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> PixelNet:
        """Build the network with fresh weights, drawn from torch's own chance.

        Args:
            features: Numbers of a pixel.
            classes: Classes it tells apart.
            patch: Side of the square it looks at, in pixels.
            width: What its usual numbers of channels are multiplied by.
            dropout: Share of the last layer's inputs left out while training.
        """
        module, _, name = self.home.partition(":")
        made: PixelNet = getattr(import_module(module), name)(
            features, classes, patch, width, dropout
        )
        return made


KINDS = {
    kind.name: kind
    for kind in (
        NetKind(
            "spectral1d",
            f"{_HERE}.spectral1d:Spectral1d",
            "convolutions along the spectrum of one pixel",
            "Hu et al. 2015, Journal of Sensors, 258619",
            least=1,
            most=1,
            defaults={"patch": 1, "noise": 0.01, "lr": 3e-3},
        ),
        NetKind(
            "cnn2d",
            f"{_HERE}.cnn2d:Cnn2d",
            "convolutions over a square of features",
            "Chen et al. 2016, IEEE TGRS 54(10)",
        ),
        NetKind(
            "cnn3d",
            f"{_HERE}.cnn3d:Cnn3d",
            "convolutions over bands and square at once",
            "Ben Hamida et al. 2018, IEEE TGRS 56(8)",
            defaults={"patch": 5},
        ),
        NetKind(
            "hybridsn",
            f"{_HERE}.hybridsn:HybridSn",
            "3-D convolutions, then 2-D ones",
            "Roy et al. 2020, IEEE GRSL 17(2)",
        ),
        NetKind(
            "ssrn",
            f"{_HERE}.ssrn:Ssrn",
            "residual blocks along the spectrum, then over the square",
            "Zhong et al. 2018, IEEE TGRS 56(2)",
            defaults={"patch": 7},
        ),
        NetKind(
            "spectralformer",
            f"{_HERE}.spectralformer:SpectralFormer",
            "attention over groups of neighbouring bands",
            "Hong et al. 2022, IEEE TGRS 60",
            least=1,
            defaults={"patch": 3, "noise": 0.0, "lr": 3e-3, "batch": 32, "dropout": 0.2},
        ),
    )
}


def net_names() -> list[str]:
    """Return the names of the networks."""
    return list(KINDS)


def find_net(name: str) -> NetKind:
    """Return a kind of network by its name.

    Raises:
        SamplesError: If there is none of this name.
    """
    if name not in KINDS:
        raise SamplesError(f"there is no network {name!r}; choose one of {', '.join(KINDS)}")
    return KINDS[name]
