"""Retrieval: how high images of the same class come, by mean average precision.

From each of the 21 classes of UC Merced examples are drawn, and all other images are ranked;
the figure is the mean over classes and draws of the average precision. Counterexamples are the
three highest images of another class by plain cosine, as a person would reject them; these are
left out of the ranking with and without their being told. On Mumbai the same for the informal
settlements of g1_1 and g3_1 (60 m cells that are wholly of the kind as examples, cells that are
mostly of it as what is to be found). Usage:

    python benchmarks/bench_similar.py [--on merced mumbai] [--cache FOLDER] [--draws 5]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import rasterio

import terrapatch as tp
from terrapatch.features.images import embed_images
from terrapatch.learn import truth_on_cells
from terrapatch.learn._features import single_thread
from terrapatch.learn.image_folder import find_images
from terrapatch.learn.scaling import make_scaling, unit_rows
from terrapatch.learn.similarity import Examples, fit_similarity

COUNTS, REJECTED = (1, 3, 5), 3
SCALINGS = ("standardise-layer-l2", "layer-l2", "pca64-half")

Query = tuple[np.ndarray, np.ndarray, int]
Score = Callable[[Any, np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows of unit length as a feature raster of one row of cells."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """One row of cells."""
        return 1, len(self.values)

    @property
    def n_features(self) -> int:
        """Numbers in a cell."""
        return self.values.shape[1]

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """One layer."""
        return (("all", 0, self.n_features),)

    def valid(self) -> np.ndarray:
        """All cells hold features."""
        return np.ones(self.shape, np.float32)

    def blocks(self) -> Iterator[Any]:
        """One block."""
        whole = slice(0, len(self.values))
        yield SimpleNamespace(rows=slice(0, 1), cols=whole, values=self.values[None])


def plain(rows: Rows, like: np.ndarray, _: np.ndarray, seed: int) -> np.ndarray:
    """Score by the mean cosine."""
    del seed
    return rows.values @ rows.values[like].mean(axis=0)


def nearest(rows: Rows, like: np.ndarray, _: np.ndarray, seed: int) -> np.ndarray:
    """Score by the cosine to the nearest example."""
    del seed
    return (rows.values @ rows.values[like].T).max(axis=1)


def less(rows: Rows, like: np.ndarray, unlike: np.ndarray, seed: int) -> np.ndarray:
    """Score by the mean cosine less a quarter of that to the counterexamples."""
    against = rows.values @ rows.values[unlike].mean(axis=0) if len(unlike) else 0.0
    return plain(rows, like, unlike, seed) - 0.25 * against


def ridge(background: int) -> Score:
    """Score as ``similar`` does."""

    def score(rows: Rows, like: np.ndarray, unlike: np.ndarray, seed: int) -> np.ndarray:
        query = fit_similarity(
            rows,  # type: ignore[arg-type]
            Examples([int(i) for i in like]),
            Examples([int(i) for i in unlike]),
            scaling="none",
            background=background,
            seed=seed,
        )
        return query.score_cells(rows)[0]  # type: ignore[arg-type]

    return score


METHODS: dict[str, Score] = {
    "mean cosine": plain,
    "cosine to the nearest example": nearest,
    "mean cosine less 1/4 of that to counterexamples (Rocchio)": less,
    "ridge against 100 drawn cells": ridge(100),
    "ridge against 1,000 drawn cells (default)": ridge(1000),
}


def average_precision(score: np.ndarray, right: np.ndarray, left_out: np.ndarray) -> float:
    """Return the mean of the precision at each right answer, in the order of the scores."""
    keep = np.ones(len(score), bool)
    keep[left_out] = False
    ranked = right[keep][np.argsort(-score[keep], kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def scaled(values: np.ndarray, groups: Any, name: str) -> Rows:
    """Scale all rows as ``similar`` does."""
    with single_thread():
        found = make_scaling(name, groups).fit(values)
        return Rows(unit_rows(found.transform(values)).astype(np.float32))


def measure(rows: Rows, queries: list[Query], score: Score, told: bool) -> list[float]:
    """Return mean average precision for each number of examples."""
    means = []
    for count in COUNTS:
        found = []
        for right, examples, seed in queries:
            like = examples[:count]
            order = np.argsort(-plain(rows, like, like[:0], seed), kind="stable")
            rejected = order[~right[order]][:REJECTED]
            given = rejected if told else rejected[:0]
            left_out = np.concatenate([like, rejected])
            with single_thread():
                scores = score(rows, like, given, seed)
            found.append(average_precision(scores, right, left_out))
        means.append(float(np.mean(found)))
    return means


def table(values: np.ndarray, groups: Any, queries: list[Query]) -> None:
    """Print one row a scaling and method."""
    heads = [f"{n} ex. | {n} ex., {REJECTED} counter" for n in COUNTS]
    print(f"| scaling | method | {' | '.join(heads)} |\n|---|---|{'---|' * 2 * len(COUNTS)}")
    for name in SCALINGS:
        rows = scaled(values, groups, name)
        for method, score in METHODS.items():
            if name != SCALINGS[0] and score is not plain and "default" not in method:
                continue
            pairs = zip(
                *(measure(rows, queries, score, told) for told in (False, True)), strict=True
            )
            cells = [f"{100 * a:.1f} | {100 * b:.1f}" for a, b in pairs]
            print(f"| {name} | {method} | {' | '.join(cells)} |", flush=True)


def draw(right: np.ndarray, wholly: np.ndarray, draws: int, seed: int) -> list[Query]:
    """Draw examples of one kind."""
    places, most = np.flatnonzero(wholly), max(COUNTS)
    random = [np.random.default_rng([seed, i]) for i in range(draws)]
    return [(right, one.permutation(places)[:most], i) for i, one in enumerate(random)]


def merced(folder: Path, cache: str | None, draws: int) -> None:
    """Measure on UC Merced."""
    images = find_images(folder)
    made = embed_images(images.paths, precision="fp32", cache=cache)
    labels = np.asarray(images.labels)
    queries = [q for c in np.unique(labels) for q in draw(labels == c, labels == c, draws, int(c))]
    print(f"\nUC Merced, {len(labels):,} images, {len(queries)} queries, mean AP in %")
    table(np.asarray(made.values, np.float64), made.groups, queries)


def mumbai(folder: Path, name: str, draws: int) -> None:
    """Measure on the informal settlements of a mosaic."""
    with tempfile.TemporaryDirectory() as scratch:
        features = tp.embed(folder / f"mumbai_{name}_rgb.tif", f"{scratch}/f.zarr", size="60m")
        valid = features.valid() > 0
        values = features.read(slice(None), slice(None))[valid]
    with rasterio.open(folder / f"mumbai_{name}_labels.tif") as src:
        stride = tuple(features.recipe.grid["stride_px"])
        counts = truth_on_cells(src.read(1), stride, features.shape, 6, ignore=(0, 255))
    counts = counts[valid]
    share = counts[:, 0] / np.maximum(1, counts.sum(axis=1))
    queries = draw(share > 0.5, share > 0.95, draws, 0)
    print(f"\nMumbai {name}, {len(share)} cells, {np.mean(share > 0.5):.1%} informal, mean AP in %")
    table(values.astype(np.float64), features.groups, queries)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--on", nargs="+", choices=("merced", "mumbai"), default=["merced"])
    args = parser.parse_args()
    beside = Path(__file__).parents[2] / "shared" / "data"
    data = Path(os.environ.get("TERRAPATCH_DATA", beside))
    if not data.is_dir():
        print("skipped: the data are not here; name their folder with TERRAPATCH_DATA")
        return
    if "merced" in args.on:
        merced(data / "ucmerced" / "images", args.cache, args.draws)
    for name in ("g1_1", "g3_1") if "mumbai" in args.on else ():
        mumbai(data / "mumbai", name, 4 * args.draws)


if __name__ == "__main__":
    main()
