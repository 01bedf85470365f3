"""Fine-tuned networks on scenes, many scenes in one call, and how far a map can be trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import terrapatch as tp
from by_hand import cut, whole
from qgis_client import gdalinfo
from rasters import make_raster
from terrapatch.backbones import get_backbone
from terrapatch.errors import (
    BackboneError,
    OutputError,
    RecipeError,
    SamplesError,
    SceneNotFoundError,
)
from terrapatch.learn import SceneModel
from terrapatch.learn.calibration import apply_temperature
from terrapatch.learn.tuning import Tuned, tune
from terrapatch.learn.tuning.scenes import score_backbone
from terrapatch.studies.explain import explain
from terrapatch.studies.painted import paint, picture

STATS = {"backbone": "imagestats"}
SIDE, CLASSES = 24, ("built", "green")
CPU = {"device": "cpu"}
QUICK = {"strategy": "all", "epochs": 4, "head_epochs": 1, "batch": 8, "lr": 5e-3,
         "augment": "none", "device": "cpu"}  # fmt: skip


def squares(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return squares of built-up (1) and green land (2) of a painted picture."""
    pixels, truth = picture(seed=seed, size=(768, 768))
    cells = truth.reshape(32, SIDE, 32, SIDE).transpose(0, 2, 1, 3).reshape(32, 32, -1)
    found, ids = [], []
    for k, kinds in enumerate(((1, 2, 3), (4,)), 1):
        for row, col in np.argwhere(np.isin(cells, kinds).all(axis=-1))[:15] * SIDE:
            found.append(pixels[:, row : row + SIDE, col : col + SIDE])
            ids.append(k)
    return np.stack(found), np.array(ids)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """Return a network tuned for a moment, with a temperature as ``finetune`` keeps one."""
    images, ids = squares(3)
    made = tune(
        images, ids, images[::3], ids[::3], CLASSES, get_backbone("lenet5:random"),
        out=tmp_path_factory.mktemp("tuned"), **QUICK,
    )  # fmt: skip
    return replace(made, description=made.description | {"temperature": 2.5, "average": "none"})


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(tmp_path_factory.mktemp("painted") / "scene.tif", seed=5, size=(320, 400)).rgb_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a model trained on the ground by band statistics, and its features."""
    folder = tmp_path_factory.mktemp("trained")
    made = paint(folder / "ground.tif", seed=1, size=(512, 512))
    tp.embed(made.rgb_path, folder / "f.zarr", size="12m", **STATS)
    options = {"features": [folder / "f.zarr"], "head": "centroid", "folds": 3, "baselines": False}
    tp.train(made.truth_path, folder / "model", **options)
    return folder / "model", folder / "f.zarr"


@pytest.mark.parametrize("average", ["none", "d4"])
def test_scores_of_cells_are_those_of_cut_out_patches(
    tuned: Tuned, painted: Path, tmp_path: Path, average: str
) -> None:
    made = tp.classify(
        painted, tuned, tmp_path / "m.tif", size=32, stride=28, average=average, embedding=CPU,
        companions=False, polygons=False,
    )  # fmt: skip
    pixels, valid = whole(painted)
    patches, _, share = cut(pixels, valid, (32, 32), (28, 28), "reflect")
    full = share > 0
    assert not full.all()
    held = [patch for patch, keep in zip(patches, full.ravel(), strict=True) if keep]
    wanted = tuned.logits(np.stack(held), average=average)
    store = tp.FeatureRaster.open(made.features)
    assert store.groups == (("scores", 0, 2),)
    assert store.recipe.execution["dtype"] == "float32"
    assert store.recipe.backbone["weights"] == tuned.identity()
    assert np.abs(wanted).max() > 0.5
    found = np.full((*full.shape, 2), np.nan, np.float32)
    for block in store.blocks():
        found[block.rows, block.cols] = block.values
    np.testing.assert_allclose(found[full], wanted, atol=1e-4)
    assert np.isnan(found[~full]).all()
    np.testing.assert_array_equal(made.class_map.values[full], wanted.argmax(axis=1) + 1)
    sure = apply_temperature(wanted, 2.5).max(axis=1)
    np.testing.assert_allclose(made.classified.confidence[full], sure, atol=1e-4)


def test_a_tuned_network_makes_the_same_bundle(tuned: Tuned, painted: Path, tmp_path: Path) -> None:
    folder = tuned.save(tmp_path / "net")
    with pytest.raises(RecipeError, match="say how large a patch is with --size"):
        tp.classify(painted, folder, tmp_path / "map.tif")
    made = tp.classify(painted, folder, tmp_path / "map.tif", size="12m", embedding=CPU)
    names = {path.name for path in made.files}
    assert names == {
        "map.tif", "map.tif.aux.xml", "map.qml", "map_polygons.gpkg", "map.json",
        *(f"map_{n}.{e}" for n in ("confidence", "margin") for e in ("tif", "qml", "json")),
    }  # fmt: skip
    assert made.classified.set_size is None
    assert tp.ClassMap.open(made.files[0]).legend.names == CLASSES
    assert any("patches are 12m; both are brought to 32 px" in note for note in made.notes)
    assert not any("temperature" in note for note in made.notes)
    assert explain(made.files[0]).kind == "class map"
    again = tp.classify(made.features, folder, tmp_path / "again.tif", polygons=False)
    np.testing.assert_array_equal(again.class_map.values, made.class_map.values)

    kept = {k: v for k, v in tuned.description.items() if k not in ("temperature", "average")}
    plain = replace(tuned, description=kept)
    assert plain.identity() != tuned.identity()
    with pytest.raises(RecipeError, match="not the scores of this tuned network"):
        tp.classify(made.features, plain, tmp_path / "other.tif")
    with pytest.raises(RecipeError, match="averaging: the features have None"):
        tp.classify(made.features, folder, tmp_path / "other.tif", average="d4")
    late = tp.classify(
        painted, plain, tmp_path / "late.tif", size="12m", embedding=CPU, polygons=False
    )
    assert any("keeps no temperature" in note for note in late.notes)
    held = made.class_map.values > 0
    assert (late.classified.confidence > made.classified.confidence)[held].all()


def test_an_unfinished_store_is_gone_on_with(
    tuned: Tuned, painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import terrapatch.features.plan as plan
    from terrapatch.features.store import StoreWriter

    monkeypatch.setattr(plan, "block_side", lambda *_: 4)
    options = {"size": 32, "embedding": CPU | {"batch": 16}, "polygons": False}
    one = tp.classify(painted, tuned, tmp_path / "one.tif", **options)
    write, written = StoreWriter.write, []

    def stop(self: StoreWriter, *args: object) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(args[0])
        write(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            tp.classify(painted, tuned, tmp_path / "two.tif", **options)
    assert not (tmp_path / "two.tif").exists()
    other = replace(tuned, description=tuned.description | {"temperature": 1.5})
    with pytest.raises(RecipeError, match=r"two\.zarr"):
        tp.classify(painted, other, tmp_path / "two.tif", **options)
    with pytest.raises(RecipeError, match=r"\(weights: the features have .* with --store$"):
        tp.classify(painted, other, tmp_path / "x.tif", store=one.features, **options)
    two = tp.classify(painted, tuned, tmp_path / "two.tif", **options)
    chunks = sorted(one.features.glob("features/c/*/*/*"))
    assert len(chunks) > len(written) == 3
    for path in chunks:
        twin = two.features / path.relative_to(one.features)
        assert path.read_bytes() == twin.read_bytes()


def test_a_tuned_network_as_a_backbone(tuned: Tuned, painted: Path, tmp_path: Path) -> None:
    backbone = score_backbone(tuned)
    assert get_backbone(backbone) is backbone
    assert backbone.identity() == Tuned.load(tuned.save(tmp_path / "net")).identity()
    where = tmp_path / "f.zarr"
    with pytest.raises(BackboneError, match="no layer 'conv1'"):
        tp.embed(painted, where, size=32, backbone=backbone, layers="conv1")
    for options in ({"input_size": 64}, {"l2": True}, {"adapt": "mean"}):
        with pytest.raises(BackboneError, match="nothing else"):
            tp.embed(painted, where, size=32, backbone=backbone, device="cpu", **options)
    with pytest.raises(BackboneError, match="no dense mode"):
        tp.embed(painted, where, size=32, backbone=backbone, mode="dense")
    assert not where.exists()


def halves(folder: Path, shift: int = 0) -> tuple[Path, Path]:
    """Cut a painted scene in two between cells of 24 pixels."""
    rgb = paint(folder / "all.tif", seed=5, size=(288, 384)).rgb_path
    with rasterio.open(rgb) as src:
        pixels, profile = src.read(), src.profile
    paths = (folder / "west.tif", folder / "east.tif")
    for path, left in zip(paths, (0, 192), strict=True):
        moved = profile["transform"] @ Affine.translation(left + shift * (left > 0), 0)
        with rasterio.open(path, "w", **(profile | {"width": 192, "transform": moved})) as dst:
            dst.write(pixels[:, :, left : left + 192])
    return paths


def test_many_scenes_become_maps_and_a_mosaic(trained: tuple[Path, Path], tmp_path: Path) -> None:
    model, _ = trained
    west, east = halves(tmp_path)
    made = tp.classify([west, east], model, tmp_path / "maps", smooth=0)
    assert made.names == ("west", "east")
    for name in made.names:
        for suffix in (".tif", ".zarr", "_confidence.tif", "_polygons.gpkg"):
            assert (tmp_path / "maps" / f"{name}{suffix}").exists()
    alone = tp.classify(west, model, tmp_path / "alone.tif", polygons=False)
    np.testing.assert_array_equal(alone.class_map.values, made.maps[0].class_map.values)
    assert made.maps[0].class_map.legend == made.maps[1].class_map.legend == made.legend
    np.testing.assert_array_equal(made.counts, made.maps[0].counts + made.maps[1].counts)

    assert made.mosaic == tmp_path / "maps" / "mosaic.vrt"
    assert made.files[0] == made.mosaic
    with rasterio.open(made.mosaic) as src, rasterio.open(tmp_path / "all.tif") as rgb:
        assert src.crs == rgb.crs
        assert src.nodata == 0
        assert src.bounds == rgb.bounds
        assert src.colormap(1)[1][:3] == made.legend[1].rgb
        both = np.hstack([one.class_map.values for one in made.maps])
        np.testing.assert_array_equal(src.read(1), both)
    (tmp_path / "maps").rename(tmp_path / "moved")
    with rasterio.open(tmp_path / "moved" / "mosaic.vrt") as src:
        np.testing.assert_array_equal(src.read(1), both)


def test_gdal_reports_the_mosaics_names(trained: tuple[Path, Path], tmp_path: Path) -> None:
    made = tp.classify(list(halves(tmp_path)), trained[0], tmp_path / "maps", polygons=False)
    assert made.mosaic is not None
    facts = gdalinfo(made.mosaic)
    band = facts["bands"][0]
    assert band["categories"] == ["no data", *made.legend.names]
    assert band["colorInterpretation"] == "Palette"


def test_an_interrupted_call_is_given_again(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import terrapatch.studies.classifying as study

    model, _ = trained
    scenes, out = list(halves(tmp_path)), tmp_path / "maps"
    real, calls = study.embed, []

    def embed(scene: object, *args: object, **options: object) -> tp.FeatureRaster:
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(scene)
        return real(scene, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(study, "embed", embed)
        with pytest.raises(KeyboardInterrupt):
            tp.classify(scenes, model, out)
    assert {path.name for path in out.iterdir()} == {"west.zarr"}
    before = (out / "west.zarr" / "zarr.json").stat().st_mtime_ns
    made = tp.classify(scenes, model, out)
    assert (out / "west.zarr" / "zarr.json").stat().st_mtime_ns == before
    assert made.mosaic is not None

    with pytest.raises(OutputError, match=r"west\.tif, west_confidence\.tif.*--overwrite"):
        tp.classify(scenes, model, out)
    again = tp.classify(scenes, model, out, overwrite=True)
    np.testing.assert_array_equal(again.counts, made.counts)


def test_what_cannot_be_is_refused_before_any_work(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    model, store = trained
    west, east = halves(tmp_path)
    out = tmp_path / "maps"
    twin = make_raster(tmp_path / "other" / "west.tif")
    with pytest.raises(OutputError, match=r"west\.tif and .*west\.tif would both write"):
        tp.classify([west, twin], model, out)
    with pytest.raises(OutputError, match="cannot hold the maps of 2 scenes"):
        tp.classify([west, east], model, tmp_path / "map.tif")
    with pytest.raises(SceneNotFoundError):
        tp.classify([west, tmp_path / "nowhere.tif"], model, out)
    with pytest.raises(OutputError, match="is the scene itself"):
        tp.classify([west, east], model, tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="is the scene itself"):
        tp.classify(west, model, west, overwrite=True)
    with pytest.raises(OutputError, match=r"share its style with mosaic\.vrt"):
        tp.classify([make_raster(tmp_path / "mosaic.tif"), east], model, out)
    with pytest.raises(RecipeError, match="made with --average none"):
        tp.classify([west, east], model, out, average="d4")
    assert not out.exists()

    lambert = make_raster(tmp_path / "far.tif", crs="EPSG:3035", height=96, width=96)
    made = tp.classify([west, lambert, store], model, out, polygons=False)
    assert made.mosaic is None
    assert not (out / "mosaic.vrt").exists()
    assert "no mosaic was written: west.tif is in EPSG:32643 and far.tif in EPSG:3035" in " ".join(
        made.notes
    )
    assert len(made.maps) == 3


def test_how_far_cells_are_from_all_that_was_trained_on(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    model, store = trained
    home = tp.classify(store, model, tmp_path / "home.tif", polygons=False)
    threshold = SceneModel.load(model).index_threshold
    assert threshold is not None
    strange = make_raster(tmp_path / "strange.tif", height=96, width=96)
    made = tp.classify(strange, model, tmp_path / "map.tif", polygons=False)
    assert "100 % of cells are farther from all training samples" in " ".join(made.notes)
    assert "do not trust the map there" in " ".join(made.notes)
    far = tp.ValueMap.open(tmp_path / "map_dissimilarity.tif")
    assert far.name == "distance to the nearest training sample, in mean distances"
    assert (far.values > threshold).all()
    near = tp.ValueMap.open(tmp_path / "home_dissimilarity.tif").values
    np.testing.assert_array_equal(np.isnan(near), home.class_map.values == 0)
    assert np.nanmedian(near) < threshold < np.nanmin(far.values)
    item = json.loads((tmp_path / "map_dissimilarity.json").read_text())
    assert item["assets"]


def test_features_of_other_units_or_pixels_are_not_used_again(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    scene, quiet = tmp_path / "scene.tif", {"companions": False, "polygons": False}
    paint(scene, seed=5, size=(256, 320))
    first = tp.classify(scene, trained[0], tmp_path / "map.tif", **quiet)
    again = {"overwrite": True, **quiet}
    same = tp.classify(
        scene, trained[0], tmp_path / "map.tif", embedding={"bands": "1,2,3"}, **again
    )
    np.testing.assert_array_equal(same.class_map.values, first.class_map.values)
    for options, word in (({"units": "0:100"}, "units"), ({"nodata": 7}, "nodata"),
                          ({"bands": "3,2,1"}, "bands")):  # fmt: skip
        with pytest.raises(OutputError, match=f"features of scene.tif from before its .*{word}"):
            tp.classify(scene, trained[0], tmp_path / "map.tif", embedding=options, **again)
    paint(scene, seed=6, size=(256, 320), overwrite=True)
    with pytest.raises(OutputError, match=r"from before its pixels changed; delete that store"):
        tp.classify(scene, trained[0], tmp_path / "map.tif", **again)


def test_what_embedding_cannot_mend_is_refused_before_it(
    trained: tuple[Path, Path], painted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps" / "map.tif"
    with pytest.raises(SamplesError, match="a square of 4 cells has no middle"):
        tp.classify(painted, trained[0], out, smooth=4)
    with pytest.raises(RecipeError, match=r"on patches of 12m and cannot be applied to .* 30m"):
        tp.classify(painted, trained[0], out, size="30m")
    assert not out.parent.exists()
    out.parent.mkdir()
    left = out.with_suffix(".qml")
    left.touch()
    with pytest.raises(OutputError, match=r"map\.qml exists already"):
        tp.classify(painted, trained[0], out)
    left = left.rename(out.with_name("scene.qml"))
    with pytest.raises(OutputError, match=r"scene\.qml exist in .* already"):
        tp.classify([painted], trained[0], out.parent)
    assert list(out.parent.iterdir()) == [left]


def test_companions_and_mosaics_do_not_outlive_their_maps(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    model, quiet = trained[0], {"polygons": False, "companions": False}
    one, two = (paint(tmp_path / f"{n}.tif", seed=k, size=(256, 256)).rgb_path
                for k, n in enumerate("ab"))  # fmt: skip
    out = tmp_path / "maps"
    tp.classify([one, two], model, out, polygons=False)
    assert (out / "a_margin.qml").exists()
    assert (out / "mosaic.vrt").exists()
    (out / "b.tif").unlink()
    elsewhere = paint(tmp_path / "far" / "b.tif", seed=1, size=(256, 256), crs="EPSG:32644")
    made = tp.classify(
        [one, elsewhere.rgb_path], model, out, store=tmp_path / "f", overwrite=True, **quiet
    )
    assert made.mosaic is None
    kinds = ("_confidence", "_margin", "_set_size", "_dissimilarity")
    assert not [p for p in out.iterdir() if any(kind in p.name for kind in kinds)]
    assert not list(out.glob("mosaic.*"))


def test_a_companion_is_not_written_over_the_scene(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    scene = paint(tmp_path / "map_margin.tif", seed=5, size=(256, 256)).rgb_path
    before = scene.read_bytes()
    with pytest.raises(OutputError, match=r"map_margin\.tif is the scene itself"):
        tp.classify(scene, trained[0], tmp_path / "map.tif", overwrite=True)
    assert scene.read_bytes() == before
