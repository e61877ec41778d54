"""Writing small files so that a crash leaves the old or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace `path` by a file that holds `text`.

    Parameters
    ----------
    path
        Target; its folder exists.
    text
        Content, written as UTF-8.
    mode
        Permission bits, set before the content is written.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; `path` is untouched then.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)  # noqa: PTH105  a str from mkstemp
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
