"""Discovery document and key set of an issuer, cached."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import IAMUnavailable
from af_hub.iam.names import is_encrypted, same_issuer
from af_hub.iam.signature import UnknownKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from af_hub.iam.http import IAMHttp

log = logging.getLogger(__name__)

REFRESH_AFTER: Final = 6 * 3600.0
"""Seconds after which documents are fetched again (WLCG profile: 6 h)."""

EXPIRE_AFTER: Final = 48 * 3600.0
"""Seconds that keys may be used while the issuer does not answer (WLCG profile: 2 d)."""

COOL_DOWN: Final = 30.0
"""Seconds between two tries, so that tokens with invented key ids cannot drive us."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses from the discovery document; empty where the issuer has none."""

    authorize: str
    token: str
    userinfo: str
    revoke: str
    keys: str


class Issuer:
    """An OpenID Connect issuer.

    Parameters
    ----------
    issuer
        As configured; a trailing slash makes no difference.
    http
        Client for it.
    instead
        Addresses by the names of `Endpoints` that replace the discovery document's; empty ones
        do not.
    clock
        Seconds that only grow; for tests.
    """

    def __init__(
        self,
        issuer: str,
        http: IAMHttp,
        *,
        instead: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._http = http
        self._instead = {name: url for name, url in (instead or {}).items() if url}
        self._clock = clock
        self._endpoints: Endpoints | None = None
        self._failures: dict[str, tuple[float, IAMUnavailable]] = {}
        self._keys: dict[str, Any] = {}
        self._generation = 0
        self._fetched = dict.fromkeys(("endpoints", "keys"), float("-inf"))
        self._tried = dict.fromkeys(("endpoints", "keys"), float("-inf"))
        self._missed = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def key_age(self) -> float | None:
        """Seconds since the keys were fetched; None before the first time."""
        age = self._clock() - self._fetched["keys"]
        return age if age < float("inf") else None

    async def endpoints(self) -> Endpoints:
        """Return the issuer's addresses.

        Raises
        ------
        IAMUnavailable
            ``iam-unreachable``, ``iam-failed``, ``iam-answer``, ``iam-issuer``.
        """
        known = self._endpoints
        if known is not None and not self._is_due("endpoints"):
            # without the lock: it is handed on once in each round of a busy loop, and calls whose
            # turn has come would queue behind every request, and go out together
            return known
        asked_at = time.monotonic()
        async with self._lock:
            if self._endpoints is None:
                with self._failing_together("endpoints", asked_at):
                    self._endpoints = await self._discover()
                self._mark("endpoints")
            elif known is not None:
                try:
                    self._endpoints = await self._discover()
                    self._mark("endpoints")
                except IAMUnavailable as error:
                    log.warning("discovery of %s: %s; the old one is used", self.issuer, error)
            return self._endpoints

    async def check(self, check: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Run a verification with the issuer's keys; once more with new ones if a key is unknown.

        Parameters
        ----------
        check
            Function of the JWKS document, see `af_hub.iam.verify`.
        """
        keys = await self.keys()
        generation = self._generation
        try:
            return check(keys)
        except UnknownKeyError:
            newer = await self._newer_keys(generation)
            if newer is None:
                raise
        return check(newer)

    async def keys(self) -> dict[str, Any]:
        """Return the JWKS document, at most `EXPIRE_AFTER` old.

        Raises
        ------
        IAMUnavailable
            As for `endpoints`; ``iam-keys-expired`` while expired ones cannot be renewed.
        """
        endpoints = await self.endpoints()
        known = bool(self._keys)
        if known and not self._is_due("keys"):
            if self._clock() - self._fetched["keys"] > EXPIRE_AFTER:
                raise IAMUnavailable("iam-keys-expired", _EXPIRED)
            return self._keys
        asked_at = time.monotonic()
        async with self._lock:
            if self._keys and not known:  # somebody has fetched them meanwhile
                return self._keys
            with self._failing_together("keys", asked_at):
                return await self._renewed(endpoints.keys)

    async def _newer_keys(self, generation: int) -> dict[str, Any] | None:
        """Return keys that are newer than `generation`; None within the cool-down.

        Of many tokens with a new key at once the first fetches; the others wait for it.
        """
        endpoints = await self.endpoints()
        async with self._lock:
            if self._generation != generation:
                return self._keys
            now = self._clock()
            if now - self._missed < COOL_DOWN:
                return None
            self._missed = now
            return await self._renewed(endpoints.keys)

    async def _renewed(self, url: str) -> dict[str, Any]:
        age = self._clock() - self._fetched["keys"]
        try:
            self._keys = await self._fetch_keys(url)
        except IAMUnavailable as error:
            if not self._keys or age > EXPIRE_AFTER:
                raise
            log.warning("keys of %s: %s; the old ones are used", self.issuer, error)
        else:
            self._generation += 1
            self._mark("keys")
        return self._keys

    @contextmanager
    def _failing_together(self, what: str, asked_at: float) -> Iterator[None]:
        """Raise what a try raised that ended after `asked_at`, instead of trying once more.

        It would fail again: a restarted hub must not queue its users' requests behind each
        other's time-outs.
        """
        failed_at, failure = self._failures.get(what, (float("-inf"), None))
        if failure is not None and failed_at >= asked_at:
            raise failure
        try:
            yield
        except IAMUnavailable as error:
            self._failures[what] = time.monotonic(), error
            raise

    def _is_due(self, what: str) -> bool:
        """Tell who asks first that it is time; the others go on with what is known."""
        now = self._clock()
        due = now - self._fetched[what] > REFRESH_AFTER and now - self._tried[what] > COOL_DOWN
        if due:
            self._tried[what] = now
        return due

    def _mark(self, what: str) -> None:
        self._fetched[what] = self._tried[what] = self._clock()

    async def _fetch_keys(self, url: str) -> dict[str, Any]:
        reply = await self._http.get(url, purpose="keys")
        keys = reply.json() if reply.status == 200 else {}
        if not isinstance(keys.get("keys"), list) or not keys["keys"]:
            raise IAMUnavailable("iam-answer", _UNREADABLE, "no keys in the key set")
        return keys

    async def _discover(self) -> Endpoints:
        url = f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration"
        reply = await self._http.get(url, purpose="discovery")
        document = reply.json() if reply.status == 200 else {}
        if not same_issuer(str(document.get("issuer", "")), self.issuer):
            # the wrong issuer here is how a mix-up attack begins (RFC 9700)
            raise IAMUnavailable("iam-issuer", _UNREADABLE, "discovery names another issuer")
        found = Endpoints(
            authorize=_address(document, "authorization_endpoint"),
            token=_address(document, "token_endpoint"),
            userinfo=_address(document, "userinfo_endpoint", optional=True),
            revoke=_address(document, "revocation_endpoint", optional=True),
            keys=_address(document, "jwks_uri"),
        )
        return replace(found, **self._instead)


_UNREADABLE: Final = (
    "The identity provider answered with something unusable. Please tell the facility's support."
)

_EXPIRED: Final = (
    "The identity provider has not answered for so long that its keys can no longer be trusted. "
    "Please try again when it is back."
)


def _address(document: dict[str, Any], name: str, *, optional: bool = False) -> str:
    """Return an address that `is_encrypted`."""
    value = document.get(name)
    if value is None and optional:
        return ""
    if isinstance(value, str) and is_encrypted(value):
        return value
    raise IAMUnavailable("iam-answer", _UNREADABLE, f"{name} is not an https address")
