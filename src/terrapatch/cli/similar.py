"""``terrapatch similar``: where else it looks like here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli.options import (
    NETWORK,
    Debug,
    FeaturesArgument,
    Json,
    Offline,
    Overwrite,
    Quiet,
    Seed,
)
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.similar import SimilarResult

_QUERY, _METHOD = "What to look for", "Method"
_SHOWN = 12


def similar(
    features: FeaturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF of scores to write.")],
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y", help="A place that looks right; repeat it.", rich_help_panel=_QUERY
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="X,Y", help="A place that does not.", rich_help_panel=_QUERY),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            help="CRS of X,Y: EPSG:4326 for longitude,latitude.",
            rich_help_panel=_QUERY,
            show_default="the scene's own",
        ),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            help="File of points; a column like (true, false) tells right from wrong.",
            rich_help_panel=_QUERY,
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer of that file.", rich_help_panel=_QUERY)
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="An image that looks right; repeat it.", rich_help_panel=_QUERY),
    ] = None,
    not_image: Annotated[
        list[Path] | None,
        typer.Option("--not-image", help="An image that does not.", rich_help_panel=_QUERY),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Places to list.")] = 50,
    apart: Annotated[
        str | None,
        typer.Option(
            help="Least distance of two places: 120m, pixels, or '2 cells'.",
            show_default="a patch",
        ),
    ] = None,
    scene: Annotated[
        str | None,
        typer.Option(
            help="The scene, for the contact sheet.", show_default="looked for beside FEATURES"
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="ridge, or cosine: the mean cosine.", rich_help_panel=_METHOD),
    ] = "ridge",
    background: Annotated[
        int,
        typer.Option(
            help="Cells drawn at random that stand for the rest.", rich_help_panel=_METHOD
        ),
    ] = 1000,
    scaling: Annotated[
        str | None,
        typer.Option(
            help="How features are scaled, e.g. pca64-half.",
            rich_help_panel=_METHOD,
            show_default="what measured best on settlements",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Scale features as this cluster model does (or folder of clusters).",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    seed: Seed = 0,
    weights: Annotated[
        Path | None,
        typer.Option(help="File of the network's weights, for images.", rich_help_panel=NETWORK),
    ] = None,
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find what looks like some places: a map of scores, the best places, their patches.

    OUT_hits.gpkg holds the places found. Fill its column like with true or false in QGIS and
    give it back with --points to search again.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.similar import similar as run

        options: dict[str, Any] = {"method": method}
        made = run(
            features,
            out,
            at=[_place(text, "--at") for text in at or ()],
            unlike=[_place(text, "--not") for text in unlike or ()],
            crs=crs,
            points=points,
            layer=layer,
            images=image or (),
            unlike_images=not_image or (),
            n=n,
            apart=apart,
            scene=scene,
            background=background,
            scaling=scaling,
            model=model,
            seed=seed,
            embedding={"weights": weights, "offline": offline},
            overwrite=overwrite,
            progress=voice.progress,
            **options,
        )
        _report(voice, made)


def _place(text: str, option: str) -> tuple[float, float]:
    """Read ``X,Y``."""
    import math

    from terrapatch.errors import SamplesError

    parts = text.split(",")
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise SamplesError(
            f"{option} {text} is no place; write X,Y with a point in decimals and no space, for "
            "instance 284512.5,2108730"
        )
    return x, y


def _report(voice: Voice, made: SimilarResult) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("rank", "score", "x", "y", "row", "col"):
        table.add_column(name, justify="right")
    for hit in made.hits[:_SHOWN]:
        place = (f"{hit.x:.10g}", f"{hit.y:.10g}", str(hit.row), str(hit.col))
        table.add_row(str(hit.rank), f"{hit.score:.3f}", *place)
    voice.table(table)
    if len(made.hits) > _SHOWN:
        voice.show(f"and {len(made.hits) - _SHOWN} more")
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    sheet = [file for file in made.files if file.suffix == ".png"]
    look = f"look at {sheet[0]}, then open" if sheet else "open"
    voice.show(f"next: {look} {made.files[0]} in QGIS")
    voice.result(
        {
            "map": str(made.files[0]),
            "hits": [vars(hit) for hit in made.hits],
            "examples": [vars(cell) for cell in made.examples],
            "images": [{"path": str(path), "like": like} for path, like in made.images],
            "query": made.query.description,
            "notes": list(made.notes),
        }
    )
