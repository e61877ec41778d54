"""Carrying TCP connections from one network to another.

A socket belongs for ever to the network in which it was made, whatever its process does later. So
one process can hold both ends: it listens on the host's loopback, moves into the namespace, and
what it opens from then on is inside. One hop, and no byte passes another process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("af_hub.network")

LOOPBACK = "127.0.0.1"

BLOCK = 2**18
"""Bytes that are moved at once, the most that wait in one direction of a connection."""

TIMEOUT = 10.0
"""Seconds to reach the other side."""

BACKLOG = 512
"""Connections that wait to be accepted; a reader opens many at once."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a loopback port of the network where this process is.

    Raises
    ------
    OSError
        The port is taken.
    """
    listener = socket.create_server((LOOPBACK, port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def here() -> socket.socket:
    """Return a new socket of the network where this process is."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


class Relay:
    """Takes connections from one socket and makes one each to the same port on the other side.

    Parameters
    ----------
    listener
        Where connections come in.
    make
        Gives an unconnected socket of the other network.
    """

    def __init__(
        self, listener: socket.socket, make: Callable[[], Awaitable[socket.socket]]
    ) -> None:
        self._listener = listener
        self._make = make
        self._port: int = listener.getsockname()[1]
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Carry connections until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    near, _ = await loop.sock_accept(self._listener)
                except OSError as error:
                    # out of descriptors, or a client that hung up while it waited
                    log.warning("port %d: cannot accept: %s", self._port, error)
                    await asyncio.sleep(0.1)
                    continue
                task = asyncio.create_task(self._carry(near))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
        finally:
            for task in self._connections:
                task.cancel()

    async def _carry(self, near: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(near)
            try:
                async with asyncio.timeout(TIMEOUT):
                    far = stack.enter_context(await self._make())
                    far.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(far, (LOOPBACK, self._port))
            except OSError as error:  # TimeoutError too
                log.warning("port %d: nobody answers: %s", self._port, error)
                return
            for each in (near, far):
                # small requests and answers alternate: Nagle would hold each back for 40 ms
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # one side broke off: closing both tells the other
            with contextlib.suppress(OSError):
                await _both_ways(near, far)


async def _both_ways(near: socket.socket, far: socket.socket) -> None:
    ways = [asyncio.create_task(move(*pair)) for pair in ((near, far), (far, near))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        # the loop has to forget the sockets before they are closed
        await asyncio.gather(*ways, return_exceptions=True)


async def move(source: socket.socket, target: socket.socket) -> None:
    """Move bytes one way until `source` has no more, and say so to `target`.

    Nothing is read while `target` takes nothing, so a slow reader slows its writer. (splice(2) in
    place of a buffer takes as much processor time here: 0.5 s for a gigabyte.)
    """
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(BLOCK))
    while count := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(target, buffer[:count])
        # with both ends always ready nothing above waits, and nobody else would get a turn
        await asyncio.sleep(0)
    target.shutdown(socket.SHUT_WR)
