"""To the device and back without waiting: pinned memory and copies beside the computation.

On a CPU all of it is done at once. On a GPU pixels go over from pinned memory on a stream
of their own while the batch before is computed, and features come back into pinned
memory; only who asks for the numbers waits for them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

_streams: dict[torch.device, Any] = {}


def sent(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Put a batch on a device; on a GPU the copy runs beside the computation."""
    if device.type != "cuda":
        return batch.to(device)
    if device not in _streams:
        _streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side, main = _streams[device], torch.cuda.current_stream(device)
    with torch.cuda.stream(side):
        there = batch.pin_memory().to(device, non_blocking=True)
    main.wait_stream(side)
    there.record_stream(main)
    return there


class Flight:
    """Features on their way back from the device."""

    def __init__(self, made: torch.Tensor, n: int) -> None:
        """Start to bring the first ``n`` rows back.

        Args:
            made: Features on the device, ``(at least n, features)`` float32.
            n: Rows wanted.
        """
        self._event: Any = None
        if made.device.type == "cuda":
            landed = torch.empty(made[:n].shape, dtype=made.dtype, pin_memory=True)
            landed.copy_(made[:n], non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(made.device))
            self._made = landed
        else:
            self._made = made[:n].cpu()

    def result(self) -> npt.NDArray[np.float32]:
        """Wait for the features ``(n, features)``."""
        if self._event is not None:
            self._event.synchronize()
        return np.asarray(self._made.numpy())


def plain_fp32(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Keep a GPU from rounding the products of fp32 convolutions to TF32."""
    if device.type == "cuda" and dtype == torch.float32:
        flags = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return cast(AbstractContextManager[Any], flags)
    return nullcontext()
