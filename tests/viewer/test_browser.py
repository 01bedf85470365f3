"""A person's path through the page, in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

if os.environ.get("REQUIRE_BROWSER") != "1":
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")

import terrapatch as tp
from qgis_client import ask_qgis, require_qgis
from terrapatch.maps import ClassMap
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import cluster as run_cluster
from terrapatch.viewer import PageServer, save_static

pytestmark = pytest.mark.browser

PATIENCE = 20_000


class Watch:
    """What a page asked for, and what it complained of."""

    def __init__(self, page: Any) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda fault: self.complaints.append(str(fault)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def foreign(self, port: int | None) -> list[str]:
        """Requests to anywhere but this port of 127.0.0.1."""
        real = [url for url in self.asked if not url.startswith(("data:", "blob:"))]
        return [url for url in real if urlsplit(url).netloc != f"127.0.0.1:{port}"]


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def opened(page: Any, url: str) -> Watch:
    watch = Watch(page)
    page.goto(url)
    page.wait_for_selector("body.ready")
    return watch


def lines(page: Any) -> list[str]:
    """The names in the list of clusters, from the top."""
    return [
        page.evaluate("e => e.querySelector('.name').firstChild.textContent", line)
        for line in page.query_selector_all("#legend .pick")
    ]


def pick(page: Any, name: str) -> None:
    page.locator(f'#legend .pick[aria-label^="{name},"]').click()


def name_it(page: Any, old: str, new: str) -> None:
    pick(page, old)
    page.get_by_role("button", name="Name …").click()
    page.get_by_label(f"Name of {old}").fill(new)
    page.keyboard.press("Enter")


def saved(page: Any) -> None:
    page.get_by_role("button", name="Save").click()
    page.wait_for_function(
        "() => document.getElementById('toast').textContent.startsWith('Saved:')"
    )


def banner(page: Any, words: str) -> str:
    page.wait_for_function(
        "w => document.getElementById('banner-text').textContent.includes(w)", arg=words
    )
    return str(page.locator("#banner-text").text_content())


def test_look_name_merge_undo_redo_save(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(study_dir)
    watch = opened(page, server.url)
    assert lines(page) == [f"Cluster {i}" for i in range(1, 6)]
    # Imagery is there: a tile was drawn.
    page.wait_for_function("() => document.querySelector('.leaflet-tile img')?.naturalWidth > 0")
    # Look at a cluster: twelve patches to know it by, its outline, its size.
    pick(page, "Cluster 3")
    page.wait_for_function(
        "() => document.querySelectorAll('#cluster .patch img[src]').length === 12"
    )
    folder = ClusterFolder.open(study_dir)
    cells = int(folder.class_map.counts()[3])
    assert page.locator("#cluster .facts dd").first.text_content() == f"{cells:,}"
    # Name two, merge two.
    name_it(page, "Cluster 3", "Informal settlement")
    name_it(page, "Cluster 1", "Water")
    pick(page, "Cluster 4")
    page.get_by_role("button", name="Merge into …").click()
    page.locator("#merge-list button", has_text="Informal settlement").click()
    assert sorted(lines(page)) == ["Cluster 2", "Cluster 5", "Informal settlement", "Water"]
    # Undo brings it back, redo takes it away again.
    page.get_by_role("button", name="Undo").click()
    assert "Cluster 4" in lines(page)
    page.keyboard.press("Control+Shift+Z")
    assert "Cluster 4" not in lines(page)
    assert page.locator("#unsaved").is_visible()
    saved(page)
    assert not page.locator("#unsaved").is_visible()
    named = ClassMap.open(study_dir / "named.tif")
    assert {e.name for e in named.legend} == {
        "Informal settlement",
        "Water",
        "Cluster 2",
        "Cluster 5",
    }
    informal = next(e.id for e in named.legend if e.name == "Informal settlement")
    merged = np.isin(folder.clusters_labels, (3, 4))
    np.testing.assert_array_equal(named.values == informal, merged)
    assert watch.complaints == []
    assert watch.foreign(server.port) == []
    assert any("/api/names" in url for url in watch.asked)
    # What was saved is there when the page is opened again.
    page.reload()
    page.wait_for_selector("body.ready")
    assert "Informal settlement" in lines(page)


def test_a_click_on_the_map_tells_of_the_cell_and_its_like(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(study_dir)
    watch = opened(page, server.url)
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.wait_for_function("() => document.querySelectorAll('#cell .patches .patch').length === 8")
    told = page.locator("#cell .cell-facts").text_content()
    row, col = (int(n) for n in re.search(r"Row, column(\d+), (\d+)", told).groups())
    cluster = int(ClusterFolder.open(study_dir).clusters_labels[row, col])
    assert f"Cluster {cluster}" in told
    assert "EPSG:32643" in told
    assert "° N" in told
    page.get_by_role("button", name="Show what is similar to this").click()
    page.wait_for_function("() => !document.getElementById('ramp').hidden")
    assert page.locator("#ramp-word").text_content() == f"like row {row}, column {col}"
    page.locator("#cell .patches .patch").first.click()
    page.wait_for_function(
        "t => document.querySelector('#cell .cell-facts')?.textContent !== t", arg=told
    )
    page.keyboard.press("Escape")
    assert page.locator("#ramp").is_hidden()
    assert watch.complaints == []
    assert watch.foreign(server.port) == []


@pytest.mark.parametrize("offline", [False, True])
def test_cells_beside_the_cluster_that_was_looked_into(
    page: Any, study_dir: Path, serving: Callable[..., PageServer], offline: bool
) -> None:
    inner = study_dir.parent / "in"
    run_cluster(study_dir.parent / "f.zarr", inner, 2, within=study_dir, id=1, report=False)
    labels = ClusterFolder.open(inner).clusters_labels
    made = save_static(inner, inner.parent / "in.html").path if offline else None
    watch = opened(page, made.as_uri() if made else serving(inner).url)
    box, seen = page.locator("#map").bounding_box(), set()
    for across, down in ((x / 10, y / 10) for x in range(3, 8) for y in (4, 5, 6)):
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        words = page.locator("#pointer").text_content()
        row, col = (int(n) for n in re.search(r"row (\d+), column (\d+)", words).groups())
        id = int(labels[row, col])
        assert f"  ·  Cluster {id}  ·  " in words if id else words.endswith("in no cluster")
        if id in seen:
            continue
        seen.add(id)
        page.mouse.down()
        page.mouse.up()
        told = f"Row {row}, column {col}: in none of these" if not id else f"{row}, {col}"
        page.wait_for_function(
            "t => document.getElementById('cell').textContent.includes(t)", arg=told
        )
        last = id
        if len(seen) > 1 and last == 0:
            break
    assert (last, len(seen) > 1) == (0, True)
    page.keyboard.press("s")
    assert "so nothing can be compared with it" in banner(page, "nothing can be compared")
    assert [line for line in watch.complaints if "404" not in line] == []


def test_names_are_given_by_keyboard_alone(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(study_dir)
    watch = opened(page, server.url)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('pick')"):
            break
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.id") == "2"
    page.keyboard.press("e")
    page.keyboard.type("Trees e m s ?")  # letters that are keys elsewhere
    page.keyboard.press("Enter")
    assert lines(page)[1] == "Trees e m s ?"
    assert page.evaluate("document.activeElement.dataset.id") == "2"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    assert page.evaluate("document.activeElement.textContent").startswith("Trees")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert len(lines(page)) == 4
    page.keyboard.press("Control+z")
    assert len(lines(page)) == 5
    page.keyboard.press("Control+s")
    page.wait_for_function(
        "() => document.getElementById('toast').textContent.startsWith('Saved:')"
    )
    entry = ClusterFolder.open(study_dir).names[2]
    assert (entry.name, entry.merge_into) == ("Trees e m s ?", None)
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help-dialog").is_hidden()
    # The map: Enter picks the cell in the middle.
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#cell .cell-facts")
    assert watch.complaints == []


def test_a_name_that_is_taken_offers_the_merge(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    opened(page, serving(study_dir).url)
    name_it(page, "Cluster 1", "Housing")
    name_it(page, "Cluster 2", "Housing")
    assert "called “Housing” already" in page.locator("#legend .taken").text_content()
    assert len(lines(page)) == 4  # the field stands in the place of a line
    page.get_by_role("button", name="Merge into it").click()
    saved(page)
    assert ClusterFolder.open(study_dir).names[2].merge_into == 1


def test_saving_says_that_the_report_is_older(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    (study_dir / "report.html").write_text("an older report")
    opened(page, serving(study_dir).url)
    name_it(page, "Cluster 2", "Water")
    saved(page)
    assert "still shows the names as they were" in str(page.locator("#toast").text_content())


def test_another_colour_reaches_the_map_that_is_saved(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    opened(page, serving(study_dir).url)
    page.locator("#legend .swatch").nth(1).fill("#123456")
    saved(page)
    named = ClassMap.open(study_dir / "named.tif")
    assert next(e for e in named.legend if e.name == "Cluster 2").colour == "#123456"


def test_what_is_wrong_is_said_plainly(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(study_dir)
    opened(page, server.url)
    name_it(page, "Cluster 1", "Mine")
    theirs = "id,name,colour,merge_into\n1,Theirs,,\n"
    (study_dir / "names.csv").write_text(theirs, encoding="utf-8")
    page.get_by_role("button", name="Save").click()
    assert "names.csv was changed by something else" in banner(page, "Not saved")
    assert (study_dir / "names.csv").read_text(encoding="utf-8") == theirs
    assert lines(page)[0] == "Mine"  # nothing is lost
    server.stop()
    page.get_by_role("button", name="Save").click()
    assert "terrapatch view was stopped" in banner(page, "The server of this page is gone")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download names.csv").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("1,Mine,#")


def test_without_the_scene_there_are_still_clusters_and_a_sentence(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    (study_dir.parent / "scene.tif").unlink()
    watch = opened(page, serving(study_dir).url)
    assert "is no longer at" in banner(page, "The scene is not shown")
    assert len(lines(page)) == 5
    assert page.locator("#imagery").is_disabled()
    assert watch.complaints == []


def test_a_tile_that_cannot_be_read_has_its_sentence(
    page: Any, study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(study_dir)
    scene = study_dir.parent / "scene.tif"
    data = bytearray(scene.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 9000] = bytes(9000)
    scene.write_bytes(data)  # damaged while the page's server runs
    opened(page, server.url)
    assert "cannot be decoded" in banner(page, "scene.tif is damaged")


def test_an_address_without_the_token_says_so(
    page: Any, clustered: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(clustered / "out")
    page.goto(server.url.split("#")[0])
    banner(page, "This address has no token")
    page.goto("about:blank")
    page.goto(server.url + "x")
    banner(page, "token of this page is missing or wrong")


def test_the_page_of_another_site_gets_nothing(
    page: Any, clustered: Path, serving: Callable[..., PageServer]
) -> None:
    server, other = serving(clustered / "out"), serving(clustered / "out")
    page.goto(other.url.split("#")[0])  # another origin, with another token
    script = """async ([url, token]) => {
        try { return (await fetch(url, {headers: {"X-Terrapatch-Token": token}})).status; }
        catch (fault) { return "refused"; }
    }"""
    assert page.evaluate(script, [f"http://127.0.0.1:{server.port}/api/study", server.token]) == (
        "refused"
    )


def test_the_offline_file_opens_without_any_request(
    page: Any, clustered: Path, tmp_path: Path
) -> None:
    made = save_static(clustered / "out", tmp_path / "view.html")
    page.context.set_offline(True)
    watch = opened(page, made.path.as_uri())
    name_it(page, "Cluster 2", 'Trees, "tall"')
    page.wait_for_function(
        "() => document.querySelectorAll('#cluster .patch img[src]').length === 12"
    )
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.wait_for_function("() => document.querySelectorAll('#cell .patches .patch').length === 8")
    page.keyboard.press("s")
    page.wait_for_function("() => !document.getElementById('ramp').hidden")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download names.csv").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith('2,"Trees, ""tall""",#')
    watch.asked.remove(made.path.as_uri())
    assert watch.foreign(None) == []
    assert watch.complaints == []


def test_a_notebook_shows_the_page_in_a_frame(page: Any, clustered: Path, tmp_path: Path) -> None:
    from terrapatch.viewer import view

    with view(clustered / "out", height=500) as shown, socket.socket() as probe:
        frame = shown._repr_html_()
        probe.connect(("127.0.0.1", shown._server.port))
        # A notebook is a page of this machine's loopback on another port.
        with _notebook(frame) as address:
            page.goto(address)
            inner = page.frame_locator("iframe")
            inner.locator("#legend .pick").first.wait_for()
            assert inner.locator("#legend .pick").count() == 5
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", shown._server.port))


def _notebook(body: str) -> Any:
    import contextlib
    import http.server
    import threading

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return

    @contextlib.contextmanager
    def running() -> Iterator[str]:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        server.server_close()

    return running()


def test_the_offline_file_holds_what_the_server_says(clustered: Path, tmp_path: Path) -> None:
    made = save_static(clustered / "out", tmp_path / "view.html")
    text = made.path.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["study"]["grid"]["shape"] == [16, 24]
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in text
    assert made.size == made.path.stat().st_size


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.qgis
def test_mumbai_from_the_page_to_a_classifier_and_to_qgis(
    page: Any, data_dir: Callable[..., Path], tmp_path: Path, serving: Callable[..., PageServer]
) -> None:
    require_qgis()
    scene = data_dir("mumbai", "mumbai_g1_1_rgb.tif")
    features = tp.embed(scene, tmp_path / "g1.zarr", size="60m")
    tp.cluster(features, tmp_path / "g1", k=12, scene=scene, report=False)
    server = serving(tmp_path / "g1")
    watch = opened(page, server.url)
    pick(page, "Cluster 2")
    page.wait_for_function(
        "() => document.querySelectorAll('#cluster .patch img[src]').length === 12"
    )
    name_it(page, "Cluster 2", "Dense settlement")
    name_it(page, "Cluster 8", "Water")
    for name in ("Cluster 6", "Cluster 5"):
        pick(page, name)
        page.get_by_role("button", name="Merge into …").click()
        page.locator("#merge-list button", has_text="Dense settlement").click()
    page.get_by_role("button", name="Undo").click()
    assert "Cluster 5" in lines(page)
    assert "Cluster 6" not in lines(page)
    saved(page)
    assert watch.complaints == []
    assert watch.foreign(server.port) == []

    made = tp.ClassMap.open(tmp_path / "g1" / "named.tif")
    raw = ClusterFolder.open(tmp_path / "g1").clusters_labels
    dense = made.legend.names.index("Dense settlement") + 1
    np.testing.assert_array_equal(made.values == dense, np.isin(raw, (2, 6)))
    trained = tp.train(
        tmp_path / "g1" / "samples.tif", tmp_path / "m", features=[features], folds=3, head="ridge"
    )
    assert set(trained.samples.classes) == {"Dense settlement", "Water"}
    assert trained.model.legend.colours == tuple(
        made.legend[made.legend.names.index(name) + 1].colour for name in trained.samples.classes
    )
    shutil.copytree(tmp_path / "g1", tmp_path / "copy")
    (shown,) = ask_qgis([{"path": str(tmp_path / "copy" / "named.tif")}])
    assert shown["classes"] == [[e.id, e.name, e.colour, 255] for e in made.legend]
    assert shown["authid"] == "EPSG:32643"
