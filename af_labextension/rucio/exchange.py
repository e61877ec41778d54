"""One request whose answer is read in pieces and that can be stopped at any moment.

tornado's own client gives a running request no way to stop: a browser that left would leave Rucio
sending a hundred thousand rows to nobody. This one speaks through the same
`tornado.http1connection` and closes the connection. It follows no redirect.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError, UnsatisfiableReadError
from tornado.tcpclient import TCPClient

from .refusals import broke_off, slow, unreachable, untrusted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from tornado.iostream import IOStream

_PIECES = 4
"""Pieces of at most 64 KiB that wait between the service and the browser."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how much to take.

    Parameters
    ----------
    connect
        Until a connection stands, TLS included.
    first
        Until the answer begins: a search may keep a large Rucio's database busy for long.
    idle
        Between two pieces of the answer.
    largest
        Bytes of one answer.
    """

    connect: float = 5.0
    first: float = 30.0
    idle: float = 30.0
    largest: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Parameters
    ----------
    method
        GET or POST.
    url
        The whole address.
    headers
        Without Host and Content-Length.
    body
        Sent with POST.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


class Answer(HTTPMessageDelegate):
    """The answer to a request, as far as it has come."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._head: asyncio.Future[tuple[int, HTTPHeaders]] = asyncio.Future()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
        self._whole = False
        self._stopped = False
        self.status = 0
        """HTTP status."""
        self.headers = HTTPHeaders()
        """Its headers."""

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Note the head; informational answers come before it."""
        if isinstance(start_line, ResponseStartLine) and start_line.code >= 200:
            self._head.set_result((start_line.code, headers))

    async def data_received(self, chunk: bytes) -> None:
        """Take a piece as soon as there is room: a slow reader slows the sender down."""
        if not self._stopped:
            await self._queue.put(chunk)

    def finish(self) -> None:
        """Note that all has come."""
        self._whole = True

    async def begin(self) -> None:
        """Wait for the head."""
        try:
            async with asyncio.timeout(self._patience.first):
                self.status, self.headers = await asyncio.shield(self._head)
        except TimeoutError as error:
            raise slow("no first byte") from error

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the body's pieces as they come.

        Raises
        ------
        NotAnswering
            The service stopped sending.
        """
        while True:
            try:
                async with asyncio.timeout(self._patience.idle):
                    piece = await self._queue.get()
            except TimeoutError as error:
                raise slow("no further byte") from error
            if piece is None:
                break
            yield piece
        if not self._whole:
            raise broke_off("the answer is cut off")

    async def body(self, largest: int) -> bytes:
        """Collect a body, of which no more than `largest` bytes are kept."""
        kept = bytearray()
        async for piece in self.pieces():
            kept += piece[: max(0, largest - len(kept))]
        return bytes(kept)

    async def read_from(self, connection: HTTP1Connection) -> None:
        """Read the answer; every end of it is told to the reader, none is raised."""
        problem = "no answer"
        try:
            await connection.read_response(self)
        except (StreamClosedError, UnsatisfiableReadError, HTTPInputError, OSError) as error:
            problem = f"{type(error).__name__}: {str(error)[:100]}"
        finally:
            if not self._head.done():
                self._head.set_exception(unreachable(problem))
                self._head.exception()  # a reader that left does not ask for it
            await self._put_end()

    async def _put_end(self) -> None:
        if not self._stopped:
            await self._queue.put(None)

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        while not self._queue.empty():
            self._queue.get_nowait()


@asynccontextmanager
async def exchange(
    request: Request, patience: Patience, context: ssl.SSLContext | None
) -> AsyncIterator[Answer]:
    """Send a request and give its answer; leaving the block closes the connection.

    Parameters
    ----------
    context
        Settings of TLS for https.

    Raises
    ------
    NotAnswering
        Nobody answers.
    """
    stream = await _connected(request.url, patience, context)
    answer = Answer(patience)
    reading: asyncio.Task[None] | None = None
    try:
        connection = HTTP1Connection(
            stream,
            is_client=True,
            params=HTTP1ConnectionParameters(
                no_keep_alive=True, max_body_size=patience.largest, max_header_size=65536
            ),
        )
        _send(connection, request)
        reading = asyncio.create_task(answer.read_from(connection))
        await answer.begin()
        yield answer
    finally:
        answer.stop()
        stream.close()
        if reading is not None:
            # it ends by itself now; tornado logs a cancelled read as an error
            await asyncio.wait({reading}, timeout=1.0)


async def _connected(url: str, patience: Patience, context: ssl.SSLContext | None) -> IOStream:
    """Open the connection."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    client = TCPClient()
    try:
        # tornado's own limit closes the sockets that it has opened
        return await client.connect(
            host,
            port,
            ssl_options=context if parts.scheme == "https" else None,
            timeout=dt.timedelta(seconds=patience.connect),
        )
    except ssl.SSLCertVerificationError as error:
        raise untrusted(str(error)[:200]) from error
    except (OSError, StreamClosedError, TimeoutError) as error:
        raise unreachable(f"{type(error).__name__}: {str(error)[:200]}") from error
    finally:
        client.close()


def _send(connection: HTTP1Connection, request: Request) -> None:
    """Write the whole request; it is small."""
    parts = urlsplit(request.url)
    headers = HTTPHeaders(dict(request.headers))
    headers["Host"] = parts.netloc
    headers["Connection"] = "close"
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    written = connection.write_headers(
        RequestStartLine(request.method, target, "HTTP/1.1"), headers, request.body
    )
    written.add_done_callback(lambda done: done.exception())
    connection.finish()
