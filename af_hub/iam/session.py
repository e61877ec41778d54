"""A user's login at the identity provider, kept alive: one refresh at a time per user."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from af_hub.errors import AFError, IAMUnavailable, SessionOver
from af_hub.iam.pace import Pace, Pauses
from af_hub.iam.window import held
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from af_hub.iam.tokens import TokenAnswer, TokenEndpoint

log = logging.getLogger(__name__)


class HubUser(Protocol):
    """The part of JupyterHub's user that is needed here."""

    name: str

    async def get_auth_state(self) -> dict[str, Any] | None:
        """Return the decrypted auth_state."""

    async def save_auth_state(self, auth_state: dict[str, Any] | None) -> None:
        """Encrypt, store and commit."""


@dataclass(frozen=True, slots=True)
class Login:
    """What auth_state holds of a login.

    Parameters
    ----------
    access_token, refresh_token, id_token
        The tokens of the hub's client.
    expires_at
        End of the access token, seconds since the epoch.
    scope
        Granted scope.
    iss, sub
        The person: what the hub user is pinned to.
    name
        Full name for display.
    groups
        Canonical groups.
    checked_at
        When the identity provider last confirmed login and groups, seconds since the epoch.
    by_userinfo
        Whether the groups came from userinfo, since the ID token has none.
    """

    access_token: Secret
    refresh_token: Secret | None
    id_token: Secret | None
    expires_at: float
    scope: str
    iss: str
    sub: str
    name: str
    groups: tuple[str, ...]
    checked_at: float
    by_userinfo: bool = False

    def to_state(self) -> dict[str, Any]:
        """Return the auth_state."""
        return {
            "access_token": self.access_token.reveal(),
            "refresh_token": self.refresh_token.reveal() if self.refresh_token else None,
            "id_token": self.id_token.reveal() if self.id_token else None,
            "expires_at": self.expires_at,
            "scope": self.scope,
            "iss": self.iss,
            "sub": self.sub,
            "name": self.name,
            "groups": list(self.groups),
            "checked_at": self.checked_at,
            "by_userinfo": self.by_userinfo,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any] | None) -> Login | None:
        """Read an auth_state; None if there is no login in it (never was, or logged out)."""
        if not state or not state.get("access_token") or not state.get("sub"):
            return None
        return cls(
            access_token=Secret(state["access_token"]),
            refresh_token=_secret(state.get("refresh_token")),
            id_token=_secret(state.get("id_token")),
            expires_at=float(state.get("expires_at") or 0.0),
            scope=str(state.get("scope") or ""),
            iss=str(state.get("iss") or ""),
            sub=str(state["sub"]),
            name=str(state.get("name") or ""),
            groups=tuple(state.get("groups") or ()),
            checked_at=float(state.get("checked_at") or 0.0),
            by_userinfo=bool(state.get("by_userinfo")),
        )


class Watch(Protocol):
    """Who is told of refreshes, see `af_hub.audit`."""

    def refreshed(self, username: str, old: Login, new: Login) -> None:
        """Hear of a login that was refreshed and verified."""

    def refresh_failed(self, username: str, error: AFError) -> None:
        """Hear of a refresh that was tried and did not work."""


def pin_of(state: dict[str, Any] | None) -> dict[str, str]:
    """Return what stays of an auth_state at logout: to whom the hub user name belongs."""
    state = state or {}
    return {key: state[key] for key in ("iss", "sub") if state.get(key)}


class Sessions:
    """Refreshes logins; any number of simultaneous requests of a user make one refresh.

    Parameters
    ----------
    endpoint
        The token endpoint.
    accept
        Verifies a refresh answer and returns the new login (identity unchanged, groups read).
    apply
        Writes a new login to the hub: auth_state, groups, admin rights.
    watch
        Told of every try.
    pace
        Turns for refreshes; those that a person waits for (``max_age=0``) need none.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        *,
        accept: Callable[[Login, TokenAnswer], Awaitable[Login]],
        apply: Callable[[Any, Login], Awaitable[None]],
        watch: Watch | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._accept = accept
        self._apply = apply
        self._watch = watch
        self.pace = pace or Pace()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pauses = Pauses()

    async def ensure(self, user: HubUser, *, margin: float, max_age: float) -> Login:
        """Return a login that is good enough, refreshed if need be.

        Parameters
        ----------
        user
            Whose.
        margin
            Seconds that the access token must live on.
        max_age
            Seconds since the identity provider last confirmed the login; 0 asks it now.

        Raises
        ------
        SessionOver
            There is no login, or the identity provider ended it.
        IAMUnavailable
            A refresh was needed and the provider did not answer, or has too many to make; the
            old login stays.
        """
        # shielded: a request that is cancelled between the provider's answer and the database
        # would lose a rotated refresh token
        return await asyncio.shield(self._ensure(user, margin, max_age, time.time()))

    async def narrowed(self, user: HubUser, *, audience: str, scope: str) -> TokenAnswer:
        """Get a narrower access token by the refresh grant (for clients without exchange).

        Raises
        ------
        SessionOver, IdentityError, IAMUnavailable
            As the token endpoint. ``refresh-method-unsafe`` if the provider rotated the refresh
            token: then each audience ends the tokens of the one before.
        """
        return await asyncio.shield(self._narrowed(user, audience, scope))

    async def forget(self, user: HubUser) -> Login | None:
        """Take the tokens out of auth_state and return what was there; the pin stays."""
        async with self._lock(user.name):
            state = await user.get_auth_state()
            await user.save_auth_state(pin_of(state) or None)
            self._pauses.end(user.name)
            return Login.from_state(state)

    async def _ensure(self, user: HubUser, margin: float, max_age: float, asked_at: float) -> Login:
        async with self._lock(user.name):
            login = Login.from_state(await user.get_auth_state())
            if login is None:
                raise SessionOver("login-missing", "You are not logged in. Please log in again.")
            now = time.time()
            # a confirmation that came while this request waited is as good as a new one
            confirmed = login.checked_at >= asked_at or now - login.checked_at < max_age
            if confirmed and login.expires_at - now > margin:
                return login
            return await self._refresh(user, login, asked_at=asked_at, paced=max_age > 0)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn; it must not pass while the provider's addresses are looked for."""
        self.pace.check()
        try:
            with held():
                await self._endpoint.ready()
        except IAMUnavailable as failure:
            self.pace.note(failure)
            raise
        async with self.pace.turn():
            yield

    async def _refresh(self, user: HubUser, login: Login, *, asked_at: float, paced: bool) -> Login:
        if login.refresh_token is None:
            raise SessionOver("login-over", "Your login has ended. Please log in again.")
        # a failure is told again to who waited for it; a later start must ask for itself, since
        # what happens to it must not depend on what is stored. A new login ends the pause.
        self._pauses.check(user.name, since=login.checked_at if paced else asked_at)
        async with self._turn() if paced else nullcontext():
            try:
                fresh = await self._try_refresh(user, login, login.refresh_token)
            except AFError as failure:
                self._pauses.begin(user.name, failure)
                if self._watch is not None:
                    self._watch.refresh_failed(user.name, failure)
                raise
        self._pauses.end(user.name)
        if self._watch is not None:
            self._watch.refreshed(user.name, login, fresh)
        return fresh

    async def _try_refresh(self, user: HubUser, login: Login, token: Secret) -> Login:
        try:
            with self.pace.noting():
                answer = await self._endpoint.refresh(token, held=login.scope)
        except SessionOver as over:
            log.info("login of %s is over: %s (%s)", user.name, over.code, over.detail)
            state = await user.get_auth_state()
            if (newer := _newer(state, login)) is not None:
                return newer
            if over.code == "login-over":  # the others can be put right at the provider
                await user.save_auth_state(pin_of(state))
            raise
        if (newer := _newer(await user.get_auth_state(), login)) is not None:
            return newer
        # stored before it is verified or used: the old refresh token may be dead already
        kept = replace(login, refresh_token=answer.refresh_token or login.refresh_token)
        if kept.refresh_token != login.refresh_token:
            await user.save_auth_state(kept.to_state())
        fresh = await self._accept(kept, answer)
        await self._apply(user, fresh)
        return fresh

    async def _narrowed(self, user: HubUser, audience: str, scope: str) -> TokenAnswer:
        async with self._lock(user.name):
            login = Login.from_state(await user.get_auth_state())
            if login is None or login.refresh_token is None:
                raise SessionOver("login-missing", "You are not logged in. Please log in again.")
            token = login.refresh_token
            async with self._turn():
                with self.pace.noting():
                    answer = await self._endpoint.refresh(token, scope=scope, audience=audience)
            if answer.refresh_token is None or answer.refresh_token == login.refresh_token:
                return answer
            kept = replace(login, refresh_token=answer.refresh_token, expires_at=0.0)
            await user.save_auth_state(kept.to_state())
            raise IAMUnavailable(
                "refresh-method-unsafe",
                "The facility's registration at the identity provider cannot give this token. "
                "Please tell the facility's support.",
                "the refresh token rotates: set method: exchange, or reuse of refresh tokens",
            )

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def _newer(state: dict[str, Any] | None, login: Login) -> Login | None:
    """Return the login of `state` if the user logged in while the one before was refreshed."""
    stored = Login.from_state(state)
    return stored if stored is not None and stored.checked_at > login.checked_at else None


def _secret(value: Any) -> Secret | None:
    return Secret(value) if isinstance(value, str) and value else None
