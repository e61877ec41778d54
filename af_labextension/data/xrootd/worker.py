"""The process that runs the XRootD bindings for a Lab server.

``python -m af_labextension.data.xrootd.worker``: commands on standard input, frames on standard
output (`af_labextension.data.xrootd.protocol`). Its two arguments are the seconds that it waits for
a server, and the seconds without a command after which it ends. It also ends with its standard
input, and with the process that started it.

The token never touches a disk, an argument or the environment: it lies in anonymous memory, behind
a file descriptor that ``BEARER_TOKEN_FILE`` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import resource
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from .calls import CallFailed, undecodable
from .protocol import (
    LONGEST_LINE,
    Cancel,
    Command,
    Failure,
    Frame,
    ListFolder,
    More,
    SetToken,
    StatNames,
    frame_bytes,
    read_command,
)
from .requests import Listing, tell_sizes
from .servers import Servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

MEMORY = 2 * 1024**3
"""Bytes of address space; the worker has 0.5 GB of it when it runs, and 20 MB of memory."""

MOST_REQUESTS = 64
"""Requests under way at a time."""

_SETTINGS = {
    # seconds until a connection is given up, and how often it is tried
    "XRD_CONNECTIONWINDOW": "5",
    "XRD_CONNECTIONRETRY": "1",
    # a server that was away a moment ago may be asked again at once
    "XRD_STREAMERRORWINDOW": "0",
    "XRD_STREAMTIMEOUT": "30",
    "XRD_REQUESTTIMEOUT": "120",
    "XRD_TIMEOUTRESOLUTION": "1",
    # seconds after which an idle connection, such as one of an old token, is closed
    "XRD_DATASERVERTTL": "120",
    "XRD_LOADBALANCERTTL": "120",
}


class TokenMemory:
    """The token as a file that exists in this process only."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("token")
        os.environ["BEARER_TOKEN_FILE"] = f"/proc/self/fd/{self._descriptor}"

    def put(self, token: str) -> None:
        """Replace the token as a whole: a login under way reads the old one or the new one."""
        fresh = os.memfd_create("token")
        try:
            os.fchmod(fresh, 0o600)  # XRootD refuses a token that others may read
            os.write(fresh, token.encode("ascii"))
            os.dup2(fresh, self._descriptor, inheritable=False)
        finally:
            os.close(fresh)


class Worker:
    """Does what the commands say.

    Parameters
    ----------
    connect
        Gives the bindings' file system for an address.
    out
        Where frames go.
    patience, idle
        The arguments of the process, seconds.
    """

    def __init__(
        self, connect: Any, out: asyncio.StreamWriter, patience: float, idle: float
    ) -> None:
        self._servers = Servers(connect, patience)
        self._idle = idle
        self._token: TokenMemory | None = None
        self._out = out
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._listings: dict[int, Listing] = {}

    async def serve(self, commands: asyncio.StreamReader) -> None:
        """Serve until the input ends, or nothing has happened for long."""
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    line = await commands.readline()
            except TimeoutError:
                if self._tasks:
                    continue
                return
            if not line:
                return
            await self._obey(read_command(line))

    async def _obey(self, command: Command) -> None:
        match command:
            case SetToken(token=token):
                if self._token is None:
                    self._token = TokenMemory()
                self._token.put(token)
                self._servers.forget()
            case ListFolder(id=number, server=address):
                listing = Listing(command, self._servers.at(address), self.send)
                self._listings[number] = listing
                await self._begin(number, listing.run)
            case StatNames(id=number, server=address):
                server = self._servers.at(address)
                await self._begin(number, partial(tell_sizes, command, server, self.send))
            case More(id=number):
                if number in self._listings:
                    self._listings[number].more()
            case Cancel(id=number):
                if number in self._tasks:
                    self._tasks[number].cancel()

    async def _begin(self, number: int, work: Callable[[], Awaitable[None]]) -> None:
        """Start a request beside the others."""
        if len(self._tasks) >= MOST_REQUESTS:
            self._forget(number)
            await self.send(Frame("failed", number, failure=Failure("silent", "too many at once")))
            return
        task = asyncio.create_task(self._run(number, work))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._forget(number))

    def _forget(self, number: int) -> None:
        self._tasks.pop(number, None)
        self._listings.pop(number, None)

    async def _run(self, number: int, work: Callable[[], Awaitable[None]]) -> None:
        """Run a request to its end, which is a frame in any case but a cancelled one."""
        try:
            await work()
        except CallFailed as error:
            await self.send(Frame("failed", number, failure=error.failure))
        except Exception as error:  # noqa: BLE001 - one request's fault must not end the others
            failure = Failure("internal", f"{type(error).__name__}: {error}"[:300])
            await self.send(Frame("failed", number, failure=failure))

    async def send(self, frame: Frame) -> None:
        """Send a frame as soon as there is room."""
        self._out.write(frame_bytes(frame))
        await self._out.drain()


async def _serve(source: BinaryIO, sink: BinaryIO, patience: float, idle: float) -> None:
    """Connect the pipes and serve."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sink)
    out = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        bindings = importlib.import_module("pyxrootd.client")
    except ImportError as error:
        out.write(frame_bytes(Frame("missing", failure=Failure("internal", str(error)[:300]))))
        await out.drain()
        return
    worker = Worker(bindings.FileSystem, out, patience, idle)
    await worker.send(Frame("ready"))
    await worker.serve(reader)


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for ourselves: a library that prints must not break frames."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(source, "rb", 0), os.fdopen(sink, "wb", 0)


def _limit() -> None:
    """Bound what a fault can do, and end with the process that started this one."""
    parent = os.getppid()
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the Lab server
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the token
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """See errors that the bindings met in their threads."""
    if isinstance(error, UnicodeDecodeError):
        undecodable.tell()
    else:
        sys.__excepthook__(kind, error, trace)


def main() -> None:
    """Run the worker."""
    patience, idle = map(float, sys.argv[1:])
    _limit()
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    sys.excepthook = _excepthook
    source, sink = _own_pipes()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server is gone
        asyncio.run(_serve(source, sink, patience, idle))
    # without the bindings' clean-up, which waits for servers that do not answer
    os._exit(0)


if __name__ == "__main__":
    main()
