"""Augmentation against arithmetic done by hand: pixels, masks, labels and georeference."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from terrapatch.errors import SamplesError
from terrapatch.learn.tuning import Augment, augment_transform
from terrapatch.learn.tuning._warping import turn, turn_matrix

UTM = Affine(0.5, 0.0, 280_000.0, 0.0, -0.5, 2_110_000.0)
GEOMETRIC = (
    "d4",
    "crop:0.5",
    "scale:0.3",
    "shear:0.3",
    "warp:0.02",
    "crop:0.6,scale:0.2,shear:0.2",
)


def rng(seed=0):
    return np.random.default_rng(seed)


def ramp(height, width):
    """An image whose channels are the column and the row of each pixel."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 7)]).astype(np.uint8)


@pytest.mark.parametrize("text", GEOMETRIC)
@pytest.mark.parametrize("level", [0, 117, 255])
def test_constant_in_constant_out(text, level):
    image = np.full((3, 33, 33), level, np.uint8)
    made = Augment.parse(text).apply(image, rng(3))
    assert (made.image == level).all()
    assert made.image.shape == image.shape


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), text=st.sampled_from(["light", "full", "d4,noise:0.1", "none"]))
def test_same_seed_same_bytes(seed, text):
    image = rng(1).integers(0, 256, (3, 16, 16), np.uint8)
    before = image.copy()
    one, other = (Augment.parse(text).apply(image, rng(seed)) for _ in range(2))
    assert one.image.tobytes() == other.image.tobytes()
    assert one.image.dtype == np.uint8
    assert np.array_equal(image, before)


@pytest.mark.parametrize("which", range(8))
def test_turns_and_their_matrices_agree(which):
    image = ramp(4, 6)
    turned, matrix = turn(image, which), turn_matrix(which, 4, 6)
    for row in range(turned.shape[1]):
        for column in range(turned.shape[2]):
            x, y = matrix * (column + 0.5, row + 0.5)
            assert turned[:2, row, column].tolist() == [x - 0.5, y - 0.5]


def test_all_eight_turns_come_and_values_stay():
    image = rng(1).integers(0, 256, (3, 5, 5), np.uint8)
    seen = {Augment.parse("d4").apply(image, rng(s)).image.tobytes() for s in range(60)}
    assert seen == {np.ascontiguousarray(turn(image, k)).tobytes() for k in range(8)}
    assert Augment.parse("flip").turns == (0, 2, 4, 6)
    assert Augment.parse("turn").turns == (0, 1, 2, 3)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999),
    text=st.sampled_from(["d4", "d4,crop:0.5", "scale:0.4", "shear:0.3", "d4,crop:0.7,shear:0.2"]),
)
def test_every_pixel_keeps_its_place_on_the_ground(seed, text):
    image = ramp(40, 40)
    made, transform = augment_transform(Augment.parse(text), image, UTM, rng(seed))
    rows, columns = np.nonzero(made.valid)
    inner = (np.minimum(rows, columns) > 0) & (np.maximum(rows, columns) < 39)
    for row, column in list(zip(rows[inner], columns[inner], strict=True))[::37]:
        ground = transform * (column + 0.5, row + 0.5)
        x, y = ~UTM * ground
        if 0.5 <= x <= 39.5 and 0.5 <= y <= 39.5:
            assert abs(made.image[0, row, column] - (x - 0.5)) <= 0.51
            assert abs(made.image[1, row, column] - (y - 0.5)) <= 0.51


@pytest.mark.parametrize("text", ["d4", "crop:0.5", "scale:0.4", "shear:0.3", "warp:0.02", "full"])
def test_labels_and_mask_go_where_the_pixels_go(text):
    steps = [s for s in Augment.parse(text).steps if s[0] not in ("noise", "colour")]
    only_moves = Augment(tuple(s for s in steps if s[0] not in ("brightness", "contrast")))
    labels = np.where(np.arange(48)[None] < 24, 1, 2).repeat(48, axis=0).astype(np.uint8)
    image = np.stack([labels * 100] * 3)
    valid = np.ones((48, 48), bool)
    valid[:8] = False
    made = only_moves.apply(image, rng(5), valid, np.where(valid, labels, 0).astype(np.uint8))
    assert made.labels is not None
    pure = np.isin(made.image[0], (100, 200)) & made.valid
    assert pure.sum() > 200
    assert np.array_equal(made.labels[pure], made.image[0][pure] // 100)
    assert (made.labels[~made.valid] == 0).all()
    assert not made.valid.all()


def test_what_comes_from_beyond_the_edge_is_not_valid():
    image = np.zeros((1, 40, 40), np.uint8)
    for seed in range(20):
        made = Augment.parse("scale:0.5").apply(image, rng(seed))
        smaller = made.matrix.a > 1
        assert made.valid.all() == (not smaller)
        assert made.valid.sum() == pytest.approx((40 / max(made.matrix.a, 1)) ** 2, rel=0.12)


def test_crops_lie_inside():
    for seed in range(50):
        matrix = Augment.parse("crop:0.4").apply(ramp(20, 20), rng(seed)).matrix
        corners = [matrix * corner for corner in ((0, 0), (20, 20))]
        assert all(-1e-9 <= v <= 20 + 1e-9 for corner in corners for v in corner)
        assert 0.4 <= matrix.a <= 1.0


def test_tones_by_hand():
    image = np.full((3, 64, 64), 100, np.uint8)
    noisy = Augment.parse("noise:0.02").apply(image, rng()).image.astype(float)
    assert noisy.std() == pytest.approx(0.02 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(100, abs=0.2)
    cast = Augment.parse("colour:0.2").apply(image, rng()).image
    assert len({int(channel[0, 0]) for channel in cast}) == 3
    assert all((channel == channel[0, 0]).all() and 80 <= channel[0, 0] <= 120 for channel in cast)
    light = Augment.parse("brightness:0.1").apply(image, rng()).image
    assert len(np.unique(light)) == 1
    assert abs(int(light.flat[0]) - 100) <= 26
    flat = Augment.parse("contrast:0.5").apply(image, rng()).image
    assert (flat == 100).all()


def test_words_are_read_and_written():
    assert Augment.parse("none").text == "none"
    assert Augment.parse(" crop:0.8 , d4").text == "d4,crop:0.8"
    assert Augment.parse("full").text == Augment.parse(Augment.parse("full").text).text
    assert Augment.parse("d4").only_turns
    assert Augment.parse("none").turns == (0,)
    assert not Augment.parse("light").only_turns


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("swirl", "there is no augmentation 'swirl'"),
        ("crop", "a number from 0.1 to 1"),
        ("crop:2", "not '2'"),
        ("noise:nan", "takes a number"),
        ("d4:1", "there is no augmentation"),
        ("d4,flip", "more than one of flip, turn and d4"),
    ],
)
def test_bad_words_are_refused(text, told):
    with pytest.raises(SamplesError, match=told):
        Augment.parse(text)


def test_bad_images_are_refused():
    with pytest.raises(SamplesError, match="uint8, not float64"):
        Augment.parse("d4").apply(np.zeros((3, 4, 4)), rng())
    with pytest.raises(SamplesError, match="leave warp out"):
        augment_transform(Augment.parse("warp:0.01"), ramp(16, 16), UTM, rng())
