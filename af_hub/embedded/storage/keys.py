"""The issuer's public keys, fetched over https and kept."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from af_hub.errors import IAMUnavailable
from af_hub.iam.signature import UnknownKeyError
from af_hub.iam.verify import verify_access_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

COOL_DOWN = 30.0
"""Seconds between two fetches: tokens with made-up key ids must not become load on IAM."""

FRESH = 6 * 3600.0
"""Seconds after which the keys are fetched again (WLCG profile: 6 h)."""

KEPT = 2 * 86400.0
"""Seconds for which keys are used when IAM does not answer (WLCG profile: 2 d)."""

TIMEOUT = 5.0
"""Seconds for one fetch."""

LARGEST = 2**20
"""Bytes of a discovery or key document."""


class Keys:
    """Verifies tokens of one issuer. Safe to use from several threads.

    Parameters
    ----------
    issuer
        The issuer as discovery has it.
    token_issuer
        The issuer as access tokens have it; INDIGO IAM writes it without the final slash.
    audience
        What this service is called in ``aud``.
    ca_file
        Accepted authorities for the issuer's https; None for the system's.
    clock
        Seconds that only grow, for tests.
    """

    def __init__(
        self,
        *,
        issuer: str,
        token_issuer: str,
        audience: str,
        ca_file: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._token_issuer = token_issuer
        self._audience = audience
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Any] | None = None
        self._fetched = 0.0
        self._tried: float | None = None
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        # no proxy: the issuer is on this machine, and its keys decide who gets in
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        ).open

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a good token.

        Raises
        ------
        IdentityError
            The token is refused.
        IAMUnavailable
            ``keys-unavailable``: the keys cannot be had, so nothing can be said.
        """
        try:
            return self._verify(token, self._current())
        except UnknownKeyError:
            # the issuer may have taken a new key since
            if not self._fetch():
                raise
            return self._verify(token, self._current())

    def _verify(self, token: str, keys: dict[str, Any]) -> dict[str, Any]:
        return verify_access_token(token, keys, issuer=self._token_issuer, audience=self._audience)

    def _current(self) -> dict[str, Any]:
        age = self._clock() - self._fetched
        if self._keys is None or age > FRESH:
            self._fetch()
            age = self._clock() - self._fetched
        keys = self._keys
        if keys is None or age > KEPT:
            raise IAMUnavailable(
                "keys-unavailable", "The identity provider does not answer. Try again in a minute."
            )
        return keys

    def _fetch(self) -> bool:
        """Fetch the keys unless that was tried just now; tell whether there are new ones."""
        with self._lock:
            now = self._clock()
            if self._tried is not None and now - self._tried < COOL_DOWN:
                return False
            self._tried = now
            try:
                base = self._issuer.rstrip("/")
                discovery = self._get(f"{base}/.well-known/openid-configuration")
                self._keys = self._get(str(discovery["jwks_uri"]))
            except (OSError, ValueError, KeyError) as error:
                # urllib's errors are OSErrors; they hold the address, never a token
                log.warning("cannot fetch the issuer's keys: %s", error)
                return False
            self._fetched = now
            return True

    def _get(self, url: str) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise ValueError(f"the issuer's keys must come over https, not from {url[:200]}")
        with self._open(url, timeout=TIMEOUT) as answer:
            document = json.loads(answer.read(LARGEST))
        if not isinstance(document, dict):
            raise ValueError(f"{url} is no JSON object")  # noqa: TRY004  bad data, not a bad call
        return document
