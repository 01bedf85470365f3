"""Running a network over tiles of a scene, or over the patch around each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.backbones.base import Backbone, Descriptor
from terrapatch.backbones.network import NetworkEmbedder
from terrapatch.features.pixels._column_layers import ColumnGeometry, ColumnLayer
from terrapatch.features.pixels.base import Floats, Mask
from terrapatch.features.pixels.halo import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

# Side of the tiles a network is run over, in input pixels, as far as the halo lets it.
TILE = 1024
# Patches that are run at once.
BATCH = 64


class DenseColumns:
    """Samples the maps of a network at the pixels of a scene.

    Args:
        backbone: The network, its weights found.
        geometry: How the scene lies under it.
    """

    def __init__(self, backbone: Backbone, geometry: ColumnGeometry) -> None:
        self._geometry = geometry
        descriptor = Descriptor(tuple(layer.name for layer in geometry.layers), ("mean",))
        self._network = NetworkEmbedder(backbone, descriptor, None, "cpu", "fp32")
        self.side = max(geometry.unit, TILE // geometry.scale - 2 * geometry.half)

    def columns(
        self, picture: Floats, corner: tuple[int, int], rows: slice, cols: slice, wanted: Mask
    ) -> Floats:
        """Return the numbers of pixels, tile by tile.

        Args:
            picture: ``(height, width, 3)`` in 0–255, reaching ``geometry.halo`` beyond the pixels.
            corner: Row and column of the scene that the picture begins at.
            rows: Rows of the scene.
            cols: Columns of the scene.
            wanted: Pixels ``(rows, cols)`` that are needed; tiles without any are left out.

        Returns:
            ``(rows, cols, numbers)`` float32.
        """
        out = np.zeros((*wanted.shape, self._geometry.n), np.float32)
        for down, across in cut(rows, cols, self.side):
            at = (
                slice(down.start - rows.start, down.stop - rows.start),
                slice(across.start - cols.start, across.stop - cols.start),
            )
            if wanted[at].any():
                self._tile(picture, corner, (down, across), out[at])
        return out

    def _tile(
        self, picture: Floats, corner: tuple[int, int], spans: Sequence[slice], out: Floats
    ) -> None:
        """Run one tile and sample all layers into ``out``."""
        half, unit, scale = self._geometry.half, self._geometry.unit, self._geometry.scale
        first = [(span.start - half) // unit * unit for span in spans]
        last = [-(-(span.stop + half) // unit) * unit for span in spans]
        rows, cols = (slice(a - c, b - c) for a, b, c in zip(first, last, corner, strict=True))
        tile = picture[rows, cols]
        layers = {layer.name: layer for layer in self._geometry.layers}
        ends = np.cumsum([layer.width for layer in self._geometry.layers]).tolist()
        stops = dict(zip(layers, ends, strict=True))

        def take(name: str, made: torch.Tensor) -> None:
            layer, fmap = layers[name], self._network.as_image(name, made)
            for axis in (0, 1):
                fmap = _sampled(fmap, axis, self._places(layer, spans[axis], first[axis]))
            part = slice(stops[name] - layer.width, stops[name])
            out[..., part] = fmap.float().numpy()

        size = (scale * tile.shape[0], scale * tile.shape[1])
        self._network.run(np.moveaxis(tile, 2, 0)[None], take, size)

    def _places(self, layer: ColumnLayer, span: slice, first: int) -> NDArray[np.float64]:
        """Return where pixels' centres lie among a layer's positions."""
        scale = self._geometry.scale
        centres = (np.arange(span.start, span.stop) - first + 0.5) * scale - 0.5
        return (centres - layer.centre) / layer.stride


def _sampled(fmap: torch.Tensor, axis: int, places: NDArray[np.float64]) -> torch.Tensor:
    """Read a map ``(height, width, channels)`` between its positions along one axis."""
    whole = np.floor(places).astype(np.int64)
    share = torch.from_numpy((places - whole).astype(np.float32))
    index = torch.from_numpy(whole)
    low = fmap.index_select(axis, index)
    high = fmap.index_select(axis, index + 1)
    return torch.lerp(low, high, share.view(-1, *[1] * (2 - axis)))


class PatchColumns:
    """Runs a network over the patch around each pixel.

    Args:
        backbone: The network, its weights found.
        layers: Names of its layers; each is averaged over its positions.
        side: Side of a patch in pixels.
        size: Side it is brought to.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str], side: int, size: int) -> None:
        descriptor = Descriptor(tuple(layers), ("mean",))
        self._network, self._side = NetworkEmbedder(backbone, descriptor, size, "cpu", "fp32"), side

    def columns(self, picture: Floats, valid: Mask) -> Floats:
        """Return the numbers of the valid pixels, 0 in others.

        Args:
            picture: ``(height, width, 3)`` in 0–255, half a patch larger on every side.
            valid: ``(height, width)``.

        Returns:
            ``(rows, cols, numbers)`` float32.
        """
        square: Any = (self._side, self._side)
        patches = np.lib.stride_tricks.sliding_window_view(picture, square, axis=(0, 1))
        masks = np.lib.stride_tricks.sliding_window_view(valid, square)
        half = self._side // 2
        out = np.zeros((*masks.shape[:2], self._network.groups[-1][2]), np.float32)
        rows, cols = np.nonzero(masks[..., half, half])
        for start in range(0, len(rows), BATCH):
            at = rows[start : start + BATCH], cols[start : start + BATCH]
            out[at] = self._network.features(_whole(patches[at], masks[at]))
        return out


def _whole(patches: Floats, valid: Mask) -> Floats:
    """Fill invalid pixels of patches ``(n, 3, side, side)`` with the mean of each one's valid."""
    if valid.all():
        return patches
    share = valid[:, None].astype(np.float64)
    mean = (patches * share).sum((2, 3), keepdims=True) / share.sum((2, 3), keepdims=True)
    return np.where(valid[:, None], patches, mean).astype(np.float32)
