"""How long an event loop is busy without a look at what else has come, in processor time.

For the configuration file of a hub, which is read when its loop runs already. Processor time, since
another program on the same cores would count as a stall otherwise.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from pathlib import Path
from typing import Any, cast


class Meter:
    """Measures the time between two looks of the running loop, and lets a file tell.

    Parameters
    ----------
    path
        The file: longest round in seconds, processor time, resident memory; written when asked to.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._loop = asyncio.get_running_loop()
        selector = cast("Any", self._loop)._selector  # no public name
        self._look = selector.select
        self._longest, self._since = 0.0, time.thread_time()
        selector.select = self._select
        self._tell()

    def _select(self, timeout: float | None = None) -> Any:
        """Look, as the loop does once a round."""
        self._longest = max(self._longest, time.thread_time() - self._since)
        found = self._look(timeout)
        self._since = time.thread_time()
        return found

    def _tell(self) -> None:
        begin = self._path.with_suffix(".begin")
        if begin.exists():
            begin.unlink()
            self._longest = 0.0
        use = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found = {
            "longest": self._longest,
            "cpu": use.ru_utime + use.ru_stime,
            "memory": pages * resource.getpagesize(),
        }
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(self._path)
        self._loop.call_later(0.2, self._tell)


def metered(path: Path) -> str:
    """Return lines of a hub's configuration that measure its loop.

    Parameters
    ----------
    path
        The meter's file.
    """
    tests = str(Path(__file__).resolve().parents[1])
    return f"""
import sys
sys.path.insert(0, {tests!r})
from bench.loop_meter import Meter
Meter({str(path)!r})
"""


class MeterReader:
    """What a hub's meter tells.

    Parameters
    ----------
    path
        Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def begin(self) -> dict[str, float]:
        """Measure the longest round from now on."""
        begin = self._path.with_suffix(".begin")
        begin.touch()
        while begin.exists():  # noqa: ASYNC110  another process removes it
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        return self.read()

    def read(self) -> dict[str, float]:
        """Return what it told last."""
        found: dict[str, float] = json.loads(self._path.read_text())
        return found
