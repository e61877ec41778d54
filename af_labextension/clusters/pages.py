"""Fetch the pages and websockets of a scheduler's dashboard, wherever it runs."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from af_labextension.errors import NotAnswering, Refused
from af_labextension.http import HttpClient

if TYPE_CHECKING:
    from tornado.httpclient import HTTPResponse

MAX_PAGE = 64 * 1024**2
"""Bytes of a page or of a message of a dashboard."""

TIMEOUT = 15.0
"""Seconds for one page."""

PAGE = re.compile(r"(?:[A-Za-z0-9_.+-]+(?:/|$))*")
"""Paths of a scheduler's pages: plain names only."""

CLOSED = ("api/", "proxy/")
"""Never fetched: the scheduler's control API, and its proxy to other hosts and ports."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a dashboard is.

    Parameters
    ----------
    url
        Address in front of a page's path, without a slash at its end.
    headers
        What lets us in.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def page(self, path: str, query: str) -> str:
        """Return the address of a page.

        Raises
        ------
        Refused
            ``no-page``: a path that is none of a scheduler's pages.
        """
        if not PAGE.fullmatch(path) or ".." in path or path.startswith(CLOSED):
            raise Refused("no-page", "There is no such page.", status=404)
        return f"{self.url}/{path}" + (f"?{query}" if query else "")


class Pages:
    """Fetches pages.

    Parameters
    ----------
    ca_file
        PEM file with the authorities to trust for https; None for the system's.
    """

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._http = HttpClient(ca_file=ca_file, max_body_size=MAX_PAGE)
        self._context: ssl.SSLContext | None = None

    async def fetch(self, target: Target, path: str, query: str) -> HTTPResponse:
        """Fetch one page.

        Parameters
        ----------
        path
            Of the page.
        query
            As it came, without the question mark.

        Raises
        ------
        LabError
            There is no such page, or the scheduler does not answer.
        """
        try:
            return await self._http.send(
                "GET", target.page(path, query), headers=target.headers, timeout=TIMEOUT
            )
        except NotAnswering as error:
            raise _silent(error.code) from error

    async def websocket(
        self, target: Target, path: str, query: str, protocols: list[str]
    ) -> WebSocketClientConnection:
        """Open a websocket.

        Parameters
        ----------
        path, query
            As for `fetch`.
        protocols
            As the browser offered them.

        Raises
        ------
        LabError
            As `fetch`.
        """
        url = "ws" + target.page(path, query).removeprefix("http")
        context = await self.context() if url.startswith("wss:") else None
        request = HTTPRequest(
            url, headers=target.headers, connect_timeout=TIMEOUT, ssl_options=context
        )
        try:
            return await websocket_connect(
                request, subprotocols=protocols, max_message_size=MAX_PAGE
            )
        except Exception as error:  # tornado lets through whatever the handshake met
            raise _silent(type(error).__name__) from error

    async def context(self) -> ssl.SSLContext:
        """Return the TLS settings; reading a bundle of authorities blocks, so not on the loop."""
        if self._context is None:
            self._context = await asyncio.to_thread(
                ssl.create_default_context, cafile=self._ca_file
            )
        return self._context

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _silent(detail: str) -> NotAnswering:
    # without the address: the path of a dashboard in this server is a secret
    return NotAnswering(
        "dashboard-unreachable", "The cluster's dashboard does not answer.", detail=detail
    )
