"""A painted cube with labels of every kind as files, for the tests of studies and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from made_cubes import painted_cube

CRS = "EPSG:32633"
PLACE = Affine(30, 0, 364_000, 0, -30, 5_810_000)
NODATA = -9999.0
NAMES = ("corn", "grass", "oats", "woods")
TEXT = ",".join(f"{i}={name}" for i, name in enumerate(NAMES, start=1))
FIELD = 10
# Nothing is chosen for it, so it is quick.
SVM = "rbf-svm:C=10,gamma=scale"


@dataclass(frozen=True, eq=False)
class StudyFiles:
    """Files of a painted scene of 60 x 50 pixels, 10 bands and square fields of 10 x 10.

    Attributes:
        folder: Where they lie.
        values: The cube ``(rows, cols, bands)``, NaN in a corner of 6 x 8 pixels.
        ids: What is true ``(rows, cols)``, 1 to 4.
        waves: Wavelengths, nm.
    """

    folder: Path
    values: NDArray[np.float32]
    ids: NDArray[np.int32]
    waves: NDArray[np.float64]

    @property
    def cube(self) -> Path:
        """The cube as a GeoTIFF with wavelengths."""
        return self.folder / "cube.tif"

    @property
    def labels(self) -> Path:
        """Labels of all pixels, those of the corner too."""
        return self.folder / "labels.tif"

    @property
    def polygons(self) -> Path:
        """The inside of each field, with its class in the column ``kind``, in degrees."""
        return self.folder / "fields.gpkg"

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels with data."""
        return np.asarray(np.isfinite(self.values).all(axis=2))


def study_files(folder: Path, *, noise: float = 0.1, seed: int = 0) -> StudyFiles:
    """Paint a scene and write its files."""
    values, ids, waves = painted_cube(60, 50, 10, field=FIELD, noise=noise, seed=seed)
    values[:6, -8:] = np.nan
    made = StudyFiles(folder, values, ids, waves)
    write_cube(made.cube, values, waves)
    write_labels(made.labels, ids)
    _write_polygons(made.polygons, ids)
    return made


def write_cube(
    path: Path, values: NDArray[Any], waves: NDArray[Any] | None, place: Affine = PLACE
) -> Path:
    """Write a cube as a GeoTIFF; NaN becomes nodata."""
    stored = np.where(np.isfinite(values), values, NODATA).astype(np.float32)
    with rasterio.open(path, "w", **_profile(stored.shape, place), dtype="float32",
                       count=stored.shape[2], nodata=NODATA) as out:  # fmt: skip
        out.write(stored.transpose(2, 0, 1))
        for number, nm in enumerate(() if waves is None else waves, start=1):
            out.update_tags(number, wavelength=f"{nm:.2f}", wavelength_units="Nanometers")
    return path


def write_labels(
    path: Path, ids: NDArray[Any], place: Affine = PLACE, crs: str = CRS, dtype: str = "uint8"
) -> Path:
    """Write labels as a GeoTIFF, 0 where there are none."""
    profile = _profile(ids.shape, place) | {"crs": crs}
    with rasterio.open(path, "w", **profile, dtype=dtype, count=1) as out:
        out.write(ids.astype(dtype), 1)
    return path


def _profile(shape: tuple[int, ...], place: Affine) -> dict[str, Any]:
    size = {"height": shape[0], "width": shape[1]}
    return {"driver": "GTiff", "crs": CRS, "transform": place, "compress": "deflate", **size}


def _write_polygons(path: Path, ids: NDArray[Any]) -> None:
    import geopandas as gpd
    from shapely.geometry import box

    rows, cols = (n // FIELD for n in ids.shape)
    shapes, kinds = [], []
    for row in range(rows):
        for col in range(cols):
            left, top = PLACE @ (FIELD * col + 1, FIELD * row + 1)
            right, low = PLACE @ (FIELD * (col + 1) - 1, FIELD * (row + 1) - 1)
            shapes.append(box(left, low, right, top))
            kinds.append(NAMES[int(ids[FIELD * row, FIELD * col]) - 1])
    table = gpd.GeoDataFrame({"kind": kinds, "n": range(len(kinds))}, geometry=shapes, crs=CRS)
    table.to_crs("EPSG:4326").to_file(path)


def offline_text(path: Path) -> str:
    """Check that a page is well-formed and asks nothing of a network; return its text."""
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", page)
    assert "@import" not in page
    assert "default-src 'none'" in page
    root = ElementTree.fromstring(page.removeprefix("<!doctype html>\n"))
    assert any(item.tag.endswith("svg") for item in root.iter())
    return " ".join(" ".join(root.itertext()).split())
