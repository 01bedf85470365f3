"""Recipes in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rows = list[tuple[str, str]]
Plain = Mapping[str, Any]

_EDGES = {
    "reflect": "mirrored beyond the scene",
    "nodata": "empty beyond the scene",
    "drop": "only inside the scene",
}
MOST_NAMES = 12


def about_features(recipe: Plain, n_features: int | None = None) -> Rows:
    """Put the recipe of a feature raster into words.

    Args:
        recipe: A ``Recipe`` as plain data.
        n_features: Length of a descriptor, where it is known.
    """
    if recipe["execution"]["mode"] == "pixels":
        return _about_pixels(recipe, n_features)
    return [
        ("scene", _scene(recipe["scene"])),
        ("bands", _bands(recipe["scene"])),
        ("units", _units(recipe["scene"].get("units"))),
        ("nodata", _nodata(recipe["scene"])),
        ("patches", _grid(recipe["grid"], recipe["scene"])),
        ("backbone", _backbone(recipe["backbone"])),
        ("features", _descriptor(recipe["descriptor"], n_features)),
        ("computed", _execution(recipe["execution"])),
        ("versions", _versions(recipe["versions"])),
    ]


def _about_pixels(recipe: Plain, n_features: int | None) -> Rows:
    """Put the recipe of features at one cell a pixel into words."""
    scene, described = recipe["scene"], recipe["descriptor"]
    count = "" if n_features is None else f": {n_features:,} numbers a pixel"
    return [
        ("scene", _scene(scene)),
        ("bands", f"{len(scene['bands'])}: {_wavelengths(scene)}"),
        ("values", _scaled(scene)),
        ("nodata", _nodata(scene) + _fills(scene)),
        ("cells", "one a pixel, the scene mirrored beyond its edge"),
        ("features", f"{'; '.join(described['layers'])}{count}"),
        ("named", _names(described["names"])),
        ("window", _window(described["window"])),
        ("fitted", f"what was learned has the hash {recipe['backbone']['weights'][:12]}…"),
        ("computed", _execution(recipe["execution"])),
        ("versions", _versions(recipe["versions"])),
    ]


def _scaled(scene: Plain) -> str:
    """Say what made physical values of the stored ones."""
    pairs = list(dict.fromkeys(zip(scene["scale"], scene["offset"], strict=True)))
    if pairs == [(1.0, 0.0)]:
        return "as they are"
    told = [f"times {a:g}" + (f" plus {b:g}" if b else "") for a, b in pairs[:3]]
    return "; ".join(told) + (f", … by band ({len(pairs)} ways)" if len(pairs) > 3 else "")


def _fills(scene: Plain) -> str:
    """Say which values count as nodata though the file does not state them."""
    found = dict.fromkeys(v for v in scene.get("fills", ()) if v is not None)
    return f"; {' or '.join(f'{v:.10g}' for v in found)} by its frequency" if found else ""


def _window(side: int | None) -> str:
    """Say which pixels decide the numbers of one."""
    if side is None:
        return "the whole scene can decide a pixel's numbers"
    alone = "a pixel's numbers are its own"
    return alone if side == 1 else f"the {side} x {side} pixels around it decide a pixel's numbers"


def _wavelengths(scene: Plain) -> str:
    """Say where the bands of a cube lie, or what they are called."""
    waves = scene.get("wavelengths") or [None]
    if None in waves:
        return _names(scene["band_names"])
    return f"{min(waves):.5g} to {max(waves):.5g} nm"


def about_model(description: Plain) -> Rows:
    """Put the description of a cluster model or a scene classifier into words."""
    space = description["space"]
    told = _about_head(description) if "head" in description else _about_centres(description)
    return [
        *told,
        ("features", _descriptor(space, description["n_features"])),
        (
            "backbone",
            f"{space['backbone']}{_hash(space['weights'])}, {_input(space['input_size'])}, "
            f"patches of {space['size']}, {_taken(space)}, {space['mode']} mode",
        ),
        ("fitted with", _versions(description["versions"])),
    ]


def about_tuned(description: Plain) -> Rows:
    """Put the description of a tuned network into words."""
    settings, images = description["settings"], description["images"]
    best = max(description["history"]["val_accuracy"])
    return [
        ("classes", f"{len(description['classes'])}: {_names(description['classes'])}"),
        (
            "backbone",
            f"{description['backbone']['name']}{_hash(description['backbone']['weights'])}",
        ),
        ("input", f"images brought to {description['input_size']} px"),
        (
            "tuned by",
            f"{settings['strategy']}, {description['freeze']} stages frozen, augmentation "
            f"{settings['augment']}, seed {settings['seed']}",
        ),
        ("images", f"{images['training']:,} to train, {images['validation']:,} to validate"),
        ("validation", f"{100 * best:.1f} % in the best of its epochs"),
    ]


def _about_centres(description: Plain) -> Rows:
    sizes = [int(n) for n in description["counts"]]
    return [
        ("clusters", _clusters(description)),
        ("scaling", f"{description['scaling']}, fitted with the clusters"),
        ("sizes", f"{_names([f'{n:,}' for n in sizes])} cells where it was fitted"),
    ]


def _about_head(description: Plain) -> Rows:
    chosen = ", ".join(f"{key} {value}" for key, value in description["parameters"].items())
    level, found = description["conformal"], description["metrics"].get("accuracy", {})
    rows = [
        ("classifier", description["head"] + (f" ({chosen})" if chosen else "")),
        ("scaling", f"{description['scaling']}, fitted with the classifier"),
        ("trained on", f"{sum(description['counts']):,} samples"),
    ]
    if found:
        low, high = found["intervals"]["overall"]
        rows.append(
            (
                "accuracy",
                f"{100 * found['overall']:.1f} % ({100 * low:.1f}–{100 * high:.1f}) of "
                f"{found['n']:,} samples it had not seen; {description['metrics']['protocol']}",
            )
        )
    sets = "" if level is None else f", sets that hold {1 - level['alpha']:.0%} of the true classes"
    rows.append(("certainty", f"temperature {description['temperature']:.3g}{sets}"))
    return rows


def about_legend(legend: Plain) -> Rows:
    """Put a legend into words; nothing without one."""
    entries = legend.get("entries", legend.get("classes", []))
    if not isinstance(entries, Sequence) or not entries:
        return []
    names = [str(entry.get("name", "")) for entry in entries]
    return [("classes", f"{len(names)}: {_names(names)}")]


def _clusters(description: Plain) -> str:
    if "runs" in description:
        runs = description["runs"]
        return f"k = {description['k']}, seed {description['seed']}, consensus of {runs} runs"
    how = {"kmeans": "k-means", "minibatch": "mini-batch k-means"}
    algorithm = how.get(description["algorithm"], str(description["algorithm"]))
    starts = description["n_init"]
    return (
        f"k = {description['k']}, seed {description['seed']}, {algorithm}, best of {starts} "
        f"start{'s' if starts != 1 else ''}"
    )


def _scene(scene: Plain) -> str:
    height, width = scene["shape"]
    text = f"{scene['name']}, {width:,} x {height:,} pixels of {scene['dtype']}, {_crs(scene)}"
    return f"{text}, taken {scene['datetime']}" if scene.get("datetime") else text


def _crs(scene: Plain) -> str:
    if not scene.get("crs"):
        return "no CRS"
    import pyproj
    from pyproj.exceptions import CRSError

    try:
        crs = pyproj.CRS.from_wkt(scene["crs"])
    except CRSError:
        return "a CRS PROJ does not know"
    code = crs.to_epsg()
    return f"EPSG:{code} ({crs.name})" if code else crs.name


def _bands(scene: Plain) -> str:
    names = scene["band_names"]
    return _names(
        [
            str(name) if str(name) == f"band {number}" else f"{number} {name}"
            for number, name in zip(scene["bands"], names, strict=True)
        ]
    )


def _units(units: Plain | None) -> str:
    if units is None:
        return "not declared"
    if units["text"] == "uint8":
        return "0 to 255, taken as they are"
    pairs = sorted(set(zip(units["low"], units["high"], strict=True)))
    spans = "; ".join(f"{low:g} is black, {high:g} is white" for low, high in pairs)
    return f"{units['text']}: {spans}"


def _nodata(scene: Plain) -> str:
    values = list(dict.fromkeys(v for v in scene["nodata"] if v is not None))
    if not values:
        return "no value means nodata"
    numbers = [f"{v:.10g}" if isinstance(v, float) else str(v) for v in values]
    return f"{' or '.join(numbers)} in {scene['nodata_rule']}"


def _grid(grid: Plain, scene: Plain) -> str:
    rows, cols = grid["shape"]
    metres = _metres(scene)
    text = f"{_pixels(grid['size_px'])} px{metres(grid['size_px'])}"
    text += f", one every {_pixels(grid['stride_px'])} px{metres(grid['stride_px'])}"
    asked = [t for t in (grid["size"], grid["stride"]) if not t.endswith("px")]
    if asked:
        text += f" (asked for: {' and '.join(dict.fromkeys(asked))})"
    return f"{text}; {rows} x {cols} cells, patches {_EDGES.get(grid['edge'], grid['edge'])}"


def _metres(scene: Plain) -> Callable[[Sequence[int]], str]:
    """Return a function that says how long a number of pixels is on the ground."""
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from pyproj.exceptions import ProjError

    from terrapatch.grid import ground_resolution

    ground = None
    if scene.get("crs"):
        try:
            box = GeoBox(tuple(scene["shape"]), Affine(*scene["transform"][:6]), scene["crs"])
            ground = ground_resolution(box)
        except (ProjError, ValueError):
            ground = None

    def say(pixels: Sequence[int]) -> str:
        if ground is None:
            return ""
        down, across = f"{pixels[0] * ground.y:.4g}", f"{pixels[1] * ground.x:.4g}"
        return f" ({down} m)" if down == across else f" ({down} x {across} m)"

    return say


def _pixels(pair: Sequence[int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"


def _backbone(backbone: Plain) -> str:
    return (
        f"{backbone['name']}{_hash(backbone['weights'])}, {_input(backbone['input_size'])}, "
        f"{_taken(backbone)}"
    )


def _taken(space: Plain) -> str:
    """Say which bands a network takes, and how more of them are mixed into its channels."""
    names, mixing = _names(space["bands"]), space.get("adapt")
    if not mixing:
        return f"bands taken as {names}"
    ways = {"repeat": "in turns", "mean": "as their mean", "pca": "by principal components"}
    return f"bands {names} mixed {ways.get(mixing['kind'], '')} into {len(mixing['matrix'])}"


def _hash(weights: str | None) -> str:
    return "" if weights is None else f" (weights {weights[:12]}…)"


def _input(size: int | None) -> str:
    return "patches taken as they are" if size is None else f"patches brought to {size} px"


def _descriptor(descriptor: Plain, n_features: int | None) -> str:
    words = {
        "std": "standard deviation",
        "max": "maximum",
        "gem": "generalised mean",
        "flatten": "every position",
    }
    pools = " and ".join(words.get(p, p) for p in descriptor["pooling"])
    text = f"{pools} of {_names(descriptor['layers'])}"
    text += ", each layer brought to unit length" if descriptor["l2"] else ""
    return text if n_features is None else f"{text}: {n_features:,} numbers a cell"


def _execution(execution: Plain) -> str:
    side = execution["block"]
    if execution["mode"] == "pixels":
        return (
            f"in {execution['precision']}, blocks of {side} x {side} pixels, "
            f"stored as {execution['dtype']}"
        )
    if execution["mode"] == "dense":
        together = "tiles of {} x {} cells".format(*(n * side for n in execution["tile"]))
    else:
        together = f"batches of {execution['batch']}"
    return (
        f"{execution['mode']} mode on {execution['device']} in {execution['precision']}, "
        f"{together}, blocks of {side} x {side} cells, stored as {execution['dtype']}"
    )


def _versions(versions: Plain) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _names(names: Sequence[Any]) -> str:
    shown = [str(name) for name in names[:MOST_NAMES]]
    return ", ".join(shown) + (f", … {len(names)} in all" if len(names) > MOST_NAMES else "")
