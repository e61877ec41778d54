"""What a hundred open spawn pages cost a hub, and how soon they know of a taken GPU."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil

from bench.figure import Figure
from testbed.hub_config import TOKEN
from testbed.page_hub import GPUS, PageHub, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGES = 100
QUIET = 15.0
ROUNDS = 7
PEOPLE = ["alice", "bob", "carol", "dora", *(f"user{number}" for number in range(1, 9))]


def measure() -> list[Figure]:
    """Open the pages, let them rest, then let one user take and give back a GPU."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        hub = prepare(Path(folder))
        try:
            hub.start()
            load, stale = asyncio.run(_watch(hub))
            hub.release()
        finally:
            hub.stop()
    return [
        Figure(
            f"hub's core for {PAGES} open spawn pages",
            (load,),
            "%",
            "≤ 10 %",
            lambda v: v <= 10,
            note=f"{QUIET:.0f} s in which nothing changes",
        ),
        Figure(
            f"all of {PAGES} pages know of a taken GPU",
            tuple(stale),
            "s",
            "≤ 1 s",
            lambda v: v <= 1,
            baseline="peers ask every 30 to 600 s",
        ),
    ]


async def _watch(hub: PageHub) -> tuple[float, list[float]]:
    process = psutil.Process(hub.process.pid)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                hub.url,
                headers={"Authorization": f"token {TOKEN}"},
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        )
        told = []
        for number in range(PAGES):
            # each in the name of a user: no service may have so many pages open
            user = PEOPLE[number % len(PEOPLE)]
            token = await _token(http, user)
            stream = await stack.enter_async_context(
                http.get(
                    "/hub/api/af/profiles?stream=1", headers={"Authorization": f"token {token}"}
                )
            )
            told.append(_states(stream))
        await asyncio.gather(*(anext(each) for each in told))
        before, begun = sum(process.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(QUIET)
        load = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begun) * 100
        stale = [await _take_one(hub, http, told) for _ in range(ROUNDS)]
    return load, stale


async def _token(http: aiohttp.ClientSession, user: str) -> str:
    async with http.post(f"/hub/api/users/{user}/tokens", json={}) as answer:
        return str((await answer.json())["token"])


async def _states(stream: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in stream.content:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


async def _take_one(hub: PageHub, http: aiohttp.ClientSession, told: list[Any]) -> float:
    """Let a user start and stop; return how long the last page's user did not know."""
    options = {"user_options": {"profile": "gpu", "gpu": 1}}
    watching = [asyncio.create_task(anext(each)) for each in told]
    begun = time.monotonic()
    starting = asyncio.create_task(_post(http, "/hub/api/users/user9/server", options))
    await asyncio.gather(*watching)
    seconds = time.monotonic() - begun
    await starting
    free = [
        card["free"]["free"]
        for task in watching
        for card in task.result()["profiles"]
        if card["name"] == "gpu"
    ]
    assert set(free) == {GPUS - 1}, free
    watching = [asyncio.create_task(anext(each)) for each in told]
    await asyncio.to_thread(hub.release)
    await asyncio.gather(*watching)
    return seconds


async def _post(http: aiohttp.ClientSession, path: str, body: Any) -> None:
    async with http.post(path, json=body) as answer:
        await answer.read()
