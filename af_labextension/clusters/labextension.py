"""``dask/clusters…`` and ``dask/dashboard…``: what dask-labextension's front end calls.

A site that keeps that front end sees the same clusters as ours. The routes are those of
dask-labextension 7; they are served only where its own server part is not loaded. Errors are ours,
``{code, message}`` with a proper status.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings as names
from af_labextension.errors import BadRequest, LabError, Refused

from .handlers import ClustersHandler, dashboard_root
from .kinds_from import CONFIGURED
from .manager.folder import ID
from .model import read_object

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from af_labextension.hub import HubClient

OTHER = "dask_labextension"
"""Name of the other extension's server part."""

START_LIMIT = 60.0
"""Seconds for which that front end waits for a new cluster; it shows nothing until then."""

ONE = r"([0-9a-f]{32}|lab-[0-9a-f]{32})"
"""Pattern of an id."""

PAUSE = 0.1
"""Seconds between two looks at a cluster that starts."""


class OtherHandler(ClustersHandler):
    """What the routes share."""

    async def model(self, cluster: dict[str, Any]) -> dict[str, Any]:
        """Return a cluster as that front end knows it."""
        scale = cluster["scale"]
        shown = {
            "id": cluster["id"],
            "name": cluster["name"],
            "scheduler_address": await self._address(cluster["id"]),
            "dashboard_link": f"{self.base_url}dask/dashboard/{cluster['id']}/status",
            "workers": cluster["workers"],
            "memory": f"{cluster['memory'] / 1024**3:.2f} GiB",
            "cores": cluster["cores"],
        }
        if scale["mode"] == "adaptive":
            shown["adapt"] = {"minimum": scale["minimum"], "maximum": scale["maximum"]}
        return shown

    async def _address(self, cluster: str) -> str:
        """Return what ``Client(…)`` takes, where the Lab has set its security loader."""
        if ID.fullmatch(cluster):
            state = await self.clusters.lab.find(cluster)
            return str(state["private"].get("address") or "")
        hub: HubClient | None = self.settings[names.HUB]
        if hub is None:
            return ""
        gateway = ((await hub.lab_config()).get("compute") or {}).get("gateway") or {}
        return f"{gateway.get('proxy_address', '')}/{cluster}"


class OtherListHandler(OtherHandler):
    """``GET`` and ``PUT dask/clusters``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a list of clusters that run."""
        listed = (await self.clusters.listed())["clusters"]
        running = [await self.model(one) for one in listed if one["state"] == "running"]
        self.finish(json.dumps(running))

    @authenticated
    @authorized
    async def put(self) -> None:
        """Make a cluster of the first type that can be made, and answer when it runs."""
        made = await self.clusters.make({"type": await self._first()})
        self.nudge()
        self.finish(await self.model(await self._started(made["id"])))

    async def _first(self) -> str:
        """Return the user's own type, else one inside the server, else the gateway's first."""
        types = [one for one in (await self.clusters.types())["types"] if one["available"]]
        if not types:
            raise Refused("no-type", "No kind of Dask cluster can be made now.", status=409)
        types.sort(key=lambda one: (one["name"] != CONFIGURED, one["backend"] != "in-lab"))
        return str(types[0]["name"])

    async def _started(self, cluster: str) -> dict[str, Any]:
        async with asyncio.timeout(START_LIMIT):
            while True:
                found = await self.clusters.find(cluster)
                if found["state"] == "running":
                    return found
                if found["state"] not in {"pending", "starting"}:
                    raise Refused("cluster-failed", found["reason"] or "It ended.", status=409)
                await asyncio.sleep(PAUSE)


class OtherClusterHandler(OtherHandler):
    """``GET``, ``PATCH`` and ``DELETE dask/clusters/<id>``."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Answer with the cluster."""
        self.finish(await self.model(await self.clusters.find(cluster)))

    @authenticated
    @authorized
    async def patch(self, cluster: str) -> None:
        """Scale by ``{"workers": n}`` or ``{"adapt": {"minimum", "maximum"}}``."""
        asked = read_object(self.request.body, ("workers", "adapt"))
        scale: dict[str, Any] = {"mode": "fixed", "workers": asked.get("workers")}
        if (adapt := asked.get("adapt")) is not None:
            if not isinstance(adapt, dict):
                raise BadRequest("bad-option", "adapt must be an object.")
            scale = {**adapt, "mode": "adaptive"}
        changed = await self.clusters.scale(cluster, scale)
        self.nudge()
        self.finish(await self.model(changed))

    @authenticated
    @authorized
    async def delete(self, cluster: str) -> None:
        """Shut down."""
        await self.clusters.close(cluster)
        self.nudge()
        self.set_status(204)
        self.finish()


class OtherDashboardHandler(OtherHandler):
    """``GET dask/dashboard/<id>/…``: leads to the page that a sandboxed frame may load."""

    @authenticated
    @authorized
    async def get(self, cluster: str, path: str) -> None:
        """Redirect; the frame's own requests carry no cookies, the ticket stands for them."""
        await self.clusters.find(cluster)
        query = f"?{self.request.query}" if self.request.query else ""
        page = path.strip("/") or "status"
        self.redirect(f"{dashboard_root(cast('JupyterHandler', self), cluster)}/{page}{query}")


class OtherCheckHandler(OtherHandler):
    """``GET dask/dashboard-check/<url>``: whether a dashboard is there, and its pages.

    The user's own clusters only: dask-labextension fetches any address from the server, which
    makes it a way into the server's network.
    """

    @authenticated
    @authorized
    async def get(self, url: str) -> None:
        """Answer ``{url, isActive, effectiveUrl, plots}``, in any case with 200."""
        answer: dict[str, Any] = {"url": url, "isActive": False, "plots": {}}
        if found := re.search(rf"dask/dashboard/{ONE}(?:/|$)", url):
            try:
                pages, target = await self.clusters.dashboard(found[1])
                plots = await pages.fetch(target, "individual-plots.json", "")
                if plots.code == 200:
                    answer = {
                        "url": url.removesuffix("/status"),
                        "isActive": True,
                        "effectiveUrl": None,
                        "plots": json.loads(plots.body),
                    }
            except (LabError, ValueError):
                pass
        self.finish(answer)


def is_loaded(server: Any) -> bool:
    """Tell whether dask-labextension's own server part answers in a server."""
    extensions = getattr(getattr(server, "extension_manager", None), "extensions", {})
    return bool(getattr(extensions.get(OTHER), "enabled", False))


def handlers() -> list[tuple[str, type[JupyterHandler]]]:
    """Return the routes."""
    return [
        (r"/dask/clusters/?", OtherListHandler),
        (rf"/dask/clusters/{ONE}", OtherClusterHandler),
        (rf"/dask/dashboard/{ONE}(/.*)?", OtherDashboardHandler),
        (r"/dask/dashboard-check/(.+)", OtherCheckHandler),
    ]
