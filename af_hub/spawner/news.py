"""Tells open pages that something has changed, at a cost that does not grow with their number.

One look per round for all pages; only after a change an answer is composed, once for all users who
see the same. A round lasts half a second, and longer where looks and answers would take more than a
twentieth of the hub's time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

ROUND = 0.5
"""Seconds between two looks."""
_SHARE = 20
_MOST_PAGES = 20
"""Open pages of one user."""


class News:
    """One round of looks for all open pages.

    Parameters
    ----------
    look
        Returns what pages depend on, to be compared with the look before.
    """

    def __init__(self, look: Callable[[], Awaitable[object]]) -> None:
        self._look = look
        self._pages: Counter[str] = Counter()
        self.version = 0
        """Grows with each change."""
        self._answers: dict[Hashable, str] = {}
        self._answers_of = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seen: object = None
        self._spent = 0.0

    @contextmanager
    def page(self, user: str) -> Iterator[bool]:
        """Be looked for while a page of a user is open; False: the user has too many open."""
        if self._pages[user] >= _MOST_PAGES:
            yield False
            return
        self._pages[user] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go_round())
        try:
            yield True
        finally:
            self._pages[user] -= 1
            if not self._pages[user]:
                del self._pages[user]

    async def change(self, seen: int, patience: float) -> bool:
        """Wait for a change since a version; False: there was none for so many seconds."""
        if self.version == seen:
            try:
                await asyncio.wait_for(self._changed.wait(), patience)
            except TimeoutError:
                return False
        return True

    async def answer(self, key: Hashable, compose: Callable[[], Awaitable[str]]) -> str:
        """Return the answer for pages that see the same; it is composed once after each change."""
        if self._answers_of != self.version:
            self._answers.clear()
            self._answers_of = self.version
        found = self._answers.get(key)
        if found is None:
            version, begun = self.version, time.monotonic()
            found = await compose()
            self._spent += time.monotonic() - begun
            if version == self.version:
                self._answers[key] = found
        return found

    async def _go_round(self) -> None:
        while self._pages:
            begun = time.monotonic()
            seen = await self._look()
            self._spent += time.monotonic() - begun
            if seen != self._seen:
                self._seen = seen
                self.version += 1
                self._changed.set()
                self._changed = asyncio.Event()
            spent, self._spent = self._spent, 0.0
            await asyncio.sleep(max(ROUND, spent * _SHARE))
        self._task = None
