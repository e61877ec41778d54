"""What a Lab reads from Rucio: scopes, containers, datasets, files and replicas (PostgreSQL)."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest

from testbed.rucio import BIG, BIG_FILES, DEMO, DISK_PORT, ODD, in_path

if TYPE_CHECKING:
    from testbed.rucio import RucioServer

CONTAINER = "/ZMuMu/Simulated/CONTAINER"


def test_scopes_are_those_of_the_demo(rucio_server: RucioServer) -> None:
    assert sorted(rucio_server.get("/scopes/").json) == ["atlas", "cms", "open"]


def test_collections_are_found_with_their_sizes_when_names_begin_with_a_slash(
    rucio_server: RucioServer,
) -> None:
    rows = rucio_server.get("/dids/cms/dids/search?type=collection&name=/ZMuMu*&long=1").rows
    found = {row["name"]: (row["did_type"], row["length"]) for row in rows}
    assert found == {
        CONTAINER: ("CONTAINER", 4),
        "/ZMuMu/Simulated/BLOCK-1": ("DATASET", 2),
        "/ZMuMu/Simulated/BLOCK-2": ("DATASET", 2),
    }
    assert all(row["bytes"] > 0 for row in rows)


def test_datasets_come_when_the_container_is_opened(rucio_server: RucioServer) -> None:
    rows = rucio_server.get(f"/dids/cms/{in_path(CONTAINER)}/dids").rows
    assert [(row["name"], row["type"]) for row in rows] == [
        ("/ZMuMu/Simulated/BLOCK-1", "DATASET"),
        ("/ZMuMu/Simulated/BLOCK-2", "DATASET"),
    ]


@pytest.mark.parametrize("scope", sorted(DEMO))
def test_files_are_those_of_the_store_when_a_container_is_listed(
    rucio_server: RucioServer, scope: str
) -> None:
    rows = rucio_server.get(f"/dids/{scope}/{in_path(CONTAINER)}/files").rows
    assert sorted(row["name"] for row in rows) == DEMO[scope]
    for row in rows:
        path = rucio_server.settings.store / row["name"].removeprefix("/store/")
        assert row["bytes"] == path.stat().st_size
        assert len(row["adler32"]) == 8


def test_addresses_are_exact_when_replicas_are_asked_for(rucio_server: RucioServer) -> None:
    for scope, names in [*DEMO.items(), ODD]:
        for name in names:
            assert rucio_server.replicas(scope, name) == {
                "DEMO_ORIGIN": [f"root://localhost:1094/{name}"],
                "DEMO_DISK": [f"davs://127.0.0.1:{DISK_PORT}{name}"],
            }


def test_origin_comes_first_when_replicas_are_sorted(rucio_server: RucioServer) -> None:
    body = {"dids": [{"scope": "cms", "name": DEMO["cms"][0]}]}
    (row,) = rucio_server.post("/replicas/list", body).rows
    order = sorted(row["pfns"].values(), key=lambda each: each["priority"])
    assert [each["rse"] for each in order] == ["DEMO_ORIGIN", "DEMO_DISK"]


def test_metalink_keeps_the_order_and_needs_no_map_of_the_world(rucio_server: RucioServer) -> None:
    headers = {
        "X-Rucio-Auth-Token": rucio_server.token("alice"),
        "Content-Type": "application/json",
        "Accept": "application/metalink4+xml",
    }
    body = json.dumps({"dids": [{"scope": "cms", "name": DEMO["cms"][0]}]}).encode()
    request = urllib.request.Request(f"{rucio_server.url}/replicas/list", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    assert text.index("root://localhost:1094//store") < text.index("davs://127.0.0.1")
    assert "GeoLite" not in rucio_server.log


def test_replicas_of_a_dataset_are_counted(rucio_server: RucioServer) -> None:
    scope, name = BIG
    rows = rucio_server.get(f"/replicas/{scope}/{in_path(name)}/datasets").rows
    assert {(row["rse"], row["length"]) for row in rows} == {
        ("DEMO_ORIGIN", BIG_FILES),
        ("DEMO_DISK", BIG_FILES),
    }


def test_files_come_all_when_the_dataset_is_huge(rucio_server: RucioServer) -> None:
    scope, name = BIG
    begin = time.monotonic()
    rows = rucio_server.get(f"/dids/{scope}/{in_path(name)}/files").rows
    seconds = time.monotonic() - begin
    assert len({row["name"] for row in rows}) == BIG_FILES
    meta = rucio_server.get(f"/dids/{scope}/{in_path(name)}").json
    assert meta["length"] == BIG_FILES
    assert meta["bytes"] == sum(row["bytes"] for row in rows)
    assert seconds < 30  # 2 s on a quiet machine
    # the rows are not kept: 140 MB is the program itself
    assert max(psutil.Process(pid).memory_info().rss for pid in rucio_server.pids) < 400e6


def test_search_is_complete_when_the_limit_is_given(rucio_server: RucioServer) -> None:
    path = "/dids/cms/dids/search?type=file&name=/store/cms/big*&limit=1000"
    assert len(rucio_server.get(path).rows) == 1000


def test_nothing_can_be_uploaded_to_the_demo(rucio_server: RucioServer) -> None:
    rses = {row["rse"]: row for row in rucio_server.get("/rses/").rows}
    assert sorted(rses) == ["DEMO_DISK", "DEMO_ORIGIN"]
    body = {
        "rse": "DEMO_DISK",
        "files": [{"scope": "cms", "name": "x", "bytes": 1, "adler32": "00000001"}],
    }
    assert rucio_server.post("/replicas", body).status == 401
    assert rucio_server.post("/dids/cms/planted", {"type": "DATASET"}).status in {401, 405}
