"""How long an event loop is busy without a look at what else has come, in processor time.

For the configuration file of a hub. Processor time, since another program on the same cores would
count as a stall otherwise.
"""

from __future__ import annotations

import asyncio
import json
import resource
import selectors
import time
from pathlib import Path
from typing import Any


class _Metered(selectors.EpollSelector):
    """Measures the time between two looks."""

    def __init__(self) -> None:
        super().__init__()
        self.longest, self._since = 0.0, time.thread_time()

    def select(self, timeout: float | None = None) -> Any:
        """Look, as the loop does once a round."""
        self.longest = max(self.longest, time.thread_time() - self._since)
        found = super().select(timeout)
        self._since = time.thread_time()
        return found


class MeteredPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes loops that are measured, and lets a file tell.

    Parameters
    ----------
    path
        The file: longest round in seconds, processor time, resident memory; written when asked to.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make a loop."""
        selector = _Metered()
        loop = asyncio.SelectorEventLoop(selector)
        loop.call_soon(self._tell, loop, selector)
        return loop

    def _tell(self, loop: asyncio.AbstractEventLoop, selector: _Metered) -> None:
        begin = self._path.with_suffix(".begin")
        if begin.exists():
            begin.unlink()
            selector.longest = 0.0
        use = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found = {
            "longest": selector.longest,
            "cpu": use.ru_utime + use.ru_stime,
            "memory": pages * resource.getpagesize(),
        }
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(self._path)
        loop.call_later(0.2, self._tell, loop, selector)
