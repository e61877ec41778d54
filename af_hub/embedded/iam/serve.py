"""Two doors in one process, on cheroot.

The login door is always open on loopback, where discovery says it is; with a further address for
browsers on other machines the same page is there, too.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server as WSGIServer

from af_hub.embedded.iam.faults import Faulty
from af_hub.embedded.iam.login import login_app
from af_hub.embedded.iam.machine import machine_app
from af_hub.embedded.iam.provider import Provider

if TYPE_CHECKING:
    from af_hub.embedded.iam.config import IAMConfig

log = logging.getLogger("af_hub.iam")
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_THREADS = 8
_THREADS_OF_TESTS = 40  # calls that hang on purpose must not starve the others
_BACKLOG = 128  # with cheroot's 5 a burst of connections waits a second and more


class AccessLog:
    """Logs method, path, status and time of each request.

    Never the query, a header or a body: codes, tokens and secrets travel there.

    Parameters
    ----------
    app
        The application.
    door
        Name of the door, for the log line.
    """

    def __init__(self, app: WSGIApp, door: str) -> None:
        self._app = app
        self._door = door

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        started = time.monotonic()

        def log_and_start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            log.info(
                "%s %s %s %s %.1f ms",
                self._door,
                environ.get("REQUEST_METHOD", ""),
                repr(environ.get("PATH_INFO", "")[:80]),
                status[:3],
                1000 * (time.monotonic() - started),
            )
            return start_response(status, headers, *rest)

        return self._app(environ, log_and_start)


class Doors:
    """The running servers.

    Parameters
    ----------
    config
        Where to listen and where the state lies.

    Raises
    ------
    OSError
        If a port is taken.
    """

    def __init__(self, config: IAMConfig) -> None:
        self._provider = Provider.build(config)
        threads = _THREADS_OF_TESTS if self._provider.control.enabled else _THREADS
        machine = WSGIServer(
            (config.bind or config.host, config.https_port),
            AccessLog(self._door(machine_app(self._provider)), "machine"),
            numthreads=threads,
            request_queue_size=_BACKLOG,
        )
        machine.ssl_adapter = BuiltinSSLAdapter(str(config.certificate), str(config.key))
        page = AccessLog(self._door(login_app(self._provider)), "login")
        further = [] if config.bind else [config.login_host] * bool(config.login_host)
        hosts = [config.bind or config.host, *further]
        self._servers = [
            machine,
            *(
                WSGIServer(
                    (host, config.login_port),
                    page,
                    numthreads=_THREADS,
                    request_queue_size=_BACKLOG,
                )
                for host in hosts
            ),
        ]
        for server in self._servers:
            server.server_name = "af-iam"
        try:
            for server in self._servers:
                server.prepare()
        except OSError:
            # the threads of those that are prepared would keep the process alive
            for server in self._servers:
                server.stop()
            raise
        self._threads = [
            threading.Thread(target=server.serve, daemon=True) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()
        log.info("issuer %s, login page %s", config.issuer, config.login_url)

    def _door(self, app: WSGIApp) -> WSGIApp:
        control = self._provider.control
        return Faulty(app, control) if control.enabled else app

    def close(self) -> None:
        """Stop both doors and close the database."""
        self._provider.control.closed.set()
        for server in self._servers:
            server.stop()
        for thread in self._threads:
            thread.join(5)
        self._provider.store.close()


def run(config: IAMConfig, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters
    ----------
    config
        Where to listen and where the state lies.
    ready
        Called when both doors are open.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    doors = Doors(config)
    try:
        ready()
        stop.wait()
    finally:
        doors.close()
