"""Configuration and server loop of the storage."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from pydantic import BaseModel, ConfigDict
from wsgidav.error_printer import ErrorPrinter
from wsgidav.request_resolver import RequestResolver
from wsgidav.wsgidav_app import WsgiDAVApp

from af_hub.embedded.storage.gate import SHARE, Gate
from af_hub.embedded.storage.keys import Keys
from af_hub.embedded.storage.tree import StoreProvider

if TYPE_CHECKING:
    from af_hub.embedded.storage.gate import WSGIApp

log = logging.getLogger("af_hub.storage")

THREADS = 16
"""Requests at once; two Dask workers with a few connections each fit."""

BACKLOG = 128
"""Connections that wait for the accept loop. A reader opens one per basket at once; with cheroot's
5 the kernel drops some of them, and the client tries again after a whole second."""

BLOCK = 2**20
"""Bytes that are read and sent at once; WsgiDAV's 8 kB cost a system call each."""


class StorageConfig(BaseModel):
    """What the storage server has to know.

    Parameters
    ----------
    root
        Folder that is shown as ``/store``.
    host, port
        Where to listen.
    certificate, key
        For https.
    issuer, token_issuer, audience, ca_file
        See `af_hub.embedded.storage.keys.Keys`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    host: str
    port: int
    certificate: Path
    key: Path
    issuer: str
    token_issuer: str
    audience: str
    ca_file: Path | None


def storage_app(config: StorageConfig, keys: Keys) -> WSGIApp:
    """Return the WSGI application: WebDAV behind the gate."""
    settings: dict[str, Any] = {
        "provider_mapping": {
            SHARE: StoreProvider(str(config.root), fs_opts={"follow_symlinks": False})
        },
        # neither its log-in nor its HTML pages
        "middleware_stack": [ErrorPrinter, RequestResolver],
        "lock_storage": None,
        "property_manager": None,
        "block_size": BLOCK,
        "suppress_version_info": True,
        "verbose": 1,
        "logging": {"enable": False},
    }
    return Gate(WsgiDAVApp(settings), keys, config.root)


def run(config: StorageConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    keys = Keys(
        issuer=config.issuer,
        token_issuer=config.token_issuer,
        audience=config.audience,
        ca_file=config.ca_file,
    )
    server = Server(
        (config.host, config.port),
        storage_app(config, keys),
        numthreads=THREADS,
        request_queue_size=BACKLOG,
    )
    server.server_name = "af-storage"
    server.ssl_adapter = BuiltinSSLAdapter(str(config.certificate), str(config.key))
    server.prepare()
    # cheroot cannot be stopped from a signal handler, which would interrupt the very loop that
    # has to come to its end
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loop = threading.Thread(target=server.serve, daemon=True)
    loop.start()
    log.info("serving %s as %s on port %d", config.root, SHARE, config.port)
    stop.wait()
    server.stop()
    loop.join(5)
