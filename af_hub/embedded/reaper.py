"""Removing dead processes that nobody else removes.

Labs outlive a hub that dies, schedulers outlive a gateway. As orphans they become children of
pid 1, which in a plain container waits for nobody: a dead Lab would stay as a zombie and look
alive to ``os.kill(pid, 0)``, and so to the hub, for ever. The supervisor therefore makes itself
the parent of all orphans below it, and waits for them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h; Python has no name for it."""

INTERVAL = 1.0
"""Seconds between two looks."""


def adopt_orphans() -> None:
    """Make this process the parent of every orphan among its descendants."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def reap_for_ever() -> None:
    """Remove zombies that were seen twice.

    The supervisor's own parts are awaited by asyncio within moments; taking one away from it
    would lose its exit code, so only what asyncio has left lying for a whole interval is taken.
    """
    before: set[int] = set()
    while True:
        now = _zombies()
        for pid in now & before:
            try:
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222  does not wait
            except ChildProcessError:
                continue
        before = now
        await asyncio.sleep(INTERVAL)


def _zombies() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue  # the thread has ended
        found |= {int(pid) for pid in children if _is_zombie(pid)}
    return found


def _is_zombie(pid: str) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "Z"
