"""Browsing an XCache with tokens through the Lab: the real servers, the real bindings."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from af_labextension.data.xrootd.rules import AUTO_STAT
from testbed.lab_server import LAB_TOKEN
from testbed.lab_xrootd import (
    SIZED,
    until,
)

if TYPE_CHECKING:
    from af_labextension.data.doors import Door
    from testbed.lab_server import LabServer
    from testbed.xrootd import Stack
    from testbed.xrootd_6 import XCache


async def test_a_small_folder_is_complete_at_once(
    xrootd_lab: Any, lab_door: Door, lab_cache: Stack
) -> None:
    server = await xrootd_lab()
    doors = json.loads((await server.fetch("af/storage")).body)["doors"]
    assert [each["kind"] for each in doors] == ["xrootd"]
    types = {"unknown"}
    async with asyncio.timeout(20):
        while "unknown" in types:  # on a busy machine connecting may take too long at first
            answer = await server.fetch("af/storage/cache/list", path="/cms/labxrootd/small")
            *found, last = [json.loads(line) for line in answer.body.splitlines()]
            types = {row["type"] for row in found}
    assert last == {"done": True, "count": 9, "left_out": 0}
    by_name = {row["name"]: row for row in found}
    assert by_name["sub"]["type"] == "directory"
    assert by_name["sub"]["size"] is None
    assert by_name["f5"]["type"] == "file"
    assert by_name["f5"]["size"] == 5
    assert by_name["f5"]["url"] == f"{lab_door.url}/cms/labxrootd/small/f5"
    stored = lab_cache.layout.store / "cms/labxrootd/small/f5"
    assert by_name["f5"]["modified"] == int(stored.stat().st_mtime)


async def stat(server: LabServer, body: object) -> tuple[int, Any]:
    """Ask for sizes through the Lab."""
    answer = await server.client.fetch(
        f"{server.url}af/storage/cache/stat",
        method="POST",
        body=json.dumps(body),
        headers={"Authorization": f"token {LAB_TOKEN}"},
        raise_error=False,
    )
    return answer.code, json.loads(answer.body)


async def test_sizes_come_on_demand_when_the_names_are_many(
    xrootd_lab: Any, lab_cache: Stack, xcache: XCache
) -> None:
    server = await xrootd_lab()
    before = lab_cache.meter.counters().up
    answer = await server.fetch("af/storage/cache/list", path="/cms/labxrootd/sized")
    *found, last = [json.loads(line) for line in answer.body.splitlines()]
    assert last["count"] == SIZED
    at_once = xcache.version >= AUTO_STAT
    assert {row["type"] for row in found} == {"file" if at_once else "unknown"}
    # a question to the origin has 24 bytes and more: it was not asked for each name
    assert lab_cache.meter.counters().up - before < 10 * SIZED
    chosen = sorted(row["name"] for row in found)[:200]
    code, body = await stat(
        server,
        {"path": "/cms/labxrootd/sized", "names": [*chosen[:199], "gone", "x?authz=1"][:200]},
    )
    assert code == 200
    assert [entry["name"] for entry in body["entries"]] == chosen[:199]
    assert {(entry["type"], entry["size"]) for entry in body["entries"]} == {("file", 0)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"path": "/..", "names": ["a"]}, "bad-path"),
        ({"path": 3, "names": ["a"]}, "bad-path"),
        ([], "bad-path"),
        ({"path": "/", "names": "abc"}, "bad-names"),
        ({"path": "/", "names": ["../atlas"]}, "bad-names"),
        ({"path": "/", "names": ["a\nb"]}, "bad-names"),
        ({"path": "/", "names": ["a"] * 201}, "bad-names"),
        ({"path": "/?authz=x", "names": ["a"]}, "bad-name"),
    ],
)
async def test_a_question_for_sizes_is_refused_when_it_makes_no_sense(
    xrootd_lab: Any, body: object, code: str
) -> None:
    status, answer = await stat(await xrootd_lab(), body)
    assert (status, answer["code"]) == (400, code)


@pytest.mark.parametrize("library", ["uproot", "rdataframe", "coffea"])
async def test_code_is_given_for_each_library(
    xrootd_lab: Any, lab_door: Door, library: str
) -> None:
    server = await xrootd_lab()
    answer = await server.fetch("af/storage/cache/code", path="/cms/a.root", library=library)
    body = json.loads(answer.body)
    assert body["url"] == f"{lab_door.url}/cms/a.root"
    assert repr(body["url"]) in body["code"]
    compile(body["code"], "cell", "exec")


async def test_code_is_refused_when_nobody_knows_the_library(xrootd_lab: Any) -> None:
    server = await xrootd_lab()
    answer = await server.fetch("af/storage/cache/code", path="/cms/a.root", library="os")
    assert (answer.code, json.loads(answer.body)["code"]) == (400, "unknown-library")


async def test_no_token_goes_in_through_a_name(xrootd_lab: Any, lab_cache: Stack) -> None:
    server = await xrootd_lab()
    smuggled = lab_cache.token("storage.read:/")
    for path in (f"/atlas?authz=Bearer%20{smuggled}", f"/atlas/?&authz={smuggled}"):
        for route in ("list", "code"):
            answer = await server.fetch(f"af/storage/cache/{route}", path=path)
            assert answer.code == 400
            assert json.loads(answer.body)["code"] == "bad-name"
        _, body = await stat(server, {"path": "/", "names": [path.lstrip("/").replace("/", "")]})
        assert body["entries"] == []
    assert smuggled not in lab_cache.log("xcache")


async def test_the_listing_ends_when_the_browser_leaves(xrootd_lab: Any, lab_cache: Stack) -> None:
    server = await xrootd_lab()
    await server.fetch("af/storage/cache/list", path="/cms/labxrootd/small")
    worker = server.app.web_app.settings["af_sources"].xrootd.worker("storage")
    lab_cache.meter.set(delay=1.0)
    try:
        address = urlsplit(server.url)
        _, browser = await asyncio.open_connection(address.hostname, address.port)
        browser.write(
            f"GET {address.path}af/storage/cache/list?path=/cms/labxrootd/many HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nAuthorization: token {LAB_TOKEN}\r\n\r\n".encode()
        )
        await until(lambda: worker.requests == 1)
        browser.close()
        await until(lambda: worker.requests == 0, seconds=0.9)
    finally:
        lab_cache.meter.set(delay=0.0)
