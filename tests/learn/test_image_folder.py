"""Lists of labelled images from folders and CSV files, and their pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rasters import make_raster
from terrapatch.errors import BandError, SamplesError, SceneError, UnitsError
from terrapatch.learn.image_folder import (
    check_images,
    find_images,
    from_csv,
    read_image,
    with_split,
)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


TWO_CLASSES = ("wood/a.jpg", "wood/b.PNG", "field/c.TIFF", "field/d.JPeG", "field/e.tif")


def relative(images, root):
    return [path.relative_to(root).as_posix() for path in images.paths]


def test_a_folder_per_class(tmp_path):
    extra = ("notes.txt", "top.jpg", ".DS_Store", "wood/Thumbs.db", "wood/a.jpg.aux.xml")
    extra += ("wood/.hidden.jpg", "field/old/x.jpg", "field/old/y.jpg", ".git/z.jpg")
    touch(tmp_path, *TWO_CLASSES, *extra)
    (tmp_path / "bare").mkdir()
    images = find_images(tmp_path)
    expected = ["field/c.TIFF", "field/d.JPeG", "field/e.tif", "wood/a.jpg", "wood/b.PNG"]
    assert relative(images, tmp_path) == expected
    assert images.labels.tolist() == [1, 1, 1, 2, 2]
    assert images.labels.dtype == np.int32
    assert images.classes == ("field", "wood")
    assert images.names == ("field",) * 3 + ("wood",) * 2
    assert images.splits is None
    assert images.places("train").tolist() == []
    assert images.notes == (
        "Ignored: 3 hidden files, 3 files that are no images, 2 images deeper than their class "
        "folder, 1 image outside a class folder.",
        "No images are in the folder bare: it is no class.",
    )
    assert images.describe().startswith("5 images of 2 classes, 2 to 3 a class\nIgnored")


def test_splits_of_folders(tmp_path):
    for split, files in {"Train": "abc", "valid": "de", "test": "fg"}.items():
        touch(tmp_path, *(f"{split}/{name}/{i}.png" for name in ("wood", "field") for i in files))
    touch(tmp_path, "test/loose.png", "train_list.txt")
    images = find_images(tmp_path)
    assert images.splits == ("train",) * 6 + ("val",) * 4 + ("test",) * 4
    assert relative(images, tmp_path)[:2] == ["Train/field/a.png", "Train/field/b.png"]
    assert images.places("val").tolist() == [6, 7, 8, 9]
    assert images.notes == ("Ignored: 1 file that is no image, 1 image outside a class folder.",)
    assert "train 6, val 4, test 4" in images.describe()
    touch(tmp_path, "test/rock/h.png", "test/rock/i.png")
    assert "No training image has the class rock." in find_images(tmp_path).notes
    touch(tmp_path, "extra/x.png")
    with pytest.raises(SamplesError, match=r"splits \(Train\) and other folders \(extra\)"):
        find_images(tmp_path)


def test_splits_without_folders_of_classes_are_classes(tmp_path):
    images = find_images(touch(tmp_path, "test/a.png", "test/b.png", "wood/a.png", "wood/b.png"))
    assert (images.classes, images.splits) == (("test", "wood"), None)


def test_folders_that_cannot_be_learned_from(tmp_path):
    with pytest.raises(SamplesError, match="nowhere does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(SamplesError, match="no images in folders of classes; put"):
        find_images(tmp_path)
    touch(tmp_path, "one.jpg", "two.jpg")
    with pytest.raises(SamplesError, match="there: 2 images outside a class folder"):
        find_images(tmp_path)
    with pytest.raises(SamplesError, match="is a file"):
        find_images(tmp_path / "one.jpg")
    touch(tmp_path, "wood/a.jpg", "wood/b.jpg")
    with pytest.raises(SamplesError, match="one class only, 'wood'"):
        find_images(tmp_path)
    touch(tmp_path, "sand/c.jpg", "field/d.jpg")
    with pytest.raises(SamplesError, match="one image only in the class field, sand; add"):
        find_images(tmp_path)


def test_a_file_in_two_splits_is_refused_also_as_a_link(tmp_path):
    touch(tmp_path, *(f"train/{name}/{i}.png" for name in ("wood", "field") for i in "ab"))
    touch(tmp_path, "test/wood/c.png")
    link = tmp_path / "test/wood/d.png"
    link.symlink_to(tmp_path / "train/wood/a.png")
    with pytest.raises(SamplesError, match=r"splits train and test: .*a\.png and .*d\.png"):
        find_images(tmp_path)
    link.unlink()
    link.symlink_to(tmp_path / "test/wood/c.png")
    images = find_images(tmp_path)
    assert len(images) == 5
    assert images.notes == ("Listed more than once and taken once: 1 files.",)


def test_a_csv_of_paths_classes_and_splits(tmp_path):
    touch(tmp_path / "pictures", *TWO_CLASSES)
    text = "\ufeffSplit;FILE;Label\ntest;field\\c.TIFF;crop\n\ntraining;field/d.JPeG;crop\n"
    text += "train;wood/a.jpg; tree \nval;wood/b.PNG;tree\n"
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    images = from_csv(path, tmp_path / "pictures")
    expected = ["field/d.JPeG", "wood/a.jpg", "wood/b.PNG", "field/c.TIFF"]
    assert relative(images, tmp_path / "pictures") == expected
    assert images.splits == ("train", "train", "val", "test")
    assert images.classes == ("crop", "tree")
    assert images.labels.tolist() == [1, 2, 2, 1]


def test_a_csv_of_paths_takes_the_classes_from_the_folders(tmp_path):
    touch(tmp_path, *TWO_CLASSES)
    path = tmp_path / "list.csv"
    path.write_text("image\n" + "\n".join(reversed(TWO_CLASSES)) + "\n")
    listed, found = from_csv(path), find_images(tmp_path)
    assert listed.paths == found.paths
    assert np.array_equal(listed.labels, found.labels)
    assert listed.classes == found.classes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("path,class\n", "lists no images"),
        ("name,class\nwood/a.jpg,wood\n", r"no column of paths .* name, class\)"),
        ("path,class\nwood/a.jpg,\nwood/b.PNG,wood\n", "no class in line 2;"),
        ("path,class\nwood/a.jpg\n", "no class in line 2;"),
        ("path,split\nwood/a.jpg,train\nwood/b.PNG,holdout\n", "line 3: the split 'holdout'"),
        ("path,class\nwood/a.jpg,wood\nwood/a.jpg,field\n", "classes 'wood' and 'field'"),
        ("path,split\nwood/a.jpg,train\nwood/a.jpg,test\n", "splits train and test: .*a.jpg;"),
        ("path\nwood/a.jpg\nwood/b.PNG\n", "one class only"),
        ("path\nwood/a.jpg\nfield/c.TIFF\n", "one image only in the class field, wood"),
        (
            "path,class\n" + "".join(f"wood/{i}.png,wood\n" for i in range(8)),
            r"8 of 8 files of list.csv .*wood/0.png, .*wood/4.png and 3 more; give the folder",
        ),
    ],
)
def test_csv_files_that_are_refused(tmp_path, text, says):
    touch(tmp_path, *TWO_CLASSES)
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SamplesError, match=says):
        from_csv(tmp_path / "list.csv")


def test_what_is_no_csv_is_refused(tmp_path):
    with pytest.raises(SamplesError, match="there is no file"):
        from_csv(tmp_path / "list.csv")
    with pytest.raises(SamplesError, match="is a folder, not a CSV"):
        from_csv(tmp_path)
    (tmp_path / "list.csv").write_bytes("path\nwälder/a.jpg\n".encode("latin-1"))
    with pytest.raises(SamplesError, match="UTF-8"):
        from_csv(tmp_path / "list.csv")


def many(root):
    names = [f"{name}/{name}{i}.png" for name in ("field", "wood") for i in range(6)]
    return find_images(touch(root, *names))


def write_splits(folder, **rows):
    paths = {}
    for split, lines in rows.items():
        paths[split] = folder / f"{split}.csv"
        paths[split].write_text("path,class\n" + "".join(f"{line}\n" for line in lines))
    return paths


def test_splits_by_csv(tmp_path):
    images = many(tmp_path / "images")
    splits = write_splits(
        tmp_path,
        test=["wood1.png,wood", "field/field0.png,field"],
        train=["wood/wood0.png,wood", "field/field5.png,field", "field/field4.png,field"],
    )
    divided = with_split(images, splits)
    names = [path.name for path in divided.paths]
    assert names == ["field4.png", "field5.png", "wood0.png", "field0.png", "wood1.png"]
    assert divided.splits == ("train",) * 3 + ("test",) * 2
    assert divided.labels.tolist() == [1, 1, 2, 1, 2]
    assert divided.notes == ("7 images are in no split: left out.",)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"train": ["wood0.png,wood"], "test": ["wood/wood0.png,wood"]}, "splits train and test"),
        ({"train": ["wood9.png,wood"]}, "1 of 1 files of train.csv are not among the images"),
        ({"train": ["wood0.png,field"]}, r"another class .* wood0.png \(field, not wood\)"),
        ({"holdout": ["wood0.png,wood"]}, "the split 'holdout' is not known"),
        ({}, "no split is given"),
    ],
)
def test_splits_that_are_refused(tmp_path, rows, says):
    images = many(tmp_path / "images")
    with pytest.raises(SamplesError, match=says):
        with_split(images, write_splits(tmp_path, **rows))


def test_a_name_that_may_mean_two_images_is_refused(tmp_path):
    images = find_images(touch(tmp_path, *(f"{c}/{i}.png" for c in ("a", "b") for i in range(3))))
    with pytest.raises(SamplesError, match=r"line 2: 1.png may mean .*write its folder too"):
        with_split(images, write_splits(tmp_path, train=["1.png,a"]))


def image(path, **options):
    plain = {"crs": None, "transform": None, "height": 20, "width": 30}
    return make_raster(path, **(plain | options))


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_eight_bit_images_are_read_as_they_are(tmp_path, driver):
    path = image(tmp_path / "image", driver=driver)
    pixels, valid = read_image(path)
    with rasterio.open(path) as src:
        assert np.array_equal(pixels, src.read())
    assert (pixels.shape, pixels.dtype, valid) == ((3, 20, 30), np.uint8, None)


def test_georeferenced_images_with_holes_and_further_bands(tmp_path):
    path = make_raster(
        tmp_path / "image.tif",
        bands=4,
        nodata="mask",
        descriptions=("nir", "red", "green", "blue"),
    )
    pixels, valid = read_image(path)
    with rasterio.open(path) as src:
        assert np.array_equal(pixels, src.read([2, 3, 4]))
        assert np.array_equal(valid, src.read_masks(1) > 0)
    assert read_image(path, bands=(1, 2))[0].shape == (2, 64, 64)


def test_other_types_need_units_and_are_rounded(tmp_path):
    values = np.array([0.0, 0.1, 0.5, 0.9, np.nan], np.float32)
    path = image(
        tmp_path / "image.tif",
        dtype="float32",
        height=1,
        width=5,
        values=lambda *shape: np.broadcast_to(values, shape),
    )
    with pytest.raises(UnitsError, match="units of image"):
        read_image(path)
    pixels, valid = read_image(path, units="0:1")
    assert pixels[0, 0].tolist() == [0, 26, 128, 230, 0]
    assert valid is not None
    assert valid[0].tolist() == [True] * 4 + [False]


def test_grey_images_are_repeated_only_if_asked(tmp_path):
    path = image(tmp_path / "grey.png", bands=1, driver="PNG")
    with pytest.raises(BandError, match=r"grey.png has one band"):
        read_image(path)
    pixels, _ = read_image(path, grey=True)
    assert pixels.shape == (3, 20, 30)
    assert (pixels == pixels[0]).all()
    assert read_image(path, bands=1)[0].shape == (1, 20, 30)


def halved(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def test_unreadable_images_are_named_one_by_one(tmp_path):
    good = [image(tmp_path / f"wood/{i}.jpg", driver="JPEG") for i in range(2)]
    good += [image(tmp_path / f"field/{i}.tif") for i in range(2)]
    big = {"height": 200, "width": 200}
    bad = [
        halved(image(tmp_path / "field/cut.jpg", driver="JPEG", **big)),
        halved(image(tmp_path / "field/cut.png", driver="PNG", **big)),
        halved(image(tmp_path / "field/cut.tif", **big)),
        image(tmp_path / "field/deep.png", dtype="uint16", driver="PNG"),
        touch(tmp_path, "wood/empty.jpg") / "wood/empty.jpg",
        image(tmp_path / "wood/grey.jpg", bands=1, driver="JPEG"),
    ]
    images = find_images(tmp_path)
    assert len(images) == len(good) + len(bad)
    faults = check_images(images)
    assert len(faults) == len(bad)
    for path, fault in zip(bad, faults, strict=True):
        assert str(path) in fault
        assert "\n" not in fault
    assert len(check_images(images, grey=True)) == len(bad) - 1
    with pytest.raises(SceneError, match="there is no file"):
        read_image(tmp_path / "nowhere.jpg")


@pytest.mark.data
def test_uc_merced_and_its_published_split(data_dir):
    root = data_dir("ucmerced")
    images = find_images(root / "images")
    assert (len(images), len(images.classes), images.notes) == (2100, 21, ())
    assert np.bincount(images.labels).tolist() == [0] + [100] * 21
    divided = with_split(images, {s: root / f"split_{s}.csv" for s in ("train", "val", "test")})
    assert [len(divided.places(s)) for s in ("train", "val", "test")] == [1260, 420, 420]
    assert divided.notes == ()
    listed = from_csv(root / "split_test.csv", root / "images")
    assert listed.paths == tuple(divided.paths[i] for i in divided.places("test"))
    with pytest.raises(SamplesError, match=r"420 of 420 .* and 415 more; give the folder"):
        from_csv(root / "split_test.csv")
    pixels, valid = read_image(images.paths[0])
    assert (pixels.dtype, pixels.shape[0], valid) == (np.uint8, 3, None)


def test_the_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    touch(tmp_path, *TWO_CLASSES)
    expected = find_images(tmp_path).paths
    listing = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path=".": sorted(listing(path), reverse=True))
    assert find_images(tmp_path).paths == expected
