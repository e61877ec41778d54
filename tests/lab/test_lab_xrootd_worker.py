"""The life of the process that runs the XRootD bindings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_labextension.errors import LabError
from testbed.lab_xrootd import (
    MakeClient,
    refusal,
    rows,
    until,
    worker_file,
    worker_pid,
)

if TYPE_CHECKING:
    from af_labextension.data.doors import Door


async def test_the_next_listing_works_when_the_worker_was_killed(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    client = xrootd_client()
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    first = worker_pid(client)
    os.kill(first, signal.SIGKILL)
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != first


async def test_a_listing_ends_with_a_sentence_when_the_worker_is_killed_in_its_middle(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    client = xrootd_client()
    async with aclosing(client.pages(lab_door, "/cms/labxrootd/many")) as pages:
        await anext(pages)
        os.kill(worker_pid(client), signal.SIGKILL)
        with pytest.raises(LabError) as caught:
            async for _ in pages:
                pass
    assert caught.value.code == "xrootd-worker"
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9


async def test_a_worker_that_is_stuck_is_replaced(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    client = xrootd_client(patience=3.0)  # a new worker needs some of it on a busy machine
    await rows(client, lab_door, "/cms/labxrootd/small")
    stuck = worker_pid(client)
    os.kill(stuck, signal.SIGSTOP)
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != stuck


async def test_an_idle_worker_ends_and_comes_back(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    client = xrootd_client(idle=0.3)
    await rows(client, lab_door, "/cms/labxrootd/small")
    first = worker_pid(client)
    await until(lambda: client.worker("storage").pid is None)
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != first


async def test_the_worker_has_limits(xrootd_client: MakeClient, lab_door: Door) -> None:
    client = xrootd_client()
    await rows(client, lab_door, "/cms/labxrootd/small")
    limits = worker_file(client, "limits").splitlines()
    by_name = {line[:25].strip(): line[25:].split() for line in limits}
    assert int(by_name["Max address space"][1]) == 2 * 1024**3
    assert by_name["Max core file size"][1] == "0"


LAB = """
import asyncio, sys
from af_labextension.data.xrootd.process import Limits, WorkerProcess
from af_labextension.data.xrootd.protocol import StatNames

async def main():
    worker = WorkerProcess(with_token=False, limits=Limits())
    async with worker.exchange(None, lambda number: StatNames(number, "root://127.0.0.1:1", "/", ())):
        print(worker.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_worker_ends_when_the_lab_is_killed() -> None:
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(LAB)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout:
        worker = int(server.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    server.kill()
    server.wait()
    deadline = time.monotonic() + 10
    while _runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_user_is_told_when_the_image_has_no_bindings(
    xrootd_client: MakeClient, lab_door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyxrootd").mkdir()
    (tmp_path / "pyxrootd" / "__init__.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await refusal(xrootd_client(), lab_door, "/cms")
    assert error.code == "xrootd-missing"
    assert "package xrootd" in error.message
