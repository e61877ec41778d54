"""The guard in a Jupyter server: which kernels there are, what becomes of them, who is told."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from af_labextension.clusters.manager.folder import MARK

from .guard import Guard
from .notices import Crowded, Ended, of_crowded, of_ended, of_killed
from .processes import Process, is_marked
from .watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .meters import Meter
    from .notices import Killed, Notice

log = logging.getLogger(__name__)

EVENT = "urn:analysis-facility:memory:v1"
"""Schema of the event that tells browsers to fetch ``af/memory``."""

SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "Memory of the server",
    "description": "There is a notice at af/memory, with this id.",
    "personal-data": False,
    "type": "object",
    "properties": {"id": {"type": "string"}},
    "required": ["id"],
}

MOST_NOTICES = 16
"""The last ones are kept for a browser that was closed."""


class MemoryService:
    """Watches the memory while the server runs.

    Parameters
    ----------
    meters
        What has a limit; with none there is nothing to do, and nothing is done.
    server
        The Jupyter server.
    reserve
        Bytes to keep free; 0 means as many as suit the limit.
    """

    def __init__(self, meters: Sequence[Meter], server: Any, reserve: int = 0) -> None:
        self._server = server
        self._notices: deque[Notice] = deque(maxlen=MOST_NOTICES)
        self._telling: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.watcher = (
            Watcher(meters, Guard(self.kernels, self._heard, _goes_on), reserve=reserve)
            if meters
            else None
        )

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What happened, oldest first."""
        return [notice.as_json() for notice in self._notices]

    def start(self) -> None:
        """Begin, in the server's loop."""
        if self.watcher is None:
            return
        self._loop = asyncio.get_running_loop()
        self._server.event_logger.register_event_schema(SCHEMA)
        self.watcher.start()

    async def stop(self) -> None:
        """End."""
        if self.watcher is not None:
            await asyncio.to_thread(self.watcher.stop)
        await asyncio.gather(*self._telling, return_exceptions=True)

    def kernels(self) -> dict[str, int]:
        """Return the process ids of the kernels on this machine; called in the watcher's thread."""
        manager = self._server.kernel_manager
        found = {}
        for kernel in manager.list_kernel_ids():
            try:
                provisioner = manager.get_kernel(kernel).provisioner
            except Exception:  # noqa: BLE001, S112 - it has just been shut down; or runs elsewhere
                continue
            pid = getattr(provisioner, "pid", None)
            if pid:
                found[kernel] = int(pid)
        return found

    def _heard(self, what: Ended | Crowded | Killed) -> None:
        """Take what happened; called in the watcher's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_telling, what)

    def _begin_telling(self, what: Ended | Crowded | Killed) -> None:
        if isinstance(what, Ended) and what.for_good:
            self._leave_dead(what.kernel)
        task = asyncio.create_task(self._tell(what), name="af-memory-notice")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, what: Ended | Crowded | Killed) -> None:
        if isinstance(what, Crowded):
            notice = of_crowded(what)
        else:
            # a kernel that the system has killed is told of as one that the guard has
            path = None if what.kernel is None else await self._path(what.kernel)
            name = "" if what.kernel is None else self._name(what.kernel)
            notice = (
                of_ended(what, path, name)
                if isinstance(what, Ended)
                else of_killed(what, path, name)
            )
        log.warning("%s", notice.text)
        self._notices.append(notice)
        self._server.event_logger.emit(schema_id=EVENT, data={"id": notice.id})

    async def _path(self, kernel: str) -> str | None:
        """Return the path of a kernel's notebook, or the name of its console."""
        try:
            sessions = await self._server.session_manager.list_sessions()
        except Exception:  # a notice without a path is better than none
            log.exception("notebook of a kernel")
            return None
        for session in sessions:
            if session["kernel"] and session["kernel"]["id"] == kernel:
                return str(session["path"] or session["name"]) or None
        return None

    def _name(self, kernel: str) -> str:
        try:
            return str(self._server.kernel_manager.get_kernel(kernel).kernel_name)
        except Exception:  # noqa: BLE001 - it was shut down meanwhile
            return "unknown"

    def _leave_dead(self, kernel: str) -> None:
        """Have the server do with a kernel as with one that it has restarted in vain."""
        try:
            restarter = self._server.kernel_manager.get_kernel(kernel)._restarter  # noqa: SLF001
        except Exception:  # noqa: BLE001 - it was shut down meanwhile, or is not restarted anyway
            return
        if restarter is not None:
            restarter.restart_limit = 0


def _goes_on(process: Process) -> bool:
    """Tell whether a process is of a Dask cluster in this server, which outlives notebooks."""
    return is_marked(process.pid, MARK)
