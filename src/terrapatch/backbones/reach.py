"""How far a layer sees: stride and receptive field, followed through the operations themselves.

While a network runs on tensors without memory, every operation says which input
positions each of its outputs depends on (Araujo, Norris and Sim 2019, Computing
receptive fields of convolutional neural networks). Nothing has to be known about the
network: branches, sums and paddings are followed as they happen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


@dataclass(frozen=True)
class Span:
    """Positions along one axis: output i depends on ``low + i * step`` to ``high + i * step``."""

    step: float
    low: float
    high: float

    @property
    def length(self) -> float:
        """How many input positions one output depends on; infinite if on all."""
        return self.high - self.low + 1

    def windowed(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Span:
        """Return the span behind a sliding window over this axis."""
        low = self.low - padding * self.step
        high = self.high + ((kernel - 1) * dilation - padding) * self.step
        return Span(self.step * stride, low, high)

    def shifted(self, by: float) -> Span:
        """Return the span of an axis whose position 0 was position ``by``."""
        return Span(self.step, self.low + by * self.step, self.high + by * self.step)

    def everything(self) -> Span:
        """Return the span of something that depends on the whole axis."""
        return Span(self.step, -math.inf, math.inf)


@dataclass(frozen=True)
class Field:
    """The spans of rows and columns, and how many positions the map has."""

    rows: Span
    cols: Span
    size: tuple[int, int]

    def everywhere(self) -> Field:
        """Return the field of something that depends on the whole image."""
        return Field(self.rows.everything(), self.cols.everything(), self.size)


@dataclass(frozen=True)
class Operation:
    """A convolution, pooling or fully connected layer, as it ran.

    Attributes:
        kind: ``conv``, ``depthwise``, ``max``, ``average`` or ``full``.
        filters: Channels it gives.
        kernel: Height and width of its window.
        stride: Step of the window.
        padding: Zeros on each side.
        given: Height and width of the map it takes.
        made: Height and width of the map it gives.
    """

    kind: str
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    given: tuple[int, int]
    made: tuple[int, int]


class Reach(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows fields, operations and floating-point operations while a network runs.

    Attributes:
        operations: Every convolution, pooling and fully connected layer so far.
        flops: Floating-point operations so far, two a multiply-add.
    """

    def __init__(self, image: torch.Tensor) -> None:
        """Begin with an image ``(n, channels, height, width)`` on the ``meta`` device."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.flops = 0
        self._batch = image.shape[0]
        # The tensors are kept, so that none of their numbers is given to another.
        self._known: dict[int, tuple[torch.Tensor, Field]] = {}
        size = (int(image.shape[2]), int(image.shape[3]))
        self._set(image, Field(Span(1, 0, 0), Span(1, 0, 0), size))

    def field(self, tensor: torch.Tensor) -> Field | None:
        """Return what a tensor depends on; ``None`` for what no image went into."""
        known = self._known.get(id(tensor))
        return known[1] if known else None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and note what it does."""
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        packet = func._overloadpacket
        if packet in flop_registry:
            self.flops += int(flop_registry[packet](*args, **kwargs, out_val=made))
        given = [f for t in _tensors(args) if (f := self.field(t)) is not None]
        if given:
            field = _RULES.get(packet, _union)(self, args, kwargs, given, made)
            for tensor in _tensors((made,)):
                self._set(tensor, field)
        return made

    def _set(self, tensor: torch.Tensor, field: Field) -> None:
        self._known[id(tensor)] = (tensor, field)

    def note(self, operation: Operation) -> None:
        """Remember an operation."""
        self.operations.append(operation)

    @property
    def batch(self) -> int:
        """Number of images."""
        return self._batch


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


Rule = Callable[[Reach, Any, Any, list[Field], Any], Field]


def _union(_: Reach, _args: Any, _kwargs: Any, given: list[Field], _made: Any) -> Field:
    """Sums, products, concatenations, activations: as far as any of the inputs."""
    largest = max(given, key=lambda f: f.size)
    return Field(
        _joined([f.rows for f in given], largest.rows),
        _joined([f.cols for f in given], largest.cols),
        largest.size,
    )


def _joined(spans: list[Span], like: Span) -> Span:
    return Span(like.step, min(s.low for s in spans), max(s.high for s in spans))


def _pair(value: Any) -> tuple[int, int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (int(values[0]), int(values[-1]))


def _map_size(made: Any) -> tuple[int, int]:
    first = made[0] if isinstance(made, tuple) else made
    return (int(first.shape[-2]), int(first.shape[-1]))


def _slid(given: Field, kernel: Any, stride: Any, padding: Any, dilation: Any, made: Any) -> Field:
    k, s, p, d = map(_pair, (kernel, stride, padding, dilation))
    return Field(
        given.rows.windowed(k[0], s[0], p[0], d[0]),
        given.cols.windowed(k[1], s[1], p[1], d[1]),
        _map_size(made),
    )


def _convolution(reach: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    weight, stride, padding, dilation, groups = args[1], args[3], args[4], args[5], args[8]
    kernel = tuple(weight.shape[2:])
    depthwise = groups > 1 and groups == args[0].shape[1]
    reach.note(
        Operation(
            "depthwise" if depthwise else "conv",
            int(weight.shape[0]),
            _pair(kernel),
            _pair(stride),
            _pair(padding),
            given[0].size,
            _map_size(made),
        )
    )
    return _slid(given[0], kernel, stride, padding, dilation, made)


def _pooling(kind: str) -> Rule:
    def rule(reach: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        padding = args[3] if len(args) > 3 else 0
        dilation = args[4] if kind == "max" and len(args) > 4 else 1
        first = made[0] if isinstance(made, tuple) else made
        size = _map_size(made)
        shape = (_pair(kernel), _pair(stride), _pair(padding))
        reach.note(Operation(kind, int(first.shape[1]), *shape, given[0].size, size))
        return _slid(given[0], kernel, stride, padding, dilation, made)

    return rule


def _adaptive(_: Reach, _args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    """Average pooling to a set size: nothing where it is that size, else whole or in windows."""
    size, before = _map_size(made), given[0].size
    if size == before:
        return given[0]
    if size == (1, 1):
        return Field(given[0].rows.everything(), given[0].cols.everything(), size)
    spans = []
    for span, n, m in zip((given[0].rows, given[0].cols), before, size, strict=True):
        window = -(-n // m) if n > m else 1
        spans.append(Span(span.step * n / m, span.low, span.high + (window - 1) * span.step))
    return Field(spans[0], spans[1], size)


def _reduction(_: Reach, args: Any, _kwargs: Any, given: list[Field], _made: Any) -> Field:
    """Means and the like over axes: over rows and columns they see the whole image."""
    dims = args[1] if len(args) > 1 else None
    axes = args[0].ndim
    picked = range(axes) if dims is None else [d % axes for d in _listed(dims)]
    if axes == 4 and {2, 3} <= set(picked):
        return given[0].everywhere()
    return given[0]


def _listed(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]


def _reshape(reach: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    """Flattening a map into one vector an image joins all its positions."""
    before = args[0]
    n = reach.batch
    joins = before.ndim == 4 and made.ndim == 2 and made.shape[0] == n == before.shape[0]
    if joins and before.shape[2] * before.shape[3] > 1:
        return given[0].everywhere()
    return given[0]


def _axes(tensor: torch.Tensor, field: Field) -> tuple[int, int] | None:
    """Find rows and columns among four axes, by their lengths; channels may come last."""
    if tensor.ndim != 4:
        return None
    shape = tuple(map(int, tensor.shape))
    return next((at for at in ((2, 3), (1, 2)) if shape[at[0] : at[1] + 1] == field.size), None)


def _on_axes(
    given: Field, axes: tuple[int, int], made: torch.Tensor, change: Callable[[Span, int], Span]
) -> Field:
    """Change the spans of rows and columns, and take their new lengths."""
    size = (int(made.shape[axes[0]]), int(made.shape[axes[1]]))
    return Field(change(given.rows, axes[0]), change(given.cols, axes[1]), size)


def _padded(_: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    axes = _axes(args[0], given[0])
    if axes is None:
        return given[0]

    def before(span: Span, axis: int) -> Span:
        place = 2 * (args[0].ndim - 1 - axis)  # the last axis comes first
        return span.shifted(-args[1][place]) if place < len(args[1]) else span

    return _on_axes(given[0], axes, made, before)


def _slice(_: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    axes = _axes(args[0], given[0])
    if axes is None:
        return given[0]
    whole: tuple[Any, ...] = (0, 0, None, 1)
    asked: tuple[Any, ...] = tuple(args[1:])
    dim, start, _stop, step = (*asked, *whole[len(asked) :])
    dim, start = dim % args[0].ndim, start or 0
    start += args[0].shape[dim] if start < 0 else 0

    def cut(span: Span, axis: int) -> Span:
        if axis != dim:
            return span
        moved = span.shifted(start)
        return Span(moved.step * step, moved.low, moved.high)

    return _on_axes(given[0], axes, made, cut)


def _attention(_: Reach, _args: Any, _kwargs: Any, given: list[Field], _made: Any) -> Field:
    """Attention, also within windows that move from block to block, may look anywhere."""
    return given[0].everywhere()


def _full(reach: Reach, args: Any, _kwargs: Any, given: list[Field], made: Any) -> Field:
    if made.ndim == 2 and made.shape[0] == reach.batch:
        one = (1, 1)
        shape = (one, one, (0, 0), one, one)
        reach.note(Operation("full", int(made.shape[1]), *shape))
    return _union(reach, args, _kwargs, given, made)


_RULES: dict[Any, Rule] = {
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _pooling("max"),
    aten.avg_pool2d: _pooling("average"),
    aten._adaptive_avg_pool2d: _adaptive,
    aten.mean: _reduction,
    aten.amax: _reduction,
    aten.view: _reshape,
    aten._unsafe_view: _reshape,
    aten.reshape: _reshape,
    aten.constant_pad_nd: _padded,
    aten.slice: _slice,
    aten.addmm: _full,
    aten.mm: _full,
    aten.bmm: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_fused_attention_overrideable: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._softmax: _attention,
}
