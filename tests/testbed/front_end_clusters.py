"""What the Lab's server answers about Dask clusters, as a test sets the scene.

The routes are those of ``af_labextension.clusters``; ``PUT af/test/clusters`` changes what they
answer, and everybody who listens to ``af/events`` hears of it at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from copy import deepcopy
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated

GIB = 2**30


def scale_schema(most: int, default: dict[str, Any]) -> dict[str, Any]:
    """Describe a scale as the gateway does."""
    count = {"type": "integer", "minimum": 0, "maximum": most}
    return {
        "type": "object",
        "title": "Workers",
        "default": default,
        "oneOf": [
            {"properties": {"mode": {"const": "fixed"}, "workers": count}},
            {"properties": {"mode": {"const": "adaptive"}, "minimum": count, "maximum": count}},
        ],
    }


def number(title: str, default: int, least: int, most: int, **more: Any) -> dict[str, Any]:
    """Describe a number as the gateway does."""
    bounds = {"minimum": least, "maximum": most}
    return {"type": "integer", "title": title, "default": default, **bounds, **more}


LOCAL: dict[str, Any] = {
    "name": "local",
    "title": "This machine",
    "site": "CERN",
    "description": "Scheduler and workers are processes of this machine.",
    "backend": "gateway",
    "available": True,
    "reason": None,
    "options": {
        "properties": {
            "image": {
                "type": "string",
                "title": "Image",
                "enum": ["base", "analysis"],
                "x-titles": ["Python 3.13", "coffea and ROOT"],
                "default": "base",
            },
            "worker_cores": number("Cores per worker", 1, 1, 8),
            "worker_memory": number(
                "Memory per worker",
                GIB,
                GIB // 2,
                16 * GIB,
                multipleOf=2**20,
                **{"x-unit": "bytes"},
            ),
            "worker_gpus": number("GPUs per worker", 0, 0, 1),
            "scale": scale_schema(40, {"mode": "fixed", "workers": 2}),
        }
    },
}
"""A type with everything that a schema can hold."""

BATCH = {
    **LOCAL,
    "name": "batch",
    "title": "Batch farm",
    "site": "Bologna",
    "description": "HTCondor, with a queue.",
    "available": False,
    "reason": "The batch system does not answer since 12:04. Other types work.",
}
"""A type that is away."""

IN_LAB = {
    "name": "inside",
    "title": "In this server",
    "site": "",
    "description": "A LocalCluster on the cores of your profile.",
    "backend": "in-lab",
    "available": True,
    "reason": None,
    "options": {"properties": {"scale": scale_schema(4, {"mode": "fixed", "workers": 1})}},
}
"""A type inside the user's server, without options."""


def quota(scope: str, name: str, resource: str, used: int, limit: int) -> dict[str, Any]:
    """Return a quota."""
    unit = "bytes" if resource == "memory" else ""
    return {
        "scope": scope,
        "name": name,
        "resource": resource,
        "used": used,
        "limit": limit,
        "unit": unit,
    }


QUOTAS = [
    quota("user", "alice", "clusters", 1, 3),
    quota("user", "alice", "cores", 2, 64),
    quota("group", "/cms", "cores", 380, 400),
    quota("group", "/cms", "memory", 600 * GIB, 1024 * GIB),
]


def cluster(identifier: str, **more: Any) -> dict[str, Any]:
    """Return a cluster that runs."""
    return {
        "id": identifier,
        "name": f"local-{identifier[:6]}",
        "type": "local",
        "title": "This machine",
        "site": "CERN",
        "backend": "gateway",
        "state": "running",
        "reason": None,
        "workers": 2,
        "wanted": 2,
        "cores": 2,
        "memory": 2 * GIB,
        "gpus": 0,
        "image": "base",
        "group": "/cms",
        "scale": {"mode": "fixed", "workers": 2},
        "created_at": time.time() - 60,
        "options": {"worker_cores": 1, "worker_memory": GIB},
        "token": {"state": "valid", "expires_at": time.time() + 3030, "message": None},
        "ends_at": None,
        "ends_why": None,
        "warning": None,
        "held": None,
        **more,
    }


def good() -> dict[str, Any]:
    """Return the scene in which all is well and one cluster runs."""
    return {
        "types": [LOCAL, BATCH, IN_LAB],
        "available": True,
        "message": None,
        "quotas": deepcopy(QUOTAS),
        "clusters": [cluster("one")],
        "problem": None,
        # what a POST does: seconds until the cluster is there, and until it is answered
        # afterwards, a refusal, and whether workers come
        "thinking": 0.0,
        "delay": 0.0,
        "refusal": None,
        "grow": True,
        # open, refused, silent (a proxy that holds back what is streamed)
        "events": "open",
        "links": None,
        "logs": [
            {"name": "scheduler", "text": "scheduler starts\n", "truncated": False},
            {"name": "worker 0", "text": "worker starts\n", "truncated": False},
        ],
    }


class Stage:
    """The scene, and who listens."""

    def __init__(self) -> None:
        self.scene = good()
        self.listeners: set[asyncio.Event] = set()
        self.opened = 0
        self.cuts = 0
        self.made = 0
        self.asked: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        """Wake everybody who listens."""
        for each in self.listeners:
            each.set()

    def find(self, identifier: str) -> dict[str, Any]:
        """Return a cluster."""
        for each in self.scene["clusters"]:
            if each["id"] == identifier:
                return dict(each)
        raise HTTPError(404)

    def change(self, identifier: str, **more: Any) -> None:
        """Change a cluster, if it is still there."""
        self.scene["clusters"] = [
            {**each, **more} if each["id"] == identifier else each
            for each in self.scene["clusters"]
        ]
        self.changed()

    def start(self, identifier: str, workers: int) -> None:
        """Let a cluster come up."""
        task = asyncio.create_task(self._grow(identifier, workers))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _grow(self, identifier: str, workers: int) -> None:
        for state in ("starting", "running"):
            await asyncio.sleep(0.2)
            self.change(identifier, state=state)
        for number in range(1, workers + 1):
            await asyncio.sleep(0.1)
            self.change(identifier, workers=number, cores=number, memory=number * GIB)


STAGE = Stage()


class StageHandler(APIHandler):
    """``GET`` and ``PUT af/test/clusters``."""

    @authenticated
    def get(self) -> None:
        """Tell who listens, and what was asked."""
        counts = {"listening": len(STAGE.listeners), "opened": STAGE.opened}
        self.finish({**counts, "asked": STAGE.asked, "scene": STAGE.scene})

    @authenticated
    def put(self) -> None:
        """Change the scene; ``reset`` begins anew, ``cut`` ends the streams."""
        asked = self.get_json_body() or {}
        if asked.pop("reset", False):
            for task in STAGE.tasks:
                task.cancel()
            STAGE.scene = good()
            STAGE.asked.clear()
        STAGE.cuts += bool(asked.pop("cut", False))
        STAGE.scene.update(asked)
        STAGE.changed()
        self.finish({})


class Handler(APIHandler):
    """Remembers what was asked."""

    async def prepare(self) -> None:  # type: ignore[override]  # as APIHandler does
        """Write the question down."""
        path = self.request.path.partition("/af/")[2]
        STAGE.asked.append(f"{self.request.method} {path}")
        await super().prepare()


class EventsHandler(Handler):
    """``GET af/events``."""

    @authenticated
    async def get(self) -> None:
        """Tell the scene, and again after each change."""
        mode, cuts = STAGE.scene["events"], STAGE.cuts
        if mode == "refused":
            raise HTTPError(503)
        self.woken = asyncio.Event()
        STAGE.listeners.add(self.woken)
        STAGE.opened += 1
        self.open = True
        self.set_header("Content-Type", "text/event-stream")
        try:
            while self.open and STAGE.cuts == cuts and STAGE.scene["events"] == mode:
                self.woken.clear()
                if mode == "open":
                    await self._tell()
                await asyncio.wait_for(self.woken.wait(), None)
        except StreamClosedError:
            pass
        finally:
            STAGE.listeners.discard(self.woken)

    async def _tell(self) -> None:
        scene = STAGE.scene
        told = {key: scene[key] for key in ("clusters", "quotas", "problem")}
        self.write(f"event: clusters\ndata: {json.dumps(told)}\n\n")
        await self.flush()

    def on_connection_close(self) -> None:
        """Listen no longer."""
        self.open = False
        self.woken.set()


class TypesHandler(Handler):
    """``GET af/clusters/types``."""

    @authenticated
    def get(self) -> None:
        """Answer with the types of the scene."""
        self.finish({key: STAGE.scene[key] for key in ("types", "available", "message", "quotas")})


class ClustersHandler(Handler):
    """``GET`` and ``POST af/clusters``."""

    @authenticated
    def get(self) -> None:
        """Answer with the clusters of the scene."""
        self.finish({"clusters": STAGE.scene["clusters"]})

    @authenticated
    async def post(self) -> None:
        """Make a cluster, or refuse as the scene says."""
        asked, scene = self.get_json_body() or {}, STAGE.scene
        STAGE.asked.append(json.dumps(asked))
        await asyncio.sleep(scene["thinking"])
        if scene["refusal"]:
            await asyncio.sleep(scene["delay"])
            self.set_status(scene["refusal"]["status"])
            self.finish(scene["refusal"])
            return
        STAGE.made += 1
        identifier = f"made{STAGE.made}"
        workers = asked["scale"].get("workers", asked["scale"].get("minimum", 0))
        nothing = {"workers": 0, "cores": 0, "memory": 0, "token": None}
        made = cluster(
            identifier,
            type=asked["type"],
            state="pending",
            wanted=workers,
            scale=asked["scale"],
            created_at=time.time(),
            options=asked["options"],
            **nothing,
        )
        scene["clusters"] = [made, *scene["clusters"]]
        STAGE.changed()
        if scene["grow"]:
            STAGE.start(identifier, workers)
        # the push may overtake the answer
        await asyncio.sleep(scene["delay"])
        self.set_status(201)
        self.finish(made)


class ClusterHandler(Handler):
    """``PATCH`` and ``DELETE af/clusters/ID``."""

    @authenticated
    def patch(self, identifier: str) -> None:
        """Scale."""
        scale = (self.get_json_body() or {})["scale"]
        STAGE.asked.append(json.dumps(scale))
        STAGE.find(identifier)
        STAGE.change(identifier, scale=scale, wanted=scale.get("workers", scale.get("minimum")))
        self.finish(STAGE.find(identifier))

    @authenticated
    def delete(self, identifier: str) -> None:
        """Take the cluster away."""
        STAGE.find(identifier)
        left = [each for each in STAGE.scene["clusters"] if each["id"] != identifier]
        STAGE.scene["clusters"] = left
        STAGE.changed()
        self.set_status(204)
        self.finish()


class CodeHandler(Handler):
    """``GET af/clusters/ID/code``."""

    @authenticated
    def get(self, identifier: str) -> None:
        """Answer with a line that names the cluster."""
        self.finish({"code": f"client = connect({identifier!r})\n"})


class LogsHandler(Handler):
    """``GET af/clusters/ID/logs``."""

    @authenticated
    def get(self, identifier: str) -> None:
        """Answer with the logs of the scene."""
        STAGE.find(identifier)
        self.finish({"logs": STAGE.scene["logs"]})


class DashboardsHandler(Handler):
    """``GET af/clusters/ID/dashboards``."""

    @authenticated
    def get(self, identifier: str) -> None:
        """Answer with two pages of this server and one of another; tickets are never the same."""
        STAGE.find(identifier)
        root = url_path_join(
            self.base_url, "af/clusters", identifier, f"dashboard/ticket{time.time_ns()}"
        )
        links = [
            {"title": "Own", "url": f"{root}/status"},
            {"title": "Task stream", "url": f"{root}/stream"},
            {"title": "Foreign", "url": "https://x.example/"},
        ]
        self.finish({"links": STAGE.scene["links"] or links})


class DashboardHandler(JupyterHandler):
    """A dashboard that tries to reach Lab around it."""

    def get(self) -> None:
        """Show ``isolated`` if the page that embeds it cannot be touched."""
        self.finish(
            "<p id=found></p><script>let found = 'isolated';"
            "try { parent.document.title; found = 'reached'; } catch (error) {}"
            "try { top.location = 'about:blank'; } catch (error) {}"
            "try { document.cookie; found = 'cookies'; } catch (error) {}"
            "document.getElementById('found').textContent = found;</script>"
        )


_CLUSTER = r"af/clusters/([A-Za-z0-9-]+)"

ROUTES = [
    ("af/test/clusters", StageHandler),
    ("af/events", EventsHandler),
    ("af/clusters/types", TypesHandler),
    ("af/clusters", ClustersHandler),
    (_CLUSTER, ClusterHandler),
    (_CLUSTER + "/code", CodeHandler),
    (_CLUSTER + "/logs", LogsHandler),
    (_CLUSTER + "/dashboards", DashboardsHandler),
    (r"af/clusters/[A-Za-z0-9-]+/dashboard/ticket[0-9]+/(?:status|stream)", DashboardHandler),
]
"""Paths below the server's base, and who answers."""
