"""Help is quick, loads nothing heavy, and every way in is the same program."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "rasterio", "xarray", "sklearn", "pandas", "matplotlib", "odc")
COMMANDS = (
    "",
    "doctor",
    "info",
    "embed",
    "cluster",
    "look",
    "name",
    "similar",
    "view",
    "apply",
    "change",
    "advise",
    "train",
    "evaluate",
    "classify",
    "finetune",
    "transfer",
    "smooth",
    "zones",
    "area",
    "area sample",
    "area estimate",
    "explain",
    "export",
    "demo",
    "backbones",
    "backbones list",
    "backbones show",
    "backbones get",
    "backbones pack",
    "backbones unpack",
    "backbones fit",
    "catalog",
    "catalog list",
    "catalog show",
    "catalog get",
    "catalog verify",
    "pixels",
    "pixels info",
    "pixels features",
    "pixels train",
    "pixels classify",
    "pixels evaluate",
    "pixels ladder",
)
CODE = """
import sys
sys.argv = ["terrapatch", *sys.argv[1:]]
from terrapatch.cli import main
try:
    main()
except SystemExit as ended:
    print("HEAVY", [m for m in {heavy!r} if m in sys.modules], "CODE", ended.code)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    code = CODE.format(heavy=HEAVY)
    args = [sys.executable, "-c", code, *command.split(), "--help"]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY [] CODE 0"
    assert "Usage: terrapatch" in done.stdout
    assert done.stderr == ""


def test_the_default_backbone_is_that_of_the_registry() -> None:
    import inspect

    from terrapatch.backbones import DEFAULT
    from terrapatch.cli.embed import embed

    assert inspect.signature(embed).parameters["backbone"].default == DEFAULT


def test_command_and_python_have_the_same_names() -> None:
    """What a command does, Python does in one call of the same name with the same options."""
    import inspect

    from terrapatch import cluster as cluster_call
    from terrapatch import embed as embed_call
    from terrapatch.cli.cluster import cluster
    from terrapatch.cli.embed import embed

    general = {"as_json", "quiet", "debug", "dry_run"}
    for command, call in ((embed, embed_call), (cluster, cluster_call)):
        options = set(inspect.signature(command).parameters) - general
        assert options == set(inspect.signature(call).parameters) - {"progress"}


def test_version(cli) -> None:
    from terrapatch import __version__

    assert cli("--version").out == f"terrapatch {__version__}\n"


def test_nothing_asked_shows_help_and_is_no_success(cli) -> None:
    run = cli()
    assert run.code == 2
    assert "Commands" in run.out
