"""``af/clusters…``: the routes of the Dask panel."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from af_labextension import settings as names
from af_labextension.errors import LabError, Refused
from af_labextension.handler import FacilityHandler

from .dashboards import PAGES, Tickets
from .gateway import MAX_ANSWER, Gateway
from .model import gateway_request, read_object, types_answer
from .snippets import client_code

if TYPE_CHECKING:
    from tornado.websocket import WebSocketClientConnection

    from af_labextension.hub import HubClient

GATEWAY = "af_gateway"
"""Name in the tornado settings: the `Gateway`, or None in a Lab without a hub."""
TICKETS = "af_dashboard_tickets"
"""Name in the tornado settings: the `Tickets`."""

PASSED_BACK = ("Content-Type", "Etag", "Last-Modified", "Cache-Control")
"""Headers of a dashboard's answer that reach the browser."""


class ClustersHandler(FacilityHandler):
    """What the cluster routes share."""

    @property
    def gateway(self) -> Gateway:
        """The gateway.

        Raises
        ------
        Refused
            ``no-gateway`` in a Lab without a hub.
        """
        found = self.settings[GATEWAY]
        if found is None:
            raise Refused("no-gateway", "This Lab has no Dask service.", status=404)
        return cast("Gateway", found)


class TypesHandler(ClustersHandler):
    """``GET af/clusters/types``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"types", "available", "message"}``."""
        hub: HubClient | None = self.settings[names.HUB]
        self.finish(types_answer(None if hub is None else await hub.lab_config()))


class ListHandler(ClustersHandler):
    """``GET`` and ``POST af/clusters``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"clusters": [Cluster]}``."""
        self.finish(await self.gateway.ask("GET", ""))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Make a cluster; the answer is 201 and a cluster that is pending."""
        asked = read_object(self.request.body, ("type", "options", "scale"))
        made = await self.gateway.ask("POST", "", gateway_request(asked))
        self.set_status(201)
        self.finish(made)


class ClusterHandler(ClustersHandler):
    """``GET``, ``PATCH`` and ``DELETE af/clusters/<id>``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer with the cluster."""
        self.finish(await self.gateway.ask("GET", f"/{cluster}"))

    @authenticated
    @authorized
    async def patch(self, cluster: str) -> None:
        """Change the scale; answer with the cluster."""
        asked = read_object(self.request.body, ("scale",))
        self.finish(await self.gateway.ask("PATCH", f"/{cluster}", asked))

    @authenticated
    @authorized
    async def delete(self, cluster: str) -> None:
        """Shut down."""
        await self.gateway.ask("DELETE", f"/{cluster}")
        self.set_status(204)
        self.finish()


class CodeHandler(ClustersHandler):
    """``GET af/clusters/<id>/code``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer ``{"code"}``."""
        found = await self.gateway.ask("GET", f"/{cluster}")
        self.finish({"code": client_code(cluster, f"{found['title']}, {found['name']}")})


class DashboardsHandler(ClustersHandler):
    """``GET af/clusters/<id>/dashboards``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer ``{"links": [{"title", "url"}]}``; the gateway says whose cluster it is."""
        await self.gateway.ask("GET", f"/{cluster}")
        tickets: Tickets = self.settings[TICKETS]
        root = url_path_join(
            self.base_url, "af/clusters", cluster, "dashboard", tickets.issue(cluster)
        )
        links = [{"title": title, "url": f"{root}/{page}"} for title, page in PAGES]
        self.finish({"links": links})


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
        if self.settings[GATEWAY] is None or not tickets.opens(ticket, cluster):
            raise HTTPError(404)
        self._gateway: Gateway = self.settings[GATEWAY]
        self._path = f"/{cluster}/dashboard/{path}"
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await self._connect()
            await WebSocketHandler.get(self)
            return
        await self._page()

    async def _page(self) -> None:
        try:
            found = await self._gateway.page(self._path, self.request.query)
        except LabError as error:
            raise HTTPError(502, error.message) from error
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
        try:
            self._scheduler: WebSocketClientConnection = await self._gateway.websocket(
                self._path,
                self.request.query,
                [each.strip() for each in offered.split(",") if each.strip()],
            )
        except LabError as error:
            raise HTTPError(502, error.message) from error

    @property
    def max_message_size(self) -> int:
        """Bytes of one message."""
        return MAX_ANSWER

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


def handlers(settings: dict[str, Any]) -> list[tuple[str, type[JupyterHandler]]]:
    """Lay what the handlers need into `settings` and return the routes."""
    hub: HubClient | None = settings[names.HUB]
    settings[GATEWAY] = None if hub is None else Gateway(hub)
    settings[TICKETS] = Tickets()
    cluster = r"/af/clusters/([0-9a-f]{32})"
    return [
        (r"/af/clusters/types", TypesHandler),
        (r"/af/clusters", ListHandler),
        (cluster, ClusterHandler),
        (cluster + r"/code", CodeHandler),
        (cluster + r"/dashboards", DashboardsHandler),
        (cluster + r"/dashboard/([A-Za-z0-9_-]{43})/(.*)", DashboardHandler),
    ]
