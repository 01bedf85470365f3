"""Features of single spectra and of small squares, against formulas and other libraries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import savgol_filter
from skimage.feature import graycomatrix, graycoprops

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError
from terrapatch.features.pixels._boxes import box_sums, local_deviations, local_means, run_sums
from terrapatch.features.pixels._glcm import DIRECTIONS, MEASURES, CoOccurrence
from terrapatch.features.pixels._hull import below_continuum
from terrapatch.features.pixels._index_table import INDICES
from terrapatch.features.pixels.components import Components
from terrapatch.features.pixels.moments import Moments
from terrapatch.features.pixels.registry import feature_class, feature_kinds, parse_feature
from terrapatch.features.pixels.shapes import slopes
from terrapatch.features.pixels.stack import FeatureStack

Floats = NDArray[np.float32]


def computed(texts: list[str], cube: Cube) -> Floats:
    with FeatureStack.fit(texts, cube).over(cube) as live:
        return live.read(slice(0, cube.shape[0]), slice(0, cube.shape[1]))


def painted(rows: int = 18, cols: int = 20, bands: int = 24, seed: int = 0) -> tuple[Floats, Cube]:
    values, _, waves = painted_cube(rows, cols, bands, field=6, seed=seed)
    values = np.abs(values) + np.float32(0.02)
    return values, Cube.of_array(values, wavelengths=waves)


# Texts


@pytest.mark.parametrize("kind", feature_kinds())
def test_every_kind_has_defaults_and_a_text_that_makes_it_again(kind: str) -> None:
    made = parse_feature(kind)
    assert made == feature_class(kind).of({})
    assert made.kind == kind
    assert made.summary
    assert parse_feature(made.text) == made
    assert parse_feature(made.text).text == made.text


def test_texts_that_mean_the_same_are_written_the_same() -> None:
    texts = [
        "pca:whiten, components=5",
        "pca:components=5,whiten=yes",
        " PCA :whiten=1,components=05",
    ]
    assert {parse_feature(text).text for text in texts} == {"pca:components=5,whiten=yes"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pcaa", r"no pixel feature 'pcaa' \(did you mean pca\?\); choose from spectra, snv,"),
        ("", "no pixel feature ''"),
        ("pca:compnents=3", "'pca' has no option 'compnents'; its options are components, whiten"),
        ("snv:window=3", "'snv' has no option 'window'; it has none"),
        ("pca:components=many", "components of 'pca' is 'many'; write a whole number from 1"),
        ("pca:components=0", "components of 'pca' is '0'; write a whole number from 1"),
        ("pca:components=3,components=4", "components is given twice"),
        ("pca:whiten=maybe", "write yes or no"),
        ("mean:window=4", "window=4 of 'mean' has no middle pixel; give an odd number, such as 5"),
        ("mean:of=tsne", "of=tsne of 'mean' is not known; choose pca or mnf or spectra"),
        ("derivative:window=3,degree=3", "degree 3 needs more than 3 bands; .* at least 5"),
        ("derivative:order=3", "order=3 of 'derivative' is not known; choose 1 or 2"),
        ("indices:names=ndvi+xyz", "'xyz' is not known; choose from ndvi, gndvi"),
        ("indices:names=all+ndvi", "all or a list of indices, not both"),
        ("ratios:pairs=800", "'800' is no pair of bands; write for example pairs=800/670"),
        ("texture:window=5,distance=5", "pairs 5 pixels apart do not fit into a window of 5"),
        ("texture:levels=500", "500 grey levels are too many for 'texture'; give 2 to 64"),
        ("mnf:ridge=-1", "ridge=-1 of 'mnf' is not understood; write a number from 0"),
    ],
)
def test_texts_that_are_not_understood(text: str, sentence: str) -> None:
    with pytest.raises(FeatureError, match=sentence):
        parse_feature(text)


# Spectra


def test_spectra_and_their_scalings() -> None:
    values, cube = painted()
    np.testing.assert_array_equal(computed(["spectra"], cube), values)
    unit = computed(["spectra:scaling=unit"], cube)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=2), 1, rtol=1e-6)
    np.testing.assert_allclose(unit[3, 4] / unit[3, 4, 0], values[3, 4] / values[3, 4, 0], 1e-5)
    standard = computed(["spectra:scaling=standard"], cube).reshape(-1, 24)
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0, ddof=1), 1, rtol=1e-5)
    ranged = computed(["spectra:scaling=range"], cube).reshape(-1, 24)
    np.testing.assert_allclose(
        [ranged.min(axis=0), ranged.max(axis=0)], [[0] * 24, [1] * 24], atol=1e-6
    )


def test_snv_does_not_see_brightness_and_offset() -> None:
    values, cube = painted()
    made = computed(["snv"], cube)
    np.testing.assert_allclose(made.mean(axis=2), 0, atol=1e-6)
    np.testing.assert_allclose(made.std(axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(computed(["snv"], Cube.of_array(3 * values + 2)), made, atol=1e-4)
    flat = values.copy()
    flat[2, 2] = 0.5
    np.testing.assert_array_equal(computed(["snv"], Cube.of_array(flat))[2, 2], 0)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_even_bands_are_those_of_savitzky_and_golay(order: int) -> None:
    values, cube = painted()
    step = float(np.diff(cube.wavelengths)[0]) / 1000
    expected = savgol_filter(values.astype(float), 7, 2, order, delta=step, mode="interp")
    made = computed([f"derivative:order={order}"], cube)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-3)


def test_derivatives_are_exact_for_parabolas_at_uneven_bands() -> None:
    waves = np.array([0.4, 0.41, 0.45, 0.5, 0.51, 0.9, 1.0, 1.3])
    spectrum = 2 + 3 * waves - 4 * waves**2
    np.testing.assert_allclose(slopes(waves, 1, 5, 2) @ spectrum, 3 - 8 * waves, atol=1e-9)
    np.testing.assert_allclose(slopes(waves, 2, 5, 2) @ spectrum, -8.0, atol=1e-7)
    mixed = np.random.default_rng(0).permutation(8)
    made = slopes(waves[mixed], 1, 5, 2) @ spectrum[mixed]
    np.testing.assert_allclose(made, 3 - 8 * waves[mixed], atol=1e-9)


def test_too_few_bands_or_two_at_one_place_are_refused() -> None:
    values = np.random.default_rng(0).random((5, 5, 4)).astype(np.float32)
    with pytest.raises(FeatureError, match="window of 7 bands needs as many but array has 4"):
        FeatureStack.fit(["derivative"], Cube.of_array(values))
    twice = Cube.of_array(values, wavelengths=[400, 500, 500, 600])
    with pytest.raises(FeatureError, match="two bands of array lie at 500 nm"):
        FeatureStack.fit(["continuum"], twice)
    with pytest.raises(FeatureError, match="three bands or more but array has 2"):
        FeatureStack.fit(["continuum"], Cube.of_array(values[..., :2]))


def hull_by_hand(spectrum: NDArray[np.float64], waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest chord over every band."""
    out = spectrum.copy()
    for i, j in itertools.combinations(range(len(waves)), 2):
        inner = slice(i, j + 1)
        chord = np.interp(waves[inner], waves[[i, j]], spectrum[[i, j]])
        out[inner] = np.maximum(out[inner], chord)
    return out


def test_the_continuum_is_the_convex_hull() -> None:
    rng = np.random.default_rng(0)
    waves = np.sort(rng.uniform(0.4, 2.5, 15))
    spectra = rng.random((40, 15)).astype(np.float32) + np.float32(0.1)
    spectra[0] = 0.5  # flat
    spectra[1] = np.linspace(0.1, 0.9, 15)
    spectra[2] = 1.5 - 0.2 * (waves - 1.2) ** 2  # convex: on its hull
    expected = [s / hull_by_hand(s, waves) for s in spectra.astype(np.float64)]
    made = below_continuum(spectra, waves)
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    np.testing.assert_allclose(made[[0, 2]], 1, atol=1e-6)
    np.testing.assert_allclose(below_continuum(3 * spectra, waves), made, rtol=1e-6)
    assert made.max() <= 1 + 1e-6
    np.testing.assert_array_equal(below_continuum(np.zeros((1, 15), np.float32), waves), 1)


def test_bands_out_of_order_do_not_change_the_continuum() -> None:
    values, cube = painted()
    mixed = np.random.default_rng(1).permutation(24)
    other = Cube.of_array(values[..., mixed], wavelengths=cube.wavelengths[mixed])
    made = computed(["continuum"], other)
    np.testing.assert_allclose(made, computed(["continuum"], cube)[..., mixed], rtol=1e-6)


# Components


def test_principal_components() -> None:
    values, cube = painted()
    pixels = values.reshape(-1, 24).astype(np.float64)
    found, axes = np.linalg.eigh(np.cov(pixels.T))
    made = computed(["pca:components=4"], cube).reshape(-1, 4)
    np.testing.assert_allclose(made.var(axis=0, ddof=1), found[::-1][:4], rtol=1e-5)
    by_hand = (pixels - pixels.mean(axis=0)) @ axes[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(made), np.abs(by_hand), rtol=1e-4, atol=1e-5)
    white = computed(["pca:components=4,whiten"], cube).reshape(-1, 4)
    np.testing.assert_allclose(white.std(axis=0, ddof=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.corrcoef(white.T), np.eye(4), atol=1e-5)


@pytest.mark.parametrize("of", ["pca", "mnf"])
def test_the_largest_loading_is_positive(of: str) -> None:
    values, cube = painted()
    axes = Components.fit(Moments.measure(cube), 10, of).axes
    assert (axes[np.arange(10), np.abs(axes).argmax(axis=1)] > 0).all()
    turned = Components.fit(Moments.measure(Cube.of_array(-values)), 10, of).axes
    np.testing.assert_allclose(turned, axes, atol=1e-6)


def test_more_components_than_bands_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"25 components of pca .* 24 bands; ask for at most 24"):
        FeatureStack.fit(["pca:components=25"], painted()[1])


def noisy(seed: int = 0) -> Cube:
    """Paint two smooth signals, and much more noise in one band than in the others."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :60] / 60
    signals = np.stack([np.sin(3 * x), np.cos(2 * y)], axis=-1) @ rng.normal(size=(2, 8))
    noise = rng.normal(size=(60, 60, 8)) * [0.02, 0.02, 0.02, 5.0, 0.02, 0.02, 0.02, 0.02]
    return Cube.of_array((signals + noise).astype(np.float32))


def test_mnf_orders_by_signal_to_noise_where_pca_follows_the_noise() -> None:
    cube = noisy()
    moments = Moments.measure(cube)
    mnf = Components.fit(moments, 8, "mnf")
    np.testing.assert_allclose(mnf.axes @ moments.noise @ mnf.axes.T, np.eye(8), atol=1e-8)
    np.testing.assert_allclose(
        mnf.axes @ moments.covariance @ mnf.axes.T, np.diag(mnf.variances), atol=1e-5
    )
    assert (np.diff(mnf.variances) <= 0).all()
    assert mnf.variances[1] > 20
    assert mnf.variances[2] < 2
    assert np.abs(Components.fit(moments, 1, "pca").axes[0]).argmax() == 3
    made = computed(["mnf:components=2"], cube)
    smooth = np.abs(np.diff(made, axis=0)).mean() / made.std()
    pca = computed(["pca:components=1"], cube)
    assert smooth < 0.2 < np.abs(np.diff(pca, axis=0)).mean() / pca.std()


def test_singular_noise_is_refused_unless_a_ridge_is_added() -> None:
    values = np.random.default_rng(0).random((20, 20, 5)).astype(np.float32)
    values[..., 4] = values[..., 0]
    with pytest.raises(FeatureError, match=r"singular.*add ridge=0.001"):
        FeatureStack.fit(["mnf:components=3"], Cube.of_array(values))
    made = computed(["mnf:components=3,ridge=0.001"], Cube.of_array(values))
    assert np.isfinite(made).all()
    values[..., 4] = np.arange(20)[:, None]
    with pytest.raises(FeatureError, match=r"1 of 5 have none .*band 5 of those kept"):
        FeatureStack.fit(["mnf:components=3"], Cube.of_array(values))


# Indices and ratios


def test_indices_by_wavelength_are_their_formulas() -> None:
    values, _ = painted(bands=6)
    waves = [485, 562, 655, 840, 1650, 2210]
    cube = Cube.of_array(values, wavelengths=waves)
    blue, green, red, nir, swir1, swir2 = np.moveaxis(values.astype(np.float64), 2, 0)
    made = computed(["indices:names=ndvi+ndwi+ndmi+nbr+evi+savi+iron"], cube)
    expected = [
        (nir - red) / (nir + red),
        (green - nir) / (green + nir),
        (nir - swir1) / (nir + swir1),
        (nir - swir2) / (nir + swir2),
        2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1),
        1.5 * (nir - red) / (nir + red + 0.5),
        np.minimum(red / blue, 20),
    ]
    bounds = [INDICES[n].bounds for n in ("ndvi", "ndwi", "ndmi", "nbr", "evi", "savi", "iron")]
    for i, (one, (low, high)) in enumerate(zip(expected, bounds, strict=True)):
        np.testing.assert_allclose(made[..., i], np.clip(one, low, high), rtol=1e-5, atol=1e-6)


def test_indices_by_the_names_of_bands() -> None:
    values, _ = painted(bands=6)
    names = ("Blue", "green", "R", "NIR", "SWIR 1", "swir22")
    cube = Cube.of_array(values, band_names=names)
    waves = Cube.of_array(values, wavelengths=[485, 562, 655, 840, 1650, 2210])
    texts = ["indices:names=ndvi+mndwi+nbr+ndti"]
    np.testing.assert_array_equal(computed(texts, cube), computed(texts, waves))
    with pytest.raises(FeatureError, match=r"pri needs a band at 531 nm but array states no wave"):
        FeatureStack.fit(["indices:names=pri"], cube)
    unnamed = Cube.of_array(values)
    with pytest.raises(FeatureError, match=r"ndvi needs a band at 850 nm.*called nir .*band 1, "):
        FeatureStack.fit(["indices:names=ndvi"], unnamed)
    with pytest.raises(FeatureError, match="has the bands of no index"):
        FeatureStack.fit(["indices:names=all"], unnamed)


def test_an_index_whose_bands_are_missing_or_too_far_away_is_refused() -> None:
    values = np.random.default_rng(0).random((5, 5, 3)).astype(np.float32)
    cube = Cube.of_array(values, wavelengths=[535, 565, 660])
    with pytest.raises(
        FeatureError, match=r"ndvi needs a band at 850 nm: array has no band within"
    ):
        FeatureStack.fit(["indices:names=ndvi"], cube)
    coarse = Cube.of_array(values, wavelengths=[549, 680, 712])
    with pytest.raises(FeatureError, match=r"mcari needs a band at 700 nm: .* nearest is band 3"):
        FeatureStack.fit(["indices:names=mcari"], coarse)
    near = Cube.of_array(values, wavelengths=[549, 675, 705])
    assert FeatureStack.fit(["indices:names=mcari"], near).names == ("indices.mcari",)


def test_the_red_edge_is_found_where_it_lies() -> None:
    values = np.array([[[0.05, 0.1, 0.4, 0.45], [0.05, 0.1, 0.3, 0.45], [0.2, 0.2, 0.2, 0.2]]])
    cube = Cube.of_array(values.astype(np.float32), wavelengths=[670, 700, 740, 780])
    # Half way from 0.05 to 0.45 lies in the middle of 700-740 nm, then at three quarters of it.
    np.testing.assert_allclose(computed(["indices:names=reip"], cube)[0, :, 0], [720, 730, 700])


def test_a_division_by_zero_gives_zero() -> None:
    values = np.random.default_rng(0).random((4, 4, 2)).astype(np.float32)
    values[0, 0] = 0
    values[1, 1] = [0.2, -0.2]
    values[2, 2] = [-0.1, 0.0999]
    cube = Cube.of_array(values, band_names=("red", "nir"))
    made = computed(["indices:names=ndvi", "ratios:pairs=nir/red"], cube)
    np.testing.assert_array_equal(made[0, 0], [0, 0])
    assert made[1, 1, 0] == 0
    assert made[2, 2, 0] == -1 or made[2, 2, 0] == 1  # kept within its bounds
    assert np.isfinite(made).all()


def test_indices_made_for_reflectance_refuse_other_numbers() -> None:
    values, _ = painted(bands=6)
    waves = [485, 562, 655, 840, 1650, 2210]
    counts = Cube.of_array(np.round(values * 10_000).astype(np.uint16), wavelengths=waves)
    with pytest.raises(FeatureError, match=r"evi is made for reflectance .* scale=\s*0.0001"):
        FeatureStack.fit(["indices:names=ndvi+evi"], counts)
    names = FeatureStack.fit(["indices:names=all"], counts).names
    assert "indices.ndvi" in names
    assert "indices.evi" not in names
    scaled = Cube.open(counts, scale=1e-4)
    assert "indices.evi" in FeatureStack.fit(["indices:names=all"], scaled).names


def test_ratios_of_any_bands() -> None:
    values, cube = painted()
    made = computed(
        ["ratios:pairs=1000/650+b3/b1", "ratios:pairs=nir/red,form=difference,within=50"], cube
    )
    waves = cube.wavelengths
    upper, lower = (values[..., np.abs(waves - nm).argmin()].astype(float) for nm in (1000, 650))
    np.testing.assert_allclose(made[..., 0], upper / lower, rtol=1e-5)
    np.testing.assert_allclose(made[..., 1], values[..., 2] / values[..., 0], rtol=1e-5)
    assert np.abs(made[..., 2]).max() <= 1
    for pair, sentence in (
        ("b99/b1", "needs band 99 of array, which is not among those kept"),
        ("1000/1010", "both bands of 1000/1010 are band 8"),
        ("uv/red", "'uv' in ratio uv/red is no band; write a wavelength"),
        ("9000/650", "array has no band within 20 nm of 9000 nm"),
    ):
        with pytest.raises(FeatureError, match=sentence):
            FeatureStack.fit([f"ratios:pairs={pair}"], cube)


# Windows


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_runs(length: int, axis: int) -> None:
    values = np.random.default_rng(0).integers(0, 100, (12, 13))
    windows = np.lib.stride_tricks.sliding_window_view(values, length, axis)
    np.testing.assert_array_equal(run_sums(values, length, axis), windows.sum(axis=-1))


def test_sums_of_boxes_do_not_depend_on_what_lies_beside_them() -> None:
    values = np.random.default_rng(0).random((20, 20)) * 10.0 ** np.arange(20)
    whole = box_sums(values, 5, 3)
    np.testing.assert_array_equal(box_sums(values[4:13, 7:16], 5, 3), whole[4:9, 7:14])


def test_local_means_and_deviations_of_valid_pixels() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(50, 3, (14, 15, 2)).astype(np.float32)
    valid = rng.random((14, 15)) < 0.6
    valid[:6, :6] = False
    values[~valid] = np.nan
    means = local_means(values, valid, 5)
    spread = local_deviations(values[..., 0], valid, 5)
    for r, c in np.ndindex(10, 11):
        held = values[r : r + 5, c : c + 5][valid[r : r + 5, c : c + 5]].astype(float)
        expected = held.mean(axis=0) if len(held) else np.zeros(2)
        np.testing.assert_allclose(means[r, c], expected, rtol=1e-6)
        deviation = held[:, 0].std() if len(held) else 0
        np.testing.assert_allclose(spread[r, c], deviation, rtol=1e-4, atol=1e-4)
    even = np.full((9, 9), 1234.567, np.float32)
    np.testing.assert_array_equal(local_deviations(even, np.ones((9, 9), bool), 3), 0)


def test_patches_lay_the_square_out_and_fill_gaps_with_its_mean() -> None:
    values, _ = painted()
    values[5, 6] = np.nan
    cube = Cube.of_array(values)
    single = computed(["pca:components=2"], cube)
    made = computed(["patch:side=3,components=2"], cube)
    squares = made.reshape(18, 20, 3, 3, 2)
    np.testing.assert_array_equal(squares[:, :, 1, 1], single)
    np.testing.assert_array_equal(squares[10, 10, 0, 2], single[9, 11])
    np.testing.assert_array_equal(squares[0, 0, 0, 0], single[1, 1])  # mirrored
    around = [single[r, c] for r in (5, 6, 7) for c in (6, 7, 8) if (r, c) != (5, 6)]
    np.testing.assert_allclose(squares[6, 7, 0, 0], np.mean(around, axis=0), atol=1e-6)
    names = FeatureStack.fit(["patch:side=3,components=2"], cube).names
    assert names[:2] == ("patch3.-1-1 pca 1", "patch3.-1-1 pca 2")
    assert names[9] == "patch3.+0+0 pca 2"


@pytest.mark.parametrize("distance", [1, 2])
def test_co_occurrence_is_that_of_scikit_image(distance: int) -> None:
    levels, side = 5, 7
    grey = np.random.default_rng(0).integers(0, levels, (11, 12)).astype(np.int32)
    made = CoOccurrence(grey, np.ones(grey.shape, bool), levels, side, distance)
    measures = made.measures(MEASURES)
    for r, c in np.ndindex(5, 6):
        square = grey[r : r + side, c : c + side].astype(np.uint8)
        counts = np.zeros((levels, levels, 1, 1))
        for down, across in DIRECTIONS:
            # graycomatrix counts pairs beside each other along a diagonal at d * sqrt(2).
            apart = distance * float(np.hypot(down, across))
            angle = float(np.arctan2(down, across))
            counts += graycomatrix(square, [apart], [angle], levels, symmetric=True)
        counts /= counts.sum()
        shares = counts[counts > 0]
        expected = {name.lower(): graycoprops(counts, name)[0, 0] for name in
                    ("contrast", "homogeneity", "ASM", "correlation")}  # fmt: skip
        expected["entropy"] = -(shares * np.log(shares)).sum()
        for i, name in enumerate(MEASURES):
            np.testing.assert_allclose(measures[r, c, i], expected[name], rtol=1e-9, err_msg=name)


def test_co_occurrence_leaves_out_pairs_with_an_invalid_pixel() -> None:
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 4, (9, 9)).astype(np.int32)
    valid = rng.random((9, 9)) < 0.6
    made = CoOccurrence(grey, valid, 4, 5, 1).measures(["contrast", "entropy"])
    spoiled = np.where(valid, grey, 3 - grey)
    other = CoOccurrence(spoiled.astype(np.int32), valid, 4, 5, 1).measures(["contrast", "entropy"])
    np.testing.assert_array_equal(made, other)
    found = []
    for down, across in DIRECTIONS:
        for r, c in np.ndindex(5, 5):
            to = (r + down, c + across)
            inside = 0 <= to[0] < 5 and 0 <= to[1] < 5
            if inside and valid[r, c] and valid[to]:
                found.append((grey[r, c] - grey[to]) ** 2)
    np.testing.assert_allclose(made[0, 0, 0], np.mean(found))
    nothing = CoOccurrence(grey, np.zeros((9, 9), bool), 4, 5, 1).measures(MEASURES)
    np.testing.assert_array_equal(nothing[0, 0], [0, 1, 0, 1, 1])


def test_texture_tells_rough_from_smooth() -> None:
    rng = np.random.default_rng(0)
    values = np.full((40, 40, 4), 0.3, np.float32)
    values[:, 20:] += rng.normal(0, 0.1, (40, 20, 1)).astype(np.float32)
    values += rng.normal(0, 1e-4, values.shape).astype(np.float32)
    made = computed(["texture:components=1,window=5"], Cube.of_array(values))
    smooth, rough = made[:, 4:15].mean(axis=(0, 1)), made[:, 25:36].mean(axis=(0, 1))
    std, contrast, homogeneity, entropy, asm, _ = range(6)
    assert rough[std] > 20 * smooth[std]
    for more in (contrast, entropy):
        assert rough[more] > smooth[more] + 0.5
    for less in (homogeneity, asm):
        assert rough[less] < smooth[less] - 0.2
