"""``af/clusters…`` and ``af/events``: the routes of the Dask panel."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from af_labextension.handler import FacilityHandler
from af_labextension.streaming import StreamingHandler

from .dashboard_handler import DashboardHandler
from .dashboards import PAGES
from .model import lines_asked, read_object
from .names import CLUSTERS, EVENTS, TICKETS
from .sse import COMMENT, written

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from .dashboards import Tickets
    from .events import Broadcast, Listener
    from .service import Clusters

COMMENT_PAUSE = 15.0
"""Seconds without an event after which a comment is sent."""


class ClustersHandler(FacilityHandler):
    """What the cluster routes share."""

    @property
    def clusters(self) -> Clusters:
        """The user's clusters."""
        return cast("Clusters", self.settings[CLUSTERS])

    def nudge(self) -> None:
        """Have all tabs told what was done here."""
        cast("Broadcast", self.settings[EVENTS]).nudge()


class TypesHandler(ClustersHandler):
    """``GET af/clusters/types``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"types", "available", "message", "quotas"}``."""
        self.finish(await self.clusters.types())


class ListHandler(ClustersHandler):
    """``GET`` and ``POST af/clusters``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"clusters": [Cluster], "quotas", "problem"}``."""
        self.finish(await self.clusters.listed())

    @authenticated
    @authorized
    async def post(self) -> None:
        """Make a cluster; the answer is 201 and a cluster that is pending."""
        asked = read_object(self.request.body, ("type", "options", "scale"))
        made = await self.clusters.make(asked)
        self.nudge()
        self.set_status(201)
        self.finish(made)


class ClusterHandler(ClustersHandler):
    """``GET``, ``PATCH`` and ``DELETE af/clusters/<id>``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer with the cluster."""
        self.finish(await self.clusters.find(cluster))

    @authenticated
    @authorized
    async def patch(self, cluster: str) -> None:
        """Change the scale; answer with the cluster."""
        asked = read_object(self.request.body, ("scale",))
        changed = await self.clusters.scale(cluster, asked.get("scale"))
        self.nudge()
        self.finish(changed)

    @authenticated
    @authorized
    async def delete(self, cluster: str) -> None:
        """Shut down; take one that is over off the list."""
        await self.clusters.close(cluster)
        self.nudge()
        self.set_status(204)
        self.finish()


class CodeHandler(ClustersHandler):
    """``GET af/clusters/<id>/code``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer ``{"code"}``."""
        self.finish({"code": await self.clusters.code(cluster)})


class LogsHandler(ClustersHandler):
    """``GET af/clusters/<id>/logs?lines=N``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer ``{"logs": [{"name", "text", "truncated"}]}``."""
        lines = lines_asked(self.get_query_argument("lines", "200"))
        self.finish(await self.clusters.logs(cluster, lines))


class DashboardsHandler(ClustersHandler):
    """``GET af/clusters/<id>/dashboards``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer ``{"links": [{"title", "url"}]}``, if it is a cluster of this user."""
        await self.clusters.find(cluster)
        root = dashboard_root(self, cluster)
        links = [{"title": title, "url": f"{root}/{page}"} for title, page in PAGES]
        self.finish({"links": links})


def dashboard_root(handler: JupyterHandler, cluster: str) -> str:
    """Return the path in front of the pages of a cluster, which opens them."""
    tickets: Tickets = handler.settings[TICKETS]
    return str(
        url_path_join(handler.base_url, "af/clusters", cluster, "dashboard", tickets.issue(cluster))
    )


class EventsHandler(StreamingHandler):
    """``GET af/events``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Stream the state of all clusters, at once and after each change."""
        broadcast: Broadcast = self.settings[EVENTS]
        with broadcast.listener() as listener:
            self.set_header("Content-Type", "text/event-stream")
            # nginx would keep events until its buffer is full
            self.set_header("X-Accel-Buffering", "no")
            await self.attended(self._tell(listener))

    async def _tell(self, listener: Listener) -> None:
        self.write(COMMENT)
        await self.flush()
        waiting = asyncio.create_task(listener.next())
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=COMMENT_PAUSE)
                if done:
                    self.write(written("clusters", waiting.result()))
                    waiting = asyncio.create_task(listener.next())
                else:
                    self.write(COMMENT)
                await self.flush()
        finally:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StreamClosedError):
                await waiting


CLUSTER = r"/af/clusters/([0-9a-f]{32}|lab-[0-9a-f]{32})"
"""Pattern of one cluster's path."""


def handlers() -> list[tuple[str, type[JupyterHandler]]]:
    """Return the routes."""
    return [
        (r"/af/events", EventsHandler),
        (r"/af/clusters/types", TypesHandler),
        (r"/af/clusters", ListHandler),
        (CLUSTER, ClusterHandler),
        (CLUSTER + r"/code", CodeHandler),
        (CLUSTER + r"/logs", LogsHandler),
        (CLUSTER + r"/dashboards", DashboardsHandler),
        (CLUSTER + r"/dashboard/([A-Za-z0-9_-]{43})/(.*)", DashboardHandler),
    ]
