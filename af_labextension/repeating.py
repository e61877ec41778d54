"""Something that is done again and again while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Repeating:
    """Do one thing from `start` to `stop`, with a pause after each time.

    Parameters
    ----------
    name
        For the log and the task.
    once
        Does it once; gives the seconds until the next time. A failure costs one time, not all.
    pause
        Seconds until the next time after a failure.
    sleep
        Waits; a test gives its own.
    """

    def __init__(
        self,
        name: str,
        once: Callable[[], Awaitable[float]],
        *,
        pause: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._once = once
        self._pause = pause
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"af-{self._name}")

    async def stop(self) -> None:
        """End; what is under way is given up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                pause = await self._once()
            except Exception:  # no fault may end it
                log.exception("%s", self._name)
                pause = self._pause
            await self._sleep(pause)
