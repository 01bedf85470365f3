"""Pooling a large map over many overlapping windows at once.

A window may begin and end between two positions; a position counts as much as lies in
the window. What neighbouring windows share is added up once: positions are first
gathered into tiles that no window cuts ("sub-blocks": a mean and the squared
deviations from it, in two passes while they lie in the cache), and the windows are then
put together from those in float64 after Chan, Golub and LeVeque (The American
Statistician 37, 1983), so that nothing is ever subtracted from a large sum of squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from terrapatch.backbones.pooling import GEM_FLOOR, GEM_POWER

# Positions of fp32 worked on at once, so that they stay in the cache between two passes.
CACHE_BYTES = 1 << 20
# Where windows begin between positions, sub-blocks are at most this share of a step.
FINE = 4
# Numbers of float64 put together at once.
DOUBLES = 1 << 22


@dataclass(frozen=True)
class Window:
    """Windows of equal length along one axis of a map, in positions.

    Attributes:
        start: Where the first begins.
        step: From one to the next.
        count: How many there are.
        length: Length of each.
    """

    start: float
    step: float
    count: int
    length: float

    @property
    def aligned(self) -> bool:
        """Whether all of them begin and end on whole positions."""
        return all(float(v).is_integer() for v in (self.start, self.step, self.length))

    @property
    def block(self) -> int:
        """Positions in a sub-block; no window cuts one where they are aligned."""
        if self.aligned:
            return math.gcd(int(self.step), int(self.length))
        return 1 << max(0, math.floor(math.log2(max(1.0, self.step / FINE))))

    @property
    def phase(self) -> int:
        """Where the first sub-block begins."""
        return int(self.start) % self.block if self.aligned else 0

    def edges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where every window begins and ends, in sub-blocks ``(windows,)``."""
        first = (self.start - self.phase + self.step * np.arange(self.count)) / self.block
        return first, first + self.length / self.block


class WindowPool:
    """Pools a map over windows of rows and columns."""

    def __init__(self, rows: Window, cols: Window) -> None:
        """Remember the windows."""
        self._rows, self._cols = rows, cols
        self._kernel = (rows.block, cols.block)

    def pool(
        self, fmap: torch.Tensor, words: tuple[str, ...], weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Pool a map over all windows.

        Args:
            fmap: ``(height, width, channels)``.
            words: ``mean``, ``std`` (the population's), ``max``, ``gem``.
            weight: ``(height, width)`` above 0: how much every position counts in means
                and deviations; all alike if ``None``.

        Returns:
            ``(rows, columns, numbers)`` float32: all channels for one word after another.
        """
        height, width = fmap.shape[:2]
        fmap = fmap[self._rows.phase :, self._cols.phase :]
        if weight is None and (fmap.shape[0] % self._kernel[0] or fmap.shape[1] % self._kernel[1]):
            weight = torch.ones(height, width, device=fmap.device)  # the last sub-block is a part
        if weight is not None:
            weight = weight[self._rows.phase :, self._cols.phase :, None]
        together = _Together(self._rows, self._cols, self._held(weight))
        made = {}
        if "mean" in words or "std" in words:
            blocks = self._moments(fmap, weight, "std" in words)
            made["mean"], made["std"] = together.moments(*blocks)
        if "gem" in words:
            raised, _ = self._moments(fmap, weight, False, _raise)
            made["gem"] = together.moments(raised, None)[0].pow(1 / GEM_POWER)
        if "max" in words:
            made["max"] = together.largest(self._largest(fmap))
        return torch.cat([made[word] for word in words], 2)

    def _held(self, weight: torch.Tensor | None) -> torch.Tensor | None:
        """Return the weight of every sub-block, as a share of a whole one."""
        if weight is None or self._kernel == (1, 1):
            return weight
        image = weight.permute(2, 0, 1)[None]
        down, across = self._kernel
        short = (-weight.shape[1] % across, -weight.shape[0] % down)
        padded = functional.pad(image, (0, short[0], 0, short[1]))
        return functional.avg_pool2d(padded, self._kernel)[0].permute(1, 2, 0)

    def _pooled(self, part: torch.Tensor) -> torch.Tensor:
        """Take the mean of every sub-block of ``(height, width, channels)`` fp32."""
        if self._kernel == (1, 1):
            return part
        image = part.permute(2, 0, 1)[None]
        out = functional.avg_pool2d(image, self._kernel, ceil_mode=True, count_include_pad=False)
        return out[0].permute(1, 2, 0)

    def _moments(
        self,
        fmap: torch.Tensor,
        weight: torch.Tensor | None,
        spread: bool,
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return mean and mean squared deviation of every sub-block, some rows at a time."""
        down = self._kernel[0]
        rows = down * max(1, CACHE_BYTES // (4 * down * fmap.shape[1] * fmap.shape[2]))
        means, spreads = [], []
        for top in range(0, fmap.shape[0], rows):
            part = fmap[top : top + rows].float()
            part = part if change is None else change(part)
            share = None if weight is None else weight[top : top + rows]
            means.append(self._mean(part, share))
            if spread and self._kernel != (1, 1):
                spreads.append(self._mean(self._deviation(part, means[-1]), share))
        whole = torch.cat(means)
        if not spread:
            return whole, None
        return whole, torch.cat(spreads) if spreads else torch.zeros_like(whole)

    def _mean(self, part: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
        if share is None:
            return self._pooled(part)
        return self._pooled(part * share) / self._pooled(share)

    def _deviation(self, part: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Square what is left of every position beside its sub-block's mean."""
        down, across = self._kernel
        (height, width, channels), (n, m, _) = part.shape, mean.shape
        if (height, width) == (n * down, m * across):
            cut = part.view(n, down, m, across, channels)
            return (cut - mean[:, None, :, None]).square_().view(part.shape)
        spread = mean.repeat_interleave(down, 0)[:height].repeat_interleave(across, 1)[:, :width]
        return (part - spread).square_()

    def _largest(self, fmap: torch.Tensor) -> torch.Tensor:
        image = fmap.float().permute(2, 0, 1)[None]
        return functional.max_pool2d(image, self._kernel, ceil_mode=True)[0].permute(1, 2, 0)


def _raise(part: torch.Tensor) -> torch.Tensor:
    return part.clamp(min=GEM_FLOOR).pow(GEM_POWER)


class _Together:
    """Windows put together from sub-blocks, in float64."""

    def __init__(self, rows: Window, cols: Window, weight: torch.Tensor | None) -> None:
        """Take the windows, and the weight of every sub-block ``(n, m, 1)``."""
        self._rows, self._cols = rows, cols
        self._weight = None if weight is None else weight.double()
        self._held: torch.Tensor | float
        if self._weight is None:
            self._held = rows.length / rows.block * cols.length / cols.block
        else:
            self._held = self._summed(self._weight)

    def moments(
        self, mean: torch.Tensor, spread: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and deviation of every window, some channels at a time.

        Args:
            mean: Mean of every sub-block, ``(sub-rows, sub-cols, channels)``.
            spread: Their mean squared deviations; no deviations are wanted if ``None``.
        """
        channels = mean.shape[2]
        step = max(1, DOUBLES // (mean.shape[0] * mean.shape[1]))
        shape = (self._rows.count, self._cols.count, channels)
        means = torch.empty(shape, device=mean.device)
        deviations = torch.empty(shape if spread is not None else 0, device=mean.device)
        for first in range(0, channels, step):
            part = slice(first, first + step)
            blocks = mean[:, :, part].double()
            # Near every mean, so that hardly anything is lost in the difference of squares.
            centre = blocks.mean((0, 1))
            blocks -= centre
            middle = self._mean(blocks)
            means[:, :, part] = middle + centre
            if spread is not None:
                square = self._mean(blocks.square_().add_(spread[:, :, part]))
                deviations[:, :, part] = square.sub_(middle.square_()).clamp_(min=0.0).sqrt_()
        return means, deviations

    def _mean(self, blocks: torch.Tensor) -> torch.Tensor:
        if self._weight is not None:
            blocks = blocks * self._weight
        return self._summed(blocks).div_(self._held)

    def _summed(self, blocks: torch.Tensor) -> torch.Tensor:
        """Add up ``(sub-rows, sub-cols, channels)`` over every window, axis by axis."""
        down = _along(blocks, self._rows)
        return _along(down.transpose(0, 1), self._cols).transpose(0, 1)

    def largest(self, blocks: torch.Tensor) -> torch.Tensor:
        """Return the largest value of every window; a sub-block counts if half of it is inside."""
        for window in (self._rows, self._cols):
            first, last = (np.floor(edge + 0.5).astype(int) for edge in window.edges())
            parts = [blocks[a : max(b, a + 1)].amax(0) for a, b in zip(first, last, strict=True)]
            blocks = torch.stack(parts).transpose(0, 1)
        return blocks


def _along(blocks: torch.Tensor, window: Window) -> torch.Tensor:
    """Add up the first axis over every window: differences of running sums.

    Between two sub-blocks the running sum is taken to rise evenly.
    """
    running = torch.zeros(
        (len(blocks) + 1, *blocks.shape[1:]), dtype=blocks.dtype, device=blocks.device
    )
    for i, one in enumerate(blocks):
        torch.add(running[i], one, out=running[i + 1])
    first, last = (_between(running, edge) for edge in window.edges())
    return last.sub_(first)


def _between(running: torch.Tensor, places: npt.NDArray[np.float64]) -> torch.Tensor:
    whole = np.clip(np.floor(places).astype(np.int64), 0, len(running) - 1)
    part = np.clip(places - whole, 0.0, 1.0)
    index = torch.from_numpy(whole).to(running.device)
    low = running[index]
    if not part.any():
        return low
    high = running[torch.clamp(index + 1, max=len(running) - 1)]
    share = torch.from_numpy(part).to(running.device).view(-1, *[1] * (running.ndim - 1))
    return low.add_((high - low).mul_(share))
