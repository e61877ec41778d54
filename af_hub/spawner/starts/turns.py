"""Work of many starts, one piece in each round of the event loop. Pure.

Five hundred starts that go on in the same round hold up everybody else for seconds: each of them
writes a pod and asks the database. Taken one by one they need no longer, and others get answers
in between.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets one of those who wait go on in each round; new requests before what has begun."""

    def __init__(self) -> None:
        self._first: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._going = False

    async def take(self, *, first: bool = False) -> None:
        """Wait for a turn; nothing must be held meanwhile that others need.

        Parameters
        ----------
        first
            Go before all that wait without it: somebody waits for an answer. Requests that kept
            starts waiting for long would have to use all of a core.
        """
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        (self._first if first else self._waiting).append(turn)
        if not self._going:
            self._going = True
            loop.call_soon(self._next, loop)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        for waiting in (self._first, self._waiting):
            while waiting:
                turn = waiting.popleft()
                # who was cancelled meanwhile wants no turn
                if not turn.done():
                    turn.set_result(None)
                    loop.call_soon(self._next, loop)
                    return
        self._going = False
