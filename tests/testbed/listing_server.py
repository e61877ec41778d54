"""An API server of Kubernetes that has some lists, and faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PODS = "/api/v1/namespaces/labs/pods"


def pod(name: str, version: int = 1) -> dict[str, Any]:
    """Write a pod."""
    return {"metadata": {"namespace": "labs", "name": name, "resourceVersion": str(version)}}


class Server:
    """One list of an API server, of pods or of anything else; what it does wrong concerns it alone."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.statuses: list[int] = []
        """What the next requests are answered with."""
        self.watches: list[str] = []
        """What the next watches say before they end; without, they are silent until `end_watches`."""
        self.reads = self.asked = 0
        self.changed = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List or watch."""
        self.asked += 1
        if self.statuses:
            return web.json_response({"message": "no"}, status=self.statuses.pop(0))
        if "watch" in request.query:
            return await self._watch(request)
        self.reads += 1
        names = sorted(self.pods)
        begin = int(request.query.get("continue") or 0)
        end = begin + int(request.query["limit"])
        metadata = {"resourceVersion": str(self.version)}
        if end < len(names):
            metadata["continue"] = str(end)
        items = [self.pods[name] for name in names[begin:end]]
        return web.json_response({"items": items, "metadata": metadata})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        with contextlib.suppress(ConnectionError):
            if self.watches:
                await stream.write(self.watches.pop(0).encode())
                return stream
            await self.changed.wait()
        return stream

    def end_watches(self) -> None:
        """Let the watches of this moment end without a word, as after the time that they asked for."""
        self.changed.set()
        self.changed = asyncio.Event()

    def put(self, name: str) -> dict[str, Any]:
        """Have a pod more."""
        self.version += 1
        self.pods[name] = pod(name, self.version)
        return self.pods[name]


@contextlib.asynccontextmanager
async def serving(others: Mapping[str, Server] | None = None) -> AsyncIterator[Server]:
    """Run a server; it has one list of pods, and others by their paths."""
    server = Server()
    lists = {PODS: server, **(others or {})}
    app = web.Application()
    for path, each in lists.items():
        app.router.add_get(path, each.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for each in lists.values():
            each.changed.set()
        await runner.cleanup()


def change(kind: str, one: dict[str, Any]) -> str:
    """Write a line of a watch."""
    return json.dumps({"type": kind, "object": one}) + "\n"
