"""The report of a look at clusters, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from terrapatch.studies import _looking_figures as figures
from terrapatch.studies import _looking_words as words
from terrapatch.studies._cluster_details import ClusterDetail
from terrapatch.studies._embedding_sample import Plane
from terrapatch.studies.page import GalleryItem, Page

if TYPE_CHECKING:
    from terrapatch.learn.choosing import KChoice
    from terrapatch.studies.exemplars import Exemplar

MOST_SHOWN = 60
"""Clusters whose exemplars stand on the page."""

_SIDE = 120


def report(looked: words.Looked, histogram: bytes) -> Page:
    """Put a look at clusters onto one page.

    Args:
        looked: What was found.
        histogram: The histogram as SVG.
    """
    page = Page(f"Clusters of {looked.scene}", words.lead(looked))
    for note in looked.notes:
        page.note(note)
    _overview(page, looked)
    _sizes(page, looked, histogram)
    _one_by_one(page, looked)
    _tree(page, looked)
    _embedding(page, looked)
    if looked.choice is not None:
        _choice(page, looked.choice)
    _caution(page)
    page.recipe(looked.recipe, "How it was made")
    return page


def _overview(page: Page, looked: words.Looked) -> None:
    details = looked.details
    page.section("All clusters")
    areas = [d.hectares for d in details if d.hectares is not None]
    facts: list[tuple[str, object]] = [
        ("clusters", len(details)),
        ("cells", sum(d.cells for d in details)),
    ]
    if areas:
        facts.append(("hectares", f"{sum(areas):,.1f}"))
    merged = sum(d.part_of is not None for d in details)
    facts += [("named", sum(d.name != f"Cluster {d.id}" for d in details))]
    if merged:
        facts.append(("merged into others", merged))
    page.facts(facts)
    page.figure(
        looked.map_picture,
        "Map of the clusters with their legend",
        "The clusters after names and merges, the largest first."
        if merged
        else "The clusters, the largest first.",
    )
    _table(page, looked)
    page.text(
        "A piece is a group of cells that touch at their sides; largest is the largest piece in "
        "percent of the cluster's cells, gap the mean distance from a piece to the nearest other "
        "one, from middle of cell to middle of cell. Clumping is the number of "
        "neighbours that are of one cluster over what a random order of the cells would give: "
        "about 1 is scattered at random, 5 means five times as many. "
        + (
            "Patches of neighbouring cells overlap here, which alone makes neighbours alike."
            if looked.overlap
            else ""
        )
    )
    if looked.stability:
        page.text(" ".join(looked.stability))


def _table(page: Page, looked: words.Looked) -> None:
    details = looked.details
    areas = any(d.hectares is not None for d in details)
    merged = any(d.part_of is not None for d in details)
    stable = any(d.stability is not None for d in details)
    by_id = {d.id: d for d in details}
    rows = [
        [d.name, d.id, *[words.into(d, by_id)] * merged, d.cells, f"{100 * d.share:.1f} %",
         *[words.area_text(d)] * areas,
         *[None if d.stability is None else f"{d.stability:.2f}"] * stable]
        for d in details
    ]  # fmt: skip
    page.table(
        ["cluster", "id", *["part of"] * merged, "cells", "share", *["hectares"] * areas,
         *["stability"] * stable],
        rows,
        "Size and area of every cluster"
        + ("; stability is the mean best Jaccard index under resampling" if stable else ""),
        "lr" + "l" * merged + "rr" + "r" * areas + "r" * stable,
    )  # fmt: skip
    rows = [
        [d.name, d.id, d.spread.pieces, f"{100 * d.spread.largest / d.cells:.0f} %",
         words.gap_text(d.spread.gap), words.clumping(d),
         None if d.nearest is None else by_id[d.nearest[0]].label]
        for d in details
    ]  # fmt: skip
    page.table(
        ["cluster", "id", "pieces", "largest", f"gap, {looked.unit}", "clumping", "nearest"],
        rows,
        "How every cluster lies in space, and which centre is nearest to its own",
        "lrrrrrl",
    )


def _sizes(page: Page, looked: words.Looked, histogram: bytes) -> None:
    page.section("Histogram")
    shown = min(len(looked.details), figures.MOST_BARS)
    rest = f" The {shown} largest are shown." if shown < len(looked.details) else ""
    over = ", each over its most typical patch" if looked.pictures else ""
    page.figure(
        histogram,
        f"Bars of the share of each cluster{over}",
        f"Share of all cells, the largest cluster first{over}.{rest}",
    )
    page.figure(
        figures.distance_figure(looked.details),
        "Distances of cells to the centre of their cluster",
        "How far cells lie from the centre of their cluster: the thin line holds 90 % of them, "
        "the thick one half, the dot is the median. A long line is a cluster of many looks.",
    )


def _one_by_one(page: Page, looked: words.Looked) -> None:
    page.section("One by one")
    ranked = sorted(looked.details, key=lambda d: (-d.cells, d.id))
    if not looked.pictures:
        page.text(
            "There are no pictures of patches, see the note at the top. Places of the exemplars "
            "stand in exemplars.gpkg and exemplars.csv."
        )
        return
    page.text(
        "The first patch of each cluster, framed in its colour, is the medoid: the cell nearest to "
        "the centre. The others are as unlike each other as the inner nine tenths of the cluster "
        "allow. Below each stands its map coordinate."
    )
    of: dict[int, list[Exemplar]] = {}
    for exemplar in looked.exemplars:
        of.setdefault(exemplar.cluster, []).append(exemplar)
    for detail in ranked[:MOST_SHOWN]:
        page.subsection(detail.label)
        page.gallery(
            [_tile(e, detail, looked) for e in of[detail.id]], words.summary(detail), side=_SIDE
        )
    if len(ranked) > MOST_SHOWN:
        page.text(
            f"The {len(ranked) - MOST_SHOWN} smaller clusters are not shown here; the largest "
            "stand on the contact sheets, all in exemplars.csv."
        )


def _tile(exemplar: Exemplar, detail: ClusterDetail, looked: words.Looked) -> GalleryItem:
    """Return a patch with the colour of its cluster: the medoid framed, others underlined."""
    picture = looked.pictures[exemplar.row, exemplar.col].copy()
    medoid = exemplar.rank == 1
    colour = [int(detail.colour[i : i + 2], 16) for i in (1, 3, 5)]
    line = max(3, len(picture) // 20)
    picture[-line:] = colour
    if medoid:
        picture[:line] = picture[:, :line] = picture[:, -line:] = colour
    return picture, f"{words.place_text(exemplar)}{' (medoid)' if medoid else ''}", "plain"


def _tree(page: Page, looked: words.Looked) -> None:
    page.section("Which lie near which")
    if looked.tree is None:
        page.text("Only one cluster occurs here, so there is no tree.")
        return
    if len(looked.tree.ids) > figures.MOST_LEAVES:
        page.text(
            f"A tree of {len(looked.tree.ids)} clusters is too large for a page; the nearest of "
            "each stands in clusters_detail.csv."
        )
    else:
        medoids = {
            e.cluster: looked.pictures[e.row, e.col]
            for e in looked.exemplars
            if e.rank == 1 and (e.row, e.col) in looked.pictures
        }
        page.figure(
            figures.tree_figure(looked.tree, looked.details, figures.small(medoids, 48)),
            "Tree of the clusters",
            "Branches join where two groups become one: the further left, the more alike. Average "
            "linkage over the centres, each as heavy as it has cells.",
        )
    if looked.hints:
        page.text(
            "To merge, begin with those below: look at their patches side by side, and merge what "
            "is one kind to you. Near centres are a hint and no proof."
        )
        page.table(
            ["look at", "apart", "option of terrapatch name"],
            [[pair, f"{hint.merge.height:.3g}", f"--merge {hint.source}:{hint.into}"]
             for pair, hint in zip(words.pairs(looked.hints, looked.details), looked.hints,
                                   strict=True)],
            "The lowest joins of the tree among clusters that are not one yet and do not both "
            "have a name",
            "lrl",
        )  # fmt: skip


def _embedding(page: Page, looked: words.Looked) -> None:
    sample = looked.sample
    page.section("The embedding")
    n = words.counted(len(sample.ids), "cell")
    page.text(
        f"{n} in the space of the features as they are stored, and in the scaled space in which "
        "the clusters were made. Principal components keep large distances, t-SNE keeps near "
        "neighbours: the size of its groups and the room between them mean nothing."
    )
    pairs: list[tuple[str, list[npt.NDArray[np.float64] | None]]] = [
        ("Principal components", [sample.before.pca, sample.after.pca]),
        ("t-SNE", [sample.before.tsne, sample.after.tsne]),
    ]
    for kind, places in pairs:
        shown = [p for p in places if p is not None]
        if len(shown) < 2:
            page.text(f"{kind}: there are too few cells.")
            continue
        heads = ["before scaling", "after scaling"]
        if kind != "t-SNE":
            planes = (sample.before, sample.after)
            heads = [f"{h} ({100 * sum(p.explained):.0f} % of the variance)"
                     for h, p in zip(heads, planes, strict=True)]  # fmt: skip
        page.figure(
            figures.embedding_pair(
                list(zip(heads, shown, strict=True)), sample.ids, looked.details
            ),
            f"{kind} of cells before and after scaling, coloured by cluster",
            f"{kind} before (left) and after scaling (right); a number stands at the median of "
            "its cluster.",
        )
    page.table(
        ["space", "silhouette", "neighbours of the same cluster", "by chance"],
        [_apart("before scaling", sample.before, sample.chance),
         _apart("after scaling", sample.after, sample.chance)],
        "How well clusters are apart: mean silhouette (-1 to 1), and the share of the 10 nearest "
        "neighbours in the same cluster. Both are measured on the clusters themselves, so they do "
        "not say whether the clusters are right.",
    )  # fmt: skip


def _apart(name: str, plane: Plane, chance: float) -> list[object]:
    silhouette = None if plane.silhouette is None else f"{plane.silhouette:.3f}"
    return [name, silhouette, f"{100 * plane.purity:.1f} %", f"{100 * chance:.1f} %"]


def _choice(page: Page, choice: KChoice) -> None:
    from terrapatch.studies._choosing_figures import choosing_figure

    page.section("How many clusters")
    page.text("\n\n".join(choice.words()))
    page.figure(
        choosing_figure(choice),
        "Measures by the number of clusters",
        "What each measure says of each number of clusters; the dashed line marks the "
        "recommended one, rings what each measure would take.",
    )
    columns = (choice.ks, choice.stability, choice.silhouette, choice.davies_bouldin, choice.gap)
    page.table(
        ["clusters", "stability", "silhouette", "Davies-Bouldin", "gap"],
        [[int(k), *(f"{v:.3f}" if np.isfinite(v) else None for v in rest)]
         for k, *rest in zip(*columns, strict=True)],
        "Measures by the number of clusters; only Davies-Bouldin is better the lower it is",
    )  # fmt: skip


def _caution(page: Page) -> None:
    page.section("What not to conclude")
    page.text(
        "A cluster is a group of patches that a network describes alike. That it is a kind of "
        "settlement is for a person to say, who looks at its patches and knows the place.\n\n"
        "Exemplars show the inner nine tenths of a cluster. What lies at its rim is not on this "
        "page: look at distance.tif before counting hectares.\n\n"
        "Hectares are those of cells, not of buildings, and they carry every mistake of the map. "
        "An area with an interval needs a reference sample: terrapatch area."
        "\n\nThe page shows the names as they were when it was made: after terrapatch name, run "
        "terrapatch look again."
    )
