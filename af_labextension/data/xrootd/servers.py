"""Connections of the worker to XRootD servers.

A server handles the requests of one connection one after the other, so each server gets a few
connections, and a request takes the one with the least to do: a folder that takes long to list
holds up no other, and sizes are asked for in parallel.

A connection keeps the token it logged in with, also when that has expired (xrootd #1784). The
client library keeps one connection for each ``user@host:port``: so the names of the connections
belong to one token (`Servers.forget` starts new ones), and the library closes the old ones when
they have been idle.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .calls import CallFailed, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LANES = 4
"""Connections to one server."""

LONGEST_CALL = 120
"""Seconds after which the client library gives up a request, however busy it is."""

_CONFIG = 7
"""Query code for the server's configuration (XRootD.client.flags.QueryCode.CONFIG)."""


@dataclass(eq=False, slots=True)
class _Lane:
    """One connection."""

    system: Any
    busy: int = 0


class Server:
    """Connections to one server under one token.

    Parameters
    ----------
    address
        ``root://host:port``.
    generation
        Name of the token, a few hexadecimal digits that say nothing about it.
    connect
        Gives the bindings' file system for an address; it connects at its first request.
    patience
        Seconds without any answer after which a request is given up.
    """

    def __init__(
        self, address: str, generation: str, connect: Callable[[str], Any], patience: float
    ) -> None:
        self.patience = patience
        self._address = address
        self._generation = generation
        self._connect = connect
        self._lanes: list[_Lane] = []
        self._made = 0
        self._version: asyncio.Task[str] | None = None

    @contextmanager
    def lane(self, *, leave: bool = False) -> Iterator[Any]:
        """Give the file system with the least to do; one that fell silent is not used again.

        Parameters
        ----------
        leave
            Do not use the connection again either if the request is cancelled: the server may go
            on with it for long, and what is asked next would wait behind it.
        """
        lane = min(self._lanes, key=lambda lane: lane.busy, default=None)
        if lane is None or (lane.busy and len(self._lanes) < MOST_LANES):
            lane = self._add()
        lane.busy += 1
        try:
            yield lane.system
        except (CallFailed, asyncio.CancelledError) as error:
            lost = (
                error.failure.reason in {"silent", "names"}
                if isinstance(error, CallFailed)
                else leave
            )
            if lost and lane in self._lanes:
                self._lanes.remove(lane)
            raise
        finally:
            lane.busy -= 1

    def _add(self) -> _Lane:
        scheme, _, host = self._address.partition("://")
        self._made += 1
        # the server shows and logs the first eight letters only
        lane = _Lane(self._connect(f"{scheme}://t{self._generation}{self._made}@{host}"))
        self._lanes.append(lane)
        return lane

    async def version(self) -> str:
        """Return what the server says about its version, asked once; ``""`` if it does not tell.

        Raises
        ------
        CallFailed
            The server cannot be reached or refuses the token.
        """
        if self._version is None:
            # all who wait share one question: one after the other they would wait for ever
            self._version = asyncio.create_task(self._ask_version())
        question = self._version
        try:
            return await asyncio.shield(question)
        except CallFailed:
            if self._version is question:
                self._version = None
            raise

    async def _ask_version(self) -> str:
        try:
            with self.lane() as system:
                question = (system.query, _CONFIG, "version", LONGEST_CALL)
                return str(await ask(*question, read=_text, patience=self.patience))
        except CallFailed as error:
            if error.errno:
                return ""  # an answer, though not the one we asked for
            raise


class Servers:
    """All servers that this worker talks to.

    Parameters
    ----------
    connect, patience
        As for `Server`.
    """

    def __init__(self, connect: Callable[[str], Any], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._servers: dict[str, Server] = {}
        self._generation = secrets.token_hex(4)

    def at(self, address: str) -> Server:
        """Return the server at an address."""
        server = self._servers.get(address)
        if server is None:
            server = Server(address, self._generation, self._connect, self._patience)
            self._servers[address] = server
        return server

    def forget(self) -> None:
        """Use new connections from now on."""
        self._servers = {}
        self._generation = secrets.token_hex(4)


def _text(answer: Any) -> str:
    """Read the answer to a query."""
    return bytes(answer).rstrip(b"\0").decode("ascii", "replace").strip()
