"""What this server may use: the profile's cores and memory. Pure but for reading ``/proc``, ``/sys``."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CGROUP = Path("/sys/fs/cgroup")

_UNLIMITED = 2**60
"""Bytes; version 1 of cgroups writes no limit as a very large number."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the workers of this server may have together.

    Parameters
    ----------
    cores
        Number.
    memory
        Bytes.
    """

    cores: int
    memory: int


def this_server(environment: Mapping[str, str], cgroup: Path = CGROUP) -> Machine:
    """Return the smallest of all limits that are known.

    Parameters
    ----------
    environment
        ``CPU_LIMIT`` and ``MEM_LIMIT`` (bytes) are JupyterHub's, from the user's profile.
    cgroup
        Where control groups, version 2 or 1, are mounted.
    """
    cores: list[float] = [len(os.sched_getaffinity(0))]
    memory: list[int] = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(ValueError):
        cores.append(float(environment.get("CPU_LIMIT") or 0))
    with suppress(ValueError):
        memory.append(int(environment.get("MEM_LIMIT") or 0))
    cores.append(_quota(cgroup))
    memory += [
        _number(cgroup / "memory.max"),
        _number(cgroup / "memory/memory.limit_in_bytes"),
    ]
    return Machine(
        cores=max(1, int(min(each for each in cores if each > 0))),
        memory=min(each for each in memory if 0 < each < _UNLIMITED),
    )


def _quota(cgroup: Path) -> float:
    """Return the cores that a control group grants; 0 if it sets no limit."""
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    quota_1 = _number(cgroup / "cpu/cpu.cfs_quota_us")
    period_1 = _number(cgroup / "cpu/cpu.cfs_period_us")
    return quota_1 / period_1 if quota_1 > 0 and period_1 > 0 else 0.0


def _number(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0
