"""Readiness probes: whether a part answers yet."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

TIMEOUT = 2.0
"""Seconds for one probe."""


async def accepts(port: int, *, host: str = LOOPBACK) -> bool:
    """Tell whether something accepts TCP connections on a port of this machine."""
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError too
        return False
    writer.close()
    return True


async def status(
    port: int, path: str, *, host: str = LOOPBACK, ca: Path | None = None
) -> int | None:
    """Return the status of a GET on this machine, or None if nobody answers HTTP there.

    Parameters
    ----------
    port
        TCP port.
    path
        Absolute path.
    host
        Address of this machine.
    ca
        File of accepted authorities for https; None for plain http.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca)) if ca else None
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                line = await reader.readline()
            finally:
                writer.close()
        protocol, code, *_ = line.decode("latin-1").split()
        return int(code) if protocol.startswith("HTTP/") else None
    except (OSError, ValueError):
        return None


def answers(
    port: int, path: str, *, code: int = 200, host: str = LOOPBACK, ca: Path | None = None
) -> Callable[[], Awaitable[bool]]:
    """Return a probe that waits until `path` answers with `code`."""

    async def probe() -> bool:
        return await status(port, path, host=host, ca=ca) == code

    return probe
