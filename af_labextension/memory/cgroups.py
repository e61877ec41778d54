"""How much memory a control group holds, and how much it may. Pure but for reading files.

Version 1, version 2 and hybrid systems; containers with a cgroup namespace of their own and without;
groups inside groups, where the tightest counts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .reading import Reading

PROC = Path("/proc")

LARGEST = 65_536
"""Bytes of the longest of the files that are read; ``memory.stat`` has some 5,000."""

UNLIMITED = 2**60
"""Bytes; version 1 writes no limit as a very large number, version 2 as ``max``."""


@dataclass(frozen=True, slots=True)
class Names:
    """How a version of control groups calls its files, and the fields of ``memory.stat``.

    Parameters
    ----------
    limit, usage
        Files with one number of bytes.
    slow
        File with the bytes from which the group is slowed down; empty if there is none.
    kills
        File in which ``oom_kill`` counts the processes that the system has killed.
    reclaimable
        Fields of what the system takes back by itself before it kills.
    """

    limit: str
    usage: str
    slow: str
    kills: str
    reclaimable: tuple[bytes, ...]


# not inactive_file alone, which is what a kubelet subtracts: a file that is read twice is active,
# and yet the system drops it before it kills
VERSION_1 = Names(
    limit="memory.limit_in_bytes",
    usage="memory.usage_in_bytes",
    slow="",
    kills="memory.oom_control",
    # those with "total" count the groups inside, as the usage does
    reclaimable=(b"total_inactive_file", b"total_active_file"),
)
VERSION_2 = Names(
    limit="memory.max",
    usage="memory.current",
    slow="memory.high",
    kills="memory.events",
    reclaimable=(b"inactive_file", b"active_file", b"slab_reclaimable"),
)


class Group:
    """One control group.

    Its files are opened once: a look costs a third of what opening them again and again would.

    Parameters
    ----------
    folder
        Where its files are.
    names
        How they are called.
    """

    def __init__(self, folder: Path, names: Names) -> None:
        self.folder = folder
        self.names = names
        self._files: dict[str, int] = {}

    @property
    def limit(self) -> int | None:
        """Bytes that it may hold; None if there is no limit."""
        return self._amount(self.names.limit)

    def read(self) -> Reading | None:
        """Return how full it is; None where there is no limit, or nothing can be read."""
        limit = self.limit
        usage = self._amount(self.names.usage)
        if limit is None or usage is None:
            return None
        slow = self._amount(self.names.slow) if self.names.slow else None
        # the long file is not read where it could tell nothing of interest
        if 2 * usage > min(limit, slow or limit):
            usage = max(0, usage - self._sum("memory.stat", self.names.reclaimable))
        return Reading(usage, limit, slow)

    def kills(self) -> int:
        """Return how many processes the system has killed because it was full."""
        return self._sum(self.names.kills, (b"oom_kill",))

    def processes(self) -> frozenset[int] | None:
        """Return the processes in it and in the groups inside; None if that cannot be read."""
        found: set[int] = set()
        try:
            for folder, _, _ in os.walk(self.folder):
                found.update(map(int, Path(folder, "cgroup.procs").read_bytes().split()))
        except (OSError, ValueError):
            return None
        return frozenset(found)

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _amount(self, name: str) -> int | None:
        try:
            number = int(self._read(name))
        except (OSError, ValueError):  # ValueError: "max"
            return None
        return number if number < UNLIMITED else None

    def _sum(self, name: str, fields: tuple[bytes, ...]) -> int:
        """Add up fields of a file; one that is not there counts nothing."""
        total = 0
        with suppress(OSError):
            for line in self._read(name).splitlines():
                field, _, number = line.partition(b" ")
                if field in fields:
                    total += int(number)
        return total

    def _read(self, name: str) -> bytes:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(file, LARGEST, 0)


def limited_groups(proc: Path = PROC) -> list[Group]:
    """Return the groups around this process that have a limit, innermost first.

    Parameters
    ----------
    proc
        Where ``self/cgroup`` and ``self/mountinfo`` are.
    """
    found = []
    for group in groups(proc):
        if group.limit is None:
            group.close()
        else:
            found.append(group)
    return found


def groups(proc: Path = PROC) -> list[Group]:
    """Return all groups around this process that can be seen, innermost first."""
    try:
        paths = _paths((proc / "self/cgroup").read_text(encoding="utf-8"))
        mounts = _mounts((proc / "self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return []
    # on a hybrid system version 1 has the memory, and version 2 is there without it
    for version, names in ((1, VERSION_1), (2, VERSION_2)):
        if version in paths and version in mounts:
            mount = mounts[version]
            inner = mount.point / _below(mount.root, paths[version])
            if not inner.is_dir():
                inner = mount.point
            chain = [inner, *inner.parents]
            return [
                Group(folder, names)
                for folder in chain[: chain.index(mount.point) + 1]
                if (folder / names.limit).is_file()
            ]
    return []


def _paths(text: str) -> dict[int, str]:
    """Return the process's group by version, from ``/proc/self/cgroup``."""
    found = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            found[1] = path
        elif number == "0" and not controllers:
            found[2] = path
    return found


class _Mount(NamedTuple):
    """Which group (`root`) is seen at which folder (`point`)."""

    root: str
    point: Path


def _mounts(text: str) -> dict[int, _Mount]:
    """Return where each version is mounted, from ``/proc/self/mountinfo``."""
    found: dict[int, _Mount] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version is None or (version == 1 and "memory" not in options.split()[-1].split(",")):
            continue
        root, point = before.split()[3:5]
        # a later mount hides an earlier one
        found[version] = _Mount(_unescaped(root), Path(_unescaped(point)))
    return found


def _unescaped(text: str) -> str:
    r"""Undo the escapes of mountinfo, ``\040`` for a space."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def _below(root: str, path: str) -> str:
    """Return where a group is below the mounted one; empty if it is that itself, or not to be seen."""
    inner = path.removeprefix(root.rstrip("/"))
    if not path.startswith(root.rstrip("/")) or (inner and not inner.startswith("/")):
        # a mount of the container's own group, while the path is told as the host or a namespace
        # sees it
        return ""
    return "" if ".." in inner.split("/") else inner.lstrip("/")
