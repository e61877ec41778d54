"""A gateway as the Lab sees it over HTTP: the facility's routes, with every fault on demand.

The real gateway's side is tested in ``tests/compute``; this one stands where a test needs a gateway
that is away, older, slow to tell, or knows exactly which connections there are.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from .lab_hub import SERVER_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BASE = "/services/dask-gateway/api/v1/af"

QUOTA = {
    "scope": "user",
    "name": "alice",
    "resource": "clusters",
    "used": 1,
    "limit": 4,
    "unit": "",
}

TYPE = {
    "name": "farm",
    "title": "The farm",
    "site": "T2",
    "description": "Many cores.",
    "backend": "local",
    "options": {"type": "object", "properties": {}},
    "available": True,
    "reason": None,
}


def cluster(number: int, **changes: Any) -> dict[str, Any]:
    """Return a cluster of the gateway."""
    return {
        "id": f"{number:032x}",
        "name": f"farm-{number:06x}",
        "type": "farm",
        "title": "The farm",
        "site": "T2",
        "state": "running",
        "reason": None,
        "workers": 2,
        "wanted": 2,
        "cores": 2,
        "memory": 2**31,
        "gpus": 0,
        "image": None,
        "group": None,
        "scale": {"mode": "fixed", "workers": 2},
        "created_at": 1_790_000_000.0 + number,
        "options": {},
        "token": None,
        "ends_at": None,
        "ends_why": None,
        "warning": None,
        "held": None,
        **changes,
    }


@dataclass
class SmallGateway:
    """A gateway that answers what a test sets.

    Parameters
    ----------
    clusters
        By id.
    old
        It has neither types nor events, as one of before there were any.
    """

    port: int = 0
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    types: list[dict[str, Any]] = field(default_factory=lambda: [TYPE])
    old: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list)
    streams: int = 0
    """Connections that listen now."""
    opened: int = 0
    """Connections that have listened."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: HTTPServer | None = None

    @property
    def address(self) -> str:
        """Address as the hub tells it."""
        return f"http://127.0.0.1:{self.port}/services/dask-gateway"

    @property
    def compute(self) -> dict[str, Any]:
        """What the hub tells of it."""
        return {
            "gateway": {"address": self.address, "proxy_address": "gateway://127.0.0.1:1"},
            "types": list(self.types),
        }

    def tell(self, *clusters: dict[str, Any]) -> None:
        """Have these clusters, and tell everybody."""
        self.clusters = {one["id"]: one for one in clusters}
        self.push()

    def push(self) -> None:
        """Tell everybody."""
        self._changed.set()
        self._changed = asyncio.Event()

    def told(self) -> dict[str, Any]:
        """Return the data of an event."""
        return {"clusters": list(self.clusters.values()), "quotas": [QUOTA]}

    async def start(self) -> None:
        """Listen, on the same port as before."""
        gateway = self

        class Answer(RequestHandler):
            def initialize(self) -> None:
                self.gone = asyncio.Event()

            def on_connection_close(self) -> None:
                self.gone.set()

            def prepare(self) -> None:
                gateway.requests.append((self.request.method or "", self.request.path))
                if self.request.headers.get("Authorization") != f"jupyterhub {SERVER_TOKEN}":
                    raise HTTPError(403)

            async def get(self, path: str) -> None:
                await gateway.answer(self, path)

            post = patch = delete = get

        self._server = HTTPServer(Application([(BASE + r"/(.*)", Answer)]))
        sockets = bind_sockets(self.port, "127.0.0.1", family=socket.AF_INET)
        self.port = sockets[0].getsockname()[1]
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """Stop listening; who listens to events is cut off."""
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    async def answer(self, handler: RequestHandler, path: str) -> None:
        """Answer one request."""
        if path == "events" and not self.old:
            await self._stream(handler)
        elif path == "types" and not self.old:
            handler.finish({"types": self.types, "quotas": [QUOTA]})
        elif path == "clusters":
            self._clusters(handler)
        elif path.startswith("clusters/"):
            self._cluster(handler, path.split("/")[1:])
        else:
            raise HTTPError(404)

    def _clusters(self, handler: RequestHandler) -> None:
        if handler.request.method == "POST":
            asked = json.loads(handler.request.body)
            if asked["options"].get("worker_cores", 1) > 380:
                handler.set_status(409)
                sentence = "/cms: 380 of 400 cores in use; you can start 20."
                handler.finish({"code": "quota", "message": sentence})
                return
            made = cluster(len(self.clusters) + 1, state="pending", type=asked["options"]["type"])
            self.clusters[made["id"]] = made
            self.push()
            handler.set_status(201)
            handler.finish(made)
        else:
            handler.finish({"clusters": list(self.clusters.values())})

    def _cluster(self, handler: RequestHandler, path: list[str]) -> None:
        found = self.clusters.get(path[0])
        if found is None:
            handler.set_status(404)
            handler.finish({"code": "no-cluster", "message": "There is no such cluster."})
        elif path[1:] == ["logs"]:
            lines = handler.get_query_argument("lines")
            handler.finish({"logs": [{"name": "scheduler", "text": lines, "truncated": False}]})
        elif handler.request.method == "PATCH":
            found["scale"] = json.loads(handler.request.body)["scale"]
            self.push()
            handler.finish(found)
        elif handler.request.method == "DELETE":
            del self.clusters[path[0]]
            self.push()
            handler.set_status(204)
            handler.finish()
        else:
            handler.finish(found)

    async def _stream(self, handler: RequestHandler) -> None:
        handler.set_header("Content-Type", "text/event-stream")
        gone: asyncio.Event = handler.gone  # type: ignore[attr-defined]  # see `start`
        self.streams += 1
        self.opened += 1
        try:
            while not gone.is_set():
                changed = self._changed
                handler.write(f"event: clusters\ndata: {json.dumps(self.told())}\n\n")
                await handler.flush()
                waiting = [asyncio.create_task(each.wait()) for each in (gone, changed)]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting:
                    task.cancel()
        except StreamClosedError:
            pass
        finally:
            self.streams -= 1


@pytest_asyncio.fixture
async def small_gateway() -> AsyncIterator[SmallGateway]:
    """Start a gateway that works until a test says otherwise."""
    gateway = SmallGateway()
    await gateway.start()
    yield gateway
    await gateway.stop()
