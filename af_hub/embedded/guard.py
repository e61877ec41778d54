"""No process of a facility outlives it, whatever ends the parent.

Every process of a facility carries ``AF_INSTANCE=<id>`` in its environment; Labs, kernels,
schedulers and workers inherit it. `sweep` ends all processes with that mark. A guard process
holds a pipe whose other end only the parent has: when the parent dies, by SIGKILL too, the
kernel closes the pipe and the guard sweeps. Should the guard be killed as well, the next start
sweeps before anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from af_hub.embedded.parts import INSTANCE_VARIABLE

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

PROC = Path("/proc")


def find_processes(instance: str) -> set[int]:
    """Return the ids of this user's processes that belong to `instance`.

    They carry the mark, or descend from one that does: a program that writes its title over its
    own environment (``setproctitle``, which distributed uses if it is there) hides the mark.
    The calling process and zombies are never among them.
    """
    mark = f"{INSTANCE_VARIABLE}={instance}".encode()
    found: set[int] = set()
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # mine, and no zombie: a zombie has no environment, only its parent can remove it
            if entry.stat().st_uid != os.getuid():
                continue
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                continue
            parents[int(entry.name)] = int(parent)
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except (OSError, ValueError):
            continue  # it ended while we looked
    found.discard(os.getpid())
    return _with_descendants(found, parents)


def _with_descendants(found: set[int], parents: dict[int, int]) -> set[int]:
    grown = set(found)
    size = -1
    while size != len(grown):
        size = len(grown)
        grown |= {pid for pid, parent in parents.items() if parent in grown}
    grown.discard(os.getpid())
    return grown


def sweep(instance: str, *, grace: float = GRACE) -> int:
    """End every process of `instance` and return how many there were.

    Parameters
    ----------
    instance
        Value of ``AF_INSTANCE``.
    grace
        Seconds between SIGTERM and SIGKILL.
    """
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while left := find_processes(instance):
        late = time.monotonic() > deadline
        for pid in left if late else left - asked:
            _send(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= left
        time.sleep(0.05)
    return len(asked)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has just ended


def main(arguments: list[str] | None = None) -> int:
    """Wait for the end of standard input, then sweep the instance named in the arguments."""
    (instance,) = sys.argv[1:] if arguments is None else arguments
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 1024):
        pass
    sweep(instance)
    return 0


if __name__ == "__main__":
    sys.exit(main())
