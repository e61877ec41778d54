"""UNIX sockets whose path may be longer than the 107 bytes that unix(7) takes."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CREDENTIALS = struct.Struct("3i")


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give another, short name of a path, by way of its folder's descriptor."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """Listen, for this user only from the first moment; what a dead process left is replaced.

    Raises
    ------
    OSError
        The folder is not there or cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(fresh) as name:
            listening.bind(name)
        fresh.chmod(0o600)
        listening.listen(16)
        listening.setblocking(False)
        fresh.rename(path)
    except BaseException:
        listening.close()
        fresh.unlink(missing_ok=True)
        raise
    return listening


def connect(path: Path) -> socket.socket:
    """Connect to a process of the same user; the call blocks only as long as the kernel needs.

    Raises
    ------
    OSError
        Nobody listens there, or somebody else does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    if peer(connection) != os.geteuid():
        connection.close()
        raise PermissionError(None, "another user listens there")
    return connection


def peer(connection: socket.socket) -> int | None:
    """Return the user at the other end, as the kernel knows it."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(raw)[1])
