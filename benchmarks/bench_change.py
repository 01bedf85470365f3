"""A model elsewhere, and two dates: what is called unlike anything seen, and what is only noise.

First the clusters of one Mumbai mosaic are applied to other mosaics of the city and to scenes that
have nothing to do with it; the share of cells called unlike should be small for the former and
large for the latter. Beside it stands the share by the distance in the model's own space, and by
the cells the clusters were made from. Then NAIP 2009 and 2020 (one place): share of cells whose
class changes, and the noise floor for several offsets; last with two classes, water and land, that
are named by the near infrared, where the truth of each date is known from the same band. Usage:

    python benchmarks/bench_change.py [--size 60m] [--k 12] [--quantile 0.99]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

import terrapatch as tp
from terrapatch.learn.unlike import Unlike, cluster_thresholds, fit_unlike
from terrapatch.studies.changing import change, noise_floor
from terrapatch.studies.naming import name
from terrapatch.studies.painted import paint
from terrapatch.studies.settlements import cluster

HOME = "mumbai/mumbai_g1_1_rgb.tif"
CITY = tuple(f"mumbai/mumbai_{one}_rgb.tif" for one in ("g3_1", "g4_1", "g4_2", "g6_1"))
ELSEWHERE = (
    ("kampala/kampala_informal_z21_rgb.tif", {}),
    ("kampala/kampala_planned_z21_rgb.tif", {}),
    ("scenes/manila_drone_10cm_rgb.tif", {}),
    ("scenes/naip_2009_rgbn.tif", {"bands": [1, 2, 3]}),
    (
        "scenes/sentinel2_bengaluru_4band_uint16_nodata9999.tif",
        {"bands": [3, 2, 1], "units": "percentile:2,98"},
    ),
)
NAIP = "scenes/naip_{}_rgbn.tif"
WATER_NIR = 60  # below this the near infrared of NAIP is taken for water


def data_folder() -> Path:
    """Return the folder with the data sets."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside))


def scenes(data: Path, scratch: Path) -> Iterator[tuple[str, Path, dict]]:
    """Go over the scenes a model is applied to: what kind, file, options of ``embed``."""
    yield "itself", data / HOME, {}
    for place in CITY:
        yield "same city", data / place, {}
    for place, options in ELSEWHERE:
        yield "elsewhere", data / place, options
    yield "elsewhere", paint(scratch / "painted.tif").rgb_path, {}


def unlike_shares(data: Path, scratch: Path, size: str, k: int, quantile: float) -> None:
    """Print the share of unlike cells of each scene."""
    home = tp.embed(data / HOME, scratch / "home.zarr", size=size)
    side = home.recipe.space["input_size"]
    model = cluster(home, scratch / "c", k, polygons=False, report=False).model
    clusters = model.predict(home)
    held = fit_unlike(home, model, quantile=quantile)
    near = Unlike.from_distance_map(clusters.labels, clusters.distance, k, quantile)
    ids = clusters.labels[clusters.labels > 0].astype(np.int64) - 1
    own = held.off_centre.distances(home, clusters.labels, clusters.labels > 0)
    limits, cells = cluster_thresholds(own[clusters.labels > 0], ids, k, quantile)
    own = replace(held, thresholds=limits, cells=cells, how="own cells")
    print(f"share of cells beyond the threshold of quantile {quantile:g}, cells of {size}, k = {k}")
    print("| scene | kind | cells | held out (ours) | own cells | distance.tif |")
    print("|---|---|---|---|---|---|")
    for number, (kind, scene, options) in enumerate(scenes(data, scratch)):
        features = tp.embed(
            scene, scratch / f"{number}.zarr", size=size, input_size=side, **options
        )
        found = model.predict(features)
        there = found.labels > 0
        shares = [
            float((one.ratio(features, found)[there] > 1).mean()) for one in (held, own, near)
        ]
        row = " | ".join(f"{share:.3f}" for share in shares)
        print(f"| {scene.stem} | {kind} | {there.sum():,} | {row} |", flush=True)


def water(scene: Path, features: tp.FeatureRaster) -> np.ndarray:
    """Return the share of each cell that is water by the near infrared ``(rows, cols)``."""
    with rasterio.open(scene) as src:
        wet = (src.read(4) < WATER_NIR).astype(np.float64)
    step = int(features.recipe.grid["stride_px"][0])
    rows, cols = features.shape
    padded = np.full((rows * step, cols * step), np.nan)
    padded[: wet.shape[0], : wet.shape[1]] = wet
    return np.nanmean(padded.reshape(rows, step, cols, step), axis=(1, 3))


def two_dates(data: Path, scratch: Path, size: str) -> None:
    """Print change and noise between NAIP 2009 and 2020."""
    paths = {year: data / NAIP.format(year) for year in (2009, 2020)}
    stores = {}
    print(f"\nNAIP 2009 to 2020, cells of {size}: share of cells with another class, and noise")
    print("| bands, units | k | changed | noise .1 | noise .25 | noise .5 | changes above noise |")
    print("|---|---|---|---|---|---|---|")
    for label, options in (
        ("1,2,3 as they are", {"bands": [1, 2, 3]}),
        ("1,2,3 percentile:2,98", {"bands": [1, 2, 3], "units": "percentile:2,98"}),
        ("4,1,2 as they are", {"bands": [4, 1, 2]}),
    ):
        for year, path in paths.items():
            stores[year] = tp.embed(
                path, scratch / f"{year}.zarr", size=size, overwrite=True, **options
            )
        for k in (4, 8, 12):
            home = scratch / f"naip{k}"
            cluster(
                stores[2009], home, k, scene=paths[2009], polygons=False, report=False,
                overwrite=True,
            )  # fmt: skip
            print(f"| {label} | {k} | {_row(stores, home, paths[2009])} |", flush=True)
    _water_and_land(stores, paths, scratch / "naip12")


def _row(stores: dict, home: Path, scene: Path) -> str:
    made = change(stores[2009], stores[2020], model=home, scene=scene)
    near = [noise_floor(made.sides[0], offset).share for offset in (0.1, 0.25)]
    pairs = len(made.transitions.pairs())
    clear = int(made.noise.clear(made.transitions).sum())
    shares = " | ".join(f"{s:.3f}" for s in (made.transitions.share, *near, made.noise.share))
    return f"{shares} | {clear} of {pairs}"


def _water_and_land(stores: dict, paths: dict, home: Path) -> None:
    """Name the clusters by the near infrared of 2009, and hold change against that of 2020."""
    wet = {year: water(paths[year], stores[year]) > 0.5 for year in paths}
    labels = tp.ClassMap.open(home / "clusters.tif").values
    k = int(labels.max())
    mostly = {i: bool(wet[2009][labels == i].mean() > 0.5) for i in range(1, k + 1)}
    first: dict[bool, int] = {}
    for i, is_water in mostly.items():
        first.setdefault(is_water, i)
    if len(first) < 2:
        print("no cluster is mostly water, so water and land cannot be told")
        return
    merges = {i: first[w] for i, w in mostly.items() if first[w] != i}
    name(home, rename={first[True]: "Water", first[False]: "Land"}, merge=merges, polygons=False)
    made = change(stores[2009], stores[2020], model=home, scene=paths[2009])
    ids = {entry.name: entry.id for entry in made.legend}
    rows, cols = (min(a, b) for a, b in zip(wet[2009].shape, wet[2020].shape, strict=True))
    truth = [wet[year][:rows, :cols] for year in (2009, 2020)]
    maps = [m[:rows, :cols] == ids["Water"] for m in (made.before, made.after)]
    print("\nwater and land (clusters of 4,1,2, named by near infrared of 2009)")
    for year, true, ours in zip((2009, 2020), truth, maps, strict=True):
        both = (true & ours).sum() / max(1, (true | ours).sum())
        print(
            f"{year}: water {true.mean():.3f} of the cells, map {ours.mean():.3f}, IoU {both:.3f}"
        )
    print(*made.words, sep="\n")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="60m")
    parser.add_argument("--k", type=int, default=12)
    parser.add_argument("--quantile", type=float, default=0.99)
    args = parser.parse_args()
    data = data_folder()
    if not data.is_dir():
        print("skipped: the data are not here; name their folder with TERRAPATCH_DATA")
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        unlike_shares(data, scratch, args.size, args.k, args.quantile)
        two_dates(data, scratch, args.size)


if __name__ == "__main__":
    main()
