"""The Lab's only way to the hub: what the facility offers, and tokens.

Everything is a pull with the server's own API token, so a hub may restart, move or be away for a
while and nothing here needs to be told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .clock import steady
from .errors import LabError, NotAnswering, Refused
from .http import HttpClient
from .tokens.model import Token, Wanted, token_from_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tornado.httpclient import HTTPResponse

    from .secret import Secret

log = logging.getLogger(__name__)

MAX_ANSWER = 4 * 1024 * 1024
"""Largest answer of the hub in bytes: a lab configuration with hundreds of types is far less."""

LONGEST_LIFE = 999_999
"""Seconds; the hub takes no greater number."""

_AUDIENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the hub is and who we are to it.

    Parameters
    ----------
    url
        Base of the hub's facility API, for example ``http://hub:8081/hub/api/af``.
    api_token
        The API token of this server (``JUPYTERHUB_API_TOKEN``).
    ca_file
        PEM file with the authorities for https, ``None`` for the system's.
    """

    url: str
    api_token: Secret
    ca_file: str | None = None


class HubClient:
    """Ask the hub, with patience.

    Parameters
    ----------
    address
        Where the hub is.
    timeout
        Seconds for one attempt.
    attempts
        How often a question is put before it counts as not answered. Three bridge the blink of
        a proxy; a hub restart is bridged by the callers, who keep what they have.
    config_ttl
        Seconds for which the lab configuration is taken from memory.
    clock, sleep
        Seconds since the epoch (`af_labextension.clock`), and waiting; a test gives its own.
    """

    def __init__(
        self,
        address: HubAddress,
        *,
        timeout: float = 10.0,
        attempts: int = 3,
        config_ttl: float = 60.0,
        clock: Callable[[], float] = steady,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._attempts = attempts
        self._config_ttl = config_ttl
        self._clock = clock
        self._sleep = sleep
        self._http = HttpClient(ca_file=address.ca_file, max_body_size=MAX_ANSWER)
        self._config: dict[str, Any] | None = None
        self._config_until = 0.0
        self._refreshing: asyncio.Task[dict[str, Any]] | None = None

    @property
    def api_token(self) -> Secret:
        """The server's own hub token: the hub and its services take it, nobody else may see it."""
        return self.address.api_token

    async def lab_config(self, *, fresh: bool = False) -> dict[str, Any]:
        """Return what the facility offers this user, as ``GET <hub>/api/af/lab`` gives it.

        It is kept for `config_ttl` seconds. While the hub does not answer, the last known one
        serves on.

        Parameters
        ----------
        fresh
            Ask the hub even if the known one is young.

        Raises
        ------
        NotAnswering
            The hub does not answer and nothing is known yet.
        Refused
            The hub does not take this server's token any more.
        """
        if self._config is not None and not fresh and self._clock() < self._config_until:
            return self._config
        refresh = self._refreshing
        if refresh is None:
            refresh = self._refreshing = asyncio.create_task(self._refresh_config())
        # nobody waits for a slow hub where an older answer is at hand
        await asyncio.wait({refresh}, timeout=None if self._config is None else 1.0)
        if self._config is None:
            return refresh.result()
        return self._config

    async def known_config(self) -> dict[str, Any]:
        """Return the last known lab configuration, however old; ask only while none is known.

        For what goes on in the background: a newer one comes with the next renewal of a token, or
        when the page is open.

        Raises
        ------
        LabError
            As `lab_config`.
        """
        return self._config if self._config is not None else await self.lab_config()

    async def _refresh_config(self) -> dict[str, Any]:
        """Fetch the lab configuration; the old one stays if the hub is silent."""
        try:
            self._config = await self._ask("lab", {})
        except LabError as error:
            if self._config is None:
                raise
            log.warning("keeping the known lab configuration: %s (%s)", error.code, error.detail)
        finally:
            self._config_until = self._clock() + self._config_ttl
            self._refreshing = None
        return self._config

    async def report_activity(
        self, active_at: float, gpu_active_at: float | None
    ) -> dict[str, Any]:
        """Tell the hub when this server was used last; return when it will end.

        Parameters
        ----------
        active_at
            Last activity in seconds since 1970.
        gpu_active_at
            Last work on its devices; None if nobody can tell.

        Raises
        ------
        NotAnswering
            The hub does not answer; it ends no idle server that it does not hear from.
        Refused
            The hub does not take this server's token any more, or is older.
        """
        report = {"active_at": active_at, "gpu_active_at": gpu_active_at}
        return _read(await self._send(self._url("activity"), json.dumps(report).encode()))

    async def token(self, wanted: Wanted) -> Token:
        """Return an access token, straight from the hub.

        Callers want `af_labextension.tokens.provider`, which keeps tokens.

        Raises
        ------
        NotAnswering
            The hub or the identity provider does not answer.
        Refused
            The hub said no; code and sentence are the hub's.
        """
        if not _AUDIENCE.fullmatch(wanted.audience):
            raise Refused("unknown-audience", "No such audience is known here.")
        query = {"audience": wanted.audience}
        if wanted.scope:
            query["scope"] = wanted.scope
        if wanted.min_left > 0:
            query["min_left"] = str(math.ceil(min(wanted.min_left, LONGEST_LIFE)))
        answer = await self._ask("token", query)
        return token_from_answer(answer, wanted.audience, self._clock())

    async def _ask(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """Put one question, again after a growing pause while nobody answers."""
        url = self._url(path)
        if query:
            url += "?" + urlencode(query)
        for attempt in range(1, self._attempts + 1):
            try:
                return _read(await self._send(url))
            except NotAnswering as error:
                if attempt == self._attempts:
                    raise
                pause = 0.25 * 2.0**attempt * (0.5 + random.random())  # noqa: S311 - spreads load
                log.info("hub: %s; again in %.1f s", error.code, pause)
                await self._sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    def _url(self, path: str) -> str:
        return f"{self.address.url.rstrip('/')}/{path}"

    async def _send(self, url: str, body: bytes | None = None) -> HTTPResponse:
        """Send one request with the server's token, a POST if it has a body."""
        headers = {
            "Authorization": f"token {self.address.api_token.reveal()}",
            "Accept": "application/json",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        method = "GET" if body is None else "POST"
        try:
            return await self._http.send(
                method, url, headers=headers, timeout=self._timeout, body=body
            )
        except NotAnswering as error:
            if error.code == "untrusted-certificate":
                raise
            raise NotAnswering(
                "hub-unreachable",
                "The hub does not answer now. The Lab keeps trying; running work goes on.",
                detail=error.detail,
            ) from error

    def close(self) -> None:
        """Close the connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._http.close()


def _read(response: HTTPResponse) -> dict[str, Any]:
    """Turn an answer into its JSON object, or into the error it stands for."""
    try:
        body = json.loads(response.body or b"null")
    except ValueError:
        body = None
    if response.code == 200:
        if isinstance(body, dict):
            return body
        raise NotAnswering(
            "hub-garbage",
            "The hub gave an answer that cannot be read. Tell the facility's support.",
            detail=f"status 200, {len(response.body or b'')} bytes",
        )
    raise _refusal(response.code, body)


def _refusal(status: int, body: object) -> LabError:
    """Name what a status other than 200 means; the hub's own words where it has some."""
    code, message = "", ""
    if isinstance(body, dict):
        code, message = str(body.get("code") or ""), str(body.get("message") or "")
    if not _CODE.fullmatch(code):
        code = ""
    message = message[:500]
    if status >= 500 or status == 429:
        return NotAnswering(
            code or "hub-unreachable",
            message if code else "The hub has trouble now. The Lab keeps trying.",
            detail=f"status {status}",
        )
    if not code and status in {401, 403}:
        code = "hub-refused"
        message = "The hub does not take this server's token. Restart the server from the hub page."
    return Refused(
        code or "hub-refused",
        message or f"The hub refused with status {status}.",
        # 401 would tell the browser that its login to the Lab is over, which it is not
        status={401: 403}.get(status, status) if 400 <= status < 500 else 502,
        detail=f"status {status}",
    )
