"""Preload of a Dask scheduler: tell the gateway, with each heartbeat, how long there was no work.

The gateway ends idle clusters, not the scheduler itself: so it can warn their owners before, say
why afterwards, and a scheduler that was told to stay cannot. It runs inside the scheduler, needs
`distributed` only, and is shipped as a file of the cluster.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

WAIT = 0.05
"""Seconds between looks for Gateway's own preload, which may come after this one."""


async def report(scheduler: Any) -> None:
    """Add ``af_idle`` to the heartbeats: seconds without work, 0 while there is some."""
    while "gateway" not in scheduler.services:  # noqa: ASYNC110  nobody tells when it comes
        await asyncio.sleep(WAIT)
    client = scheduler.services["gateway"].gateway
    send = client.heartbeat

    async def heartbeat(message: dict[str, Any]) -> None:
        since = scheduler.check_idle()
        idle = 0.0 if since is None else max(time.time() - since, 0.0)
        await send({**message, "af_idle": idle})

    client.heartbeat = heartbeat


def dask_setup(scheduler: Any) -> None:
    """Take part in a scheduler; Dask calls it when the scheduler starts."""
    scheduler.af_idle_report = asyncio.ensure_future(report(scheduler))
