"""The one place that talks HTTP to the identity provider.

Every call has a time-out, a bounded number of tries and the configured authorities; logs name
method, address without query, status and duration, never a header or body.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from af_hub.errors import IAMUnavailable
from af_hub.iam.window import Window
from af_hub.metrics import iam_called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.secret import Secret

log = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 3.0
REQUEST_TIMEOUT: Final = 10.0
MAX_CLIENTS: Final = 50
"""Simultaneous calls. Tornado's default of 10 made logins queue behind each other."""

PLACES: Final = 10
"""Calls in any second, unless configured otherwise."""

_PAUSES: Final = (0.2, 0.6)
"""Seconds before the second and the third try."""

_MAX_BODY: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the identity provider, whatever its status.

    Parameters
    ----------
    status
        HTTP status.
    body
        The bytes; hidden from ``repr`` since tokens travel there.
    """

    status: int
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises
        ------
        IAMUnavailable
            ``iam-answer`` if it is none.
        """
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise IAMUnavailable(
                "iam-answer", "The identity provider answered with something unreadable."
            )
        return value


class IAMHttp:
    """An HTTP client for one identity provider.

    Parameters
    ----------
    ca_file
        PEM bundle of accepted authorities; empty = the system's.
    verify
        False switches certificate checks off, as OAuthenticator's ``validate_server_cert``.
    places
        Calls in any second, of those that nobody waits for in person, see `af_hub.iam.window`.
    """

    def __init__(self, ca_file: str = "", *, verify: bool = True, places: int = PLACES) -> None:
        self._ca_file = ca_file
        self._verify = verify
        self._context: ssl.SSLContext | None = None
        self._client: SimpleAsyncHTTPClient | None = None
        self._window = Window(places)

    async def get(self, url: str, *, purpose: str, bearer: Secret | None = None) -> Reply:
        """Get a document; tried again after a lost connection and after 5xx.

        Parameters
        ----------
        url
            Its address.
        purpose
            What the call is for, see `af_hub.metrics.iam_called`.
        bearer
            Access token to send.

        Raises
        ------
        IAMUnavailable
            ``iam-unreachable`` or ``iam-certificate``; or 5xx to the end as ``iam-failed``.
        """
        headers = {"Accept": "application/json"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer.reveal()}"
        return await self._send("GET", url, headers, None, purpose=purpose)

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        purpose: str,
        basic: tuple[str, Secret] | None = None,
    ) -> Reply:
        """Post a form; tried again only where the request cannot have arrived.

        A refresh that was answered but not heard must not be repeated blindly: with rotation
        the second one would be refused.

        Parameters
        ----------
        url
            Where to.
        form
            Names and values.
        purpose
            What the call is for, see `af_hub.metrics.iam_called`.
        basic
            User name and password to send.

        Raises
        ------
        IAMUnavailable
            As for `get`.
        """
        body = urlencode(form)
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return await self._send("POST", url, headers, body, purpose=purpose, basic=basic)

    async def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: str | None,
        *,
        purpose: str,
        basic: tuple[str, Secret] | None = None,
    ) -> Reply:
        for attempt in range(len(_PAUSES) + 1):
            last = attempt == len(_PAUSES)
            try:
                async with self._window.place():
                    started = time.monotonic()
                    reply = await self._once(method, url, headers, body, basic)
            except IAMUnavailable as error:
                iam_called(purpose, error.code, time.monotonic() - started)
                arrived = error.detail != _NEVER_SENT
                if last or (method == "POST" and arrived):
                    raise
            else:
                iam_called(purpose, f"{reply.status // 100}xx", time.monotonic() - started)
                if reply.status < 500 or (method == "POST" or last):
                    return _not_5xx(reply)
            await asyncio.sleep(_PAUSES[attempt])
        raise AssertionError("unreachable")

    async def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: str | None,
        basic: tuple[str, Secret] | None,
    ) -> Reply:
        shown = _shown(url)
        started = time.monotonic()
        request = HTTPRequest(
            url,
            method=method,
            headers={**headers, "User-Agent": "analysis-facility"},
            body=body,
            auth_username=basic[0] if basic else None,
            auth_password=basic[1].reveal() if basic else None,
            connect_timeout=CONNECT_TIMEOUT,
            request_timeout=REQUEST_TIMEOUT,
            follow_redirects=False,
            ssl_options=await self._ssl() if url.startswith("https:") else None,
        )
        try:
            response: HTTPResponse = await self._http().fetch(request, raise_error=False)
            if response.code == 599:  # tornado's code for no answer at all
                response.rethrow()
        except (HTTPError, OSError, ValueError) as error:
            log.warning("%s %s failed: %s", method, shown, type(error).__name__)
            raise _unavailable(error) from None
        log.info(
            "%s %s %d in %.0f ms", method, shown, response.code, 1e3 * (time.monotonic() - started)
        )
        return Reply(response.code, response.body or b"")

    def _http(self) -> SimpleAsyncHTTPClient:
        if self._client is None:
            # an instance of our own: the hub's shared one may be curl's, and has other limits
            self._client = SimpleAsyncHTTPClient(
                force_instance=True, max_clients=MAX_CLIENTS, max_body_size=_MAX_BODY
            )
        return self._client

    async def _ssl(self) -> ssl.SSLContext:
        if self._context is None:
            # parsing some 150 authorities takes milliseconds: once, and off the event loop
            self._context = await asyncio.to_thread(self._make_context)
        return self._context

    def _make_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:
            raise IAMUnavailable(
                "iam-certificate",
                "The facility's list of certificate authorities cannot be read. "
                "Please tell the facility's support.",
                f"{self._ca_file}: {error}",
            ) from None
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


_NEVER_SENT: Final = "the connection could not be made"

_BEFORE: Final = ("request queue", "resolving", "connecting", "TLS handshake")
"""Tornado's words for where a time-out came before anything was sent. A loop that is busy with
hundreds of requests at once looks like a slow handshake."""


def _unavailable(error: Exception) -> IAMUnavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return IAMUnavailable(
            "iam-certificate",
            "The certificate of the identity provider is not trusted. "
            "Please tell the facility's support (identity.ca_file).",
            "certificate verify failed",
        )
    # a time-out or loss after the connection stood may have reached the other side
    unsent = isinstance(error, ConnectionRefusedError) or (
        isinstance(error, HTTPTimeoutError) and any(phase in str(error) for phase in _BEFORE)
    )
    return IAMUnavailable(
        "iam-unreachable",
        "The identity provider cannot be reached at the moment. Please try again in a minute.",
        _NEVER_SENT if unsent else type(error).__name__,
    )


def _not_5xx(reply: Reply) -> Reply:
    if reply.status < 500:
        return reply
    raise IAMUnavailable(
        "iam-failed",
        "The identity provider has an internal problem. Please try again in a minute.",
        f"status {reply.status}",
    )


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
