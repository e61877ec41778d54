"""Preload of a Dask scheduler: live worker counts, and doors that ask who is there.

It runs inside the scheduler, after ``dask_gateway.scheduler_preload``, needs `distributed` only,
and is given by its path, so that a scheduler's environment does not need this package.

Three things are added to what Dask Gateway does:

- Gateway's scheduler tells its server about a new worker with the next heartbeat only, up to 15 s
  later. Here every change is told at once.
- The scheduler's own web pages are open to everybody who reaches the port (the machine, or the
  whole network of a batch farm). Here they answer only who carries the cluster's token, which is
  the gateway, which lets in only the owner.
- Gateway sends its messages to the scheduler over plain http, with the cluster's token in each.
  Here they come over TLS, with the cluster's certificate at both ends.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin
from tornado import httputil

logger = logging.getLogger("distributed.scheduler.af")

DEBOUNCE = 0.05
"""Seconds: workers that come together are told together."""
LONGEST_PAUSE = 2.0
"""Seconds between attempts while the gateway does not answer."""


class ReportChanges(SchedulerPlugin):
    """Send a heartbeat as soon as a worker comes or goes.

    Parameters
    ----------
    service
        Gateway's ``GatewaySchedulerService``.
    """

    name = "af-report-changes"

    def __init__(self, service: Any) -> None:
        self._service = service
        self._reported: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        original = service.gateway.heartbeat

        async def heartbeat(message: dict[str, Any]) -> None:
            await original(message)
            self._reported = set(message["active_workers"])

        service.gateway.heartbeat = heartbeat

    def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ARG002
        """Tell about a new worker."""
        self._tell()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002
        """Tell about a worker that went."""
        self._tell()

    def _tell(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._until_told())

    async def _until_told(self) -> None:
        pause = DEBOUNCE
        while True:
            await asyncio.sleep(pause)
            active = set(self._service.active_workers) - set(self._service.closing_workers)
            if active == self._reported:
                return
            # wakes Gateway's own loop: one place sends heartbeats and retires workers
            await self._service.waiter.interrupt()
            pause = min(2 * pause, LONGEST_PAUSE)


class Guard(httputil.HTTPServerConnectionDelegate):
    """Let only requests with the cluster's token through to the scheduler's pages.

    Parameters
    ----------
    pages
        What answers those.
    token
        Gateway's token of this cluster.
    """

    def __init__(self, pages: httputil.HTTPServerConnectionDelegate, token: str) -> None:
        self._pages = pages
        self._expected = f"token {token}".encode()

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        """Begin a request; who it is stands in its headers."""
        inner = self._pages.start_request(server_conn, request_conn)
        return _GuardedRequest(inner, request_conn, self._expected)

    def on_close(self, server_conn: object) -> None:
        """Pass on that a connection ended."""
        self._pages.on_close(server_conn)


class _GuardedRequest(httputil.HTTPMessageDelegate):
    def __init__(
        self,
        inner: httputil.HTTPMessageDelegate,
        connection: httputil.HTTPConnection,
        expected: bytes,
    ) -> None:
        self._inner: httputil.HTTPMessageDelegate | None = inner
        self._connection = connection
        self._expected = expected

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        given = headers.get("Authorization", "").encode("utf-8", "replace")
        if self._inner is not None and hmac.compare_digest(given, self._expected):
            # not for the pages behind
            headers.pop("Authorization", None)
            return self._inner.headers_received(start_line, headers)
        self._inner = None
        return None

    def data_received(self, chunk: bytes) -> Any:
        return None if self._inner is None else self._inner.data_received(chunk)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()
            return
        self._connection.write_headers(
            httputil.ResponseStartLine("HTTP/1.1", 403, "Forbidden"),
            httputil.HTTPHeaders({"Content-Length": "0", "Cache-Control": "no-store"}),
        )
        self._connection.finish()

    def on_connection_close(self) -> None:
        if self._inner is not None:
            self._inner.on_connection_close()


def encrypt_messages(service: Any, scheduler: Any) -> None:
    """Let Gateway's messages come over TLS, from nobody who lacks the cluster's certificate.

    Before the first connection and the first heartbeat, which tells the gateway the address.
    """
    context = scheduler.security.get_listen_args("scheduler")["ssl_context"]
    if context is not None:
        service.server.ssl_options = context
        service.api_address = service.api_address.replace("http://", "https://")


def dask_setup(scheduler: Any) -> None:
    """Take part in a scheduler; Dask calls it when the scheduler starts."""
    service = scheduler.services["gateway"]
    encrypt_messages(service, scheduler)
    scheduler.add_plugin(ReportChanges(service))
    server = scheduler.http_server
    server.request_callback = Guard(server.request_callback, service.gateway.token)
