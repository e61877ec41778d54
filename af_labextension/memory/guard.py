"""Ends the kernel that fills the memory. Runs in the watcher's thread; knows no server.

The kernel is killed, not asked: it could finish with the memory before it finishes with itself.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .notices import ENDS_IN_A_ROW, Crowded, Ended, Killed
from .processes import Process, Tree, look, own_memory, read, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .meters import Meter
    from .reading import Reading

log = logging.getLogger(__name__)

WORTH = 0.1
"""Share of the limit that a kernel must hold to be ended: less would help nobody."""

SOON = 30.0
"""Seconds of age below which the end of a kernel counts as one soon after its start."""

RELEASE_LIMIT = 15.0
"""Seconds for which the memory of what was killed may take to come back."""

THREADS_LIMIT = 1.0
"""Seconds for which it may take after the processes are gone."""

RELEASE_PAUSE = 0.01

CROWDED_PAUSE = 0.25
"""Seconds between two looks while nothing can be done."""


class Guard:
    """Decides and ends.

    Parameters
    ----------
    kernels
        Gives the process ids of the kernels by identifier.
    tell
        Takes what happened.
    spared
        Tells of a process that a kernel has started whether it goes on without it.
    """

    def __init__(
        self,
        kernels: Callable[[], Mapping[str, int]],
        tell: Callable[[Ended | Crowded | Killed], None],
        spared: Callable[[Process], bool] = lambda _: False,
    ) -> None:
        self._kernels = kernels
        self._tell = tell
        self._spared = spared
        self._crowded = False
        self._in_a_row: dict[str, int] = {}

    def relieved(self) -> None:
        """Take note that there is room again."""
        self._crowded = False

    def killed(self) -> None:
        """Take note that the system was faster; where it kills all at once, nobody can."""
        self._tell(Killed())

    def act(self, meter: Meter, reading: Reading) -> float:
        """End the kernel that holds most; return the seconds until the next look.

        Where something else holds most, no kernel is ended for it: its user would lose the work,
        and the memory would be full a moment later all the same.
        """
        kernels = dict(self._kernels())
        found = self._trees(kernels, meter.processes())
        largest = max(found, key=lambda tree: tree.resident, default=None)
        if largest is None:
            return CROWDED_PAUSE
        if largest.kernel is None or largest.resident < WORTH * reading.limit:
            if not self._crowded:
                self._crowded = True
                self._tell(Crowded(largest, reading))
            return CROWDED_PAUSE
        # pages that its processes share were counted for each
        held = min(sum(own_memory(one.pid) for one in largest.processes), reading.held)
        ended = Ended(largest.kernel, held, reading, self._for_good(largest))
        if ended.for_good:
            # first, or the server might just start it again
            self._tell(ended)
        killed = _kill(largest)
        if not ended.for_good:
            self._tell(ended)
        killed |= self._kill_late(largest, kernels)
        _await_release(killed, meter, reading.held - held // 2)
        return 0.0

    def _trees(self, kernels: Mapping[str, int], counted: frozenset[int] | None) -> list[Tree]:
        processes = look()
        if counted is not None:
            processes = [one for one in processes if one.pid in counted]
        return trees(processes, kernels, self._spared)

    def _kill_late(self, tree: Tree, kernels: Mapping[str, int]) -> set[int]:
        """Kill what the tree had started while it was looked at."""
        one = {tree.kernel: kernels[tree.kernel]} if tree.kernel else {}
        late: set[int] = set()
        for _ in range(5):
            left = [each for each in trees(look(), one, self._spared) if each.kernel]
            if not left:
                break
            for each in left:
                late |= _kill(each)
        return late

    def _for_good(self, tree: Tree) -> bool:
        """Tell whether the kernel fills the memory by itself each time that it is started."""
        kernel = tree.kernel or ""
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - tree.processes[0].started
        times = self._in_a_row.get(kernel, 0) + 1 if age < SOON else 0
        self._in_a_row[kernel] = times
        return times >= ENDS_IN_A_ROW


def _kill(tree: Tree) -> set[int]:
    """Kill a tree at once; return the processes."""
    for process in tree.processes:
        with suppress(OSError):
            os.kill(process.pid, signal.SIGKILL)
    return {process.pid for process in tree.processes}


def _await_release(killed: set[int], meter: Meter, wanted: int) -> None:
    """Wait until what was killed is gone, or the next kernel would be ended for its memory.

    Parameters
    ----------
    wanted
        Bytes to which that should bring the meter.
    """
    end = time.monotonic() + RELEASE_LIMIT
    while any(read(pid) is not None for pid in killed):
        if time.monotonic() > end:
            log.warning("processes that were killed are still there: %s", sorted(killed))
            return
        time.sleep(RELEASE_PAUSE)
    # the memory goes with the last thread, which may come after the process is seen to be gone
    end = time.monotonic() + THREADS_LIMIT
    while time.monotonic() < end and (now := meter.read()) is not None and now.held > wanted:
        time.sleep(RELEASE_PAUSE)
