"""One xrootd in the inner network, for as long as that exists."""

from __future__ import annotations

import datetime as dt
import shutil
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat

from af_hub.embedded.network.child import Repeated
from af_hub.embedded.network.enter import Bind, run_inside
from af_hub.embedded.xrootd.grid_pki import GridFiles
from af_hub.embedded.xrootd.proxy_certificate import PROXY_LIFETIME, PROXY_RENEWAL, renew_proxy
from af_hub.embedded.xrootd.redaction import redact

MEMORY = Path("/run")
"""Covered by a folder in memory for each server. XRootD's configuration splits at spaces and knows
no quotes, and its sockets want short names: below this folder every server sees what it needs,
wherever the data folder lies."""


class ServerConfig(BaseModel):
    """What has to be prepared for an xrootd.

    Parameters
    ----------
    holder
        File that names the holder of the network.
    command
        Program and arguments.
    hidden
        The data folder: secrets, databases and homes in it are no business of a file server.
    binds
        What it sees in other places; targets below `MEMORY` are made.
    emptied
        Folders that are emptied first.
    grid
        Folder of the certificates, as the server sees it, if it needs a proxy certificate, which
        is renewed while it runs.
    proxy_lifetime, proxy_renewal
        Life of a proxy certificate and the time between two of them, in seconds.
    root
        Folder that is the server's root, see `run_inside`; None: this system's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    holder: Path
    command: tuple[str, ...]
    hidden: Path
    binds: tuple[Bind, ...] = ()
    emptied: tuple[Path, ...] = ()
    grid: Path | None = None
    proxy_lifetime: PositiveFloat = PROXY_LIFETIME.total_seconds()
    proxy_renewal: PositiveFloat = PROXY_RENEWAL.total_seconds()
    root: Path | None = None


def run(config: ServerConfig) -> int:
    """Run the server and return its exit code."""
    for folder in config.emptied:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    renewal = None
    if config.grid is not None:
        renewal = Repeated(config.proxy_renewal, partial(_renew, config, GridFiles(config.grid)))
    return run_inside(
        config.holder,
        config.command,
        binds=config.binds,
        memory=MEMORY,
        hidden=config.hidden,
        repeated=renewal,
        rewrite=redact,
        root=config.root,
    )


def _renew(config: ServerConfig, files: GridFiles) -> None:
    renew_proxy(files, lifetime=dt.timedelta(seconds=config.proxy_lifetime))
