"""A scene whose patches lie a part of a cell elsewhere, embedded like the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from odc.geo.geobox import GeoBox
from rasterio.dtypes import dtype_rev, typename_fwd

from terrapatch.errors import RecipeError, SceneError
from terrapatch.features import FeatureRaster
from terrapatch.features.engine import embed
from terrapatch.features.recipe import Recipe
from terrapatch.opening import open_raster
from terrapatch.scene import Scene

__all__ = ["embed_like", "moved_scene", "pixels_of"]

Progress = Callable[[str, int, int], None]


def pixels_of(recipe: Recipe, offset: tuple[float, float]) -> tuple[int, int]:
    """Return an offset in cells as whole pixels down and across."""
    down, across = (
        round(part * int(stride))
        for part, stride in zip(offset, recipe.grid["stride_px"], strict=True)
    )
    return down, across


def moved_scene(scene: Scene, down: int, across: int, folder: Path) -> Scene:
    """Return a scene without its first rows and columns: all patches of a grid over it move.

    Nothing is copied: a virtual raster (GDAL's VRT) points at a window of the file.

    Args:
        scene: A scene that is a file.
        down: Rows of pixels to leave out.
        across: Columns of pixels to leave out.
        folder: Where to write the VRT.

    Raises:
        SceneError: If the scene is an array, or nothing would be left of it.
    """
    if not isinstance(scene.source, str):
        raise SceneError(f"{scene.name} is no file, so its patches cannot be moved")
    height, width = scene.shape
    if not (0 <= down < height and 0 <= across < width):
        raise SceneError(
            f"{scene.name} has {height} x {width} pixels, and nothing is left of it when patches "
            f"move by {down} x {across}; embed it with smaller patches"
        )
    path = folder / f"moved_{down}_{across}.vrt"
    path.write_bytes(_vrt(scene, scene.source, down, across))
    window = scene.geobox[down:, across:]
    return replace(scene, source=str(path), geobox=window, driver="VRT")


def _vrt(scene: Scene, source: str, down: int, across: int) -> bytes:
    """Return the text of a VRT: every band, its nodata value and role, and a mask of the file's."""
    rows, cols = scene.shape[0] - down, scene.shape[1] - across
    root = ET.Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
    with open_raster(source) as src:
        # A URL goes by GDAL's own name for it, such as /vsicurl/https://… or /vsizip/….
        name = src.files[0] if "://" in source and src.files else source
        if src.crs is not None:
            ET.SubElement(root, "SRS").text = src.crs.to_wkt()
        window: GeoBox = scene.geobox[down:, across:]
        numbers = ", ".join(repr(float(v)) for v in window.affine.to_gdal())
        ET.SubElement(root, "GeoTransform").text = numbers
        for band in src.indexes:
            attributes = {
                "dataType": typename_fwd[dtype_rev[src.dtypes[band - 1]]],
                "band": str(band),
            }
            node = ET.SubElement(root, "VRTRasterBand", attributes)
            nodata = src.nodatavals[band - 1]
            if nodata is not None:
                ET.SubElement(node, "NoDataValue").text = repr(float(nodata))
            ET.SubElement(node, "ColorInterp").text = src.colorinterp[band - 1].name.capitalize()
            _window(node, name, str(band), (down, across, rows, cols))
        if scene.has_mask:
            node = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
            _window(node, name, "mask,1", (down, across, rows, cols))
    text: bytes = ET.tostring(root, encoding="utf-8")
    return text


def _window(node: ET.Element, name: str, band: str, window: tuple[int, int, int, int]) -> None:
    down, across, rows, cols = window
    source = ET.SubElement(node, "SimpleSource")
    absolute = name if name.startswith("/vsi") else str(Path(name).resolve())
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = absolute
    ET.SubElement(source, "SourceBand").text = band
    size = {"xSize": str(cols), "ySize": str(rows)}
    ET.SubElement(source, "SrcRect", {"xOff": str(across), "yOff": str(down), **size})
    ET.SubElement(source, "DstRect", {"xOff": "0", "yOff": "0", **size})


def embed_like(
    recipe: Recipe,
    store: Path,
    scene: Scene,
    out: Path,
    *,
    progress: Progress | None = None,
    **embedding: Any,
) -> FeatureRaster:
    """Embed a scene as another was, so that a model of the one serves the other.

    Args:
        recipe: How the other was embedded.
        store: Its features, for the mixing of bands, if there is one.
        scene: The scene, with its bands and units chosen.
        out: Store to write.
        progress: Called as ``progress(stage, cells done, cells in all)``.
        embedding: Further options of ``embed``: weights, device, offline …

    Raises:
        RecipeError: If it does not come out in the same space, or with patches of other pixels.
    """
    space, grid = recipe.space, recipe.grid
    pixels, strides = (tuple(int(n) for n in grid[key]) for key in ("size_px", "stride_px"))
    options: dict[str, Any] = {
        # A length such as 60m stands in the recipe; two lengths can only be given in pixels.
        "size": pixels if " x " in grid["size"] else grid["size"],
        "stride": strides if " x " in grid["stride"] else grid["stride"],
        "edge": grid["edge"],
        "backbone": space["backbone"],
        "layers": ",".join(space["layers"]),
        "pooling": ",".join(space["pooling"]),
        "l2": space["l2"],
        "input_size": space["input_size"],
        "mode": space["mode"],
        "average": space.get("average", "none"),
        "dtype": recipe.execution["dtype"],
        "adapt": store if "adapt" in space else None,
        **embedding,
    }
    made = embed(scene, out, progress=progress, **options)
    if made.recipe.space_fingerprint != recipe.space_fingerprint:
        told = "; ".join(made.recipe.space_differences(space))
        raise RecipeError(
            f"{scene.name} could not be embedded as before ({told}); give the weights it was "
            "embedded with"
        )
    if [list(pixels), list(strides)] != [made.recipe.grid[k] for k in ("size_px", "stride_px")]:
        raise RecipeError(
            f"patches of {grid['size']} came out with other pixels in a part of {scene.name}; "
            "embed it with patches in pixels"
        )
    return made
