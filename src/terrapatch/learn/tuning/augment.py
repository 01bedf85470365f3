"""Augmentation for imagery from above: what may change while a place stays what it is.

========== =========================================================== =================
word       what happens                                                number
========== =========================================================== =================
flip       mirrored or not, left to right and top to bottom            none
turn       turned by quarters                                          none
d4         both: one of the eight symmetries of a square               none
crop       a window, enlarged to the whole                             its least share of
                                                                       the side
scale      larger or smaller about the centre                          largest factor - 1
shear      sheared along x and y about the centre                      largest tangent
warp       distorted smoothly (Simard et al. 2003)                     displacement, as a
                                                                       share of the side
colour     each channel brighter or darker by itself                   largest share
brightness all channels brighter or darker                             share of 255
contrast   spread about the image's own mean                           largest share
noise      Gaussian noise in every pixel                               deviation, as a
                                                                       share of 255
========== =========================================================== =================

Each image is changed by a generator of its own, so what happens to it depends on the
seed alone, never on who read it or when. Turns and mirror images move pixels without
touching their values; everything else that moves pixels is done in one resampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.tuning import _warping as warping

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Rng = np.random.Generator

# Words without a number, and the turns (see ``turn``) they choose from.
SYMMETRIES = {"flip": (0, 2, 4, 6), "turn": (0, 1, 2, 3), "d4": tuple(range(8))}
# Least and largest number of every other word that moves pixels, then of those that change them.
MOVES = {"crop": (0.1, 1.0), "scale": (0.0, 2.0), "shear": (0.0, 1.0), "warp": (0.0, 0.1)}
TONES = {
    "colour": (0.0, 1.0),
    "brightness": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "noise": (0.0, 0.5),
}
EXAMPLES = {"crop": 0.8, "warp": 0.01}
PRESETS = {
    "none": "",
    "d4": "d4",
    "light": "d4,crop:0.8,colour:0.05,brightness:0.1,contrast:0.1",
    "full": (
        "d4,crop:0.7,scale:0.2,shear:0.1,warp:0.01,colour:0.1,brightness:0.15,contrast:0.2,"
        "noise:0.02"
    ),
}


@dataclass(frozen=True)
class Augmented:
    """An image that was changed.

    Attributes:
        image: ``(c, h, w)`` uint8.
        valid: Which of its pixels were seen, ``(h, w)``; those from beyond the edge are not.
        matrix: From the new image's pixels to the old one's, in pixel corners; ``None``
            after a distortion, which is no affine map.
        labels: The labels that went along, ``(h, w)``, 0 where not valid; or ``None``.
    """

    image: Image
    valid: Mask
    matrix: Affine | None
    labels: NDArray[Any] | None = None


@dataclass(frozen=True)
class Augment:
    """What may happen to an image.

    Attributes:
        steps: Words and their numbers, in the order of the table above.
    """

    steps: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Augment:
        """Read ``none``, ``d4``, ``light``, ``full``, or words such as ``d4,crop:0.8``.

        Raises:
            SamplesError: If a word is not known, or its number is missing or out of range.
        """
        plain = PRESETS.get(text.strip().lower(), text)
        found = dict(_step(word) for word in plain.split(",") if word.strip())
        if len(found.keys() & SYMMETRIES.keys()) > 1:
            raise SamplesError(
                f"the augmentation {text!r} names more than one of flip, turn and d4; "
                "name d4, which is both others together"
            )
        ordered = (*SYMMETRIES, *MOVES, *TONES)
        return cls(tuple((name, found[name]) for name in ordered if name in found))

    @property
    def text(self) -> str:
        """The words that ``parse`` reads."""
        return ",".join(n if n in SYMMETRIES else f"{n}:{v:g}" for n, v in self.steps) or "none"

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns an image may take, see ``apply``; ``(0,)`` where it keeps its place."""
        return next((SYMMETRIES[n] for n, _ in self.steps if n in SYMMETRIES), (0,))

    @property
    def only_turns(self) -> bool:
        """Whether there are no more versions of an image than its turns."""
        return all(name in SYMMETRIES for name, _ in self.steps)

    def apply(
        self,
        image: Image,
        rng: Rng,
        valid: Mask | None = None,
        labels: NDArray[Any] | None = None,
    ) -> Augmented:
        """Change an image.

        Args:
            image: ``(c, h, w)`` uint8.
            rng: Where chance comes from; the same state gives the same image.
            valid: ``(h, w)``, or ``None`` where every pixel is valid.
            labels: Class ids ``(h, w)``, 0 for none; they go where the pixels go.

        Returns:
            The new image; an odd number of quarter turns swaps its sides.

        Raises:
            SamplesError: If the image is not ``(c, h, w)`` uint8.
        """
        if image.ndim != 3 or image.dtype != np.uint8:
            raise SamplesError(
                f"an image to augment is an array (bands, height, width) of uint8, not "
                f"{image.dtype} of shape {image.shape}; scale it to 0–255 first"
            )
        which = draw_turn(self, rng)
        mask = np.ones(image.shape[1:], bool) if valid is None else np.asarray(valid, bool)
        turned = [None if a is None else warping.turn(a, which) for a in (image, mask, labels)]
        matrix = warping.turn_matrix(which, *image.shape[1:])
        moved = _moved(turned, self.steps, rng)
        toned = _toned(moved[0], self.steps, rng)
        onward = moved[3]
        return Augmented(toned, moved[1], None if onward is None else matrix * onward, moved[2])


def draw_turn(augment: Augment, rng: Rng) -> int:
    """Draw one of the turns an image may take: the first thing that is drawn for an image."""
    choices = augment.turns
    return choices[int(rng.integers(len(choices)))] if len(choices) > 1 else choices[0]


def augment_transform(
    augment: Augment,
    image: Image,
    transform: Affine,
    rng: Rng,
    labels: NDArray[Any] | None = None,
    valid: Mask | None = None,
) -> tuple[Augmented, Affine]:
    """Change a georeferenced image; every pixel keeps its place on the ground.

    Args:
        augment: What may happen; without a distortion.
        image: ``(c, h, w)`` uint8.
        transform: From its pixel corners to coordinates on the ground.
        rng: Where chance comes from.
        labels: Class ids ``(h, w)`` of its pixels.
        valid: Which pixels are valid.

    Returns:
        The new image, with its labels, and its own transform.

    Raises:
        SamplesError: If the augmentation distorts, which no transform can express.
    """
    made = augment.apply(image, rng, valid, labels)
    if made.matrix is None:
        raise SamplesError(
            f"the augmentation {augment.text} holds warp, after which an image has no affine "
            "georeference; leave warp out"
        )
    return made, transform * made.matrix


def _step(word: str) -> tuple[str, float]:
    name, _, number = (part.strip().lower() for part in word.partition(":"))
    if name in SYMMETRIES and not number:
        return name, 0.0
    low, high = (MOVES | TONES).get(name, (None, None))
    if low is None or high is None:
        known = ", ".join((*SYMMETRIES, *MOVES, *TONES))
        raise SamplesError(
            f"there is no augmentation {word.strip()!r}; choose from {', '.join(PRESETS)}, "
            f"or from {known}"
        )
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SamplesError(
            f"the augmentation {name} takes a number from {low:g} to {high:g}, not {number!r}; "
            f"write for example {name}:{EXAMPLES.get(name, 0.1)}"
        )
    return name, value


def _moved(
    turned: list[Any], steps: tuple[tuple[str, float], ...], rng: Rng
) -> tuple[NDArray[Any], Mask, NDArray[Any] | None, Affine | None]:
    """Resample image, mask and labels once, along all that moves pixels."""
    image, mask, labels = turned
    height, width = image.shape[1:]
    matrix, shift = Affine.identity(), None
    for name, strength in steps:
        if name == "warp":
            shift = warping.distortion(rng, strength, height, width) if strength else None
        elif name in MOVES:
            matrix = matrix * _DRAWN[name](rng, strength, height, width)
    if matrix == Affine.identity() and shift is None:
        return image.copy(), mask.copy(), None if labels is None else labels.copy(), matrix
    places = warping.source_places(matrix, shift, height, width)
    made = np.clip(np.rint(warping.resample(image, places)), 0, 255).astype(np.uint8)
    taken = None if labels is None else warping.pick(labels, places)
    return made, warping.pick(mask, places), taken, matrix if shift is None else None


def _crop(rng: Rng, least: float, height: int, width: int) -> Affine:
    share = rng.uniform(least, 1.0)
    x, y = rng.uniform(0.0, 1.0 - share, 2) if share < 1 else (0.0, 0.0)
    return Affine.translation(x * width, y * height) * Affine.scale(share)


def _scale(rng: Rng, most: float, height: int, width: int) -> Affine:
    factor = (1.0 + most) ** rng.uniform(-1.0, 1.0)
    return warping.about_centre(Affine.scale(1.0 / factor), height, width)


def _shear(rng: Rng, most: float, height: int, width: int) -> Affine:
    x, y = rng.uniform(-most, most, 2)
    return warping.about_centre(Affine(1, x, 0, 0, 1, 0) * Affine(1, 0, 0, y, 1, 0), height, width)


_DRAWN: dict[str, Callable[[Rng, float, int, int], Affine]] = {
    "crop": _crop,
    "scale": _scale,
    "shear": _shear,
}


def _toned(image: NDArray[Any], steps: tuple[tuple[str, float], ...], rng: Rng) -> Image:
    """Change the values of pixels, in float32, and round them once."""
    tones = [(name, strength) for name, strength in steps if name in TONES]
    if not tones:
        return np.ascontiguousarray(image)
    work = image.astype(np.float32)
    for name, strength in tones:
        if name == "colour":
            work *= 1.0 + rng.uniform(-strength, strength, (len(work), 1, 1)).astype(np.float32)
        elif name == "brightness":
            work += np.float32(255.0 * rng.uniform(-strength, strength))
        elif name == "contrast":
            mean = work.mean(axis=(1, 2), keepdims=True)
            work = (work - mean) * np.float32(1.0 + rng.uniform(-strength, strength)) + mean
        else:
            spread = np.float32(255.0 * strength)
            work += spread * rng.standard_normal(work.shape, dtype=np.float32)
    return np.clip(np.rint(work), 0, 255).astype(np.uint8)
