"""Every notebook runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

# What each prints where its work is done.
PRINTED = {
    "classification": "there_classes.tif",
    "mumbai": "counted on the map: ",
    "pixels": "found on all other pixels: ",
    "settlements": "clusters/clusters.tif",
}
# Those that need the real scenes.
REAL = {"mumbai": ("mumbai", "mumbai_g1_1_rgb.tif")}
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path: Path, tmp_path: Path, data_dir, monkeypatch) -> None:
    if path.stem in REAL:
        monkeypatch.setenv("TERRAPATCH_DATA", str(data_dir(*REAL[path.stem]).parents[1]))
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    assert not any(c.get("outputs") for c in notebook.cells), "commit notebooks without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    printed = "".join(
        o.get("text", "") for c in notebook.cells for o in c.get("outputs", []) if "text" in o
    )
    assert PRINTED[path.stem] in printed


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
