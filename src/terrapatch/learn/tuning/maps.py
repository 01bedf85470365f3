"""What frozen stages give of every image, kept on the disk: only the rest is computed anew.

With frozen stages an image costs the same work in every epoch up to the cut. As long as
it comes in few versions (as it is, or in its eight turns) the maps at the cut are made
once, as float16, and read back through a memory map. They are made image by image in
a fixed order, so a killed run goes on where it stopped and the numbers stay the same.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import OutputError, writing
from terrapatch.learn.tuning._warping import turn
from terrapatch.learn.tuning.files import put
from terrapatch.learn.tuning.images import Images

log = logging.getLogger("terrapatch")

Progress = Callable[[str, int, int], None]
Compute = Callable[[list[NDArray[Any]]], torch.Tensor]

# Images that go through the frozen stages at once, and after how many it is noted.
BLOCK = 32
NOTED = 8 * BLOCK
LARGEST = 65504.0


def map_bytes(images: int, versions: int, shape: Sequence[int]) -> int:
    """Return the bytes of the maps of so many images."""
    return 2 * images * versions * int(np.prod(shape))


class Maps:
    """Maps of images in several versions, as a file.

    Args:
        folder: Where the file is.
        name: What it is called.
        images: The images.
        turns: The versions of each: its turns (see ``turn``).
        shape: Shape of one map.
        key: What decides the numbers; a file with another is made anew.

    Raises:
        OutputError: If the disk has no room for it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        images: Images,
        turns: Sequence[int],
        shape: Sequence[int],
        key: str,
    ) -> None:
        """Open the file, or begin it."""
        self._path, self._note = folder / f"{name}.npy", folder / f"{name}.json"
        self._images, self._turns, self._key = images, tuple(turns), key
        full = (len(images), len(self._turns), *shape)
        self._done = self._found(full)
        if self._done == 0:
            need = map_bytes(len(images), len(turns), shape)
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                self._note.unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)
                if shutil.disk_usage(folder).free < need:
                    raise OutputError(
                        f"the feature maps of {len(images)} images need {need >> 20} MiB in "
                        f"{folder}, which the disk does not have; free some space, choose another "
                        "folder, or pass cache_bytes=0 to compute them in every epoch"
                    )
                np.lib.format.open_memmap(self._path, "w+", np.float16, full).flush()
        self._array = np.lib.format.open_memmap(self._path, "r+")

    def fill(self, compute: Compute, progress: Progress | None = None) -> None:
        """Make the maps that are not there yet.

        Args:
            compute: Gives the maps of square images ``(n, *shape)``.
            progress: Called with ``("maps", images done, images in all)``.
        """
        total = len(self._images)
        for start in range(self._done, total, BLOCK):
            places = range(start, min(start + BLOCK, total))
            images = [self._images[i] for i in places]
            for column, which in enumerate(self._turns):
                made = compute([turn(image, which) for image in images])
                flat = made.float().clamp(-LARGEST, LARGEST).cpu().numpy()
                with writing(self._path):
                    self._array[places.start : places.stop, column] = flat
            if places.stop == total or places.stop % NOTED == 0:
                self._array.flush()
                put(self._note, json.dumps({"key": self._key, "done": places.stop}).encode())
            if progress is not None:
                progress("maps", places.stop, total)

    def take(self, places: ArrayLike, columns: Sequence[int]) -> torch.Tensor:
        """Return maps ``(n, *shape)`` float32: of each image, the version in that column."""
        picked = self._array[np.asarray(places), np.asarray(columns)]
        return torch.from_numpy(np.asarray(picked, np.float32))

    def remove(self) -> None:
        """Delete the file."""
        del self._array
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _found(self, full: tuple[int, ...]) -> int:
        """Return how many images a file of the same key holds."""
        try:
            note = json.loads(self._note.read_bytes())
            there = np.load(self._path, mmap_mode="r", allow_pickle=False)
            fits = note["key"] == self._key and there.shape == full and there.dtype == np.float16
            return int(note["done"]) if fits and 0 <= note["done"] <= len(self._images) else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0
