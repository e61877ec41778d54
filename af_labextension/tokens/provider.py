"""Valid tokens for whoever asks, with as few questions to the hub as possible."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from af_labextension.clock import steady
from af_labextension.errors import LabError, Refused

from .model import State, Token, TokenState, Wanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RENEW_SHARE = 0.75
"""Share of a token's life after which a new one is asked for."""

JITTER = 0.05
"""The share is lowered by up to this much, so that a thousand Labs do not ask in one second."""

RENEW_APART = 60.0
"""Seconds: a token that is younger is the longest that can be had, whatever is asked for."""

SCOPED = 64
"""Largest number of tokens with a part of an audience's scope that are kept."""

MINIMUM_LEFT = 20.0
"""Seconds a token must have left to be handed out while a newer one cannot be had."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts while the hub fails: doubled from the first to the longest."""


class TokenProvider(Protocol):
    """Where tokens come from."""

    async def token(
        self,
        audience: str,
        *,
        scope: str = "",
        min_left: float = 0.0,
        refused: Token | None = None,
    ) -> Token:
        """Return a token that is valid now.

        Parameters
        ----------
        audience
            Name of the audience.
        scope
            A part of what the audience's tokens may do, separated by spaces; empty: all of it.
        min_left
            Seconds that the token should still live, as far as such a token can be had.
        refused
            A token that a service just refused: another one is wanted.

        Raises
        ------
        LabError
            There is none to be had; the sentence says why.
        """

    def state(self, audience: str) -> TokenState:
        """Tell how the token for an audience stands."""

    def renew_at(self, audience: str) -> float:
        """Return when to ask for `token` again, seconds since the epoch."""

    def retry(self) -> None:
        """Forget the pause after a failure."""


@dataclass(slots=True)
class _Entry:
    """What is known about one audience."""

    token: Token | None = None
    renew_at: float = 0.0
    flight: asyncio.Task[Token] | None = None
    error: LabError | None = None
    failures: int = 0
    not_before: float = 0.0


class CachingTokenProvider:
    """Tokens kept per audience and scope, fetched once for all who wait, renewed early.

    Parameters
    ----------
    fetch
        Gives a new token, as `af_labextension.hub.HubClient.token` does.
    clock
        Seconds since the epoch.
    rng
        Random numbers for the jitter.
    """

    def __init__(
        self,
        fetch: Callable[[Wanted], Awaitable[Token]],
        *,
        clock: Callable[[], float] = steady,
        rng: random.Random | None = None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._entries: dict[tuple[str, str], _Entry] = {}

    async def token(
        self,
        audience: str,
        *,
        scope: str = "",
        min_left: float = 0.0,
        refused: Token | None = None,
    ) -> Token:
        """Return a valid token; see `TokenProvider.token`."""
        scope = " ".join(sorted(set(scope.split())))
        entry = self._entry(audience, scope)
        now = self._clock()
        kept = entry.token
        if kept is not None and refused is not None and kept.value == refused.value:
            kept = None
        if kept is not None and now < entry.renew_at and kept.seconds_left(now) > 0:
            young = now - kept.obtained_at < RENEW_APART
            if young or kept.seconds_left(now) >= min_left:
                return kept
        try:
            if entry.flight is None and entry.error is not None and now < entry.not_before:
                raise entry.error
            return await self._join_flight(Wanted(audience, scope, min_left), entry)
        except LabError:
            if kept is not None and kept.seconds_left(self._clock()) > MINIMUM_LEFT:
                return kept
            raise

    def _entry(self, audience: str, scope: str) -> _Entry:
        """Return what is known; of tokens with a part of the scope the oldest are forgotten."""
        key = (audience, scope)
        if key not in self._entries and scope:
            scoped = [one for one, entry in self._entries.items() if one[1] and not entry.flight]
            for one in scoped[: max(0, len(scoped) - SCOPED + 1)]:
                del self._entries[one]
        return self._entries.setdefault(key, _Entry())

    async def _join_flight(self, wanted: Wanted, entry: _Entry) -> Token:
        """Wait for the request under way, or start one; a waiter that leaves does not stop it."""
        if entry.flight is None:
            entry.flight = asyncio.create_task(self._fly(wanted, entry))
        return await asyncio.shield(entry.flight)

    async def _fly(self, wanted: Wanted, entry: _Entry) -> Token:
        """Fetch one token and note how it went."""
        try:
            token = await self._fetch(wanted)
        except LabError as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(entry.failures, 10))
            entry.failures += 1
            entry.error = error
            entry.not_before = self._clock() + pause * (1 - JITTER * self._rng.random())
            log.warning("no token for %s: %s %s", wanted.audience, error.code, error.detail)
            raise
        else:
            entry.token, entry.error, entry.failures = token, None, 0
            entry.renew_at = token.renew_at(RENEW_SHARE - JITTER * self._rng.random())
            return token
        finally:
            entry.flight = None

    def retry(self) -> None:
        """Ask again at the next call, whatever pause a failure has set: the user did something."""
        for entry in self._entries.values():
            entry.not_before = 0.0

    def renew_at(self, audience: str) -> float:
        """Return when to ask again: early in a token's last quarter, or after the pause."""
        entry = self._entries.get((audience, ""))
        if entry is None:
            return 0.0
        return entry.renew_at if entry.error is None else entry.not_before

    def state(self, audience: str) -> TokenState:
        """Tell how a token stands; a trouble that waiting cures is told, but is not an error yet."""
        entry = self._entries.get((audience, ""), _Entry())
        message = entry.error.message if entry.error else None
        if entry.token is None:
            return TokenState(audience, "error" if entry.error else "refreshing", None, message)
        state: State = "refreshing" if entry.flight else "valid"
        if isinstance(entry.error, Refused):
            state = "error"
        elif entry.token.seconds_left(self._clock()) <= 0:
            state = "expired"
        return TokenState(audience, state, entry.token.expires_at, message, entry.token.scope)

    async def close(self) -> None:
        """Stop requests under way."""
        flights = [entry.flight for entry in self._entries.values() if entry.flight]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
