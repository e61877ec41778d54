"""Which processes belong to which kernel, and who holds most. Pure but for reading ``/proc``."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PROC = Path("/proc")

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Parameters
    ----------
    pid, parent, session
        Numbers.
    resident
        Bytes.
    started
        Seconds from the machine's start.
    name
        As the system shows it, 15 characters at most.
    """

    pid: int
    parent: int
    session: int
    resident: int
    started: float
    name: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Processes that stand and fall together.

    Parameters
    ----------
    kernel
        Identifier of the kernel they belong to; None for those of nobody's kernel.
    processes
        The kernel's own first; else the largest first.
    """

    kernel: str | None
    processes: tuple[Process, ...]

    @property
    def resident(self) -> int:
        """Bytes; pages that several of them share count for each."""
        return sum(process.resident for process in self.processes)


def look(proc: Path = PROC) -> list[Process]:
    """Return all processes that can be seen."""
    names = os.listdir(proc)  # noqa: PTH208 - no objects for each while memory runs out
    found = (read(int(name), proc) for name in names if name.isdecimal())
    return [process for process in found if process is not None]


def read(pid: int, proc: Path = PROC) -> Process | None:
    """Return one process; None if there is none, or only what is left of one."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    if fields[0] in "ZX":
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        resident=int(fields[21]) * PAGE,
        started=int(fields[19]) / TICKS,
        name=head.partition("(")[2],
    )


def is_marked(pid: int, name: str, proc: Path = PROC) -> bool:
    """Tell whether a process was started with a variable in its environment."""
    with suppress(OSError):
        return f"\0{name}=".encode() in b"\0" + (proc / str(pid) / "environ").read_bytes()
    return False


def own_memory(pid: int, proc: Path = PROC) -> int:
    """Return the bytes that a process holds without the files it has mapped; 0 if it is gone."""
    total = 0
    with suppress(OSError):
        for line in (proc / str(pid) / "status").read_text(errors="replace").splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def trees(
    processes: Iterable[Process],
    kernels: Mapping[str, int],
    spared: Callable[[Process], bool] = lambda _: False,
) -> list[Tree]:
    """Put processes together: each kernel with what it started, the others by their session.

    Parameters
    ----------
    kernels
        Their process ids by identifier.
    spared
        Tells of a process with a session of its own whether it goes on without the kernel that
        started it, with all that it started.
    """
    left = {process.pid: process for process in processes}
    found = []
    for kernel, pid in kernels.items():
        members = _members(left, pid, spared)
        for member in members:
            del left[member.pid]
        if members:
            found.append(Tree(kernel, tuple(members)))
    sessions: dict[int, list[Process]] = {}
    for process in left.values():
        sessions.setdefault(process.session, []).append(process)
    found += [
        Tree(None, tuple(sorted(each, key=lambda one: -one.resident))) for each in sessions.values()
    ]
    return found


def _members(
    processes: Mapping[int, Process], kernel: int, spared: Callable[[Process], bool]
) -> list[Process]:
    """Return a kernel's processes, its own first: children of children, and those of its session."""
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    first = processes.get(kernel)
    # a kernel leads its session; what of it has lost its parent belongs to it still
    waiting = [] if first is None else [first]
    waiting += [each for each in processes.values() if each.session == kernel and each != first]
    found: dict[int, Process] = {}
    while waiting:
        process = waiting.pop(0)
        if process.pid in found:
            continue
        if process.session == process.pid != kernel and spared(process):
            continue
        found[process.pid] = process
        waiting += children.get(process.pid, [])
    return list(found.values())


def descendants(processes: Iterable[Process], ancestor: int) -> list[Process]:
    """Return a process and all that it started and that still runs under it."""
    known = {process.pid: process for process in processes}
    return _members(known, ancestor, lambda _: False)
