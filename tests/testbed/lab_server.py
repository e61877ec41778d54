"""A real Jupyter Server with the extension, in the test's own event loop.

pytest-jupyter does the same, but its plugin takes over every coroutine test of the whole run from
pytest-asyncio.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest_asyncio
from jupyter_server.serverapp import ServerApp
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from traitlets.config import Config

from .lab_hub import SERVER_TOKEN, LabHub

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tornado.httpclient import HTTPResponse

LAB_TOKEN = "lab-access-token"
"""The token that the browser shows to the Lab."""

BASE_URL = "/user/a%40b/"
"""A base URL that catches quoting faults."""


@dataclass
class LabServer:
    """A running server.

    Parameters
    ----------
    app
        The server application.
    url
        ``http://127.0.0.1:PORT`` and the base URL, with a slash at the end.
    """

    app: ServerApp
    url: str
    client: SimpleAsyncHTTPClient

    async def fetch(
        self,
        route: str,
        /,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        anonymous: bool = False,
        on_chunk: Callable[[bytes], None] | None = None,
        **query: str,
    ) -> HTTPResponse:
        """Ask the server below its base URL."""
        sent = dict(headers or {})
        if not anonymous:
            sent.setdefault("Authorization", f"token {LAB_TOKEN}")
        address = self.url + route + ("?" + urlencode(query, quote_via=quote) if query else "")
        return await self.client.fetch(
            address,
            method=method,
            headers=sent,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            request_timeout=60,
            streaming_callback=on_chunk,
        )


StartLab = Callable[..., Awaitable[LabServer]]


@asynccontextmanager
async def running_lab(
    folder: Path, config: dict[str, Any], extensions: dict[str, bool]
) -> AsyncIterator[LabServer]:
    """Start a server in `folder`, with more extensions, and stop it."""
    app = ServerApp(
        config=Config(
            {
                "ServerApp": {
                    "jpserver_extensions": {
                        "af_labextension": True,
                        "jupyter_server_terminals": False,
                        **extensions,
                    },
                    "allow_unauthenticated_access": False,
                    "allow_root": True,
                    "open_browser": False,
                },
                "IdentityProvider": {"token": LAB_TOKEN},
                "NotebookNotary": {"db_file": ":memory:"},
                "FacilityExtension": config,
            }
        ),
        base_url=BASE_URL,
        root_dir=str(folder),
    )
    app.init_signal = lambda: None  # type: ignore[method-assign]  # pytest owns the signals
    app.initialize(argv=[], new_httpserver=False, find_extensions=False)
    app.log.propagate = True
    app.log.handlers = []
    server = HTTPServer(app.web_app)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    await app.extension_manager.start_all_extensions()  # type: ignore[no-untyped-call]
    client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=256 * 1024 * 1024)
    try:
        yield LabServer(app, f"http://127.0.0.1:{sockets[0].getsockname()[1]}{BASE_URL}", client)
    finally:
        client.close()
        server.stop()
        await server.close_all_connections()
        await app._cleanup()


@pytest_asyncio.fixture
async def start_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartLab]:
    """Give a function that starts a server: ``await start_lab(hub, **traits)``."""
    for name in (
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_API_URL",
        "AF_HUB_API",
        "AF_TOKEN_DIR",
        "BEARER_TOKEN_FILE",
        "OIDC_SOCK",
    ):
        monkeypatch.delenv(name, raising=False)
    # a Lab sets them for its kernels
    for name in ("AF_DOORS", "AF_LAB_CLUSTERS", "DASK_DISTRIBUTED__CLIENT__SECURITY_LOADER"):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv("DASK_DISTRIBUTED__CLIENT__SECURITY_LOADER")
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(tmp_path / f"jupyter-{kind.lower()}"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    root = tmp_path / "home"
    root.mkdir()
    logging.getLogger("tornado.access").setLevel(logging.INFO)
    running: list[Any] = []

    async def start(hub: LabHub | None, **traits: Any) -> LabServer:
        if hub is not None:
            monkeypatch.setenv("JUPYTERHUB_API_TOKEN", SERVER_TOKEN)
            monkeypatch.setenv("JUPYTERHUB_API_URL", hub.api_url)
        context = running_lab(root, traits, traits.pop("_extensions", {}))
        running.append(context)
        return await context.__aenter__()

    yield start
    for context in reversed(running):
        await context.__aexit__(None, None, None)
