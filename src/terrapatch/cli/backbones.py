"""``terrapatch backbones``: which networks there are, and what can be tapped in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import layers, words
from terrapatch.cli import weights as weights_commands
from terrapatch.cli.fit import fit
from terrapatch.cli.options import Debug, Json, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.backbones import Backbone
    from terrapatch.backbones.analysis import NetworkFacts

app = typer.Typer(
    help="List the backbones, show one, and move weights to machines without a network.",
    no_args_is_help=False,
)
weights_commands.add_to(app)
app.command("fit")(fit)


@app.callback(invoke_without_command=True)
def backbones(ctx: typer.Context) -> None:
    """List the backbones, show one, and move weights to machines without a network."""
    if ctx.invoked_subcommand is None:
        listing()


@app.command("list")
def listing(
    torchgeo: Annotated[
        bool, typer.Option("--torchgeo", help="Those with weights of the installed torchgeo.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Compute parameters and cost too; some seconds.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the backbones: what each is, and whether its weights are here.

    Every network is also there as NAME:random, with seeded random weights.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.backbones import DEFAULT, backbone_names, get_backbone

        if torchgeo:
            from terrapatch.backbones import torchgeo_nets

            names = torchgeo_nets.names()
        else:
            names = backbone_names()
        found = []
        for done, name in enumerate(names):
            found.append(_brief(get_backbone(name), details))
            voice.progress("backbones", done + 1, len(names))
        _show_list(voice, found, DEFAULT, details)
        if not torchgeo:
            voice.show(
                "\nthose with remote-sensing weights: terrapatch backbones list --torchgeo\n"
                "every network with random weights: NAME:random, or NAME:random7 for seed 7"
            )
        voice.result({"default": DEFAULT, "backbones": found})


def _show_list(voice: Voice, found: list[dict[str, Any]], default: str, details: bool) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    if details:
        table.add_column("parameters", justify="right", no_wrap=True)
        table.add_column("GFLOP", justify="right", no_wrap=True)
    table.add_column("what")
    for one in found:
        name = f"{one['name']} *" if one["name"] == default else one["name"]
        row = [name, one["state"]]
        if details:
            row += [f"{one['parameters']:,}", f"{one['flops'] / 1e9:.2f}"]
        what = one["summary"] if not one["refusal"] else f"{one['summary']} ({one['refusal']})"
        table.add_row(*row, what)
    voice.table(table)
    voice.show("* the default")


def _brief(backbone: Backbone, details: bool) -> dict[str, Any]:
    one: dict[str, Any] = {
        "name": backbone.name,
        "summary": backbone.summary,
        "state": _state(backbone),
        "refusal": backbone.refusal,
        "licence": None if backbone.weights is None else backbone.weights.licence,
    }
    if details:
        plain = backbone.architecture is None or backbone.refusal
        facts = None if plain else backbone.examine()
        one["parameters"] = 0 if facts is None else facts.parameters
        one["flops"] = 0 if facts is None else facts.flops
    return one


def _state(backbone: Backbone) -> str:
    from terrapatch.backbones.weights import look

    if backbone.refusal:
        return "cannot embed"
    if backbone.weights is None:
        return "none needed"
    if look(backbone.weights) is not None:
        return "here"
    return "to download" if backbone.weights.url else "not here"


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a backbone.")],
    input_size: Annotated[
        int | None,
        typer.Option("--input-size", help="Side of a patch in pixels; the weights' own if not."),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option("--resolution", help="Metres a pixel of the patch, to give fields in metres."),
    ] = None,
    modules: Annotated[
        bool, typer.Option("--modules", help="List the path of every module that can be tapped.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show a backbone: weights, input, and its layers as computed from the network itself."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.backbones import get_backbone

        backbone = get_backbone(name)
        facts = None
        if backbone.architecture is not None and not backbone.refusal:
            facts = backbone.examine(input_size)
        about = _about(backbone, facts)
        voice.show(words.facts(about))
        data: dict[str, Any] = dict(about)
        if facts is not None:
            layers.show(voice, backbone, facts, resolution)
            data |= {
                "input_size": facts.size,
                "parameters": facts.parameters,
                "flops": facts.flops,
                "layers": [layers.plain(one, resolution) for one in facts.layers],
            }
        data["default"] = backbone.default.as_dict()
        if modules and backbone.architecture is not None:
            from terrapatch.backbones.build import module_paths

            data["modules"] = list(module_paths(backbone.architecture))
            voice.show("\nmodules\n" + "\n".join(f"  {path}" for path in data["modules"]))
        voice.result(data)


def _about(backbone: Backbone, facts: NetworkFacts | None) -> list[tuple[str, str]]:
    rows = [("name", backbone.name), ("what", backbone.summary)]
    if backbone.refusal:
        rows.append(("cannot", f"{backbone.name} {backbone.refusal}"))
    if backbone.architecture is not None:
        rows.append(("paper", backbone.architecture.citation))
    if facts is not None:
        rows += [
            ("size", f"{facts.parameters:,} parameters"),
            ("cost", f"{facts.flops / 1e9:.3g} GFLOP a patch of {facts.size} px "
                     f"({facts.flops / 2e9:.3g} G multiply-adds)"),
        ]  # fmt: skip
    if backbone.refusal:
        return rows
    rows += _about_weights(backbone)
    contract = backbone.contract
    if contract is None:
        rows.append(("input", "any bands, patches as they are"))
    else:
        low, high = contract.sizes
        sides = f"{low} px" if low == high else f"{low} to {high} px"
        rows += [
            ("input", f"{contract.words()}"),
            ("resizing", f"to {sides} by default, {contract.interpolation} with antialiasing"),
        ]
    layers = ", ".join(backbone.default.layers)
    rows.append(("default", f"{' and '.join(backbone.default.pooling)} of {layers}"))
    return rows


def _about_weights(backbone: Backbone) -> list[tuple[str, str]]:
    from terrapatch.backbones.weights import look, missing

    weights = backbone.weights
    if weights is None:
        random = f"random, seed {backbone.seed}" if backbone.seed is not None else "none needed"
        return [("weights", random)]
    place = look(weights)
    here = missing(weights, backbone.name, False) if place is None else f"here, in {place[1]}"
    return [
        ("weights", here),
        ("file", weights.describe()),
        ("sha256", weights.sha256 or "not published"),
        ("licence", weights.licence),
        ("cite", weights.citation),
    ]
