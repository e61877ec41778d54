"""``af/clusters/<id>/dashboard/<ticket>/…``: pages and websockets of a scheduler."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from af_labextension.errors import LabError

from .names import CLUSTERS, TICKETS
from .pages import MAX_PAGE

if TYPE_CHECKING:
    from tornado.websocket import WebSocketClientConnection

    from .dashboards import Tickets
    from .pages import Pages, Target
    from .service import Clusters

PASSED_BACK = ("Content-Type", "Etag", "Last-Modified", "Cache-Control")
"""Headers of a dashboard's answer that reach the browser."""


class DashboardHandler(WebSocketHandler, JupyterHandler):
    """``af/clusters/<id>/dashboard/<ticket>/…``: pages and websockets of a scheduler.

    The frame that shows them is sandboxed and has no cookies; the ticket in the path stands for the
    login. What comes from a scheduler is the user's own code at best, so it may run scripts in an
    origin of its own and reach nothing of the Lab.
    """

    @property
    def content_security_policy(self) -> str:
        """Shut the page off from the Lab, however it is opened."""
        return "sandbox allow-scripts; frame-ancestors 'self'"

    def check_origin(self, origin: str | None = None) -> bool:  # noqa: ARG002
        """Take every origin: a sandboxed frame's is ``null``, and the ticket decides."""
        return True

    @allow_unauthenticated
    async def get(self, cluster: str, ticket: str, path: str) -> None:
        """Pass one page on, or open a websocket."""
        tickets: Tickets = self.settings[TICKETS]
        if not tickets.opens(ticket, cluster):
            raise HTTPError(404)
        clusters: Clusters = self.settings[CLUSTERS]
        self._path = path
        try:
            self._pages: Pages
            self._target: Target
            self._pages, self._target = await clusters.dashboard(cluster)
            if self.request.headers.get("Upgrade", "").lower() == "websocket":
                await self._connect()
            else:
                await self._page()
                return
        except LabError as error:
            status = error.status if error.status == 404 else 502
            raise HTTPError(status, error.message) from error
        await WebSocketHandler.get(self)

    async def _page(self) -> None:
        found = await self._pages.fetch(self._target, self._path, self.request.query)
        self.set_status(found.code)
        for name in PASSED_BACK:
            if name in found.headers:
                self.set_header(name, found.headers[name])
        self.set_header("X-Content-Type-Options", "nosniff")
        # scripts and styles are loaded by a page whose origin is its own
        self.set_header("Access-Control-Allow-Origin", "*")
        self.finish(found.body or b"")

    # --- websocket ------------------------------------------------------------

    async def _connect(self) -> None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        self._scheduler: WebSocketClientConnection = await self._pages.websocket(
            self._target,
            self._path,
            self.request.query,
            [each.strip() for each in offered.split(",") if each.strip()],
        )

    @property
    def max_message_size(self) -> int:
        """Bytes of one message."""
        return MAX_PAGE

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Take what the scheduler took."""
        chosen = self._scheduler.selected_subprotocol
        return chosen if chosen in subprotocols else None

    def open(self, *args: str, **kwargs: str) -> None:  # noqa: ARG002
        """Begin to pass the scheduler's messages on."""
        self._pump = asyncio.create_task(self._from_scheduler())

    async def _from_scheduler(self) -> None:
        # one at a time: a slow browser slows the scheduler's side down, memory stays small
        with suppress(WebSocketClosedError):
            while (message := await self._scheduler.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        self.close()

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message of the browser on."""
        with suppress(WebSocketClosedError):
            await self._scheduler.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Close the scheduler's side, too."""
        self._pump.cancel()
        self._scheduler.close()
