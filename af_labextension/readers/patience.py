"""Wait for a new token where the one at hand is surely over.

The Lab renews a token long before its end. It cannot while the identity provider is away, and a
laptop that slept wakes up with a dead token: what is opened in these moments would fail, and
succeeds if it waits a little.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from .bearer import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .bearer import Bearer

LONGEST = 150.0
"""Seconds to wait for a new token; after that it is tried with the one there is. The Lab asks again
up to a minute after an outage has ended, so this bears an outage of more than a minute."""

MARGIN = 2.0
"""Seconds before its end when a token counts as over, or an eighth of a short life."""

_PAUSE = 0.2

log = logging.getLogger(__package__)


def _steady() -> float:
    """Return seconds that nobody sets; a laptop's sleep counts where the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Patience:
    """Finds the token of the moment, and waits while there is only one whose life is over.

    A token is over when it has been there for as long as it was made for. So a machine whose clock
    is wrong, or was set, waits no more than one whose clock is right.

    Parameters
    ----------
    find
        Gives what is there now.
    steady
        A clock in seconds that nobody sets.
    wall
        The clock that files are dated by, in seconds.
    """

    def __init__(
        self,
        find: Callable[[], Bearer | None],
        *,
        steady: Callable[[], float] = _steady,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._find = find
        self._steady = steady
        self._wall = wall
        self._bearer: Bearer | None = None
        self._end: tuple[bytes, float | None] = (b"", None)
        self._given_up = b""

    @property
    def over(self) -> bool:
        """Whether the token that was given last had ended, and no other one came."""
        return self._bearer is not None and self._bearer.token == self._given_up

    def wait(self) -> Bearer | None:
        """Return the token; blocks for `LONGEST` at most, once for each token."""
        for pause in self._pauses():
            time.sleep(pause)
        return self._bearer

    async def ready(self) -> Bearer | None:
        """Do the same without blocking."""
        for pause in self._pauses():
            await asyncio.sleep(pause)
        return self._bearer

    def _pauses(self) -> Iterator[float]:
        """Give pauses until another token is there, or patience ends."""
        if not self._is_over():
            return
        log.warning("The token has ended. Waiting %.0f s for a new one at most.", LONGEST)
        waited = self._end[0]
        last = self._steady() + LONGEST
        while self._steady() < last:
            yield _PAUSE
            if not self._is_over():
                return
        self._end = (waited, None)
        self._given_up = waited

    def _is_over(self) -> bool:
        """Look for the token; tell whether its life is over."""
        found = self._bearer = self._find()
        if found is None:
            return False
        token, end = self._end
        if found.token != token:
            end = self._end_of(found)
            self._end = (found.token, end)
        return end is not None and self._steady() >= end

    def _end_of(self, found: Bearer) -> float | None:
        """Return when a token that is new here will be over; None: never waited for."""
        life = lifetime(found.token)
        if life is None or found.written is None:
            return None
        age = min(max(self._wall() - found.written, 0.0), life)
        return self._steady() + life - age - min(MARGIN, life / 8)
