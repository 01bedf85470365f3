"""Fitting a scene and a backbone to each other: bands, units, and what is learned from pixels."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from terrapatch.backbones import Backbone
from terrapatch.backbones import mixing as mixings
from terrapatch.backbones.mixing import Mixing
from terrapatch.errors import BackboneError, SceneError
from terrapatch.features.layout import is_store, read_recipe
from terrapatch.reading import SceneReader, read_thinned
from terrapatch.scene import Scene

log = logging.getLogger("terrapatch")

# Pixels that principal components are learned from, at most.
SAMPLE_SIDE = 512
# Places tried for each window before a scene counts as having too few valid pixels.
TRIES = 20


def fit_to_scene(
    scene: Scene, backbone: Backbone, adapt: str | os.PathLike[str] | None = None
) -> tuple[Scene, Backbone]:
    """Choose the bands and units a backbone takes, and learn what it needs from the scene.

    Args:
        scene: The scene.
        backbone: The backbone, its weights found.
        adapt: How more bands are mixed into three: ``repeat``, ``mean``, ``pca``, or a
            feature store whose mixing is used again; ``None`` to choose three bands.

    Returns:
        The scene with as many bands as are read, in the units they are read in, and the
        backbone with its mixing, its contract on those units and its drawn filters.

    Raises:
        BandError: If the number of bands does not fit.
        UnitsError: If the units are not declared, or not what the backbone counts in.
        BackboneError: If the mixing asked for cannot be had.
    """
    if adapt is not None:
        return _mixed(scene, backbone, adapt)
    if backbone.contract is None:
        return scene, _with_drawn(scene, backbone)
    chosen = scene.for_channels(backbone.channels, backbone.contract.channels)
    units = backbone.contract.units_for(chosen.require_units(), chosen.name)
    contract = backbone.contract.with_units(units)
    return replace(chosen, units=units), replace(backbone, contract=contract)


def _mixed(
    scene: Scene, backbone: Backbone, adapt: str | os.PathLike[str]
) -> tuple[Scene, Backbone]:
    if backbone.contract is None:
        raise BackboneError(
            f"{backbone.name} takes any number of bands, so there is nothing to mix; leave out "
            "--adapt"
        )
    if backbone.contract.quantity != "display" or len(backbone.contract.channels) != 3:
        raise BackboneError(
            f"{backbone.name} was trained on the bands it takes, so others cannot be mixed for it; "
            "choose its bands with --bands and leave out --adapt"
        )
    mixing = _mixing(scene, adapt)
    if mixing.bands != len(scene.bands):
        raise BackboneError(
            f"the mixing of {adapt} takes {mixing.bands} bands but {len(scene.bands)} are chosen "
            f"from {scene.name}; choose the same bands with --bands"
        )
    log.warning(mixings.WARNING, mixing.kind)
    return scene, replace(backbone, mixing=mixing)


def _mixing(scene: Scene, adapt: str | os.PathLike[str]) -> Mixing:
    units = scene.require_units()
    if adapt == "repeat":
        return mixings.repeat(len(scene.bands))
    if adapt == "mean":
        return mixings.mean(len(scene.bands))
    if adapt == "pca":
        pixels, mask = read_thinned(scene, SAMPLE_SIDE)
        shown = np.asarray(units.to_eight_bit(pixels), np.float64)
        keep = np.ones(shown.shape[1:], bool) if mask is None else mask
        return mixings.principal(shown[:, keep], scene.name)
    path = Path(adapt)
    recipe = read_recipe(path) if is_store(path) else None
    if recipe is None or "adapt" not in recipe.backbone:
        raise BackboneError(
            f"--adapt {adapt} is neither {', '.join(mixings.KINDS)} nor a feature store that was "
            "made with --adapt"
        )
    return Mixing.from_dict(recipe.backbone["adapt"])


def _with_drawn(scene: Scene, backbone: Backbone) -> Backbone:
    """Cut the filters of empirical random features out of the scene, unless they were given."""
    if not backbone.fits or backbone.tensors is not None:
        return backbone
    return replace(backbone, tensors=draw_filters(scene, backbone.seed or 0))


def draw_filters(scene: Scene, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Cut filters out of windows that lie anywhere in a scene and hold no invalid pixel.

    Args:
        scene: The scene; its chosen bands are used.
        seed: Seed of the places.

    Returns:
        The tensors that ``rcf:empirical`` takes.

    Raises:
        SceneError: If too few windows without invalid pixels are found.
    """
    from terrapatch.backbones import rcf

    units = scene.require_units()
    side = min(rcf.WINDOW_SIDE, *scene.shape)
    random = np.random.default_rng(seed)
    windows = []
    with SceneReader(scene) as reader:
        for _ in range(TRIES * rcf.WINDOWS):
            top, left = (int(random.integers(0, n - side + 1)) for n in scene.shape)
            pixels, mask = reader.read(slice(top, top + side), slice(left, left + side))
            if mask is None or mask.all():
                windows.append(units.to_eight_bit(pixels))
            if len(windows) == rcf.WINDOWS:
                break
    if side <= rcf.KERNEL or len(windows) < rcf.WINDOWS // 4:
        raise SceneError(
            f"{scene.name} has too few places of {side} x {side} valid pixels to cut random "
            "filters out of; use --backbone rcf, whose filters come from a normal distribution"
        )
    return {rcf.TENSOR: rcf.empirical(np.stack(windows), seed)}
