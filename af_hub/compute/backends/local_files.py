"""Files of clusters that run on this machine: private, replaced whole, read with distrust.

Code of the cluster's owner runs in the folder and can put anything in any place there.
"""

from __future__ import annotations

import os
import stat
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.compute.launch import GATEWAY_TOKEN_FILE
from af_hub.compute.logs import MOST_BYTES, Log, make_log

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_FILE = "bearer-token"  # noqa: S105  a file name
"""As `af_hub.compute.token_preload` names it, which needs `distributed` and is not imported here."""
TOKENS = f"scratch/*/*/{TOKEN_FILE}"
"""Where each process keeps the user's token: in the folder that Dask makes for it."""
MOST_LOGS = 50
"""Logs in one answer: that of the scheduler and of the workers that wrote last."""


def prepare(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder of a new cluster with its files."""
    for each in (folder, folder / "logs", folder / "scratch"):
        each.mkdir(mode=0o700)
    for name, content in files.items():
        replace(folder / name, content)


def replace(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 under another name, then give it this one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_logs(folder: Path, lines: int) -> list[Log]:
    """Read the ends of all logs of a cluster; none if its folder is gone."""
    secrets = [
        _end(path)[0].decode("utf-8", "replace").strip()
        for path in (folder / GATEWAY_TOKEN_FILE, *islice(folder.glob(TOKENS), MOST_LOGS))
    ]
    found = []
    for path in _newest(folder / "logs"):
        raw, cut = _end(path)
        name = path.stem.replace("worker-", "worker ", 1)
        found.append(make_log(name, raw, lines, cut=cut, secrets=filter(None, secrets)))
    return found


def _newest(folder: Path) -> list[Path]:
    """List the scheduler's log, then those of workers, the one that wrote last first."""
    try:
        paths = [(path.lstat().st_mtime, path) for path in folder.glob("*.log")]
    except OSError:
        return []
    paths.sort(key=lambda each: (each[1].stem == "scheduler", each[0]), reverse=True)
    return [path for _, path in paths[:MOST_LOGS]]


def _end(path: Path) -> tuple[bytes, bool]:
    """Return the last bytes of a regular file, and whether it has more; nothing of anything else."""
    try:
        # no link to elsewhere, and no pipe that never ends
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b"", False
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            return b"", False
        begin = max(facts.st_size - MOST_BYTES, 0)
        file.seek(begin)
        return file.read(MOST_BYTES), begin > 0
