"""The XRootD worker as the Lab server sees it: started when needed, started again when it died."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from af_labextension.errors import NotAnswering, Refused

from .environment import environment
from .protocol import (
    LONGEST_LINE,
    WINDOW,
    Cancel,
    Frame,
    More,
    SetToken,
    command_line,
    read_frame_line,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from af_labextension.secret import Secret

    from .protocol import Command

log = logging.getLogger(__name__)

START_TIMEOUT = 20.0
"""Seconds until a started worker says that it is ready; 0.2 on a quiet machine."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and for how much.

    Parameters
    ----------
    patience
        Seconds that the worker waits for a server's next answer. A worker that says nothing for
        four times as long is taken for stuck, and ended.
    idle
        Seconds without a request after which a worker ends.
    rows
        Rows of a folder that are shown; the rest is counted.
    """

    patience: float = 20.0
    idle: float = 300.0
    rows: int = 200_000


class WorkerGone(Exception):
    """The worker ended in the middle of a request."""


class Exchange:
    """A request to the worker and its answers."""

    def __init__(self, number: int, worker: WorkerProcess) -> None:
        self.number = number
        self._worker = worker
        # the worker sends WINDOW pages and waits, so this cannot grow
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue(WINDOW + 4)

    async def next(self) -> Frame:
        """Return the next frame; after a page, ask for one more.

        Raises
        ------
        WorkerGone
            The worker ended, or is stuck and was ended.
        """
        try:
            async with asyncio.timeout(self._worker.limits.patience * 4):
                frame = await self.frames.get()
        except TimeoutError:
            log.warning("the XRootD worker is stuck: ending it")
            self._worker.kill()
            raise WorkerGone from None
        if frame is None:
            raise WorkerGone
        if frame.kind == "rows":
            self._worker.write(More(self.number))
        return frame


class WorkerProcess:
    """One worker for the doors that share an audience.

    Parameters
    ----------
    with_token
        The doors want tokens.
    limits
        How long to wait.
    """

    def __init__(self, *, with_token: bool, limits: Limits) -> None:
        self.limits = limits
        self._with_token = with_token
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ending = False
        self._starting = asyncio.Lock()
        self._exchanges: dict[int, Exchange] = {}
        self._numbers = itertools.count(1)
        self._token: Secret | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running worker."""
        return self._process.pid if self._process and self._running() else None

    @property
    def requests(self) -> int:
        """How many requests are under way."""
        return len(self._exchanges)

    @property
    def waiting_pages(self) -> int:
        """How many frames have come that nobody has taken yet."""
        return sum(exchange.frames.qsize() for exchange in self._exchanges.values())

    def _running(self) -> bool:
        return (
            self._process is not None
            and not self._ending
            and self._process.returncode is None
            and self._reading is not None
            and not self._reading.done()
        )

    @asynccontextmanager
    async def exchange(
        self, token: Secret | None, command: Callable[[int], Command]
    ) -> AsyncIterator[Exchange]:
        """Send a request; leaving the block before its end cancels it.

        Parameters
        ----------
        token
            For the connections of this and later requests.
        command
            Gives the command for a number.

        Raises
        ------
        Refused
            This Lab has no XRootD bindings (``xrootd-missing``).
        NotAnswering
            The worker cannot be started (``xrootd-worker``).
        """
        async with self._starting:
            if not self._running():
                await self._start()
        exchange = Exchange(next(self._numbers), self)
        self._exchanges[exchange.number] = exchange
        if token is not None and token != self._token:
            self.write(SetToken(token.reveal()))
            self._token = token
        self.write(command(exchange.number))
        try:
            yield exchange
        finally:
            if self._exchanges.pop(exchange.number, None) is not None:
                self.write(Cancel(exchange.number))

    def write(self, command: Command) -> None:
        """Send a command; one to a worker that is gone is dropped."""
        if self._process is not None and self._process.stdin is not None and self._running():
            # commands are small and few, so nobody waits for the pipe
            self._process.stdin.write(command_line(command))

    def kill(self) -> None:
        """End the worker at once."""
        self._ending = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End the worker and wait until it is gone."""
        self.kill()
        await self._gone()

    async def _gone(self) -> None:
        """Wait until nothing is left of a worker that is about to end."""
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._process is not None:
            await self._ended()
            if self._process.stdin is not None:
                self._process.stdin.close()
                with contextlib.suppress(OSError):
                    await self._process.stdin.wait_closed()

    async def _start(self) -> None:
        """Start a worker and wait until it is ready."""
        await self._gone()
        self._process = self._reading = None
        self._token = None
        self._ending = False
        try:
            first = await self._launch()
        except BaseException:
            self.kill()
            raise
        if first.kind == "missing":
            raise Refused(
                "xrootd-missing",
                "The image of this Lab has no XRootD client for Python, so this storage cannot be"
                " shown here. Choose another profile, or ask the facility's support for an image"
                " with the package xrootd.",
                status=501,
                detail=first.failure.detail if first.failure else "",
            )
        self._reading = asyncio.create_task(self._read())

    async def _launch(self) -> Frame:
        """Start the program and return what it says first."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                # -P: no module of the folder that the Lab was started in
                *(sys.executable, "-P", "-m", "af_labextension.data.xrootd.worker"),
                *(str(self.limits.patience), str(self.limits.idle)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment(os.environ, with_token=self._with_token),
                limit=LONGEST_LINE,
            )
            async with asyncio.timeout(START_TIMEOUT):
                return await self._read_frame()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            raise NotAnswering(
                "xrootd-worker",
                "The program that reads XRootD storage does not start in this Lab. Try again;"
                " if that does not help, restart your server.",
                detail=f"{type(error).__name__}: {error}"[:200],
            ) from error

    async def _read(self) -> None:
        """Hand frames to those who wait, until the worker ends."""
        if self._process is None:
            return
        try:
            while True:
                frame = await self._read_frame()
                exchange = self._exchanges.get(frame.id)
                if exchange is not None:
                    if frame.kind in {"end", "failed"}:
                        del self._exchanges[frame.id]
                    exchange.frames.put_nowait(frame)
        except asyncio.IncompleteReadError:
            pass
        except (ValueError, asyncio.LimitOverrunError, asyncio.QueueFull) as error:
            log.warning("the XRootD worker sends nonsense, ending it: %s", error)
            self.kill()
        finally:
            status = await self._ended()
            if self._exchanges:
                log.warning("the XRootD worker ended with status %s in the middle of work", status)
            for exchange in self._exchanges.values():
                with contextlib.suppress(asyncio.QueueFull):
                    exchange.frames.put_nowait(None)
            self._exchanges.clear()

    async def _ended(self) -> int | None:
        """Wait for the end of a worker that closed its output."""
        if self._process is None:
            return None
        try:
            # not killed at once: asyncio mistakes a child that is gone already for a stranger's
            async with asyncio.timeout(2.0):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def _read_frame(self) -> Frame:
        """Read one frame with its body."""
        if self._process is None or self._process.stdout is None:
            raise asyncio.IncompleteReadError(b"", None)
        line = await self._process.stdout.readuntil(b"\n")
        frame, size = read_frame_line(line)
        return replace(frame, body=await self._process.stdout.readexactly(size)) if size else frame
