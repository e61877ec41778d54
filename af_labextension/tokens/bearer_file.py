"""The bearer-token file: where every tool of the field looks for a token.

WLCG Bearer Token Discovery: the file that ``BEARER_TOKEN_FILE`` names. XRootD's clients refuse a
file that group or others may touch (libXrdSecztn), and a reader may come at any moment, so the
file is never written in place: a new one, 0600 from its first byte, is renamed over it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING

from af_labextension.errors import FileTrouble

if TYPE_CHECKING:
    from pathlib import Path

    from af_labextension.secret import Secret

_LEFTOVER_AGE = 3600.0
"""Seconds after which a new file that was never renamed belongs to a process that died."""


class BearerFile:
    """One token file. Its methods block (briefly): call them in a thread.

    Parameters
    ----------
    path
        Where the file is. Missing folders are made with mode 0700; an existing folder stays as
        it is, but must not let others replace the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, token: Secret) -> None:
        """Put a token into the file, at once and as a whole.

        Raises
        ------
        FileTrouble
            The folder is full, read-only, gone or open to others; the old file is untouched.
        """
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.{secrets.token_hex(8)}.new")
        try:
            self._prepare_folder()
            try:
                _write_whole(fresh, token.reveal().encode("ascii"))
                fresh.replace(self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    fresh.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise FileTrouble(
                "token-file",
                f"The token file {self.path} cannot be written: {error.strerror or error}."
                " Programs in terminals and notebooks may lose access; free space or ask the"
                " facility's support.",
                detail=type(error).__name__,
            ) from error

    def holds(self, token: Secret) -> bool:
        """Tell whether the file has exactly this token and is closed to others."""
        try:
            with self.path.open("rb") as file:
                closed = not os.fstat(file.fileno()).st_mode & 0o077
                return closed and file.read() == token.reveal().encode("ascii")
        except OSError:
            return False

    def remove(self) -> None:
        """Take the file away; one that is gone already is no trouble."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed server left half-done."""
        with contextlib.suppress(OSError):
            for leftover in self.path.parent.glob(f".{self.path.name}.*.new"):
                if leftover.lstat().st_mtime < time.time() - _LEFTOVER_AGE:
                    leftover.unlink(missing_ok=True)

    def _prepare_folder(self) -> None:
        """Make the folder, or check that nobody else can replace files in it."""
        folder = self.path.parent
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
