"""Calling npm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from af_hub.errors import SetupError

TIMEOUT = 900
"""Seconds; a first download over a slow line takes minutes."""


def npm(arguments: list[str], folder: Path) -> None:
    """Run npm in `folder`.

    Raises
    ------
    SetupError
        ``npm-failed`` with the end of its output.
    """
    environment = os.environ.copy()
    # the front end's scripts call jupyter-builder, which is in this Python's environment
    own = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join((own, environment.get("PATH", os.defpath)))
    command = ["npm", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            "npm-failed", f"`{' '.join(command)}` did not end within {TIMEOUT // 60} minutes."
        ) from error
    if done.returncode:
        end = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-15:])
        raise SetupError(
            "npm-failed",
            f"`{' '.join(command)}` failed in {folder}. Is the network up? Its last words:\n{end}",
        )
