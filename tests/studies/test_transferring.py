"""A trained model in another place: figures against their definitions, and what is refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import terrapatch as tp
from cells import FakeRecipe
from samples_made import blobs
from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.learn.fitting import cross_validate, train_scene_model
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies import _transfer_measures as measures
from terrapatch.studies._class_pairs import pair_classes
from terrapatch.studies.transferring import TransferResult

PAIRS = {"a": "wet", "b": "wet", "c": "dry"}


def elsewhere(n: int = 30, seed: int = 7, shift: float = 0.5, **more: object) -> Samples:
    """Return classes a to d, moved and renamed: a and b are wet, c is dry, d has no counterpart."""
    some = blobs(n=n, k=4, seed=seed, **more)
    moved = shift * np.random.default_rng(1).normal(size=some.values.shape[1])
    ids = np.array([0, 3, 3, 1, 2], np.int32)[some.ids]
    return replace(
        some, values=(some.values + moved).astype(np.float32), ids=ids,
        classes=("dry", "other", "wet"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> SceneModel:
    """Return a model of the classes a to e, of which d and e have no counterpart."""
    some = blobs(k=5, apart=6.0)
    return train_scene_model(some, "ridge", checked=cross_validate(some, "ridge"))


@pytest.fixture(scope="module")
def made(model: SceneModel, tmp_path_factory: pytest.TempPathFactory) -> TransferResult:
    out = tmp_path_factory.mktemp("transfer") / "out"
    return tp.transfer(elsewhere(), model, out, class_map=PAIRS, few=(1, 5, 20, 40), seeds=3)


def test_open_and_closed_are_their_definitions(made, model: SceneModel) -> None:
    samples = elsewhere()
    samples = samples.take(samples.ids != 2)
    given = model.probabilities(samples.values)
    truth = np.where(samples.ids == 3, "wet", "dry")
    called = np.array([PAIRS.get(model.classes[i], "none") for i in given.argmax(axis=1)])
    assert made.open.overall == pytest.approx((called == truth).mean())
    wet, dry = given[:, 0] + given[:, 1], given[:, 2]
    assert made.closed.overall == pytest.approx((np.where(wet > dry, "wet", "dry") == truth).mean())
    assert made.closed.overall > made.open.overall
    np.testing.assert_allclose(made.answers.margin, np.abs(wet - dry) / (wet + dry), atol=1e-12)
    assert made.closed.n == made.open.n == 90
    low, high = made.closed.intervals["overall"]
    assert low < made.closed.overall < high
    assert made.closed.classes == ("dry", "wet")
    assert made.open.classes == ("dry", "wet", measures.ELSEWHERE)


def test_the_ceiling_and_the_drop(made, model: SceneModel) -> None:
    checked = cross_validate(made.samples, "ridge", model.description["scaling"])
    assert made.ceiling.overall == (checked.predicted == checked.ids).mean()
    assert made.protocol == "5 stratified folds"
    lost = made.drop["closed"]
    assert lost.difference == pytest.approx(made.ceiling.overall - made.closed.overall)
    assert lost.low <= lost.difference <= lost.high


def test_few_local_labels(made, model: SceneModel) -> None:
    assert [one.k for one in made.few] == [1, 5, 20]
    assert any("40 local labels a class could not be tried" in note for note in made.notes)
    for one in made.few:
        assert len(one.accuracies) == 3
        assert set(one.tested) == {90 - 2 * one.k}
    assert made.few[2].mean > made.few[0].mean
    train = measures.drawn_labels(made.samples.ids, 5, [0, 1])
    test = np.setdiff1d(np.arange(90), train)
    by_hand = cross_validate(
        made.samples, "ridge", model.description["scaling"], folds=[(train, test)], seed=1
    )
    assert made.few[1].accuracies[1] == (by_hand.predicted == by_hand.ids).mean()
    assert set(measures.drawn_labels(made.samples.ids, 3, [0, 1])) < set(train)


def test_the_smallest_number_of_labels_that_reaches_an_aim(made) -> None:
    found = [measures.FewLabels(k, (a, a), (9, 9)) for k, a in ((1, 0.5), (5, 0.8), (10, 0.9))]
    assert measures.smallest_reaching(found, 0.8) == 5
    assert measures.smallest_reaching(found, 0.91) is None
    expected = [one.k for one in made.few if one.mean >= made.closed.overall]
    assert made.labels_to_match == (expected[0] if expected else None)


def test_quarters_of_the_dissimilarity_and_the_margin(made, model: SceneModel) -> None:
    far = model.dissimilarity(made.samples.values)
    right = made.answers.closed == made.answers.ids
    order = np.argsort(far, kind="stable")
    first, last = order[:23], order[-22:]
    found = made.by_dissimilarity
    assert [part.n for part in found.parts] == [23, 23, 22, 22]
    assert found.parts[0].overall == right[first].mean()
    assert found.edges[3] == (far[last].min(), far[last].max())
    assert found.spread.difference == pytest.approx(right[first].mean() - right[last].mean())
    surest = np.argsort(-made.answers.margin, kind="stable")
    assert made.by_margin.parts[0].overall == right[surest[:23]].mean()
    assert made.by_margin.parts[3].overall == right[surest[-22:]].mean()
    assert made.by_margin.edges[0][0] > made.by_margin.edges[3][1]
    assert made.beyond == (far > model.index_threshold).mean()


def test_what_is_far_is_wrong_where_samples_lose_their_meaning(tmp_path: Path) -> None:
    """Samples of which half are noise far away: the index must tell these from the rest."""
    home = blobs(apart=6.0)
    model = train_scene_model(home, "ridge", "standardise", checked=cross_validate(home, "ridge"))
    values = blobs(apart=6.0, seed=3).values
    values[::2] = 6 * np.random.default_rng(0).normal(size=values[::2].shape)
    here = replace(home, values=values.astype(np.float32))
    made = tp.transfer(here, model, tmp_path / "out", few=(), seeds=1)
    assert made.by_dissimilarity.parts[0].overall > 0.9
    assert made.by_dissimilarity.spread.difference > 0.3
    assert made.beyond == pytest.approx(0.5, abs=0.05)
    told = " ".join(made.metrics["advice"])
    assert "The distance to its training samples tells where to trust it" in told
    assert "do not trust the model there" in told
    assert made.few == ()


def test_the_folder_holds_all_of_it(made) -> None:
    assert [p.name for p in made.files] == ["report.html", "predictions.csv", "metrics.json"]
    metrics = json.loads((made.folder / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(made.metrics))
    assert metrics["pairs"] == PAIRS
    assert metrics["without_counterpart"] == {"model": ["d", "e"], "here": ["other"]}
    assert metrics["accuracy"]["home"] is None
    with (made.folder / "predictions.csv").open() as text:
        rows = list(csv.DictReader(text))
    columns = ["name", "truth", "predicted", "confidence", "margin", "dissimilarity"]
    assert list(rows[0]) == columns
    right = [row["truth"] == row["predicted"] for row in rows]
    assert np.mean(right) == pytest.approx(made.closed.overall)
    page = (made.folder / "report.html").read_text()
    assert made.metrics["advice"][0] in page
    notes = " ".join(made.notes)
    assert "30 samples were left out, since nothing is mapped to their classes: other" in notes
    assert "2 classes of the model have no counterpart here: d, e" in notes


def test_the_same_again_is_the_same_bytes_and_replaces_only_its_own(
    made, model: SceneModel, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = {"class_map": PAIRS, "few": (1, 5, 20, 40), "seeds": 3}
    tp.transfer(elsewhere(), model, out, **options)
    for file in made.files:
        assert file.read_bytes() == (out / file.name).read_bytes(), file.name
    (out / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="replace what transfer wrote in it"):
        tp.transfer(elsewhere(), model, out, **options)
    tp.transfer(elsewhere(seed=8), model, out, overwrite=True, **options)
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "metrics.json").read_bytes() != (made.folder / "metrics.json").read_bytes()
    assert {p.name for p in out.iterdir()} == {"mine.txt", *(p.name for p in made.files)}


def test_labels_in_a_place_are_tested_apart_from_their_neighbours(
    model: SceneModel, tmp_path: Path
) -> None:
    positions = np.random.default_rng(0).uniform(0, 900, (120, 2))
    here = elsewhere(positions=positions, reach=60.0)
    assert not model.description["space"].get("size")
    made = tp.transfer(here, model, tmp_path / "out", class_map=PAIRS, few=(5,), seeds=2, folds=3)
    assert "folds of blocks of 240 map units" in made.protocol
    assert made.closed.grouped
    kept = here.take(here.ids != 2)
    train = measures.drawn_labels(made.samples.ids, 5, [0, 0])
    gaps = np.abs(kept.positions[:, None] - kept.positions[train][None]).max(axis=2).min(axis=1)
    assert made.few[0].tested[0] == (gaps >= 60).sum() < 80


def test_a_model_without_index_says_so(model: SceneModel, tmp_path: Path) -> None:
    older = replace(model, index=None)
    made = tp.transfer(elsewhere(), older, tmp_path / "out", class_map=PAIRS, few=(5,), seeds=1)
    assert made.by_dissimilarity is None
    assert made.metrics["dissimilarity"] is None
    assert any("saved before models knew their training samples" in note for note in made.notes)
    with (tmp_path / "out" / "predictions.csv").open() as text:
        assert {row["dissimilarity"] for row in csv.DictReader(text)} == {""}


def test_a_class_too_small_for_a_ceiling_is_a_note(model: SceneModel, tmp_path: Path) -> None:
    here = elsewhere()
    few = here.take(np.r_[np.flatnonzero(here.ids == 3)[:10], np.flatnonzero(here.ids == 1)[:1]])
    made = tp.transfer(few, model, tmp_path / "out", class_map=PAIRS, seeds=1)
    assert made.ceiling is None
    assert made.drop == {}
    assert any("could be reached here was not measured" in note for note in made.notes)
    assert made.few == ()


def test_classes_of_the_same_name_need_no_map() -> None:
    pairs = pair_classes(("a", "b", "c"), ("c", "a", "z"))
    assert pairs.classes == ("c", "a")
    assert pairs.counterpart.tolist() == [2, 0, 1]
    assert (pairs.unmapped_model, pairs.unmapped_here) == (("b",), ("z",))
    with pytest.raises(SamplesError, match=r"no class of the model has a .*--class-map"):
        pair_classes(("a", "b"), ("x", "y"))
    with pytest.raises(SamplesError, match="leads to one class of the samples only, 'a'"):
        pair_classes(("a", "b"), ("a", "y"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,here\na,wet\nq,dry\n", r"map\.csv, line 3: the model has no class 'q'; it has a,"),
        ("model,here\na,wet\n\nb,mud\n", r"map\.csv, line 4: the samples have no class 'mud'"),
        ("model,here\na,wet\na,dry\n", r"map\.csv, line 3: .* 'a' is mapped already by line 2"),
        ("model,here\na\n", r"map\.csv, line 2: there is nothing under here"),
        ("model,there\na,wet\n", r"map\.csv, line 1: there is no column here"),
        ("model,here\n", r"map\.csv maps no class"),
        ("", r"map\.csv is empty"),
        ("model,here\na,wet\nb,wet\n", r"map\.csv leads to one class of the samples only, 'wet'"),
    ],
)
def test_a_bad_class_map_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(SamplesError, match=words):
        pair_classes(("a", "b", "c"), ("dry", "wet"), path)


def test_class_maps_may_be_written_by_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_bytes("\ufeffHere;Model\r\nwet;a\r\nwet ; b\r\ndry;c\r\n".encode())
    assert pair_classes(("a", "b", "c"), ("dry", "wet"), path).counterpart.tolist() == [2, 2, 1]
    with pytest.raises(SamplesError, match=r"the class map .*none\.csv cannot be read"):
        pair_classes(("a",), ("b",), tmp_path / "none.csv")


def test_what_cannot_be_compared_is_refused(model: SceneModel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = replace(elsewhere(), recipe=FakeRecipe({"backbone": "other", "patch": "60m"}))
    with pytest.raises(RecipeError, match="backbone: other, model was made with fake"):
        tp.transfer(other, model, out, class_map=PAIRS)
    for options, words in (
        ({"few": (0,)}, "0 labels a class cannot be trained on"),
        ({"seeds": 0}, "0 draws"),
        ({"folds": 1}, "1 folds cannot be made"),
        ({"class_map": {"a": "wet", "x": "dry"}}, "the class map: the model has no class 'x'"),
    ):
        with pytest.raises(SamplesError, match=words):
            tp.transfer(elsewhere(), model, out, **{"class_map": PAIRS, **options})
    some = elsewhere().take(np.array([0, 1, 70, 71]))
    with pytest.raises(SamplesError, match="4 samples have a class with a counterpart"):
        tp.transfer(some, model, out, class_map=PAIRS)
    assert not out.exists()


def test_few_labels_of_several_scenes(model: SceneModel, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scenes = random.integers(0, 4, 120).astype(np.int32)
    here = elsewhere(positions=random.uniform(0, 900, (120, 2)), scenes=scenes, reach=5.0)
    made = tp.transfer(
        here, model, tmp_path / "out", class_map=PAIRS, few=(1, 2, 5), seeds=2, folds=3
    )
    assert made.protocol == "3 folds of whole scenes"
    assert [one.k for one in made.few] == [1, 2, 5]


def test_a_head_that_needs_more_labels_is_told_apart_from_a_small_class(tmp_path: Path) -> None:
    some = blobs(k=3)
    knn = train_scene_model(some, "knn")
    _, notes = measures.few_labels(blobs(k=3, seed=4), knn, (1, 5, 40), 1)
    assert notes == [
        "40 local labels a class could not be tried: the smallest class here has 30 samples, of "
        "which some must be left to test",
        "1 local labels a class could not be tried: the model's head knn needs 15 labels in all",
    ]


def test_a_class_without_samples_does_not_stand_in_the_way(
    model: SceneModel, tmp_path: Path
) -> None:
    here = replace(elsewhere(), classes=("dry", "other", "wet", "none"))
    pairs = PAIRS | {"e": "none"}
    made = tp.transfer(here, model, tmp_path / "out", class_map=pairs, few=(5, 40), seeds=2)
    assert [one.k for one in made.few] == [5]
    assert any("the smallest class here has 30 samples" in note for note in made.notes)
    with pytest.raises(SamplesError, match="all 60 samples are of the class 'wet'"):
        tp.transfer(
            here.take(here.ids == 3), model, tmp_path / "wet", class_map=PAIRS, few=(1,), seeds=1
        )
    assert not (tmp_path / "wet").exists()
