"""Files for the owner alone, replaced as a whole. Pure.

A reader may come at any moment, so a file is never written in place: a new one, 0600 from its first
byte, is renamed over it. The functions block (briefly): call them in a thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING

from .errors import FileTrouble

if TYPE_CHECKING:
    from pathlib import Path

_LEFTOVER_AGE = 3600.0
"""Seconds after which a new file that was never renamed belongs to a process that died."""


def replace_file(path: Path, content: bytes) -> None:
    """Put a content into a file, at once and as a whole.

    Raises
    ------
    OSError
        The folder is full, read-only or gone; the old file is untouched.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}.new")
    try:
        _write_whole(fresh, content)
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def sweep_leftovers(path: Path) -> None:
    """Remove what a killed process left half-done beside a file."""
    with contextlib.suppress(OSError):
        for leftover in path.parent.glob(f".{path.name}.*.new"):
            if leftover.lstat().st_mtime < time.time() - _LEFTOVER_AGE:
                leftover.unlink(missing_ok=True)


def prepare_folder(folder: Path) -> None:
    """Make a folder with mode 0700, or check that nobody else can replace files in it.

    Raises
    ------
    OSError
        It cannot be made.
    FileTrouble
        ``token-folder``: others may write to it.
    """
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    open_to_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if open_to_others and not status.st_mode & stat.S_ISVTX:
        raise FileTrouble(
            "token-folder",
            f"The folder {folder} may be written by others, so the token file in it would"
            " not be safe. Take their write permission away (chmod go-w).",
        )


def _write_whole(path: Path, content: bytes) -> None:
    """Write a new file, owner-only from the start; an error means that it must not be used."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)  # a full disk or quota may tell only now
