"""The one place that speaks HTTP to other machines.

Every call has a time limit and a size limit, follows no redirect (a redirect would carry the
``Authorization`` header along) and turns every kind of silence into `NotAnswering`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPInputError, HTTPOutputError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from .errors import LabError, NotAnswering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
"""Seconds until a connection stands."""


def without_query(url: str) -> str:
    """Return a URL without user, query and fragment, for messages and logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class HttpClient:
    """An HTTP client for one purpose.

    Parameters
    ----------
    ca_file
        PEM file with the authorities to trust for https; ``None`` means the system's, or those
        of ``SSL_CERT_FILE`` where that is set.
    max_body_size
        Largest answer in bytes; a larger one counts as no answer.
    max_clients
        Requests under way at once; further ones wait.
    """

    def __init__(
        self, *, ca_file: str | None = None, max_body_size: int, max_clients: int = 10
    ) -> None:
        self._ca_file = ca_file
        self._max_body_size = max_body_size
        self._max_clients = max_clients
        self._client: SimpleAsyncHTTPClient | None = None
        self._context: ssl.SSLContext | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - tornado's own time limits, per phase
        body: bytes | None = None,
        on_chunk: Callable[[bytes], Awaitable[None] | None] | None = None,
    ) -> HTTPResponse:
        """Send one request and return the answer, whatever its status.

        Parameters
        ----------
        timeout
            Seconds for the whole exchange.
        on_chunk
            Called with each piece of a 2xx answer's body as it comes, and awaited, so that a slow
            reader slows the sender down. The answer's own body is then empty.

        Raises
        ------
        NotAnswering
            The other side could not be reached, took too long or broke the connection.
        LabError
            ``ca-file``: the file of trusted authorities cannot be read.
        """
        context = await self._ssl_context() if url.startswith("https:") else None
        request = HTTPRequest(
            url,
            method=method,
            headers=dict(headers),
            body=body,
            allow_nonstandard_methods=True,
            follow_redirects=False,
            decompress_response=False,
            connect_timeout=min(CONNECT_TIMEOUT, timeout),
            request_timeout=timeout,
            ssl_options=context,
        )
        if on_chunk is not None:
            _stream_success(request, on_chunk)
        try:
            return await self._connection().fetch(request, raise_error=False)
        except (HTTPClientError, HTTPInputError, HTTPOutputError, OSError, ValueError) as error:
            raise _silence(url, error) from error

    def _connection(self) -> SimpleAsyncHTTPClient:
        """Return the tornado client; it belongs to the running loop, so it is made late."""
        if self._client is None:
            self._client = SimpleAsyncHTTPClient(
                force_instance=True,
                max_clients=self._max_clients,
                max_body_size=self._max_body_size,
            )
        return self._client

    async def _ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings; reading a bundle of authorities blocks, so not on the loop."""
        if self._context is None:
            try:
                self._context = await asyncio.to_thread(
                    ssl.create_default_context, cafile=self._ca_file
                )
            except OSError as error:
                raise LabError(
                    "ca-file",
                    f"The file of trusted authorities {self._ca_file} cannot be read."
                    " Tell the facility's support.",
                    detail=type(error).__name__,
                ) from error
        return self._context

    def close(self) -> None:
        """Close the client; requests under way fail."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _stream_success(
    request: HTTPRequest, on_chunk: Callable[[bytes], Awaitable[None] | None]
) -> None:
    """Give the pieces of a 2xx body to `on_chunk`; drop those of an error page."""
    success = False

    def on_header(line: str) -> None:
        nonlocal success
        if line.startswith("HTTP/"):
            success = line.split(" ", 2)[1].startswith("2")

    def on_body(piece: bytes) -> Awaitable[None] | None:
        return on_chunk(piece) if success else None

    request.header_callback = on_header
    request.streaming_callback = on_body


def _silence(url: str, error: Exception) -> NotAnswering:
    """Tell apart the ways of not answering, for the user and for the log."""
    host = urlsplit(url).hostname or "?"
    detail = f"{without_query(url)}: {type(error).__name__}: {str(error)[:200]}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotAnswering(
            "untrusted-certificate",
            f"The certificate of {host} is not trusted here. Tell the facility's support.",
            detail=detail,
        )
    if isinstance(error, HTTPClientError) and "imeout" in str(error):
        return NotAnswering(
            "timeout", f"{host} did not answer in time. Try again in a moment.", detail=detail
        )
    return NotAnswering(
        "unreachable", f"{host} cannot be reached now. Try again in a moment.", detail=detail
    )
