"""Log files of the parts."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 10 * 2**20
"""Bytes after which a log is put aside at the next start of its part; one old log is kept."""


def open_log(path: Path) -> IO[bytes]:
    """Open a part's log for appending; only the owner may read it."""
    if path.exists() and path.stat().st_size > LARGEST:
        path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab")


def tail(path: Path, lines: int = 8) -> str:
    """Return the last lines of a log, indented."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4096))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return "    (no log)"
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
