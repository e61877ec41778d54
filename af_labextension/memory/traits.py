"""The settings of the memory guard, beside those of the extension."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Int
from traitlets.config import Configurable

from .cgroups import limited_groups
from .meters import OwnProcesses
from .service import MemoryService

if TYPE_CHECKING:
    from .meters import Meter


class MemoryTraits(Configurable):
    """When a kernel that fills the memory is ended."""

    memory_guard = Bool(
        True,
        help="""
        Whether a kernel is ended before the server's memory is full.

        Where the server runs in a control group with a memory limit, as in a pod, the system kills
        the whole server when the limit is reached. The guard ends the kernel that holds most a
        little earlier, and tells its user why. Without a limit it does nothing.
        """,
    ).tag(config=True)

    memory_limit = Int(
        0,
        min=0,
        help="""
        Bytes that the server may hold with all that it started, where the system sets no limit.

        0 means that there is no such limit: the memory of a profile is then a label, as the page of
        profiles says of a facility on one machine. To have it kept by the guard there::

            import os

            c.FacilityExtension.memory_limit = int(os.environ.get("MEM_LIMIT", 0))

        A limit of the system counts beside it; the one that is reached first matters.
        """,
    ).tag(config=True)

    memory_reserve = Int(
        0,
        min=0,
        help="""
        Bytes of the limit that are kept free: a kernel is ended when less is left.

        0 means 5 % of the limit, at least 64 MiB and at most 1 GiB. Until a kernel stands still it
        takes 5 to 25 ms on a busy machine, in which one that grows by 2.8 GiB a second takes up to
        70 MiB: set more where many threads fill memory at once.
        """,
    ).tag(config=True)

    def make_memory(self, server: Any) -> MemoryService:
        """Return the guard.

        Parameters
        ----------
        server
            The Jupyter server.
        """
        meters: list[Meter] = []
        if self.memory_guard and server is not None:
            meters += limited_groups()
            if self.memory_limit:
                meters.append(OwnProcesses(os.getpid(), self.memory_limit))
        return MemoryService(meters, server, self.memory_reserve)
