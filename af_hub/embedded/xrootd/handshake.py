"""Whether a port speaks XRootD: the handshake that opens every connection of the protocol."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from af_hub.embedded.probe import TIMEOUT
from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HELLO = struct.pack("!5i", 0, 0, 0, 4, 2012)
"""XRootD protocol specification, "Initial handshake"."""

_ANSWER = struct.Struct("!2sHI")
"""Stream id, status and length of what follows."""


def speaks_xrootd(port: int) -> Callable[[], Awaitable[bool]]:
    """Return a probe that waits for an XRootD server on a loopback port.

    Parameters
    ----------
    port
        TCP port. A relay in front of nobody accepts connections, too, but says nothing.
    """

    async def probe() -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                try:
                    writer.write(_HELLO)
                    answer = await reader.readexactly(_ANSWER.size)
                finally:
                    writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return False
        return bool(_ANSWER.unpack(answer) == (b"\0\0", 0, 8))

    return probe
