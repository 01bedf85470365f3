"""``terrapatch backbones``: which networks there are, and what can be tapped in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Quiet
from terrapatch.cli.voice import speaking

if TYPE_CHECKING:
    from terrapatch.backbones import Backbone

app = typer.Typer(help="List the backbones, or show the layers of one.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def backbones(ctx: typer.Context) -> None:
    """List the backbones, or show the layers of one."""
    if ctx.invoked_subcommand is None:
        listing()


@app.command("list")
def listing(as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the backbones: what each is, its size, and whether its weights are here."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.backbones import DEFAULT, backbone_names, get_backbone

        found = [_facts(get_backbone(name)) for name in backbone_names()]
        for one in found:
            star = " (the default)" if one["name"] == DEFAULT else ""
            voice.show(
                f"{one['name']}{star}\n  {one['summary']}\n"
                f"  {_dims(one)}, {one['parameters']:,} parameters\n  weights: {one['weights']}"
            )
        voice.result({"default": DEFAULT, "backbones": found})


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a backbone.")],
    input_size: Annotated[
        int, typer.Option("--input-size", help="Side of a patch in pixels.", min=32, max=2048)
    ] = 224,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show the layers of a backbone: width, stride and map, computed from the network itself."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.backbones import get_backbone

        backbone = get_backbone(name)
        one, layers = _facts(backbone), backbone.table(input_size)
        voice.show(_describe(backbone, one))
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("layer")
        for heading in ("width", "stride", f"map at {input_size} px", "in the default"):
            table.add_column(heading, justify="right")
        for layer in layers:
            chosen = "yes" if layer.name in backbone.default.layers else "no"
            across = " x ".join(map(str, layer.map_size))
            table.add_row(layer.name, str(layer.width), str(layer.stride), across, chosen)
        if backbone.contract is not None:
            voice.table(table)
        voice.result(
            {
                **one,
                "input_size": input_size,
                "layers": [
                    {
                        "name": layer.name,
                        "width": layer.width,
                        "stride": layer.stride,
                        "map": list(layer.map_size),
                    }
                    for layer in layers
                ],
            }
        )


def _facts(backbone: Backbone) -> dict[str, Any]:
    pools = len(backbone.default.pooling)
    dims = None
    if backbone.contract is not None:
        widths = {layer.name: layer.width for layer in backbone.table(224)}
        dims = pools * sum(widths[name] for name in backbone.default.layers)
    return {
        "name": backbone.name,
        "summary": backbone.summary,
        "features": dims,
        "features_per_band": pools if dims is None else None,
        "parameters": backbone.count(),
        "weights": _weights(backbone),
        "default": backbone.default.as_dict(),
    }


def _dims(one: dict[str, Any]) -> str:
    if one["features"] is None:
        return f"{one['features_per_band']} features a band"
    return f"{one['features']:,} features by default"


def _weights(backbone: Backbone) -> str:
    from terrapatch.errors import WeightsError

    if backbone.weights is None:
        return "none needed"
    try:
        backbone.weights.path()
    except WeightsError as fault:
        return str(fault)
    return f"present ({words.size(backbone.weights.size)}, hash checked)"


def _describe(backbone: Backbone, one: dict[str, Any]) -> str:
    rows = [
        ("name", backbone.name),
        ("what", backbone.summary),
        ("features", _dims(one)),
        ("parameters", f"{one['parameters']:,}"),
        ("weights", one["weights"]),
    ]
    if backbone.weights is not None:
        w = backbone.weights
        rows += [
            ("file", f"{w.name}, from {w.source}"),
            ("sha256", w.sha256),
            ("licence", w.licence),
            ("cite", w.citation),
        ]
    if backbone.contract is None:
        rows += [("input", "any bands, patches as they are")]
    else:
        contract = backbone.contract
        low, high = contract.sizes
        rows += [
            ("input", f"{', '.join(contract.channels)}; patches brought to {low} to {high} px"),
            ("scaling", f"0–255, minus {contract.mean[0]:g}, divided by {contract.std[0]:g}"),
        ]
    rows += [("pooling", ", ".join(backbone.default.pooling) + " by default")]
    return words.facts(rows)
