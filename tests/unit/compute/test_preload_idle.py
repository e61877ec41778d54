"""What a real scheduler says about its work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import distributed
from distributed import Scheduler, Worker

from af_hub.compute import preload_idle

# upstream has no types for these
Client: Any = distributed.Client
Event: Any = distributed.Event


def _wait() -> None:
    distributed.Event("go").wait()  # type: ignore[no-untyped-call]


async def test_a_scheduler_says_how_long_it_has_had_no_work() -> None:
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with (
        Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler,
        Worker(scheduler.address, nthreads=1) as worker,
        Client(scheduler.address, asynchronous=True) as client,
    ):
        preload_idle.dask_setup(scheduler)
        # Gateway's preload may come later
        gateway = SimpleNamespace(heartbeat=said.put)
        scheduler.services["gateway"] = SimpleNamespace(gateway=gateway, stop=lambda: None)
        await scheduler.af_idle_report

        async def say() -> float:
            await gateway.heartbeat({"count": 1})
            message = await said.get()
            assert message["count"] == 1
            return float(message["af_idle"])

        future = client.submit(_wait)
        while not worker.state.executing_count:  # noqa: ASYNC110  many things lead to it
            await asyncio.sleep(0.01)
        for _ in range(3):
            assert await say() == 0
            await asyncio.sleep(0.05)
        await Event("go", client=client).set()
        await future
        # the end of the task is work, too
        await say()
        begin = await say()
        await asyncio.sleep(0.2)
        assert begin + 0.15 < await say() < 60
