"""``terrapatch apply`` and ``terrapatch change``, as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from terrapatch.studies.painted import paint

Cli = Callable[..., "object"]


@pytest.fixture
def dates(cli: Cli) -> None:
    """Two painted dates, their features, and named clusters ``c`` of the first."""
    for seed, stem in ((0, "one"), (1, "two")):
        paint(Path(f"{stem}.tif"), seed=seed, size=(512, 512))
        run = cli(
            "embed", f"{stem}.tif", "-o", f"{stem}.zarr", "--size", "32", "--backbone",
            "imagestats",
        )  # fmt: skip
        assert run.code == 0, run.err
    run = cli("cluster", "one.zarr", "-k", "3", "-o", "c", "--scene", "one.tif", "--no-report")
    assert run.code == 0, run.err
    assert cli("name", "c", "--set", "1=Town").code == 0


@pytest.mark.usefixtures("dates")
def test_apply_then_change(cli: Cli) -> None:
    for stem, out in (("one", "a"), ("two", "b")):
        run = cli("apply", "c", f"{stem}.zarr", "-o", out, "--json")
        assert run.code == 0, run.err
        assert run.result["classes"][-1]["name"] == "unlike anything seen"
    assert run.result["unlike"]["quantile"] == 0.99
    run = cli("change", "a", "b", "-o", "ch", "--offline")
    assert run.code == 0, run.err
    assert "Noise floor: " in run.out
    assert Path("ch/change.tif").is_file()
    again = cli("change", "a", "b", "-o", "ch")
    assert again.code == 2
    assert "pass --overwrite" in again.err
    run = cli("change", "a", "b", "-o", "ch", "--overwrite", "--no-noise", "--json")
    assert run.result["noise_share"] is None
    assert sum(c["cells"] for c in run.result["changes"]) == run.result["changed"]


@pytest.mark.usefixtures("dates")
def test_bad_input_is_one_sentence(cli: Cli) -> None:
    for args, said in (
        (("apply", "none", "one.zarr", "-o", "a"), "the folder none is not there"),
        (("apply", "c", "one.zarr", "-o", "a", "--quantile", "99"), "the quantile is 99"),
        (("change", "one.zarr", "two.zarr", "-o", "ch"), "name the folder of clusters"),
        (("change", "c", "none.tif", "-o", "ch"), "there is no map at none.tif"),
    ):
        run = cli(*args)
        assert run.code == 2
        assert said in run.err
        assert run.err.count("\n") == 1
    assert not Path("a").exists()
    assert not Path("ch").exists()
