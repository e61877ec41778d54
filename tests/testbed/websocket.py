"""A WebSocket that is gone when a test has done with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tornado.websocket import websocket_connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tornado.httpclient import HTTPRequest
    from tornado.websocket import WebSocketClientConnection

PATIENCE = 30.0
"""Seconds for the other side to say goodbye."""


@asynccontextmanager
async def websocket(request: HTTPRequest, **how: Any) -> AsyncIterator[WebSocketClientConnection]:
    """Open one for a while; `how` goes to tornado.

    Its ``close`` only says that it wants to: the connection lives until the other side agrees, and
    a test's loop that ends before that leaves an open socket to whichever test comes later.
    """
    socket = await websocket_connect(request, **how)
    try:
        yield socket
    finally:
        socket.close()
        async with asyncio.timeout(PATIENCE):
            while await socket.read_message() is not None:
                pass
