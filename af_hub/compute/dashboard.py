"""The scheduler's web pages, for the owner of the cluster only.

The scheduler answers nobody without the cluster's token (`af_hub.compute.preload`); the gateway adds
it after it has checked who asks.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from yarl import URL

from af_hub.errors import ComputeError, Refusal

if TYPE_CHECKING:
    from dask_gateway_server.backends.db_base import Cluster

PAGE = re.compile(r"(?:[A-Za-z0-9_.+-]+(?:/|$))*")
"""Paths of the scheduler's pages: plain names only."""
CLOSED = ("api/", "proxy/")
"""Never passed on: the scheduler's control API and its proxy to workers."""
PASSED_TO = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "User-Agent")
"""Request headers that reach the scheduler; cookies and the user's token do not."""
PASSED_BACK = ("Content-Type", "ETag", "Last-Modified", "Cache-Control")
"""Answer headers that reach the user."""
TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
"""Seconds for one page."""
LARGEST_MESSAGE = 64 * 1024**2
"""Bytes of one websocket message: a task stream of a large computation."""


async def proxy_dashboard(
    request: web.Request, session: aiohttp.ClientSession, cluster: Cluster, path: str
) -> web.StreamResponse:
    """Pass one request or websocket on to the cluster's scheduler.

    Raises
    ------
    Refusal
        ``no-page``: a path that is none of the scheduler's pages.
    ComputeError
        ``dashboard-unreachable``: the scheduler does not answer.
    """
    if not PAGE.fullmatch(path) or ".." in path or path.startswith(CLOSED):
        raise Refusal("no-page", "There is no such page.", status=404)
    target = URL(f"{cluster.dashboard_address}/{path}").with_query(request.query)
    headers = {name: request.headers[name] for name in PASSED_TO if name in request.headers}
    headers["Authorization"] = f"token {cluster.token}"
    try:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _websocket(request, session, target, headers)
        return await _page(request, session, target, headers)
    except (aiohttp.ClientConnectionError, aiohttp.WSServerHandshakeError, TimeoutError) as error:
        refused = ComputeError(
            "dashboard-unreachable",
            "The cluster's dashboard does not answer.",
            type(error).__name__,
        )
        refused.status = 502
        raise refused from error


async def _page(
    request: web.Request, session: aiohttp.ClientSession, target: URL, headers: dict[str, str]
) -> web.StreamResponse:
    async with session.get(
        target, headers=headers, timeout=TIMEOUT, allow_redirects=False
    ) as found:
        answer = web.StreamResponse(status=found.status)
        for name in PASSED_BACK:
            if name in found.headers:
                answer.headers[name] = found.headers[name]
        await answer.prepare(request)
        async for chunk in found.content.iter_chunked(64 * 1024):
            await answer.write(chunk)
        await answer.write_eof()
        return answer


async def _websocket(
    request: web.Request, session: aiohttp.ClientSession, target: URL, headers: dict[str, str]
) -> web.StreamResponse:
    protocols = [
        one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if one
    ]
    async with session.ws_connect(
        target, headers=headers, protocols=protocols, max_msg_size=LARGEST_MESSAGE
    ) as scheduler:
        chosen = [scheduler.protocol] if scheduler.protocol else []
        user = web.WebSocketResponse(protocols=chosen, max_msg_size=LARGEST_MESSAGE)
        await user.prepare(request)
        ends = [
            asyncio.create_task(_copy(user, scheduler)),
            asyncio.create_task(_copy(scheduler, user)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            with suppress(ConnectionError):
                await user.close()
        return user


async def _copy(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
