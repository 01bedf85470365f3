"""UC Merced's classes on another data set: what a model is worth elsewhere, and what tells it.

A scene classifier is trained on all of UC Merced by the default recipe and tested on the five
classes of the RSSCN7 sample that have a counterpart, by ``terrapatch.transfer``. Needs the
images in ``$TERRAPATCH_DATA`` (or beside the checkout). Usage:

    python benchmarks/bench_elsewhere.py [--cache FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import terrapatch as tp
from terrapatch.studies._transfer_measures import Ordered
from terrapatch.studies.transferring import TransferResult

PAIRS = {
    "forest": "eForest",
    "river": "dRiverLake",
    "parkinglot": "gParking",
    "denseresidential": "fResident",
    "mediumresidential": "fResident",
    "sparseresidential": "fResident",
    "mobilehomepark": "fResident",
    "agricultural": "bField",
}


def data() -> Path:
    """Return the folder of the data sets."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside))


def quarters(name: str, found: Ordered) -> tuple[str, str]:
    """Return a row of the accuracy in quarters and their spread."""
    shares = " / ".join(f"{100 * part.overall:.1f}" for part in found.parts)
    return f"closed, quarters of the {name}", f"{shares}; spread {found.spread}"


def rows(made: TransferResult) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    home = made.home
    told = [
        ("at home, 5 folds", f"{100 * home['overall']:.1f}" if home else "–"),
        ("transferred, all classes (open)", dict(made.open.summary())["overall"]),
        ("transferred, classes that occur (closed)", dict(made.closed.summary())["overall"]),
    ]
    if made.ceiling is not None:
        told.append((f"trained here, {made.protocol}", dict(made.ceiling.summary())["overall"]))
        told += [(f"points lost, {name}", str(lost)) for name, lost in made.drop.items()]
    told += [
        (f"{one.k} labels a class here, {len(one.accuracies)} draws",
         f"{100 * one.mean:.1f} ± {100 * one.deviation:.1f}")
        for one in made.few
    ]  # fmt: skip
    told.append(("labels a class as good as closed", str(made.labels_to_match)))
    told.append(("labels a class within 2 points of the ceiling", str(made.labels_to_ceiling)))
    if made.by_dissimilarity is not None:
        told.append(quarters("dissimilarity", made.by_dissimilarity))
        told.append(("beyond the threshold of dissimilarity", f"{100 * (made.beyond or 0):.1f}"))
    return [*told, quarters("margin", made.by_margin)]


def main() -> None:
    """Train, transfer and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, help="keeps model and report")
    args = parser.parse_args()
    embedding = {"cache": args.cache}
    with tempfile.TemporaryDirectory() as place:
        folder = args.out or Path(place)
        tp.train(
            data() / "ucmerced" / "images", folder / "model", embedding=embedding,
            baselines=False, overwrite=True,
        )  # fmt: skip
        made = tp.transfer(
            data() / "rsscn7_sample", folder / "model", folder / "elsewhere", class_map=PAIRS,
            embedding=embedding, overwrite=True,
        )  # fmt: skip
    print("| UC Merced to RSSCN7 | % |\n|---|---|")
    for name, value in rows(made):
        print(f"| {name} | {value} |")
    print(f"\n{len(made.samples)} samples of {len(made.pairs.classes)} classes\n")
    for sentence in (*made.metrics["advice"], *made.notes):
        print(f"- {sentence}")


if __name__ == "__main__":
    main()
