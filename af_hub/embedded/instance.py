"""One data folder, one running facility: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.embedded.layout import Layout


@contextmanager
def instance_lock(layout: Layout) -> Iterator[None]:
    """Hold the data folder for the time of the ``with`` block.

    The kernel drops a ``flock`` when its holder dies by any cause, so no stale lock can remain.
    Child processes do not inherit it.

    Raises
    ------
    SetupError
        ``data-in-use`` naming the process that holds it.
    """
    path = layout.state / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise SetupError(
                "data-in-use",
                f"The data folder {layout.root} is in use by pid {holder or 'unknown'}. "
                "Stop that facility, or start another one beside it with --data DIR --port N.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def instance_id(layout: Layout) -> str:
    """Return the stable id of the data folder, made at the first call."""
    path = layout.state / "instance"
    try:
        known = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        known = ""
    # it selects the processes that are ended: never trust a damaged one
    if re.fullmatch(r"[0-9a-f]{16}", known):
        return known
    fresh = secrets.token_hex(8)
    write_atomically(path, fresh + "\n")
    return fresh
