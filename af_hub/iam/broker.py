"""Short-lived access tokens for configured audiences, for servers and services of a user."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from af_hub.errors import IAMUnavailable, Refusal, SessionOver
from af_hub.iam.names import issuer_of
from af_hub.iam.scopes import covered, narrowed
from af_hub.iam.window import held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from af_hub.iam.session import HubUser, Login, Sessions
    from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
    from af_hub.secret import Secret

log = logging.getLogger(__name__)

MINIMUM_LIFE: Final = 60.0
"""Seconds that a token given out lives at least, also while the provider is away."""

EARLY: Final = 300.0
"""Seconds before its end at which a token is made anew, so that a try may fail."""

RENEWED_APART: Final = 30.0
"""Seconds: a token that is younger is given out even to those who want one that lives longer."""

NARROWED_PER_USER: Final = 32
"""Tokens per user beyond which no narrower ones are given."""

CACHE_SIZE: Final = 10_000
"""Tokens kept; beyond that the ones that end first are dropped."""


@dataclass(frozen=True, slots=True)
class Audience:
    """What may be asked for under one name.

    Parameters
    ----------
    audience
        The token's ``aud``.
    scope
        Scopes, separated by spaces; the provider leaves out what a user may not have.
    method
        ``exchange`` or ``refresh``.
    """

    audience: str
    scope: str
    method: str = "exchange"


@dataclass(frozen=True, slots=True)
class Brokered:
    """A token as it is given out.

    Parameters
    ----------
    access_token
        The token.
    expires_at
        Its end, seconds since the epoch.
    scope, audience, issuer
        What it says.
    groups
        The user's groups when it was made: a change makes a new one.
    lifetime
        Seconds that it lived when it was made.
    """

    access_token: Secret
    expires_at: float
    scope: str
    audience: str
    issuer: str
    groups: tuple[str, ...]
    lifetime: float

    def serves(self, now: float, min_left: float) -> bool:
        """Tell whether it is good enough for somebody who wants `min_left` seconds of it."""
        left = self.expires_at - now
        young = self.lifetime - left < RENEWED_APART
        return left > _renewed_at(self.lifetime) and (young or left >= min_left)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the answer of the broker's HTTP interface."""
        return {
            "access_token": self.access_token.reveal(),
            "token_type": "Bearer",
            "expires_at": int(self.expires_at),
            "expires_in": max(0, int(self.expires_at - now)),
            "scope": self.scope,
            "audience": self.audience,
            "issuer": self.issuer,
        }


_Key = tuple[str, str, str]
"""User, audience's name, scope."""


class Broker:
    """Gives out access tokens, one per user and audience at a time.

    Parameters
    ----------
    endpoint, sessions
        Where tokens come from.
    audiences
        What may be asked for, by name.
    login
        Returns a user's confirmed and still allowed login, see `IAMAuthenticator.login_of`.
    issuer
        ``iss`` of access tokens where it is configured; empty = read from each token.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        sessions: Sessions,
        audiences: Mapping[str, Audience],
        *,
        login: Callable[[Any], Awaitable[Login]],
        issuer: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._sessions = sessions
        self._audiences = audiences
        self._login = login
        self._issuer = issuer
        self._cache: dict[_Key, Brokered] = {}
        self._former: dict[str, list[Brokered]] = {}
        self._logouts: Counter[str] = Counter()
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    async def token(
        self, user: HubUser, name: str, scope: str = "", min_left: float = 0.0
    ) -> Brokered:
        """Return a token for the audience called `name`.

        Parameters
        ----------
        user
            Whose.
        name
            Of the audience.
        scope
            A part of the audience's scope, see `af_hub.iam.scopes.narrowed`; empty = all of it.
        min_left
            Seconds that the token should still live, as far as the provider's tokens live so long.

        Raises
        ------
        Refusal
            ``audience-unknown``, ``scope-refused``, ``too-many-tokens``, or what the user's login
            check refuses.
        SessionOver
            The user has to log in again.
        IdentityError
            ``token-not-granted`` if the provider gives none of the scopes.
        IAMUnavailable
            The provider is away and no token with `MINIMUM_LIFE` is left.
        """
        audience = self._audiences.get(name)
        if audience is None:
            raise Refusal(
                "audience-unknown", "This facility gives no tokens of that name.", status=404
            )
        key = (user.name, name, narrowed(scope, audience.scope))
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            try:
                return await self._token(user, key, audience, min_left)
            except IAMUnavailable:
                # an outage is no reason to refuse what is still good
                old = self._cache.get(key)
                if old is not None and old.expires_at - time.time() > MINIMUM_LIFE:
                    return old
                raise

    def forget(self, user: HubUser) -> list[Brokered]:
        """Drop a user's tokens and return those that still live.

        Call it when the login is gone: tokens that are being made at this moment are then given
        to nobody.
        """
        now = time.time()
        self._logouts[user.name] += 1
        gone = [self._cache.pop(key) for key in list(self._cache) if key[0] == user.name]
        gone += self._former.pop(user.name, [])
        return [one for one in gone if one.expires_at > now]

    async def _token(
        self, user: HubUser, key: _Key, audience: Audience, min_left: float
    ) -> Brokered:
        logouts = self._logouts[user.name]
        login = await self._login(user)
        old = self._cache.get(key)
        if old is not None and old.groups == login.groups and old.serves(time.time(), min_left):
            return old
        if old is None and key[2] != audience.scope:
            self._check_count(key)
        answer = await self._make(user, login, replace(audience, scope=key[2]))
        if logouts != self._logouts[user.name]:
            await self._endpoint.revoke(answer.access_token)
            raise SessionOver("login-missing", "You are not logged in. Please log in again.")
        now = time.time()
        made = Brokered(
            access_token=answer.access_token,
            expires_at=answer.expires_at,
            scope=answer.scope,
            audience=audience.audience,
            issuer=self._issuer or issuer_of(answer.access_token) or login.iss,
            groups=login.groups,
            lifetime=answer.expires_at - now,
        )
        self._remember(key, made, now)
        log.info("token for %s made for %s: %s", key[1], user.name, made.scope)
        return made

    async def _make(self, user: HubUser, login: Login, audience: Audience) -> TokenAnswer:
        if audience.method == "refresh":
            return await self._sessions.narrowed(
                user, audience=audience.audience, scope=audience.scope
            )
        try:
            return await self._exchange(login, audience)
        except SessionOver:
            # the subject token was ended at the provider before its time: the refresh token
            # tells whether the login itself is over
            with held():  # an identity provider that forgot all tokens says so to everybody
                login = await self._sessions.ensure(user, margin=MINIMUM_LIFE, max_age=0)
            return await self._exchange(login, audience)

    async def _exchange(self, login: Login, audience: Audience) -> TokenAnswer:
        pace = self._sessions.pace
        async with pace.turn():
            with pace.noting():
                return await self._endpoint.exchange(
                    login.access_token,
                    audience=audience.audience,
                    scope=covered(audience.scope, login.scope),
                )

    def _check_count(self, key: _Key) -> None:
        """Refuse one more kind of token: logout must end all, and nobody's may be pushed out."""
        now = time.time()
        own = [k for k, one in self._cache.items() if k[0] == key[0] and one.expires_at > now]
        if len(own) >= NARROWED_PER_USER:
            raise Refusal(
                "too-many-tokens",
                f"You have {len(own)} different tokens already. Ask for a wider scope, or wait "
                "until some have ended.",
                status=429,
            )

    def _remember(self, key: _Key, made: Brokered, now: float) -> None:
        old = self._cache.get(key)
        former = [one for one in self._former.get(key[0], ()) if one.expires_at > now]
        self._former[key[0]] = former if old is None else [*former, old]
        self._cache[key] = made
        if len(self._cache) > CACHE_SIZE:
            by_end = sorted(self._cache, key=lambda one: self._cache[one].expires_at)
            for one in by_end[: CACHE_SIZE // 10]:
                del self._cache[one]
            log.info("%d tokens kept", len(self._cache))


def _renewed_at(lifetime: float) -> float:
    """Return how many seconds before its end a token is made anew."""
    return max(MINIMUM_LIFE, min(lifetime / 2, max(EARLY, lifetime / 4)))
