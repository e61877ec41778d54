"""Folders of an XCache as the Lab's client lists them."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from af_labextension.data.doors import Door
from testbed.lab_xrootd import (
    MANY,
    ODD,
    QUESTIONS,
    MakeClient,
    Tokens,
    good_token,
    refusal,
    rows,
    worker_file,
)
from testbed.pace import slowness

if TYPE_CHECKING:
    from testbed.xrootd import Stack


async def test_many_names_come_quickly_and_in_pages(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    client = xrootd_client()
    await rows(client, lab_door, "/cms/labxrootd/small")
    began = time.perf_counter()
    async with aclosing(client.pages(lab_door, "/cms/labxrootd/many")) as pages:
        counts = [page.count async for page in pages]
    took = time.perf_counter() - began
    assert sum(counts) == MANY
    assert max(counts) <= 1000
    assert counts[0] < 200  # the first rows did not wait for more
    assert took < 3.0 * slowness(), took  # 0.25 s on a quiet machine
    status = worker_file(client, "status").splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 64 * 1024


async def test_pages_wait_when_nobody_takes_them(xrootd_client: MakeClient, lab_door: Door) -> None:
    client = xrootd_client()
    async with aclosing(client.pages(lab_door, "/cms/labxrootd/many")) as pages:
        await anext(pages)
        # another listing runs past the one that waits
        assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
        assert client.worker("storage").waiting_pages <= 4
        rest = [page.count async for page in pages]
    assert len(rest) > 20


async def test_odd_names_are_listed_and_opened_as_they_are(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    client = xrootd_client()
    found = await rows(client, lab_door, "/cms/labxrootd/odd")
    assert sorted(row["name"] for row in found) == sorted(ODD)
    for name in ODD:
        (row,) = await rows(client, lab_door, f"/cms/labxrootd/odd/{name}")
        assert row["name"] == name
        assert row["url"] == f"{lab_door.url}/cms/labxrootd/odd/{name}/{name}"
        (entry,) = await client.stat(lab_door, f"/cms/labxrootd/odd/{name}", [name])
        assert (entry["name"], entry["type"]) == (name, "file")
        assert entry["size"] == len(name.encode())


async def test_a_huge_folder_is_cut_and_its_rest_counted(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    count = left_out = 0
    async for page in xrootd_client(rows=5000).pages(lab_door, "/cms/labxrootd/many"):
        count += page.count
        left_out = page.said["left_out"]
    assert (count, left_out) == (5000, MANY - 5000)


async def test_a_folder_is_known_as_one_when_the_cache_holds_files_of_it(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    path = "/store/cms/labxrootd/cached/inner/file"
    lab_cache.write(path, b"content")
    assert lab_cache.read(path, good_token(lab_cache)) == b"content"
    client = xrootd_client()
    (entry,) = await client.stat(lab_door, "/cms/labxrootd/cached", ["inner"])
    assert entry["type"] == "directory"
    assert [row["name"] for row in await rows(client, lab_door, "/cms/labxrootd/cached/inner")] == [
        "file"
    ]


async def test_names_that_no_address_can_hold_are_counted(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    left_out = 0
    async for page in xrootd_client().pages(lab_door, "/cms/labxrootd/odd"):
        left_out = page.said["left_out"]
    assert left_out == len(QUESTIONS)


async def test_requests_do_not_wait_for_each_other(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    client = xrootd_client()
    folders = [f"/cms/labxrootd/odd/{name}" for name in ODD[:4]]
    # connections are made once
    await asyncio.gather(*(rows(client, lab_door, folder) for folder in folders))
    lab_cache.meter.set(delay=0.3)
    try:
        began = time.perf_counter()
        await rows(client, lab_door, folders[0])
        one = time.perf_counter() - began
        began = time.perf_counter()
        await asyncio.gather(*(rows(client, lab_door, folder) for folder in folders))
        four = time.perf_counter() - began
    finally:
        lab_cache.meter.set(delay=0.0)
    assert one >= 0.6
    assert four < 2.5 * one


async def test_the_way_to_a_grant_is_shown_when_the_top_may_not_be_listed(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    client = xrootd_client(Tokens(good_token(lab_cache), scope="storage.read:/store/cms"))
    assert await rows(client, lab_door, "") == [
        {
            "name": "cms",
            "type": "directory",
            "size": None,
            "modified": None,
            "url": f"{lab_door.url}/cms",
        }
    ]
    assert (await refusal(client, lab_door, "/atlas")).code == "storage-forbidden"


async def test_a_door_is_opened_when_it_asks_for_tls_by_its_name(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    secure = Door(
        lab_door.name, lab_door.title, lab_door.url.replace("root:", "roots:"), lab_door.audience
    )
    assert len(await rows(xrootd_client(), secure, "/cms/labxrootd/small")) == 9
