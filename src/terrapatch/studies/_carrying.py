"""Names of earlier clusters taken over to new ones, with an account of what moved."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import LegendError, MapError, RecipeError
from terrapatch.features import FeatureRaster
from terrapatch.learn.matching import Match, match
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies.names import Name, Names
from terrapatch.studies.result_folder import NAMES, ClusterFolder

Progress = Callable[[str, int, int], None]

# Below this share of cells a taken name is worth another look.
DOUBTFUL = 0.5


def carry_names(
    old: ClusterFolder,
    features: FeatureRaster,
    labels: NDArray[Any],
    legend: Legend,
    progress: Progress | None = None,
) -> tuple[Names, list[str]]:
    """Give new clusters the names of older ones that lie in the same cells.

    The older model is applied to the features; each new cluster takes the name (with colour and
    merges) of the group that holds most of its cells, see ``learn.matching``.

    Args:
        old: The folder with the names.
        features: What the new clusters were made from.
        labels: Their ids ``(rows, cols)``.
        legend: Their legend.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Returns:
        The names, and sentences that say what moved.

    Raises:
        RecipeError: If the features are of another space than the older model's.
        LegendError: If the older names do not make sense.
    """
    names = old.names
    if not names.touched:
        return Names.of(legend), [f"no cluster in {old.path} has a name, so none was taken over"]
    before = old.model.predict(features, progress).labels
    if old.recipe.fingerprint == features.recipe.fingerprint:
        # A model made within one cluster names the cells of that cluster alone.
        before = np.where(old.clusters_labels > 0, before, 0)
    if len(names) == len(legend) and np.array_equal(before, labels):
        return names, [f"the clusters are those of {old.path}, and so are their names"]
    found = match(before, labels, len(names), len(legend), groups=names.roots)
    groups = [int(g) for g in np.unique(names.roots[1:]) if _meant(names, int(g))]
    notes = [_moved(names, group, found) for group in groups]
    notes += [_doubt(names, new, found) for group in groups for new in found.followers(group)]
    return _placed(names, groups, found, legend), [note for note in notes if note]


def names_for(
    folder: Path,
    names_from: str | os.PathLike[str] | None,
    model: object,
    features: FeatureRaster,
    class_map: ClassMap,
    progress: Progress | None = None,
) -> tuple[Names, list[str]]:
    """Return the names of new clusters: those of an earlier result, wherever there is one.

    Asked for, they come from ``names_from``; else from the folder whose model was applied; else
    from the clusters that are about to be replaced in ``folder``. Only what was asked for can
    fail; where the last cannot be taken over, a sentence says why.

    Args:
        folder: The folder that will be written.
        names_from: Folder of an earlier result, or ``None``.
        model: What the clusters were made with: a folder, or anything else.
        features: What the new clusters were made from.
        class_map: The new clusters.
        progress: Called as ``progress(stage, cells done, cells in all)``.
    """
    labels, legend = class_map.values, class_map.legend
    if names_from is not None:
        return carry_names(ClusterFolder.open(names_from), features, labels, legend, progress)
    if isinstance(model, str | os.PathLike) and (Path(model) / "clusters.tif").is_file():
        applied = ClusterFolder.open(model)
        if applied.names.touched:
            return applied.names, [f"the names are those of {applied.path}, whose model this is"]
    if not (folder / NAMES).is_file():
        return Names.of(legend), []
    try:
        old = ClusterFolder.open(folder)
        if not old.names.touched:
            return Names.of(legend), []
        return carry_names(old, features, labels, legend, progress)
    except (LegendError, MapError, RecipeError) as fault:
        return Names.of(legend), [f"the names in {folder / NAMES} were not taken over: {fault}"]


def _meant(names: Names, root: int) -> bool:
    """Whether a person said something of a group: a name, or what belongs together."""
    return bool(names[root].name) or len(names.members(root)) > 1


def _placed(names: Names, groups: list[int], found: Match, legend: Legend) -> Names:
    entries = {entry.id: Name(entry.id, "", entry.colour) for entry in legend}
    fixed: dict[int, str] = {}
    for group in groups:
        followers = found.followers(group)
        for new in followers[1:]:
            entries[new] = Name(new, "", entries[new].colour, followers[0])
        if followers:
            first = followers[0]
            fixed[first] = names[group].colour
            entries[first] = Name(first, names[group].name, fixed[first])
    # Who had a colour that a name brought along takes one that a named cluster has given up.
    taken = set(fixed.values())
    free = iter(legend[id].colour for id in fixed if legend[id].colour not in taken)
    for id, entry in entries.items():
        if id not in fixed and entry.colour in taken:
            entries[id] = replace(entry, colour=next(free))
    return Names(tuple(entries[id] for id in sorted(entries)))


def _told(names: Names, group: int) -> str:
    members = names.members(group)
    text = f"cluster {group}" if len(members) == 1 else f"clusters {_listed(members)}"
    return f"{text} {names[group].name!r}" if names[group].name else text


def _moved(names: Names, group: int, found: Match) -> str:
    """Say where a group went."""
    who, members, kept = _told(names, group), names.members(group), found.kept[group]
    have, are = ("has", "is") if len(members) == 1 else ("have", "are")
    if np.isnan(kept):
        return f"{who} {have} no cells here, so no cluster got that name"
    followers = tuple(sorted(found.followers(group)))
    if not followers:
        return f"no cluster took the name of {who}: its cells are spread over others; look for it"
    still = "still" if followers == members else "now"
    now = f"cluster {followers[0]}" if len(followers) == 1 else f"clusters {_listed(followers)}"
    return f"{who} {are} {still} {now} ({100 * kept:.0f} % of the cells)"


def _doubt(names: Names, new: int, found: Match) -> str:
    share = found.agreement[new]
    if share >= DOUBTFUL:
        return ""
    return (
        f"only {100 * share:.0f} % of the cells of the new cluster {new} were in "
        f"{_told(names, int(found.taken[new]))}, whose name it took; look at it again"
    )


def _listed(ids: tuple[int, ...]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, ids[:-1])), str(ids[-1])]))
