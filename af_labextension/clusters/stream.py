"""A GET whose answer goes on for hours, and ends at once when nobody listens any more.

Tornado's client cannot be told to let go of an answer that is still coming.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from af_labextension.errors import NotAnswering
from af_labextension.http import without_query

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

HEAD_LIMIT = 15.0
"""Seconds until the answer's head is there."""

SILENCE = 45.0
"""Seconds without a byte after which the other side is taken for gone; it sends some each 15."""

LARGEST_PIECE = 1024 * 1024
"""Bytes read at once."""


@asynccontextmanager
async def opened(
    url: str, headers: Mapping[str, str], context: ssl.SSLContext | None
) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
    """Give status and body of an answer; leaving the block closes the connection.

    Parameters
    ----------
    context
        For https.

    Raises
    ------
    NotAnswering
        The other side cannot be reached, breaks off or is silent.
    """
    parts = urlsplit(url)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(HEAD_LIMIT):
            reader, writer = await asyncio.open_connection(
                parts.hostname,
                parts.port or (443 if context else 80),
                ssl=context,
                limit=LARGEST_PIECE,
            )
            lines = [
                f"GET {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1",
                f"Host: {parts.netloc.rpartition('@')[2]}",
                "Connection: close",
                *(f"{name}: {value}" for name, value in headers.items()),
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        chunked = "transfer-encoding: chunked" in head.lower()
        yield status, _chunks(reader) if chunked else _pieces(reader)
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
        # TimeoutError is an OSError
        raise NotAnswering(
            "unreachable",
            f"{parts.hostname} cannot be reached now. Try again in a moment.",
            detail=f"{without_query(url)}: {type(error).__name__}",
        ) from error
    finally:
        if writer is not None:
            writer.close()


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(SILENCE):
            piece = await reader.read(LARGEST_PIECE)
        if not piece:
            return
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Undo the chunks of RFC 9112, section 7.1."""
    while True:
        async with asyncio.timeout(SILENCE):
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                return
            while size > 0:
                piece = await reader.read(min(size, LARGEST_PIECE))
                if not piece:
                    raise EOFError
                size -= len(piece)
                yield piece
            await reader.readexactly(2)
