"""Ask a Lab about clusters, as its page does, and listen to its events."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import pytest_asyncio

from af_labextension.clusters.manager.folder import MARK
from af_labextension.clusters.sse import Reader
from testbed.lab_server import LAB_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from testbed.lab_server import LabServer, StartLab

LIMIT = 45.0
"""Seconds for what takes less than five on a quiet machine."""

HERE = {
    "name": "here",
    "title": "In this Lab",
    "worker": {
        "cores": {"default": 1, "min": 1, "max": 1},
        "memory": {"default": "300M", "min": "200M", "max": "1G"},
    },
    "scale": {"default": 1, "max": 2},
}
"""A type on this server's cores."""


async def ask(lab: LabServer, method: str, route: str, body: Any = None) -> tuple[int, Any]:
    """Ask the Lab as its own page does; `route` is below the base URL."""
    found = await lab.client.fetch(
        lab.url + route,
        method=method,
        headers={"Authorization": f"token {LAB_TOKEN}"},
        body=None if body is None else json.dumps(body),
        raise_error=False,
        allow_nonstandard_methods=True,
        request_timeout=60,
        follow_redirects=False,
    )
    try:
        return found.code, json.loads(found.body or b"null")
    except ValueError:
        return found.code, found.body.decode("utf-8", "replace")


async def until(
    look: Callable[[], Awaitable[Any]], what: Callable[[Any], Any], limit: float = LIMIT
) -> Any:
    """Wait until a condition holds for what a question gives; return that."""
    end = time.monotonic() + limit
    while not what(found := await look()):
        if time.monotonic() > end:
            pytest.fail(f"not within {limit} s; last: {found}")
        await asyncio.sleep(0.05)
    return found


async def make(lab: LabServer, workers: int = 1, kind: str = "here", **options: Any) -> str:
    """Make a cluster, wait for its workers and return its id."""
    scale = {"mode": "fixed", "workers": workers}
    body = {"type": kind, "options": options, "scale": scale}
    status, made = await ask(lab, "POST", "af/clusters", body)
    assert (status, made["state"]) == (201, "pending"), made
    await shown(
        lab, made["id"], lambda one: one["state"] == "running" and one["workers"] == workers
    )
    return str(made["id"])


async def shown(
    lab: LabServer, cluster: str, what: Callable[[Any], Any], limit: float = LIMIT
) -> Any:
    """Wait until a cluster is as described."""

    async def look() -> Any:
        status, found = await ask(lab, "GET", f"af/clusters/{cluster}")
        return found if status == 200 else {"state": "gone", "workers": 0, "answer": found}

    return await until(look, what, limit)


async def listed(lab: LabServer) -> list[dict[str, Any]]:
    """Return the clusters."""
    status, found = await ask(lab, "GET", "af/clusters")
    assert status == 200, found
    return list(found["clusters"])


@asynccontextmanager
async def tab(lab: LabServer) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """Listen to the events of a Lab, as one page does; gives what it is told."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    port = int(lab.url.split(":")[2].split("/")[0])
    path = "/" + lab.url.split("/", 3)[3]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path}af/events HTTP/1.0\r\nAuthorization: token {LAB_TOKEN}\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in answer, answer
    assert b"text/event-stream" in answer

    async def read() -> None:
        events = Reader()
        while piece := await reader.read(65536):
            for event in events.feed(piece):
                assert event.name == "clusters"
                told.put_nowait(json.loads(event.data))

    reading = asyncio.create_task(read())
    try:
        yield told
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def hears(told: asyncio.Queue[dict[str, Any]], what: Callable[[Any], Any]) -> Any:
    """Wait until a page is told of something."""
    async with asyncio.timeout(LIMIT):
        while not what(found := await told.get()):
            pass
    return found


def processes(cluster: str) -> list[psutil.Process]:
    """Return all processes of a cluster inside the server."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == cluster and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def ended(cluster: str) -> None:
    """Wait until nothing of a cluster runs; its state is told a moment before."""
    await until(lambda: asyncio.to_thread(processes, cluster), lambda left: not left, 60)


def all_processes(folder: str) -> list[psutil.Process]:
    """Return the processes of all clusters that a folder knew, by the folder in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            seen = process.environ()
            if MARK in seen and seen.get("AF_LAB_CLUSTERS") == folder:
                found.append(process)
    return found


def holder(cluster: str) -> psutil.Process:
    """Return the process that holds a cluster."""
    (found,) = [one for one in processes(cluster) if "hold" in one.cmdline()[-1:]]
    return found


CLIENT = """
import sys, time
from af_labextension import clusters

cluster = clusters.connect(sys.argv[1])
client = cluster.get_client()

def step(number):
    import time
    time.sleep(0.01)
    return number

futures = client.map(step, range(int(sys.argv[2])))
print("begun", flush=True)
print(sum(client.gather(futures)), flush=True)
"""


async def computing(cluster: str, tasks: int) -> asyncio.subprocess.Process:
    """Compute with a cluster in another process, as a notebook does; it has begun."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, cluster, str(tasks)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()) == b"begun\n", await process.communicate()
    return process


@pytest_asyncio.fixture
async def no_leftovers(start_lab: StartLab) -> AsyncIterator[None]:
    """End all clusters that a test left, before its environment is forgotten."""
    yield
    folder = os.environ.get("AF_LAB_CLUSTERS", "")
    for process in all_processes(folder):
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
