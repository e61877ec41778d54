"""Calls to the identity provider that nobody waits for in person, in an orderly queue."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from af_hub.errors import AFError, IAMUnavailable
from af_hub.iam.window import held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

RATE: Final = 8.0
"""Calls per second. With `BURST` at once, no second sees more than ten."""

BURST: Final = 2
"""Calls that need not wait for each other."""

PATIENCE: Final = 2.0
"""Seconds that a request waits for its turn; beyond that it does without. Twice that where calls
take longer than they should."""

OUTAGE_FAILURES: Final = 3
"""Failures in a row after which the provider counts as away."""

OUTAGE_PAUSE: Final = 5.0
"""Seconds between two tries while it is away."""


def places(rate: float) -> int:
    """Return how many calls any second may see, and how many turns there are at a time.

    More turns would only wait for `af_hub.iam.window` in a second queue.

    Parameters
    ----------
    rate
        Calls per second.
    """
    return math.ceil(rate) + BURST


class Pace:
    """Gives turns, so that a restarted hub or a provider that comes back meets no herd.

    After an outage the logins of all users are due at once; so are those of a course that logged
    in together. Who gets no turn keeps the login as it is (see `IAMAuthenticator.offline_grace`);
    logins then wait in `af_hub.iam.backlog`, services ask again.

    Parameters
    ----------
    rate
        Calls per second.
    """

    def __init__(self, rate: float = RATE) -> None:
        self._interval, self._places = 1.0 / rate, places(rate)
        self._ready, self._counted_at = float(BURST), time.monotonic()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = 0
        self._failures = 0
        self._again_at = float("-inf")

    def check(self) -> None:
        """Refuse while the provider is away.

        Raises
        ------
        IAMUnavailable
            ``iam-unreachable``.
        """
        if self._failures >= OUTAGE_FAILURES and time.monotonic() < self._again_at:
            raise IAMUnavailable(
                "iam-unreachable",
                "The identity provider cannot be reached at the moment. "
                "Please try again in a minute.",
                "away since the last tries",
            )

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the next turn; the calls in the block are made in it, and are `held`.

        Raises
        ------
        IAMUnavailable
            ``iam-busy`` if it would take too long, ``iam-unreachable`` while the provider is away.
        """
        self.check()
        if self._failures >= OUTAGE_FAILURES:
            self._again_at = time.monotonic() + OUTAGE_PAUSE  # this one looks whether it is back
        await self._wait()
        try:
            with held():
                yield
        finally:
            self._end()

    async def _wait(self) -> None:
        if len(self._waiting) * self._interval >= PATIENCE:
            raise _busy()
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._give()
        try:
            async with asyncio.timeout(2 * PATIENCE):
                await mine
        except (TimeoutError, asyncio.CancelledError) as error:
            if not mine.cancelled():  # it was given in the same moment
                self._end()
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def _give(self) -> None:
        """Give turns to who has waited longest, one by one also after the loop was busy."""
        now = time.monotonic()
        grown = (now - self._counted_at) / self._interval
        self._ready, self._counted_at = min(float(BURST), self._ready + grown), now
        while self._waiting and self._ready >= 1 and self._under_way < self._places:
            first = self._waiting.popleft()
            if not first.done():
                self._ready -= 1
                self._under_way += 1
                first.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._under_way < self._places:
            wait = (1.0 - self._ready) * self._interval
            self._timer = asyncio.get_running_loop().call_later(wait, self._give)

    def _end(self) -> None:
        self._under_way -= 1
        self._give()

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Learn how the call in the block goes, paced or not."""
        try:
            yield
        except AFError as error:
            self.note(error)
            raise
        self.note(None)

    def note(self, error: Exception | None) -> None:
        """Learn how a call went, paced or not.

        Parameters
        ----------
        error
            What it raised; None for an answer.
        """
        if not isinstance(error, IAMUnavailable) or error.code not in _AWAY:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= OUTAGE_FAILURES:
            self._again_at = time.monotonic() + OUTAGE_PAUSE


class Pauses:
    """What refreshes of single users failed with; for a while their requests do not try again."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, float, AFError]] = {}

    def begin(self, name: str, error: AFError) -> None:
        """Note that a user's refresh failed just now; `OUTAGE_PAUSE` begins."""
        self._failed[name] = (time.time(), time.monotonic() + OUTAGE_PAUSE, error)

    def end(self, name: str) -> None:
        """Forget a user's failure."""
        self._failed.pop(name, None)

    def check(self, name: str, *, since: float) -> None:
        """Raise what a user's last refresh failed with, within the pause.

        Parameters
        ----------
        name
            Of the user.
        since
            Failures before this moment do not count; seconds since the epoch.

        Raises
        ------
        AFError
            The failure.
        """
        failed_at, until, error = self._failed.get(name, (0.0, 0.0, None))
        if error is not None and failed_at >= since and time.monotonic() < until:
            raise error.with_traceback(None)  # raised often: its traceback must not grow


def spread(name: str) -> float:
    """Return a factor between 0.9 and 1.1, always the same for a user.

    Who logged in together does not come back together.
    """
    return 0.9 + 0.2 * hashlib.sha256(name.encode()).digest()[0] / 255


def _busy() -> IAMUnavailable:
    return IAMUnavailable(
        "iam-busy", "Many people's logins are being renewed. Please try again in a minute."
    )


_AWAY: Final = frozenset({"iam-unreachable", "iam-failed"})
