"""Filling the storage with simulated events at the first start."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL
from typing import TYPE_CHECKING

from af_hub.embedded.environment import part_environment
from af_hub.embedded.logs import open_log, tail
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.embedded.wiring import Wiring

COMPLETE = "filled"
"""Name of the file beside ``store/`` that says the events are all there."""


async def fill_storage(wiring: Wiring, report: Callable[[str], None]) -> None:
    """Run the event generator, unless an earlier start has done so.

    It is a process of its own: uproot and numpy stay out of the supervisor.

    Raises
    ------
    SetupError
        ``events-failed`` with the end of its log.
    """
    mark = wiring.layout.storage / COMPLETE
    if mark.exists():
        return
    report("Simulating Z→μμ events for the storage")
    begin = time.monotonic()
    path = wiring.layout.log("events")
    with open_log(path) as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "af_hub.embedded.events",
            str(wiring.layout.store),
            env=part_environment(wiring.instance),
            stdin=DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    if await process.wait():
        raise SetupError(
            "events-failed",
            f"The simulated events could not be written. The log {path} ends with:\n{tail(path)}",
        )
    mark.touch()
    report(f"The storage is filled ({time.monotonic() - begin:.1f} s)")
