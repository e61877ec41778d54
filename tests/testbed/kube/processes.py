"""Starting processes that outlive us, and finding the same ones again.

A process is known by its id and the moment of its start: an id alone may by now belong to somebody
else's process.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process.

    Parameters
    ----------
    pid
        Its id.
    begin
        When it started, in ticks since the machine's start.
    """

    pid: int
    begin: int

    @property
    def alive(self) -> bool:
        """Tell whether it runs; a dead child of ours is removed."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return find(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it is still the same process."""
        with suppress(ProcessLookupError):
            if self.alive:
                os.kill(self.pid, number)


def find(pid: int) -> Process | None:
    """Return the running process of this id, None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    # of a killed process the first thread is a zombie at once; the others may hold ports a moment
    # longer, and whoever starts it again then finds them taken
    dead = fields[0] == "X" or (fields[0] == "Z" and int(fields[17]) <= 1)
    return None if dead else Process(pid, int(fields[19]))


def start(
    command: Sequence[str], *, log: Path, record: Path, environment: Mapping[str, str]
) -> Process:
    """Start a program that does not end with us.

    Parameters
    ----------
    command
        Full path and arguments.
    log
        File that output is added to.
    record
        File that will name the process.
    environment
        All of its variables.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    process = find(pid) or Process(pid, -1)  # dead already: its log says why
    write_atomically(record, f"{process.pid} {process.begin}\n")
    return process


def recorded(record: Path) -> Process | None:
    """Return the process that a record names, None if it does not run."""
    try:
        pid, begin = map(int, record.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    process = Process(pid, begin)
    return process if process.alive else None


def end(pids: Callable[[], set[int]], *, grace: float, limit: float = 20.0) -> set[int]:
    """Kill processes until there are none; return those that do not die.

    Parameters
    ----------
    pids
        Finds their ids, again and again: a dying process may have started another one.
    grace
        Seconds that they have to end by themselves.
    limit
        Seconds after which we give up: a process in a hung mount cannot be killed.
    """
    begin = time.monotonic()
    while left := {each for pid in pids() if (each := find(pid))}:
        waited = time.monotonic() - begin
        if waited > grace + limit:
            break
        if waited >= grace:
            for process in left:
                process.send(signal.SIGKILL)
        for process in left:
            process.alive  # noqa: B018  removes it if it is a dead child of ours
        time.sleep(0.02)
    return {process.pid for process in left}
