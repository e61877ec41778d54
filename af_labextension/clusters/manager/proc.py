"""What ``/proc`` tells about processes, for those of the same user. Pure but for reading it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")

_ENDED = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, told apart from a later one with the same number.

    Parameters
    ----------
    pid
        Process id.
    start
        When it began, in clock ticks since the machine's start.
    machine
        Machine and container: process ids mean nothing in another one.
    """

    pid: int
    start: int
    machine: str

    @classmethod
    def mine(cls) -> Identity:
        """Return that of this process."""
        return cls(os.getpid(), _start(os.getpid()) or 0, this_machine())

    @classmethod
    def from_json(cls, found: Any) -> Identity | None:
        """Read what `as_json` wrote; None if it is anything else."""
        if not isinstance(found, dict):
            return None
        pid, start, machine = (found.get(name) for name in ("pid", "start", "machine"))
        if isinstance(pid, int) and isinstance(start, int) and isinstance(machine, str):
            return cls(pid, start, machine)
        return None

    def as_json(self) -> dict[str, Any]:
        """Write it down."""
        return {"pid": self.pid, "start": self.start, "machine": self.machine}

    @property
    def is_here(self) -> bool:
        """Tell whether it belongs to this machine and container."""
        return self.machine == this_machine()

    @property
    def runs(self) -> bool:
        """Tell whether the process runs; one that only waits to be noticed does not."""
        return self.is_here and _start(self.pid) == self.start


def this_machine() -> str:
    """Return what tells this machine, since its start, and this container from all others."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return "unknown"


def _start(pid: int) -> int | None:
    """Return when a process began; None if there is none, or only what is left of one."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else int(fields[19])


def marked(name: str, value: str) -> list[int]:
    """Return the processes of this user that were started with a variable in their environment."""
    mark = f"{name}={value}".encode()
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            if entry.stat().st_uid != os.geteuid():
                continue
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                pid = int(entry.name)
                if _start(pid) is not None:
                    found.append(pid)
    return found


def kill_marked(name: str, value: str, *, patience: float = 5.0) -> list[int]:
    """End at once all processes with a mark but this one; return those that there were.

    Some may start others while it looks, so it looks until nothing is left, or `patience` seconds
    are over.
    """
    killed: set[int] = set()
    end = time.monotonic() + patience
    while left := [pid for pid in marked(name, value) if pid != os.getpid()]:
        killed.update(left)
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return sorted(killed)
