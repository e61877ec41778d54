"""How many calls meet at the identity provider within a second, wherever they were held up."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SPAN: Final = 1.01
"""Seconds: one, and what clocks and timers may be apart."""

PERSONS_LEAVE: Final = 2
"""Places that calls of persons never fill: renewals go on while many people log in."""

_held: ContextVar[bool] = ContextVar("held", default=False)


@contextmanager
def held() -> Iterator[None]:
    """Let the calls in this block wait for a place: nobody waits for them in person."""
    before = _held.set(True)
    try:
        yield
    finally:
        _held.reset(before)


class Window:
    """At most so many calls in any second, as the identity provider sees them.

    Between the moment that a call begins here and the moment that its answer is read it reaches
    the provider: nobody here knows when, since connections are slow and a busy loop looks late. So
    a call keeps its place until a second after its answer. Who comes to that place then reaches
    the provider more than a second later than the one before, whatever happened on the way.

    Parameters
    ----------
    places
        Calls in any second.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = self._persons = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Keep a place while a call is made.

        A call that is `held` waits for it, first come, first served. Others are counted, so that
        those that are held make way.
        """
        if person := not _held.get():
            self._persons += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(SPAN, self._leave, person)

    async def _wait(self) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._admit()
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # cancelled with the place in hand
                self._leave(person=False)
            raise

    def _admit(self) -> None:
        persons = min(self._persons, max(0, self._places - PERSONS_LEAVE))
        while self._waiting and self._taken + persons < self._places:
            first = self._waiting.popleft()
            if not first.done():
                self._taken += 1
                first.set_result(None)

    def _leave(self, person: bool) -> None:
        if person:
            self._persons -= 1
        else:
            self._taken -= 1
        self._admit()
