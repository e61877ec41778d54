"""A TCP proxy that counts, records, delays and cuts: what crosses the line to the origin.

It runs inside the inner network, as a program of its own: ``python meter.py LISTEN TO CONTROL
RECORD``. Over the UNIX socket CONTROL it takes one JSON object a line and answers each with its
counters.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

BLOCK = 2**16
PATIENCE = 60.0


@dataclass(frozen=True)
class Counters:
    """What has crossed between cache and origin.

    Parameters
    ----------
    connections
        Connections that the cache has opened.
    open
        Those that are still there.
    up, down
        Bytes to the origin, and from it.
    """

    connections: int
    open: int
    up: int
    down: int


@dataclass
class Meter:
    """The proxy between cache and origin, seen from the tests."""

    control: Path
    record: Path

    def _send(self, **wanted: Any) -> Counters:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE)
            line.connect(str(self.control))
            line.sendall(json.dumps(wanted).encode() + b"\n")
            with line.makefile() as answer:
                return Counters(**json.loads(answer.readline()))

    def counters(self) -> Counters:
        """Return what has crossed so far."""
        return self._send()

    def set(self, *, delay: float | None = None, cut: bool | None = None) -> Counters:
        """Set the one-way delay in seconds, cut the line or mend it."""
        wanted = {"delay": delay, "cut": cut}
        return self._send(**{name: value for name, value in wanted.items() if value is not None})

    def hang_up(self) -> Counters:
        """Break every connection once."""
        return self._send(hang_up=True)

    def payload(self) -> bytes:
        """Return every byte that went towards the origin."""
        self.counters()  # flushes
        return self.record.read_bytes()


@dataclass
class Line:
    """The counters and switches.

    Parameters
    ----------
    to
        Port of the real server.
    record
        File that takes every byte that goes to the server.
    """

    to: int
    record: IO[bytes]
    connections: int = 0
    up: int = 0
    down: int = 0
    delay: float = 0.0
    cut: bool = False
    lines: set[asyncio.StreamWriter] = field(default_factory=set)

    def counters(self) -> dict[str, Any]:
        """Return what has crossed so far."""
        return {
            "connections": self.connections,
            "open": len(self.lines) // 2,
            "up": self.up,
            "down": self.down,
        }

    def command(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Turn switches and return the counters."""
        self.delay = float(wanted.get("delay", self.delay))
        self.cut = bool(wanted.get("cut", self.cut))
        if self.cut or wanted.get("hang_up"):
            for line in self.lines:
                line.transport.abort()
        self.record.flush()
        return self.counters()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self.cut:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("localhost", self.to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self.lines |= both
        try:
            await asyncio.gather(
                self.move(reader, far_writer, up=True), self.move(far_reader, writer, up=False)
            )
        except OSError:
            pass
        finally:
            self.lines -= both
            for line in both:
                line.close()

    async def move(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        """Move bytes one way, each block `delay` seconds late."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def late() -> None:
            while True:
                due, block = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not block:
                    writer.write_eof()
                    return
                writer.write(block)
                await writer.drain()

        async def early() -> None:
            block = b"-"
            while block:
                block = await reader.read(BLOCK)
                if up:
                    self.up += len(block)
                    self.record.write(block)
                else:
                    self.down += len(block)
                await queue.put((time.monotonic() + self.delay, block))

        await asyncio.gather(early(), late())


async def serve(listen: int, to: int, control: Path, record: Path) -> None:
    """Serve until killed."""
    with record.open("wb") as stream:
        line = Line(to, stream)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while text := await reader.readline():
                writer.write(json.dumps(line.command(json.loads(text))).encode() + b"\n")
            writer.close()

        await asyncio.start_server(line.carry, ["127.0.0.1", "::1"], listen)
        await asyncio.start_unix_server(answer, control)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])))
