"""Work of many starts, one piece in each round of the event loop. Pure.

Five hundred starts that go on in the same round hold up everybody else for seconds: each of them
writes a pod and asks the database. Taken one by one they need no longer, and others get answers
in between.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets one of those who wait go on in each round."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a turn; nothing must be held meanwhile that others need."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next, loop)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        # those who were cancelled meanwhile want no turn
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if not self._waiting:
            return
        self._waiting.popleft().set_result(None)
        if self._waiting:
            loop.call_soon(self._next, loop)
