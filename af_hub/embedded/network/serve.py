"""Holding a network and relaying its ports.

Two processes: this one moves into the namespace and carries all connections; a child stays in the
host's network and makes sockets there for the connections that lead out.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from af_hub.embedded.network import namespace
from af_hub.embedded.network.holder import announce
from af_hub.embedded.network.relay import Relay, here, listen

log = logging.getLogger("af_hub.network")


class NetworkConfig(BaseModel):
    """What the holder has to know.

    Parameters
    ----------
    holder
        File in which it says who it is.
    inward
        Ports of the host's loopback that lead to the same ports inside.
    outward
        Ports inside that lead to the same ports of the host's loopback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    holder: Path
    inward: tuple[int, ...]
    outward: tuple[int, ...]


class HostSockets:
    """Unconnected sockets of the host's network, made by a child that stays there.

    Parameters
    ----------
    line
        To the child: one byte asks for one socket.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._waiting: list[asyncio.Future[socket.socket]] = []
        self.lost = asyncio.Event()
        asyncio.get_running_loop().add_reader(line, self._arrived)

    async def take(self) -> socket.socket:
        """Return a new socket.

        Raises
        ------
        OSError
            The child has gone.
        """
        promise = asyncio.get_running_loop().create_future()
        self._line.send(b"+")
        self._waiting.append(promise)
        made: socket.socket = await promise
        return made

    def _arrived(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._line, 1, 1)
        except ConnectionError:  # it ended with an unanswered byte
            message = b""
        if not message:
            asyncio.get_running_loop().remove_reader(self._line)
            self.lost.set()
            return
        promise = self._waiting.pop(0)
        if not descriptors:
            _refuse(promise)
            return
        made = socket.socket(fileno=descriptors[0])
        if promise.done():  # whoever asked has given up
            made.close()
        else:
            promise.set_result(made)


def _refuse(promise: asyncio.Future[socket.socket]) -> None:
    if not promise.done():
        # the kernel drops descriptors that find no room (MSG_CTRUNC of recvmsg(2))
        promise.set_exception(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))


def make_sockets(line: socket.socket) -> None:
    """Answer every byte with a socket of this process's network, until the other end closes."""
    while line.recv(1):
        with here() as made:
            socket.send_fds(line, [b"+"], [made.fileno()])


def start_host_side(listeners: list[socket.socket]) -> socket.socket:
    """Fork the child that stays in the host's network and return the line to it."""
    line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork():
        other.close()
        line.setblocking(False)
        return line
    namespace.become_child(parent)
    # the parent's listeners end with the parent
    for each in (line, *listeners):
        each.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_sockets(other)
    os._exit(0)


async def serve(config: NetworkConfig, listeners: list[socket.socket], line: socket.socket) -> int:
    """Relay until a signal comes; returns the exit code."""
    loop = asyncio.get_running_loop()
    host = HostSockets(line)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    async def inside() -> socket.socket:
        return here()

    relays = [Relay(each, inside) for each in listeners]
    relays += [Relay(listen(port), host.take) for port in config.outward]
    tasks = [asyncio.create_task(relay.serve()) for relay in relays]
    ends = [asyncio.create_task(event.wait()) for event in (stopped, host.lost)]
    announce(config.holder)
    log.info("inward %s, outward %s", config.inward, config.outward)
    done, _ = await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)
    for failed in done.intersection(tasks):
        log.error("a relay ended", exc_info=failed.exception())
    for task in (*tasks, *ends):
        task.cancel()
    await asyncio.gather(*tasks, *ends, return_exceptions=True)
    return 0 if stopped.is_set() else 1


def run(config: NetworkConfig) -> int:
    """Make the network, relay until a signal comes, and return the exit code."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config.holder.unlink(missing_ok=True)
    listeners = [listen(port) for port in config.inward]
    line = start_host_side(listeners)
    namespace.make_network()
    return asyncio.run(serve(config, listeners, line))
