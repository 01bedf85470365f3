"""The parts behind the page: descriptors, exemplars, places, the offline file's short vectors."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.cli.view import view
from terrapatch.errors import OutputError
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.viewer import save_static, space
from terrapatch.viewer.exemplars import exemplars
from terrapatch.viewer.files import FROZEN, LIVE, MODULES, page_file
from terrapatch.viewer.nearest import similarity
from terrapatch.viewer.place import describe, place
from terrapatch.viewer.sketch import sketch
from terrapatch.viewer.space import Space


@pytest.fixture(scope="module")
def held(clustered: Path) -> ClusterFolder:
    return ClusterFolder.open(clustered / "out")


def test_a_store_too_large_for_memory_gives_the_same(
    held: ClusterFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Space(held.features(), held.model)
    monkeypatch.setattr(space, "MOST_BYTES", 0)
    streamed = Space(held.features(), held.model)
    number = int(kept.numbers[7])
    np.testing.assert_allclose(similarity(kept, number), similarity(streamed, number), atol=1e-6)
    wanted = kept.numbers[[30, 3, 200, 4]]
    rows = streamed.rows(wanted)
    monkeypatch.setattr(space, "MOST_BYTES", len(kept.numbers) * kept.width * 2)
    halved = Space(held.features(), held.model)
    np.testing.assert_allclose(similarity(kept, number), similarity(halved, number), atol=1e-3)
    assert halved._kept is not None
    assert halved._kept.dtype == np.float16
    assert streamed._kept is None
    np.testing.assert_array_equal(kept.rows(wanted), rows)
    # They are what the model measures distances in.
    row, col = divmod(number, kept.shape[1])
    centre = held.model.centres[held.clusters_labels[row, col] - 1]
    far = np.linalg.norm(kept.rows(np.array([number]))[0] - centre)
    assert far == pytest.approx(held.distance[row, col], rel=1e-4)


def test_similarity_is_the_cosine(held: ClusterFolder) -> None:
    cells = Space(held.features(), held.model)
    asked, other = int(cells.numbers[10]), int(cells.numbers[77])
    a, b = cells.rows(np.array([asked, other])).astype(np.float64)
    scores = similarity(cells, asked)
    assert scores[other] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    assert scores[asked] == 1
    assert np.isnan(scores[held.clusters_labels.ravel() == 0]).all()


def test_exemplars_are_far_from_each_other(held: ClusterFolder) -> None:
    cells = Space(held.features(), held.model)
    chosen = exemplars(cells, held.clusters_labels, held.distance, 1, 10)
    rows = cells.rows(np.array(chosen)).astype(np.float64)
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    # What is chosen as different lies farther apart than what is chosen as typical.
    assert gaps[4:].min() > gaps[:4, :4].min()
    assert exemplars(cells, np.zeros((1, 4), np.uint8), held.distance, 1, 10) == []


def test_a_place_between_the_nodes_is_right() -> None:
    grid = GeoBox((4000, 6000), Affine(0.5, 0, 284_000, 0, -0.5, 2_109_000), "EPSG:32643")
    told = describe(grid)
    nodes = np.array(told["degrees"]["lon"]).reshape(17, 17)
    middle = place(grid, 4000 * 8.5 / 16, 6000 * 8.5 / 16)
    between = nodes[8:10, 8:10].mean()  # what the page computes in the middle of four nodes
    assert middle["lon"] == pytest.approx(between, abs=1e-8)  # a millimetre
    assert middle["x"] == 284_000 + 0.5 * 6000 * 8.5 / 16
    assert told["crs"].startswith("EPSG:32643")


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_a_scene_without_a_place_has_pixels_only(crs: str | None) -> None:
    grid = GeoBox((40, 60), Affine.identity(), crs)
    assert describe(grid)["degrees"] is None
    assert place(grid, 2, 3) == {"x": 3.0, "y": 2.0, "lon": None, "lat": None}


def test_short_vectors_give_nearly_the_cosines(held: ClusterFolder) -> None:
    cells = Space(held.features(), held.model)
    made = sketch(cells)
    count = cells.shape[0] * cells.shape[1]
    short = np.frombuffer(base64.b64decode(made["values"]), np.int8).reshape(count, made["width"])
    asked = int(cells.numbers[20])
    found = short.astype(float) @ short[asked] * made["scale"] ** 2
    exact = similarity(cells, asked)
    off = np.abs(found - exact)[cells.numbers]
    assert off.mean() < 0.02
    assert re.match(r"off by 0\.0\d\d on average", made["words"])


def test_an_older_file_is_kept_unless_it_may_go(clustered: Path, tmp_path: Path) -> None:
    target = tmp_path / "view.html"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"):
        save_static(clustered / "out", target)
    assert target.read_text(encoding="utf-8") == "mine"
    one = save_static(clustered / "out", target, overwrite=True).path.read_bytes()
    two = save_static(clustered / "out", target, overwrite=True).path.read_bytes()
    assert one == two
    with pytest.raises(OutputError, match=r"ends in \.html"):
        save_static(clustered / "out", tmp_path / "view.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["view.html"]


def test_modules_stand_after_those_they_import() -> None:
    seen: set[str] = set()
    for name in (*MODULES, FROZEN):
        text = page_file(name)[0].decode()
        imported = set(re.findall(r'^import [^;]* from "\./([\w.]+)";', text, re.MULTILINE))
        assert imported <= seen, name
        seen.add(name)
    for name in (*MODULES, LIVE, "page.css", "index.html"):
        text = page_file(name)[0].decode()
        assert not re.search(r"https?://", text), name  # nothing from elsewhere


def test_the_command_serves_and_ends_with_ctrl_c(clustered: Path) -> None:
    command = [sys.executable, "-c", _VIEW, str(clustered / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        told: dict[str, Any] = json.loads(running.stdout.readline())
        token = told["url"].split("#")[1]
        link = http.client.HTTPConnection("127.0.0.1", told["port"], timeout=20)
        link.request("GET", "/api/state", headers={"X-Terrapatch-Token": token})
        assert link.getresponse().status == 200
        link.close()
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0


# The command's own function, so that this does not hang on its registration.
_VIEW = """
import sys, typer
from terrapatch.cli.view import view
app = typer.Typer()
app.command()(view)
app(["--no-open", "--json", sys.argv[1]])
"""


def test_the_command_says_what_is_wrong(
    clustered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        view(clustered, open_browser=False)
    assert ended.value.exit_code == 2
    assert "holds no result of terrapatch cluster" in capsys.readouterr().err
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(typer.Exit) as ended:
            view(clustered / "out", port=port, open_browser=False)
    assert ended.value.exit_code == 2
    assert f"error: port {port} is in use by another program" in capsys.readouterr().err


def test_the_command_writes_the_offline_file(
    clustered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "view.html"
    view(clustered / "out", static=target, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["type"] == "result"
    assert told["bytes"] == target.stat().st_size
