"""Settlements learned from polygons of four mosaics of Mumbai, tested on the whole of a fifth.

The label rasters of g3_1, g4_1, g4_2 and g6_1 become polygons (informal settlement or
anything else); a head is trained on the 60 m cells these cover, and every labelled cell of
g1_1 is tested. Band statistics stand beside. Needs ``$TERRAPATCH_DATA``. Usage:

    python benchmarks/bench_transfer.py [--head ridge] [--stride 60m]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import shapes
from shapely.geometry import shape

import terrapatch as tp
from terrapatch.learn.accuracy import assess
from terrapatch.learn.fitting import cross_validate, train_scene_model
from terrapatch.learn.samples import Samples, from_cells
from terrapatch.learn.vector_labels import CellLabels, label_cells

TRAINED, TESTED = ("g3_1", "g4_1", "g4_2", "g6_1"), "g1_1"
INFORMAL = 1


def data() -> Path:
    """Return the folder of the mosaics."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside)) / "mumbai"


def polygons(name: str, folder: Path) -> Path:
    """Write the labels of a mosaic as polygons of two classes."""
    with rasterio.open(data() / f"mumbai_{name}_labels.tif") as src:
        ids, transform, crs = src.read(1), src.transform, src.crs
    known = (ids > 0) & (ids != 255)
    two = np.where(ids == INFORMAL, 1, 2).astype(np.uint8)
    found = list(shapes(two, mask=known, transform=transform))
    kinds = ["informal" if value == 1 else "other" for _, value in found]
    table = gpd.GeoDataFrame({"kind": kinds}, geometry=[shape(g) for g, _ in found], crs=crs)
    path = folder / f"{name}.gpkg"
    table.to_file(path)
    return path


def cells(
    name: str, folder: Path, backbone: str, stride: str
) -> tuple[tp.FeatureRaster, CellLabels]:
    """Embed a mosaic and label its cells."""
    store = folder / f"{name}-{backbone}.zarr"
    features = tp.embed(
        data() / f"mumbai_{name}_rgb.tif", store, size="60m", stride=stride, backbone=backbone
    )
    return features, label_cells(features.geobox, polygons(name, folder), "kind")


def gathered(names: tuple[str, ...], folder: Path, backbone: str, stride: str) -> Samples:
    """Return the labelled cells of mosaics."""
    both = [cells(name, folder, backbone, stride) for name in names]
    return from_cells([features for features, _ in both], [labels for _, labels in both])


def main() -> None:
    """Train on four mosaics, test on the fifth, for the network and for band statistics."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heads", nargs="*", default=["ridge", "logistic", "forest"])
    parser.add_argument("--stride", default="60m", help="cells of the training mosaics")
    args = parser.parse_args()
    print("| features | head | F1 informal | IoU | overall | inside, by mosaic: F1 |")
    print("|---|---|---|---|---|---|")
    for backbone in ("efficientnet_lite0", "imagestats"):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            train = gathered(TRAINED, folder, backbone, args.stride)
            test = gathered((TESTED,), folder, backbone, "60m")
            for head in args.heads:
                inside = cross_validate(train, head, folds=4)
                held = assess(inside.ids, inside.predicted, train.classes, bootstrap=0)
                model = train_scene_model(train, head, checked=inside)
                called = model.probabilities(test.values).argmax(axis=1) + 1
                found = assess(test.ids, called, train.classes, bootstrap=0)
                print(
                    f"| {backbone} | {head} | {found.f1[0]:.3f} | {found.iou[0]:.3f} | "
                    f"{found.overall:.3f} | {held.f1[0]:.3f} |",
                    flush=True,
                )
            n = (train.counts[0], len(train), test.counts[0], len(test))
    print("\n{} informal of {:,} cells to train, {} of {:,} to test".format(*n))


if __name__ == "__main__":
    main()
