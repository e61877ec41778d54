"""A hub as the Lab sees it over HTTP, with every fault on demand.

The real hub's side is tested in ``tests/hub``; this one stands where a test needs a hub that is
slow, silent, wrong or has changed its mind at a certain moment.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from .webdav import GOOD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER_TOKEN = "planted-server-token-0123456789"
"""The API token that the hub gave to the Lab's server."""


def lab_config(**changes: Any) -> dict[str, Any]:
    """Return what ``GET lab`` answers, with changes at the top level."""
    return {
        "about": {"name": "Demo", "logo": None, "support": "mailto:s@x", "notice": "Hi", "aup": ""},
        "identity": {
            "user": "alice",
            "display_name": "Alice",
            "issuer": "https://iam.example/",
            "groups": ["/cms", "/cms/uscms"],
            "audiences": [{"name": "storage", "audience": "https://s", "scope": "storage.read:/"}],
        },
        "storage": [],
        "compute": {"gateway": None, "types": []},
        "server": {
            "name": "",
            "profile": "small",
            "started_at": 1.0,
            "expires_at": None,
            "stop_url": "/hub/stop",
            "profile_url": "/hub/spawn",
        },
        "hub": {"public_url": "/", "home_url": "/hub/home", "login_url": "/hub/login"},
        **changes,
    }


@dataclass
class LabHub:
    """A hub that answers what a test sets.

    Parameters
    ----------
    tokens
        Given one after the other, the last one for ever.
    life
        ``expires_in`` of the tokens, seconds.
    fault
        ``None`` or the next answers instead: a status, bytes of a body with status 200, or
        ``"hang"``.
    ends
        What is answered to reports of activity, which are kept in ``reports``.
    """

    port: int = 0
    config: dict[str, Any] = field(default_factory=lab_config)
    tokens: list[str] = field(default_factory=lambda: [GOOD])
    life: float = 3600.0
    fault: int | bytes | dict[str, str] | str | None = None
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    server: HTTPServer | None = None

    @property
    def api_url(self) -> str:
        """The hub's API, as ``JUPYTERHUB_API_URL`` gives it."""
        return f"http://127.0.0.1:{self.port}/hub/api"

    def count(self, what: str) -> int:
        """Tell how many requests had a path that ends so."""
        return sum(path.endswith(what) for path in self.requests)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        hub = self

        class Answer(RequestHandler):
            async def get(self, what: str) -> None:
                hub.requests.append(self.request.path)
                hub.headers.append(dict(self.request.headers))
                await hub.answer(self, what)

            async def post(self, what: str) -> None:
                await self.get(what)

        self.server = HTTPServer(Application([(r"/hub/api/af/(.*)", Answer)]))
        sockets = bind_sockets(self.port, "127.0.0.1", family=socket.AF_INET)
        self.port = sockets[0].getsockname()[1]
        self.server.add_sockets(sockets)

    async def stop(self) -> None:
        """Stop listening, as a hub that restarts."""
        if self.server is not None:
            self.server.stop()
            self.hanging.set()
            await self.server.close_all_connections()
            self.server = None

    async def answer(self, handler: RequestHandler, what: str) -> None:
        """Answer one request, or fail as told."""
        if self.fault == "hang":
            await self.hanging.wait()
        elif isinstance(self.fault, int):
            handler.set_status(self.fault)
            handler.finish("<html>trouble</html>")
        elif isinstance(self.fault, bytes):
            handler.finish(self.fault)
        elif isinstance(self.fault, dict):
            handler.set_status(int(self.fault["status"]))
            handler.finish(json.dumps(self.fault))
        elif handler.request.headers.get("Authorization") != f"token {SERVER_TOKEN}":
            handler.set_status(403)
            handler.finish(json.dumps({"status": 403, "message": "Forbidden"}))
        elif what == "activity":
            self.reports.append(json.loads(handler.request.body))
            handler.finish({"ends": self.ends})
        elif what == "lab":
            handler.finish(self.config)
        else:
            token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
            handler.finish(
                {
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": self.life,
                    "scope": "storage.read:/",
                    "audience": "https://s",
                    "issuer": "https://iam.example/",
                }
            )


@pytest_asyncio.fixture
async def lab_hub() -> AsyncIterator[LabHub]:
    """Start a hub that works until a test says otherwise."""
    hub = LabHub()
    await hub.start()
    yield hub
    await hub.stop()
