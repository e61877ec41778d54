"""A thread that looks at the memory: seldom while there is room, often when there is not.

A thread and not a task of the server's loop: that may be busy for half a second with a large
notebook, in which a kernel takes a gigabyte.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from af_labextension.background import Background

from .reading import LONGEST_NAP, nap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .meters import Meter
    from .reading import Reading

log = logging.getLogger(__name__)

FAULT_PAUSE = 1.0
"""Seconds until the next look after one that failed."""


class Acting(Protocol):
    """What is done when it is full: `af_labextension.memory.guard.Guard`."""

    def act(self, meter: Meter, reading: Reading) -> float:
        """Do it; return the seconds until the next look."""

    def relieved(self) -> None:
        """Take note that there is room."""

    def killed(self) -> None:
        """Take note that the system was faster."""


class Watcher:
    """Looks at meters, and has something done when one is full.

    Parameters
    ----------
    meters
        What is looked at; the one with least room counts.
    acting
        Does it.
    reserve
        Bytes to keep free; 0 means as many as suit the limit.
    work
        Seconds of processor time that this thread has taken; a test gives its own.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        acting: Acting,
        *,
        reserve: int = 0,
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        self._meters = meters
        self._acting = acting
        self._reserve = reserve
        self._work = work
        self._kills = self._count_kills()
        self._thread = Background("memory", self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for what is under way."""
        self._thread.stop()
        for meter in self._meters:
            meter.close()

    def look(self) -> float:
        """Look once, and act if need be; return the seconds until the next look."""
        began = self._work()
        if (kills := self._count_kills()) > self._kills:
            self._acting.killed()
        self._kills = kills
        least: tuple[int, Meter, Reading] | None = None
        for meter in self._meters:
            reading = meter.read()
            if reading is None:
                continue
            gap = reading.line(self._reserve) - reading.held
            if least is None or gap < least[0]:
                least = (gap, meter, reading)
        if least is None:
            return LONGEST_NAP
        gap, meter, reading = least
        if gap <= 0:
            return self._acting.act(meter, reading)
        if gap > reading.limit - reading.line(self._reserve):  # not back and forth
            self._acting.relieved()
        return nap(gap, self._work() - began)

    def _count_kills(self) -> int:
        return max((meter.kills() for meter in self._meters), default=0)

    def attempt(self) -> float:
        """Look once, whatever goes wrong; return the seconds until the next look."""
        try:
            return self.look()
        except Exception:  # no fault may end it
            log.exception("memory guard")
            return FAULT_PAUSE

    def _run(self) -> None:
        pause = 0.0
        while not self._thread.pause(pause):
            pause = self.attempt()
