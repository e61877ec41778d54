"""What is watched: a control group, or the processes of this server where none has a limit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .processes import PROC, descendants, look, own_memory
from .reading import Reading

if TYPE_CHECKING:
    from pathlib import Path


class Meter(Protocol):
    """Something with a limit. `af_labextension.memory.cgroups.Group` is one."""

    def read(self) -> Reading | None:
        """Return how full it is; None if there is no limit now."""

    def processes(self) -> frozenset[int] | None:
        """Return the processes that are counted; None for all that can be seen."""

    def kills(self) -> int:
        """Return how many processes the system has killed because it was full."""

    def close(self) -> None:
        """Let go of what is open."""


class OwnProcesses:
    """The processes that a server has started, and a limit of ours for them together.

    Parameters
    ----------
    server
        Process id.
    limit
        Bytes.
    """

    def __init__(self, server: int, limit: int, proc: Path = PROC) -> None:
        self._server = server
        self._limit = limit
        self._proc = proc

    def read(self) -> Reading | None:
        """Add up what they hold; some milliseconds for hundreds of processes."""
        held = sum(own_memory(pid, self._proc) for pid in self.processes())
        return Reading(held, self._limit)

    def kills(self) -> int:
        """Return 0: the system knows nothing of this limit."""
        return 0

    def close(self) -> None:
        """Do nothing: nothing stays open."""

    def processes(self) -> frozenset[int]:
        """Return them; what has left its parent is counted no more."""
        return frozenset(one.pid for one in descendants(look(self._proc), self._server))
