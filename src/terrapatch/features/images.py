"""Features of whole images: one descriptor for each file, whatever its size.

The counterpart of ``embed`` for samples that are files. An image is cut to its largest
centred square and brought to the side the network takes, as a patch of a scene is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.backbones import DEFAULT, Backbone, Embedder, get_backbone
from terrapatch.backbones.turning import TurnedEmbedder, check_average
from terrapatch.bands import BandChoice
from terrapatch.errors import SamplesError, SceneError, writing
from terrapatch.features._memory import kept_memory
from terrapatch.features.fitting import fit_to_scene
from terrapatch.features.image_files import check_whole, strictly
from terrapatch.features.plan import band_roles
from terrapatch.features.recipe import Recipe, package_versions
from terrapatch.reading import Mask, Pixels, SceneReader
from terrapatch.scene import Scene
from terrapatch.stream import fill_invalid

log = logging.getLogger("terrapatch")

Progress = Callable[[str, int, int], None]
Image = tuple[Pixels, Mask | None]

# Images that device and precision are tried on.
TRIAL = 32
READERS = 2
MOST_NAMED = 5


@dataclass(frozen=True)
class ImageFeatures:
    """Descriptors of images.

    Attributes:
        values: ``(images, features)`` float32.
        groups: Name, start and stop of each layer's numbers.
        recipe: How they were made; its ``space`` is what a model is valid in.
    """

    values: npt.NDArray[np.float32]
    groups: tuple[tuple[str, int, int], ...]
    recipe: Recipe


def embed_images(
    paths: Sequence[str | os.PathLike[str]],
    *,
    backbone: str = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    layers: str | None = None,
    pooling: str | None = None,
    l2: bool | None = None,
    bands: BandChoice | None = None,
    units: str | None = None,
    nodata: float | None = None,
    input_size: int | None = None,
    average: str = "none",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    offline: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ImageFeatures:
    """Embed images, each as one patch.

    Args:
        paths: Files that GDAL reads; sizes may differ.
        backbone: Name in the registry.
        weights: File of weights to use instead of the registered one.
        layers: Layers to tap, see ``embed``.
        pooling: How they are pooled, see ``embed``.
        l2: Whether each layer's numbers are brought to unit length.
        bands: Band names, numbers from 1, or ``rgb``.
        units: Units of the pixels, where they are not eight-bit, see ``embed``.
        nodata: Nodata value, where the files state none.
        input_size: Side in pixels that images are resized to.
        average: ``d4`` to describe an image by the mean over its eight turns and flips.
        device: ``auto``, ``cpu``, ``cuda`` …
        precision: ``auto`` (by a short trial), ``fp32``, ``bf16`` or ``fp16``.
        batch: Images that go through the network at once.
        offline: Whether to open no socket.
        cache: Folder in which features are kept, and looked for by the images' bytes and the
            recipe; nothing is kept if ``None``.
        progress: Called with ``("embed", images done, images in all)``.

    Returns:
        The features, in the order of the paths.

    Raises:
        SamplesError: If images cannot be read (each is named), or hold no valid pixel.
        TerrapatchError: For everything else a person can mend.
    """
    check_average(average)
    files = [Path(path) for path in paths]
    if not files:
        raise SamplesError("there is no image to embed; name a folder with images")
    network = get_backbone(backbone).ready(weights, offline=offline, progress=progress)
    options = {"bands": bands, "units": units, "nodata": nodata}
    source = _Source(files, options, network)
    first, network = source.first()
    side = Counter(source.sides()).most_common(1)[0][0]
    descriptor = network.describe(layers, pooling, l2)
    size = network.input_size((side, side), input_size)
    with kept_memory():
        trial = _squares([source.read(i) for i in range(min(TRIAL, len(files)))], side)
        kind, chosen, embedder, count = _settled(
            network, descriptor, size, device, precision, batch, trial
        )
        recipe = Recipe(
            scene={"name": "images", "count": len(files), **_told(first)},
            grid={"size": f"{side}", "size_px": [side, side]},
            backbone={
                "name": network.name,
                "weights": network.identity(),
                "input_size": size,
                "bands": band_roles(
                    first, None if network.contract is None else network.contract.channels
                ),
            },
            descriptor=descriptor.as_dict() | ({} if average == "none" else {"average": average}),
            execution={"mode": "exact", "device": kind, "precision": chosen, "batch": count},
            versions=package_versions(network.packages),
        )
        whole = embedder if average == "none" else TurnedEmbedder(embedder)
        kept = None if cache is None else _Cache(Path(cache), files, recipe)
        values = None if kept is None else kept.read()
        if values is None:
            values = _embedded(source, whole, count, progress)
            if kept is not None:
                kept.write(values)
    return ImageFeatures(values, embedder.groups, recipe)


class _Source:
    """Images as the network takes them."""

    def __init__(self, files: list[Path], options: dict[str, Any], network: Backbone) -> None:
        self._files, self._options, self._network = files, options, network
        self._scenes = [self._opened(path) for path in files]
        faults = [str(fault) for fault in self._scenes if isinstance(fault, SceneError)]
        if faults:
            _refuse(faults)

    def _opened(self, path: Path) -> Scene | SceneError:
        try:
            check_whole(path)
            with strictly():
                return Scene.open(path, **self._options)
        except SceneError as fault:
            return fault

    def __len__(self) -> int:
        return len(self._files)

    def _scene(self, i: int) -> Scene:
        scene = self._scenes[i]
        if isinstance(scene, SceneError):
            raise scene
        return scene

    def first(self) -> tuple[Scene, Backbone]:
        """Return the first image's scene and the backbone fitted to it."""
        return fit_to_scene(self._scene(0), self._network)

    def sides(self) -> list[int]:
        """Return the side of the largest centred square of every image."""
        return [min(self._scene(i).shape) for i in range(len(self))]

    def read(self, i: int) -> Image:
        """Read the largest centred square of an image, in 0–255, its holes filled."""
        scene, _ = fit_to_scene(self._scene(i), self._network)
        side = min(scene.shape)
        top, left = ((n - side) // 2 for n in scene.shape)
        with strictly(), SceneReader(scene) as reader:
            pixels, valid = reader.read(slice(top, top + side), slice(left, left + side))
        if valid is not None and not valid.any():
            raise SceneError(f"{scene.name} holds no valid pixel; leave it out of the samples")
        pixels = scene.require_units().to_eight_bit(pixels)
        if valid is not None:
            fill_invalid(pixels, valid)
        return pixels, valid


def _refuse(faults: list[str]) -> None:
    more = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    raise SamplesError(
        f"{len(faults)} of the images cannot be used: {'; '.join(faults[:MOST_NAMED])}{more}"
    )


def _told(scene: Scene) -> dict[str, Any]:
    told = scene.as_dict()
    return {key: told[key] for key in ("bands", "units") if key in told}


def _squares(images: Sequence[Image], side: int) -> Pixels:
    """Return the images of the commonest side, for a trial."""
    picked = [pixels for pixels, _ in images if pixels.shape[1] == side]
    return np.stack(picked or [images[0][0]])


def _settled(
    network: Backbone,
    descriptor: Any,
    size: int | None,
    device: str,
    precision: str,
    batch: int | None,
    trial: Pixels,
) -> tuple[str, str, Embedder, int]:
    """Choose device, precision and batch, as for a scene."""
    if not network.uses_torch:
        embedder = network.load(descriptor, size)
        embedder.features(trial)
        return "cpu", "fp64", embedder, batch or TRIAL
    from terrapatch.backbones.precision import choose_device, choose_precision, default_batch

    where = choose_device(device)
    choice = choose_precision(network, descriptor, size, where, trial, precision)
    log.info("device %s, precision %s", where, choice.describe())
    count = batch or default_batch(where)
    return where.split(":")[0], choice.precision, choice.embedder, count


def _embedded(
    source: _Source, embedder: Embedder, batch: int, progress: Progress | None
) -> npt.NDArray[np.float32]:
    values = np.empty((len(source), embedder.groups[-1][2]), np.float32)
    done, faults = 0, list[str]()
    for places in _batches(source.sides(), batch):
        with ThreadPoolExecutor(READERS, "terrapatch-read") as pool:
            read = list(pool.map(lambda i: _tried(source, i), places))
        faults += [got for got in read if isinstance(got, str)]
        images = [got for got in read if not isinstance(got, str)]
        if not faults:
            pixels = np.stack([image for image, _ in images])
            values[places] = embedder.features(pixels, _masks(images))
        done += len(places)
        if progress is not None:
            progress("embed", done, len(source))
    if faults:
        _refuse(faults)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise SamplesError(
            f"the network gave numbers that are not finite for image {bad + 1} of "
            f"{len(values)}; pass --precision fp32"
        )
    return values


def _tried(source: _Source, i: int) -> Image | str:
    try:
        return source.read(i)
    except SceneError as fault:
        return str(fault)


def _masks(images: Sequence[Image]) -> Mask | None:
    if all(valid is None for _, valid in images):
        return None
    plain = [np.ones(p.shape[1:], bool) if v is None else v for p, v in images]
    return np.stack(plain)


def _batches(sides: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Group images of one side, since a batch holds one size, the same way every time."""
    by_side: dict[int, list[int]] = {}
    for i, side in enumerate(sides):
        by_side.setdefault(side, []).append(i)
    for places in by_side.values():
        for start in range(0, len(places), batch):
            yield places[start : start + batch]


class _Cache:
    """Features of a set of images, found again by their bytes whatever their order or names."""

    def __init__(self, folder: Path, files: Sequence[Path], recipe: Recipe) -> None:
        hashes = [hashlib.sha256(path.read_bytes()).digest() for path in files]
        places: dict[bytes, int] = {}
        for i, one in enumerate(hashes):
            places.setdefault(one, i)
        ordered = sorted(places)
        rank = {one: i for i, one in enumerate(ordered)}
        self._first = [places[one] for one in ordered]
        self._rows = [rank[one] for one in hashes]
        told = json.dumps(recipe.as_dict(), sort_keys=True).encode()
        key = hashlib.sha256(told + b"".join(ordered)).hexdigest()[:32]
        self._path = folder / f"{key}.safetensors"

    def read(self) -> npt.NDArray[np.float32] | None:
        """Return the features in the order of the files, or ``None`` where there are none."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not self._path.exists():
            return None
        try:
            found = load_file(self._path)["features"]
        except (SafetensorError, KeyError, OSError) as fault:
            log.warning("the cached features %s are damaged (%s): made again", self._path, fault)
            return None
        log.info("%d images were embedded before: see %s", len(self._rows), self._path)
        return np.asarray(found[self._rows], np.float32)

    def write(self, values: npt.NDArray[np.float32]) -> None:
        """Keep the features."""
        from safetensors.numpy import save_file

        with writing(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
            try:
                save_file({"features": np.ascontiguousarray(values[self._first])}, part)
                part.replace(self._path)
            finally:
                part.unlink(missing_ok=True)
