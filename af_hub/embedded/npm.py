"""Calling npm."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from af_hub.embedded.installer import InstallerFailure, run_installer
from af_hub.errors import SetupError


def npm(arguments: list[str], folder: Path) -> None:
    """Run npm in `folder`; called from the main thread.

    Raises
    ------
    SetupError
        ``npm-failed`` with the end of its output.
    KeyboardInterrupt
        On SIGINT, SIGTERM and SIGHUP.
    """
    environment = os.environ.copy()
    # the front end's scripts call jupyter-builder, which is in this Python's environment
    own = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join((own, environment.get("PATH", os.defpath)))
    try:
        run_installer(["npm", *arguments], folder=folder, environment=environment)
    except InstallerFailure as failure:
        raise SetupError(
            "npm-failed", f"{failure.what}. Is the network up?{failure.words}"
        ) from failure
