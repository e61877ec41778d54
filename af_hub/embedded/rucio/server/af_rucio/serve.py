"""Catalogue and server in one process: Rucio is imported once, and that is most of a start."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from rucio.db.sqla.session import get_session
from rucio.web.rest.flaskapi.v1.main import application

from .adjustments import adjust
from .catalogue import bring_up_to_date
from .content import demo_content
from .database import open_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from .settings import Settings

log = logging.getLogger("af_rucio")

INTERVAL = 0.05
"""Seconds between two looks for the file that says that the store is complete."""

PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``."""


class Server(BaseApplication):  # type: ignore[misc]  # untyped upstream
    """Gunicorn around Rucio's application, which this process has imported already.

    Parameters
    ----------
    port
        TCP port on loopback.
    engine
        Its connections do not survive a fork.
    """

    def __init__(self, port: int, engine: Engine) -> None:
        self._port = port
        self._engine = engine
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults; there is no access log among them."""

        def after_fork(_arbiter: Any, _worker: Any) -> None:
            self._engine.dispose(close=False)
            # a worker without its master would keep the port from the next one
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        options: dict[str, Any] = {
            "bind": f"127.0.0.1:{self._port}",
            "worker_class": "gthread",
            "workers": 1,  # 140 MB each, and SQLite has one writer
            "threads": 8,
            "timeout": 60,
            "graceful_timeout": 2,
            "preload_app": True,
            "control_socket_disable": True,
            "limit_request_field_size": 16_380,  # tokens with many groups
            "post_fork": after_fork,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the WSGI application."""
        return application


def _log_to_stdout() -> None:
    """Show our own lines: Rucio is told to write errors only, it warns about its own defaults."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def serve(settings: Settings) -> None:
    """Bring the catalogue up to date, then serve it until SIGTERM."""
    os.umask(0o077)
    adjust()
    _log_to_stdout()
    engine = open_database(settings.database)
    while settings.filled is not None and not settings.filled.exists():
        time.sleep(INTERVAL)
    begin = time.monotonic()
    datasets = demo_content(settings.store, settings.sums)
    session = get_session()
    with session.begin():
        bring_up_to_date(session(), settings, datasets)
    session.remove()
    engine.dispose()
    log.info("catalogue is up to date: %.2f s", time.monotonic() - begin)
    Server(settings.port, engine).run()
