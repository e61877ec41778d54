"""A JupyterHub in a process of its own, which a test starts, stops or kills, and starts again."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE = 60.0
"""Seconds until it must answer, or have ended."""


@dataclass
class HubProcess:
    """One hub.

    Parameters
    ----------
    root
        Its folder; its configuration is ``config.py`` there.
    url
        Its address, without a slash at the end.
    variables
        All of its environment.
    """

    root: Path
    url: str
    variables: Mapping[str, str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """What was started last."""
        assert self._process is not None, "the hub was never started"
        return self._process

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """Everything that it has written."""
        return (self.root / "hub.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it answers; it finds the database that it had before."""
        with (self.root / "hub.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "--config", str(self.root / "config.py")],
                cwd=self.root,
                env=self.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.runs, self.log
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/hub/api"):
                return
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it; servers live on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it as a crash would; servers live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
