"""Processes of this machine, told apart even when a process id is used again."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def start_mark(pid: int) -> str | None:
    """Describe when a process started.

    Parameters
    ----------
    pid
        Process id.

    Returns
    -------
    str or None
        Boot id and clock ticks since boot (proc(5), field 22 of ``stat``): the same text means the
        same process, also after the id was used again. None if there is no such process or it is
        a zombie.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    # the command in parentheses may hold blanks and parentheses
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"


def kill_marked(name: str, value: str) -> int:
    """End every process that carries an environment variable: what a Lab left behind.

    Parameters
    ----------
    name, value
        The variable; `value` must be unique to what is to be ended.

    Returns
    -------
    int
        Number of processes that were sent SIGKILL.
    """
    mark = f"{name}={value}".encode()
    killed = 0
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed
