"""Settings of where Labs of one machine keep their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from traitlets import Unicode, default
from traitlets.config import LoggingConfigurable

from af_hub.spawner.local.folders import Folders, folder_name


class Places(LoggingConfigurable):
    """Mixin for spawners: folders of users, of running servers and of logs."""

    # what it uses of JupyterHub's Spawner, which is untyped
    name: Any
    user: Any

    home_root = Unicode(
        help="""
        Folder with one home folder per user.

        The default is ``users`` in the folder that the hub was started in. Everything of a user
        lives there; nothing in it is ever removed by the hub.
        """,
    ).tag(config=True)

    runtime_root = Unicode(
        help="""
        Folder for short-lived private files of running Labs, such as the bearer-token file.

        The default is a folder in ``$XDG_RUNTIME_DIR`` (in memory), else ``runtime`` beside
        ``home_root``. Folders in it are readable by their owner only and removed when a Lab ends.
        """,
    ).tag(config=True)

    logs_dir = Unicode(
        help="""
        Folder for what Labs print, one file per server.

        The default is ``logs`` beside ``home_root``. A file is kept until the server starts again.
        """,
    ).tag(config=True)

    examples_dir = Unicode(
        help="""
        Folder with examples that are copied into each user's ``examples`` folder at a start.

        A file that the user has changed or removed is left as it is. Empty copies nothing.
        """,
    ).tag(config=True)

    @default("home_root")
    def _default_home_root(self) -> str:
        return str(Path.cwd() / "users")

    @default("runtime_root")
    def _default_runtime_root(self) -> str:
        memory = os.environ.get("XDG_RUNTIME_DIR")
        if memory and os.access(memory, os.W_OK):
            return str(Path(memory) / "analysis-facility")
        return str(Path(self.home_root).absolute().parent / "runtime")

    @default("logs_dir")
    def _default_logs_dir(self) -> str:
        return str(Path(self.home_root).absolute().parent / "logs")

    @property
    def folders(self) -> Folders:
        """The places of this server."""
        user = folder_name(self.user.name)
        server = f"{user}.{folder_name(self.name)}" if self.name else user
        return Folders(
            home=Path(self.home_root).absolute() / user,
            runtime=Path(self.runtime_root).absolute() / server,
            log=Path(self.logs_dir).absolute() / f"lab-{server}.log",
        )
