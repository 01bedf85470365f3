"""The server of the page: whom it answers, what it serves, and what it writes."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("REQUIRE_BROWSER") != "1":
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from terrapatch.errors import LegendError, RecipeError, StoreError
from terrapatch.features import embed
from terrapatch.maps import ClassMap
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import cluster
from terrapatch.viewer import PageServer
from terrapatch.viewer.app import make_app
from terrapatch.viewer.errors import ViewError
from terrapatch.viewer.study import Study

PORT, TOKEN = 8123, "a-token"
HOME = f"http://127.0.0.1:{PORT}"
HELD = {"X-Terrapatch-Token": TOKEN}


def client_of(folder: Path, **headers: str) -> TestClient:
    app = make_app(Study(folder), TOKEN, PORT)
    return TestClient(app, base_url=HOME, headers=headers)


@pytest.fixture
def client(study_dir: Path) -> TestClient:
    return client_of(study_dir, **HELD)


def raw(port: int, path: str, **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
    """Ask without any tidying of the path, as an attacker would."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        link.putheader(name, value)
    link.endheaders()
    answer = link.getresponse()
    text = answer.read().decode("utf-8", "replace")
    link.close()
    return answer.status, text, answer.headers


def names_of(client: TestClient) -> tuple[list[dict[str, Any]], str]:
    study = client.get("/api/study").json()
    return study["names"], study["names_stamp"]


def files_in(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*"))}


DATA = ["/api/study", "/api/cells", "/api/cluster/1", "/api/cell/1/1", "/api/patch/1/1",
        "/api/similar/1/1", "/api/state", "/api/files", "/tiles/scene/0/0/0",
        "/files/clusters.csv"]  # fmt: skip


@pytest.mark.parametrize("path", DATA)
def test_data_need_the_token(study_dir: Path, path: str) -> None:
    assert client_of(study_dir, **HELD).get(path).status_code == 200
    for headers in ({}, {"X-Terrapatch-Token": "wrong"}, {"X-Terrapatch-Token": ""}):
        refused = client_of(study_dir, **headers).get(path)
        assert refused.status_code == 403
        assert "token of this page is missing or wrong" in refused.json()["error"]


def test_saving_needs_the_token(study_dir: Path) -> None:
    before = files_in(study_dir)
    body = {"names": [], "names_stamp": ""}
    assert client_of(study_dir).post("/api/names", json=body).status_code == 403
    assert files_in(study_dir) == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1", "127.0.0.1:80",
                                  "0.0.0.0:8123", "127.0.0.1.evil.example:8123"])  # fmt: skip
def test_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/static/page.js", "/api/study"):
        refused = client.get(path, headers={"Host": host})
        assert refused.status_code == 403
        assert "127.0.0.1 or localhost" in refused.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}",
                                    "http://127.0.0.1:9999", "http://localhost:8123"])  # fmt: skip
def test_a_foreign_origin_is_refused(client: TestClient, study_dir: Path, origin: str) -> None:
    before = files_in(study_dir)
    names, stamp = names_of(client)
    body = {"names": names, "names_stamp": stamp}
    refused = client.post("/api/names", json=body, headers={"Origin": origin})
    assert refused.status_code == 403
    assert origin in refused.json()["error"]
    assert client.get("/api/study", headers={"Origin": origin}).status_code == 403
    assert files_in(study_dir) == before
    assert client.get("/api/study", headers={"Origin": HOME}).status_code == 200


def test_a_form_of_another_page_cannot_save(client: TestClient, study_dir: Path) -> None:
    before = files_in(study_dir)
    sent = client.post("/api/names", content=b"{}", headers={"Content-Type": "text/plain"})
    assert sent.status_code == 415
    assert client.put("/api/names", json={}).status_code == 405
    assert files_in(study_dir) == before


def test_every_answer_carries_a_strict_policy(client: TestClient) -> None:
    for path in ("/", "/api/study", "/nothing"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_paths_out_of_the_folder_are_refused(
    study_dir: Path, serving: Callable[..., PageServer]
) -> None:
    secret = study_dir.parent / "secret.txt"
    secret.write_text("a secret", encoding="utf-8")
    (study_dir / "link.txt").symlink_to(secret)
    (study_dir / "linked").symlink_to(study_dir.parent)
    (study_dir / ".hidden").write_text("a secret", encoding="utf-8")
    server = serving(study_dir)
    held = {"X-Terrapatch-Token": server.token}
    paths = [
        "/files/../secret.txt", "/files/..%2fsecret.txt", "/files/%2e%2e/secret.txt",
        "/files/..%2f..%2f..%2f..%2fetc%2fpasswd", "/files//etc/passwd", "/files/%2fetc%2fpasswd",
        f"/files/{secret}", "/files/link.txt", "/files/linked/secret.txt", "/files/.hidden",
        "/files/model/../../secret.txt", "/files/..%5csecret.txt", "/files/clusters.csv%00.txt",
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2fetc%2fpasswd",
        "/..%2f..%2fetc/passwd",
        "/../secret.txt", "/static/leaflet/README.md", "/files/", "/tiles/scene/0/0/-1",
        "/tiles/scene/0/0/..%2f..",
    ]  # fmt: skip
    for path in paths:
        status, text, _ = raw(server.port, path, **held)
        assert status == 404, path
        assert "secret" not in text.replace("secret.txt", ""), path
        assert "root:" not in text, path
    assert raw(server.port, "/files/model/model.json", **held)[0] == 200
    listed = json.loads(raw(server.port, "/api/files", **held)[1])["files"]
    assert "clusters.tif" in listed
    assert not {"link.txt", "linked/secret.txt", ".hidden"} & set(listed)


def test_the_real_server_refuses_names_that_point_here(
    clustered: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(clustered / "out")
    held = {"X-Terrapatch-Token": server.token}
    assert raw(server.port, "/api/state", **held)[0] == 200
    assert raw(server.port, "/api/state", **held, Host="evil.example")[0] == 403
    assert raw(server.port, "/api/state", **held, Origin="http://evil.example")[0] == 403
    status, _, headers = raw(server.port, "/")
    assert status == 200
    assert "server" not in headers


def test_it_listens_on_the_loopback_only(
    clustered: Path, serving: Callable[..., PageServer]
) -> None:
    server = serving(clustered / "out")
    assert server._socket.getsockname()[0] == "127.0.0.1"
    other = "127.0.0.2"  # every other address of this machine: here one that always exists
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect((other, server.port))


def test_a_port_in_use_has_a_sentence(clustered: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ViewError, match=f"port {port} is in use by another program"):
            PageServer(clustered / "out", port=port)
    with pytest.raises(ViewError, match="70000 is no port"):
        PageServer(clustered / "out", port=70_000)


def test_the_page_is_told_what_is_there(client: TestClient, study_dir: Path) -> None:
    study = client.get("/api/study").json()
    folder = ClusterFolder.open(study_dir)
    assert study["grid"] == {"shape": [16, 24], "stride": [32, 32], "patch": [48, 48]}
    assert [c["cells"] for c in study["clusters"]] == folder.class_map.counts()[1:].tolist()
    assert study["metres"] == pytest.approx([0.5, 0.5], rel=1e-2)
    cells = client.get("/api/cells").content
    ids = np.frombuffer(cells[: 2 * 16 * 24], "<u2").reshape(16, 24)
    far = np.frombuffer(cells[2 * 16 * 24 :], "<f4").reshape(16, 24)
    np.testing.assert_array_equal(ids, folder.clusters_labels)
    np.testing.assert_array_equal(far, folder.distance)


def test_a_cell_is_told_with_its_like(client: TestClient, study_dir: Path) -> None:
    told = client.get("/api/cell/4/5").json()
    folder = ClusterFolder.open(study_dir)
    assert told["cluster"] == folder.clusters_labels[4, 5]
    assert told["x"] == 284_000 + 0.5 * 5.5 * 32
    assert told["y"] == 2_109_000 - 0.5 * 4.5 * 32
    assert (round(told["lon"]), round(told["lat"])) == (73, 19)
    scores = np.frombuffer(client.get("/api/similar/4/5").content, "<f4").reshape(16, 24)
    assert scores[4, 5] == 1
    others = [(o["row"], o["col"]) for o in told["nearest"]]
    assert [o["score"] for o in told["nearest"]] == sorted(
        (round(float(scores[o]), 4) for o in others), reverse=True
    )
    for row, col in others:  # patches of 48 pixels every 32 overlap their neighbours
        assert abs(row - 4) >= 2 or abs(col - 5) >= 2
    # The best of all cells that do not overlap it comes first.
    rows, cols = np.indices(scores.shape)
    free = (np.abs(rows - 4) >= 2) | (np.abs(cols - 5) >= 2)
    assert scores[others[0]] == np.nanmax(np.where(free, scores, np.nan))
    empty = np.argwhere(folder.clusters_labels == 0)[0]
    assert client.get(f"/api/cell/{empty[0]}/{empty[1]}").json()["nearest"] == []
    assert client.get(f"/api/similar/{empty[0]}/{empty[1]}").status_code == 404
    assert client.get("/api/cell/16/0").status_code == 404


def test_cells_beside_the_cluster_that_was_looked_into(study_dir: Path, tmp_path: Path) -> None:
    cluster(study_dir.parent / "f.zarr", tmp_path / "in", 2, within=study_dir, id=1, report=False)
    whole = client_of(study_dir, **HELD).get("/api/study").json()
    client = client_of(tmp_path / "in", **HELD)
    labels = ClusterFolder.open(tmp_path / "in").clusters_labels
    assert (whole["partial"], client.get("/api/study").json()["partial"]) == (False, True)
    row, col = np.argwhere(labels == 1)[0]
    scores = client.get(f"/api/similar/{row}/{col}").content
    known = np.isfinite(np.frombuffer(scores, "<f4").reshape(labels.shape))
    np.testing.assert_array_equal(known, labels > 0)
    nearest = client.get(f"/api/cell/{row}/{col}").json()["nearest"]
    assert nearest
    assert all(other["cluster"] > 0 for other in nearest)
    there = ClusterFolder.open(study_dir).clusters_labels
    row, col = np.argwhere((labels == 0) & (there > 0))[0]
    told = client.get(f"/api/cell/{row}/{col}").json()
    assert (told["cluster"], told["nearest"]) == (0, [])
    refused = client.get(f"/api/similar/{row}/{col}")
    assert refused.status_code == 404
    assert "in none of these clusters" in refused.json()["error"]


def test_exemplars_begin_with_the_most_typical(client: TestClient, study_dir: Path) -> None:
    folder = ClusterFolder.open(study_dir)
    told = client.get("/api/cluster/2").json()["exemplars"]
    assert len({(cell["row"], cell["col"]) for cell in told}) == len(told) == 12
    assert {cell["cluster"] for cell in told} == {2}
    nearest = np.sort(folder.distance[folder.clusters_labels == 2])[:4]
    assert [cell["distance"] for cell in told[:4]] == pytest.approx(nearest.tolist(), abs=1e-4)
    assert told == client.get("/api/cluster/2").json()["exemplars"]
    assert "ids run from 1 to 5" in client.get("/api/cluster/6").json()["error"]


def test_save_writes_names_and_the_named_map(client: TestClient, study_dir: Path) -> None:
    raw_map = (study_dir / "clusters.tif").read_bytes()
    names, stamp = names_of(client)
    names[0]["name"], names[1]["name"] = "Water, open", "Informal settlement"
    names[0]["colour"], names[3]["merge_into"] = "#0000ff", 2
    saved = client.post("/api/names", json={"names": names, "names_stamp": stamp})
    assert saved.status_code == 200, saved.text
    assert {"named.tif", "names.csv"} <= set(saved.json()["files"])
    assert saved.json()["names"] == names
    held = ClusterFolder.open(study_dir)
    assert [e.name for e in held.names.entries] == [
        "Water, open",
        "Informal settlement",
        "",
        "",
        "",
    ]
    named = ClassMap.open(study_dir / "named.tif")
    merged = np.isin(held.clusters_labels, (2, 4))
    informal = next(e for e in named.legend if e.name == "Informal settlement")
    np.testing.assert_array_equal(named.values == informal.id, merged)
    assert next(e for e in named.legend if e.name == "Water, open").colour == "#0000ff"
    assert (study_dir / "clusters.tif").read_bytes() == raw_map
    # The page goes on with the new stamp, and saves again.
    names[2]["name"] = "Trees"
    stamp = saved.json()["names_stamp"]
    again = client.post("/api/names", json={"names": names, "names_stamp": stamp})
    assert again.status_code == 200, again.text


def _circle(names: list[dict[str, Any]]) -> None:
    names[0]["merge_into"], names[1]["merge_into"] = 2, 1


def _unknown(names: list[dict[str, Any]]) -> None:
    names[0]["merge_into"] = 99


def _twins(names: list[dict[str, Any]]) -> None:
    names[0]["name"] = names[1]["name"] = "Housing"


def _colour(names: list[dict[str, Any]]) -> None:
    names[0]["colour"] = "blue"


def _strange(names: list[dict[str, Any]]) -> None:
    names[0]["id"] = {"a": 1}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_circle, "in a circle"),
        (_unknown, "there is no cluster 99"),
        (_twins, "both called 'Housing'"),
        (_colour, "has colour 'blue'"),
        (_strange, "which is no id"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(
    client: TestClient, study_dir: Path, spoil: Callable[[Any], None], sentence: str
) -> None:
    before = files_in(study_dir)
    names, stamp = names_of(client)
    spoil(names)
    refused = client.post("/api/names", json={"names": names, "names_stamp": stamp})
    assert refused.status_code == 400
    assert sentence in refused.json()["error"]
    assert files_in(study_dir) == before


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"names": 3, "names_stamp": ""}',
        b'{"names": [3], "names_stamp": ""}',
    ],
)
def test_what_is_no_table_is_refused(client: TestClient, study_dir: Path, body: bytes) -> None:
    before = files_in(study_dir)
    sent = client.post("/api/names", content=body, headers={"Content-Type": "application/json"})
    assert sent.status_code == 400
    assert "reload the page" in sent.json()["error"]
    assert files_in(study_dir) == before


def test_names_changed_by_another_hand_are_not_overwritten(
    client: TestClient, study_dir: Path
) -> None:
    names, stamp = names_of(client)
    theirs = "id,name,colour,merge_into\n1,Theirs,,\n"
    (study_dir / "names.csv").write_text(theirs, encoding="utf-8")
    names[0]["name"] = "Mine"
    refused = client.post("/api/names", json={"names": names, "names_stamp": stamp})
    assert refused.status_code == 409
    assert "names.csv was changed by something else" in refused.json()["error"]
    assert (study_dir / "names.csv").read_text(encoding="utf-8") == theirs
    assert client.get("/api/state").json()["names_stamp"] != stamp


def test_a_store_that_changed_under_the_page_has_a_sentence(
    client: TestClient, study_dir: Path
) -> None:
    home = study_dir.parent
    names, stamp = names_of(client)
    embed(home / "scene.tif", home / "f.zarr", size=64, stride=32, backbone="imagestats",
          overwrite=True)  # fmt: skip
    for answer in (
        client.get("/api/cell/1/1"),
        client.get("/api/state"),
        client.post("/api/names", json={"names": names, "names_stamp": stamp}),
    ):
        assert answer.status_code == 409
        assert answer.json()["stale"] is True
        assert "have changed since the clusters" in answer.json()["error"]


def test_the_same_store_made_again_is_fine(client: TestClient, study_dir: Path) -> None:
    home = study_dir.parent
    before = client.get("/api/cell/3/3").json()
    embed(home / "scene.tif", home / "f.zarr", size=48, stride=32, backbone="imagestats",
          overwrite=True)  # fmt: skip
    assert client.get("/api/cell/3/3").json() == before


def test_clusters_that_changed_under_the_page_have_a_sentence(
    client: TestClient, study_dir: Path
) -> None:
    os.utime(study_dir / "clusters.tif", ns=(1, 1))
    answer = client.get("/api/study")
    assert answer.status_code == 409
    assert "start it again" in answer.json()["error"]


def test_folders_that_cannot_be_shown_have_a_sentence(study_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="holds no result of terrapatch cluster"):
        PageServer(tmp_path / "empty")
    with pytest.raises(RecipeError, match="is not there"):
        PageServer(tmp_path / "nowhere")
    bad = "id,name,colour,merge_into\n1,A,,\n9,B,,\n"
    (study_dir / "names.csv").write_text(bad, encoding="utf-8")
    with pytest.raises(LegendError, match="line 3: there is no cluster 9"):
        PageServer(study_dir)
    twins = "id,name,colour,merge_into\n1,A,,\n2,A,,\n"
    (study_dir / "names.csv").write_text(twins, encoding="utf-8")
    with pytest.raises(LegendError, match="both called 'A'"):
        PageServer(study_dir)
    (study_dir / "names.csv").unlink()
    (study_dir.parent / "f.zarr").rename(study_dir.parent / "g.zarr")
    with pytest.raises(StoreError, match="are no longer at"):
        PageServer(study_dir)


def test_a_scene_that_is_gone_leaves_the_clusters(study_dir: Path) -> None:
    (study_dir.parent / "scene.tif").unlink()
    client = client_of(study_dir, **HELD)
    study = client.get("/api/study").json()
    assert study["scene"] is None
    assert "no longer at" in study["notes"][0]
    assert client.get("/api/cell/3/3").status_code == 200
    for path in ("/api/patch/3/3", "/tiles/scene/0/0/0"):
        assert client.get(path).status_code == 404
