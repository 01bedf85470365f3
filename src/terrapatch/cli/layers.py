"""The layers of a network as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrapatch.backbones import Backbone
    from terrapatch.backbones.analysis import Layer, NetworkFacts
    from terrapatch.cli.voice import Voice


def show(voice: Voice, backbone: Backbone, facts: NetworkFacts, resolution: float | None) -> None:
    """Show the table of a network's layers, and of its stages where each is one convolution.

    Args:
        voice: Who shows it.
        backbone: The backbone.
        facts: Its network at an input size.
        resolution: Metres a pixel of the patch, to give fields in metres too.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"\nlayers at {facts.size} px", title_style="")
    for heading in ("layer", "what runs in it"):
        table.add_column(heading)
    numbers = ["width", "map", "stride", "sees px"]
    numbers += ["sees m"] if resolution else []
    for heading in (*numbers, "parameters", "GFLOP", "default"):
        table.add_column(heading, justify="right")
    for one in facts.layers:
        seen = [_pixels(one.field)] + ([_metres(one.field, resolution)] if resolution else [])
        table.add_row(
            one.name,
            runs(one),
            str(one.width),
            _across(one.map_size),
            f"{one.stride:g}",
            *seen,
            f"{one.parameters:,}",
            f"{one.flops / 1e9:.3g}",
            "yes" if one.name in backbone.default.layers else "no",
        )
    voice.table(table)
    if all(_single(one) for one in facts.layers):
        _show_stages(voice, facts)


def _show_stages(voice: Voice, facts: NetworkFacts) -> None:
    """Show a network of single convolutions as the papers of 2012 to 2014 do."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="\nstages", title_style="")
    headings = ("layer", "stage", "channels", "filter", "conv. stride", "pooling",
                "pooling stride", "zero padding", "input", "map of the conv.")  # fmt: skip
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < 2 else "right")
    for one in facts.layers:
        table.add_row(one.name, *stage_row(one))
    voice.table(table)


def stage_row(layer: Layer) -> list[str]:
    """Return kind, channels, filter, stride, pooling, its stride, padding, input and map."""
    main, *rest = layer.operations
    pool = rest[0] if rest else None
    full = main.kind == "full"
    covers = main.kernel == main.given and main.made == (1, 1)
    name = "full, as conv" if covers and not full else main.kind
    kind = name + (f" + {pool.kind}" if pool else "")
    return [
        kind,
        str(main.filters),
        "–" if full else _across(main.kernel),
        "–" if full else _across(main.stride),
        _across(pool.kernel) if pool else "–",
        _across(pool.stride) if pool else "–",
        _across(main.padding) if any(main.padding) else "–",
        _across(main.given),
        _across(main.made),
    ]


def _single(layer: Layer) -> bool:
    kinds = [one.kind for one in layer.operations]
    return kinds[:1] in (["conv"], ["full"]) and kinds[1:] in ([], ["max"], ["average"])


def runs(layer: Layer) -> str:
    """Say which convolutions, poolings and fully connected layers run in a layer."""
    if len(layer.operations) <= 2:
        return ", ".join(
            one.kind if one.kind == "full" else f"{one.kind} {_across(one.kernel)}"
            + (f"/{one.stride[0]}" if one.stride[0] > 1 else "")
            for one in layer.operations
        )  # fmt: skip
    counts: dict[str, int] = {}
    for one in layer.operations:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    return ", ".join(f"{n} {kind}" for kind, n in counts.items())


def _across(pair: tuple[int, int]) -> str:
    return f"{pair[0]} x {pair[1]}"


def _pixels(field: float) -> str:
    return "all" if math.isinf(field) else f"{field:g}"


def _metres(field: float, resolution: float | None) -> str:
    return "all" if math.isinf(field) else f"{field * (resolution or 0):.4g}"


def plain(one: Layer, resolution: float | None) -> dict[str, Any]:
    """Return the facts of a layer as plain data."""
    return {
        "name": one.name,
        "path": one.path,
        "width": one.width,
        "map": list(one.map_size),
        "stride": one.stride,
        "receptive_field_px": one.field,
        "receptive_field_m": None if resolution is None else one.field * resolution,
        "parameters": one.parameters,
        "flops": one.flops,
        "runs": runs(one),
    }
