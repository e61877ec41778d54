"""A preload of the scheduler: its pages answer only who carries the cluster's own token.

On loopback every user of the machine reaches them, and dask has no login for them. A secret path
does not close them: ``/`` leads to it.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from tornado import httputil

TOKEN = secrets.token_urlsafe(32)
"""Opens the pages; the process holds one cluster, so it has one."""


class Guard(httputil.HTTPServerConnectionDelegate):
    """Let only requests with the token through.

    Parameters
    ----------
    pages
        What answers those.
    """

    def __init__(self, pages: httputil.HTTPServerConnectionDelegate) -> None:
        self._pages = pages

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        """Begin a request; who it is stands in its headers."""
        return _Guarded(self._pages.start_request(server_conn, request_conn), request_conn)

    def on_close(self, server_conn: object) -> None:
        """Pass on that a connection ended."""
        self._pages.on_close(server_conn)


class _Guarded(httputil.HTTPMessageDelegate):
    def __init__(
        self, inner: httputil.HTTPMessageDelegate, connection: httputil.HTTPConnection
    ) -> None:
        self._inner: httputil.HTTPMessageDelegate | None = inner
        self._connection = connection

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Any:
        given = headers.get("Authorization", "").encode("utf-8", "replace")
        if self._inner is None or not hmac.compare_digest(given, f"token {TOKEN}".encode()):
            self._inner = None
            return None
        headers.pop("Authorization", None)  # not for the pages behind
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        return None if self._inner is None else self._inner.data_received(chunk)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()
            return
        headers = httputil.HTTPHeaders({"Content-Length": "0", "Cache-Control": "no-store"})
        line = httputil.ResponseStartLine("HTTP/1.1", 403, "Forbidden")
        self._connection.write_headers(line, headers)
        self._connection.finish()

    def on_connection_close(self) -> None:
        if self._inner is not None:
            self._inner.on_connection_close()


def dask_setup(scheduler: Any) -> None:
    """Close the pages of a scheduler; dask calls this when it starts."""
    server = scheduler.http_server
    server.request_callback = Guard(server.request_callback)
