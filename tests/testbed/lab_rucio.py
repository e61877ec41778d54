"""A Lab whose hub knows Rucio, and a Rucio that misbehaves on demand.

``rucio_lab(...)`` starts a Lab in front of the real server of `testbed.rucio`; ``odd_rucio`` is a
server on a raw socket, for the ways in which a service can fail.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from testbed.lab_hub import LabHub, lab_config
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from tornado.web import RequestHandler

    from testbed.lab_server import LabServer, StartLab
    from testbed.rucio import RucioServer

CACHE = "root://127.0.0.1:31094//"
"""Where the rules of these tests send replicas of the origin; nobody listens there."""

RULES = [
    {"match": "root://localhost:1094//", "replace": CACHE},
    {"match": "davs://127.0.0.1:9443/", "replace": "https://127.0.0.1:9443/"},
]

DOORS = [
    {
        "name": "disk",
        "title": "Disk",
        "url": "https://127.0.0.1:9443/store",
        "audience": "storage",
    },
    {"name": "cache", "title": "XCache", "url": CACHE + "store", "audience": "storage"},
]


class RucioHub(LabHub):
    """A hub that gives tokens by audience: those in `by_audience` one by one, the last for ever."""

    by_audience: dict[str, list[str]]
    asked: list[str]

    async def answer(self, handler: RequestHandler, what: str) -> None:
        """Answer one request with the tokens of its audience."""
        if what == "token" and self.fault is None:
            audience = handler.get_query_argument("audience")
            self.asked.append(audience)
            self.tokens = self.by_audience.setdefault(audience, [GOOD])
        await super().answer(handler, what)


@pytest_asyncio.fixture
async def rucio_hub() -> AsyncIterator[RucioHub]:
    """Start a hub that knows no Rucio yet."""
    hub = RucioHub()
    hub.by_audience, hub.asked = {}, []
    await hub.start()
    yield hub
    await hub.stop()


StartRucioLab = Callable[..., Awaitable["LabServer"]]


def rucio_config(url: str, **changes: Any) -> dict[str, Any]:
    """Return what the hub says about a facility with this Rucio, two doors and a cache."""
    return lab_config(
        storage=DOORS,
        cache={"rules": RULES},
        rucio={"url": url, "audience": "rucio", "account": "alice"},
        **changes,
    )


@pytest.fixture
def rucio_lab(
    rucio_hub: RucioHub, start_lab: StartLab, rucio_server: RucioServer
) -> Callable[..., Awaitable[LabServer]]:
    """Give a function that starts a Lab in front of the real Rucio, as one of the demo's people."""

    async def start(user: str = "alice", tokens: list[str] | None = None) -> LabServer:
        rucio_hub.by_audience["rucio"] = tokens or [rucio_server.token(user)]
        rucio_hub.config = rucio_config(rucio_server.url)
        return await start_lab(rucio_hub)

    return start


# --- a server that misbehaves ----------------------------------------------------------------


@dataclass
class OddRequest:
    """A request as it came, and the connection to answer on."""

    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def token(self) -> str:
        """What was sent as ``X-Rucio-Auth-Token``."""
        for line in self.head.splitlines():
            name, _, value = line.partition(": ")
            if name.lower() == "x-rucio-auth-token":
                return value
        return ""

    async def send(self, *pieces: bytes) -> None:
        """Send bytes as they are."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def begin(self, status: int = 200, **headers: str) -> None:
        """Send the head of an answer in chunks."""
        lines = [f"HTTP/1.1 {status} Odd", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def rows(self, *rows: object) -> None:
        """Send a chunk with rows of NDJSON; text goes as it is."""
        lines = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
        body = lines.encode()
        await self.send(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    async def end(self) -> None:
        """End an answer in chunks."""
        await self.send(b"0\r\n\r\n")

    async def refuse(self, status: int, kind: str, words: str = "No") -> None:
        """Answer as Rucio does when it raises an exception."""
        body = json.dumps({"ExceptionClass": kind, "ExceptionMessage": words}).encode()
        head = f"HTTP/1.1 {status} Odd\r\nExceptionClass: {kind}\r\nContent-Length: {len(body)}"
        await self.send(head.encode() + b"\r\n\r\n" + body)

    async def gone(self) -> None:
        """Wait until the other side has closed the connection."""
        while await self.reader.read(65536):
            pass


@dataclass
class OddRucio:
    """A Rucio that does what `behaviour` says.

    Parameters
    ----------
    behaviour
        Answers a request; afterwards the connection is closed.
    seen
        The requests so far.
    """

    url: str = ""
    behaviour: Callable[[OddRequest], Awaitable[None]] | None = None
    seen: list[OddRequest] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request and answer it."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            request = OddRequest(head.decode(), reader, writer)
            self.seen.append(request)
            assert self.behaviour is not None
            await self.behaviour(request)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest_asyncio.fixture
async def odd_rucio() -> AsyncIterator[OddRucio]:
    """Start a server that misbehaves."""
    odd = OddRucio()
    listening = socket.create_server(("127.0.0.1", 0))
    # a small buffer, so that a reader that stops is felt at once
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    odd.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = await asyncio.start_server(odd.serve, sock=listening)
    yield odd
    server.close()
    for request in odd.seen:
        request.writer.close()
    await server.wait_closed()


@pytest.fixture
def odd_lab(
    rucio_hub: RucioHub, start_lab: StartLab, odd_rucio: OddRucio
) -> Callable[..., Awaitable[LabServer]]:
    """Give a function that starts a Lab in front of `odd_rucio`."""

    async def start(tokens: list[str] | None = None) -> LabServer:
        rucio_hub.by_audience["rucio"] = tokens or [GOOD]
        rucio_hub.config = rucio_config(odd_rucio.url)
        return await start_lab(rucio_hub)

    return start


def rows_of(body: bytes) -> list[dict[str, Any]]:
    """Return the lines of NDJSON."""
    return [json.loads(line) for line in body.splitlines()]
