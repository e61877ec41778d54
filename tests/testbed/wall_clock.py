"""The wall clock of a process, ahead of the machine's by what a file says."""

from __future__ import annotations

import time
from pathlib import Path


def follow(path: str) -> None:
    """Let this process's ``time.time`` follow the file; call it before anything else is imported."""
    file, real = Path(path), time.time

    def ahead() -> float:
        try:
            return real() + float(file.read_text())
        except (OSError, ValueError):
            return real()

    time.time = ahead
