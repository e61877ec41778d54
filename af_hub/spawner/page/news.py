"""Tells open pages that something has changed, at a cost that does not grow with their number.

One look per round for all pages; only after a change an answer is composed, once for all users who
see the same. A round lasts half a second, and longer where looks and answers would take more than a
twentieth of the hub's time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

    Look = Callable[[], Awaitable[object]]

log = logging.getLogger(__name__)

ROUND = 0.5
"""Seconds between two looks."""
_SHARE = 20
_MOST_PAGES = 20
"""Open pages of one user."""


def _nothing() -> None:
    """Do nothing."""


class News:
    """One round of looks for all open pages."""

    def __init__(self) -> None:
        self._pages: Counter[str] = Counter()
        self._looks: list[Look] = []
        self._ends: dict[str, list[Callable[[], None]]] = {}
        self.version = 0
        """Grows with each change."""
        self._answers: dict[Hashable, str] = {}
        self._answers_of = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seen: object = None
        self._spent = 0.0

    @contextmanager
    def page(self, user: str, look: Look, end: Callable[[], None] = _nothing) -> Iterator[bool]:
        """Be looked for while a page is open.

        Parameters
        ----------
        user
            Whose page it is.
        look
            Returns what all pages depend on, to be compared with the look before; that of any open
            page will do.
        end
            Called when the page must ask anew, see `leave`.

        Yields
        ------
        bool
            False: the user has too many pages open.
        """
        if self._pages[user] >= _MOST_PAGES:
            yield False
            return
        if not self._looks:
            # nobody has looked since the last page was closed
            self._answers.clear()
        self._pages[user] += 1
        self._looks.append(look)
        self._ends.setdefault(user, []).append(end)
        self._go_on()
        try:
            yield True
        finally:
            self._looks.remove(look)
            self._ends[user].remove(end)
            self._pages[user] -= 1
            if not self._pages[user]:
                del self._pages[user], self._ends[user]

    def leave(self, user: str) -> None:
        """Let all pages of a user ask anew: in some browser the user has logged out."""
        for end in tuple(self._ends.get(user, ())):
            end()

    async def change(self, seen: int, patience: float) -> bool:
        """Wait for a change since a version; False: there was none for so many seconds."""
        self._go_on()
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

    def _go_on(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go_round())

    async def _go_round(self) -> None:
        while self._looks:
            begun = time.monotonic()
            try:
                seen = await self._looks[-1]()
            except Exception:
                log.exception("Nobody knows what open pages should be told")
                # they ask for themselves, and fail or go on
                self._tell()
                return
            self._spent += time.monotonic() - begun
            if seen != self._seen:
                self._seen = seen
                self._tell()
            spent, self._spent = self._spent, 0.0
            await asyncio.sleep(max(ROUND, spent * _SHARE))

    def _tell(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
