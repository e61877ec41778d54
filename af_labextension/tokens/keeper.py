"""The background task that keeps ``$BEARER_TOKEN_FILE`` valid."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from af_labextension.clock import steady
from af_labextension.errand import Errand
from af_labextension.errors import FileTrouble, LabError
from af_labextension.repeating import Repeating

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .bearer_file import BearerFile
    from .model import Token, TokenState
    from .provider import TokenProvider

log = logging.getLogger(__name__)

LONGEST_NAP = 30.0
"""Seconds. A sleep does not count the time that a suspended laptop was away, and a clock may be
set: so the wall clock is looked at this often."""

RETRY_PAUSE = 5.0
"""Seconds between attempts while the hub or the disk fails; the provider may ask for more."""

SHORTEST_NAP = 1.0
"""Seconds. A token that is born nearly dead must not make the keeper spin."""


class TokenKeeper:
    """Keep one token file valid from `start` to `stop`.

    Parameters
    ----------
    provider
        Where tokens come from.
    file
        Where they go.
    audience
        Gives the name of the audience. It is asked for again until it is known, since the hub
        may be away when the Lab starts. ``None`` as an answer means that there is nothing to
        keep now.
    clock, sleep
        Seconds since the epoch, and waiting; a test gives its own.
    """

    def __init__(
        self,
        provider: TokenProvider,
        file: BearerFile,
        audience: Callable[[], Awaitable[str | None]],
        *,
        clock: Callable[[], float] = steady,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._file = file
        self._audience = audience
        self._clock = clock
        # a fault of ours must cost one round, not the token of a night's work
        self._keeping = Repeating("token-keeper", self._keep, pause=LONGEST_NAP, sleep=sleep)
        self._swept = False
        self._known: str | None = None
        self._wrote = False
        self._errand = Errand()
        self._turn = asyncio.Lock()
        self._trouble: FileTrouble | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._file.path

    def start(self) -> None:
        """Begin keeping the file."""
        self._keeping.start()

    async def stop(self) -> None:
        """End, and take the file away: the server that it served ends too."""
        await self._keeping.stop()
        await self._errand.finished()
        if self._wrote:
            await asyncio.to_thread(self._file.remove)

    async def look(self) -> None:
        """Renew the file now if it is time; what goes wrong is told by `refine`."""
        async with self._turn:
            await self._round()

    def refine(self, state: TokenState) -> TokenState:
        """Add to a token's state that its file cannot be written, if that is so."""
        if self._trouble is None:
            return state
        return replace(state, state="error", message=self._trouble.message)

    async def _keep(self) -> float:
        """Go round once; return the seconds until the next time."""
        if not self._swept:
            await asyncio.to_thread(self._file.sweep)
            self._swept = True
        async with self._turn:
            due = await self._round()
        return min(LONGEST_NAP, max(SHORTEST_NAP, due - self._clock()))

    async def _round(self) -> float:
        """Renew the file if it is time; return when to come again, seconds since the epoch."""
        try:
            if self._known is None or self._clock() >= self._provider.renew_at(self._known):
                self._known = await self._audience()
            if self._known is None:
                return self._clock() + LONGEST_NAP
            token = await self._provider.token(self._known)
            await self._put(token)
        except FileTrouble as error:
            if self._trouble is None:
                log.warning("token file not renewed: %s %s", error.code, error.detail)
            self._trouble = error
            return self._clock() + RETRY_PAUSE
        except LabError as error:
            log.info("no token for the file yet: %s", error.code)
            later = self._provider.renew_at(self._known) if self._known else 0.0
            return max(later, self._clock() + RETRY_PAUSE)
        self._trouble = None
        return self._provider.renew_at(self._known)

    async def _put(self, token: Token) -> None:
        """Write the token unless the file holds it already; somebody may have removed it."""
        if not await asyncio.to_thread(self._file.holds, token.value):
            self._wrote = True  # also when we are stopped in the middle of it
            await self._errand.run(self._file.write, token.value)
            log.info("token file renewed, valid for %.0f s", token.seconds_left(self._clock()))
