"""Ends the kernel that fills the memory. Runs in the watcher's thread; knows no server.

The kernel is killed, not asked: it could finish with the memory before it finishes with itself.
"""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from .notices import ENDS_IN_A_ROW, Crowded, Ended, Killed
from .processes import Process, Tree, look, own_memory, read, trees
from .signals import await_release, held_still, kill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .meters import Meter
    from .reading import Reading

log = logging.getLogger(__name__)

WORTH = 0.1
"""Share of the limit that a kernel must hold to be ended: less would help nobody."""

SOON = 30.0
"""Seconds of age below which the end of a kernel counts as one soon after its start."""

CROWDED_PAUSE = 0.25
"""Seconds between two looks while nothing can be done."""

SECOND_LOOK = 0.05
"""Seconds until the one that shows that it is so: at the first, the system may just be killing."""

DEATH_LIMIT = 0.25
"""Seconds within which it is seen which kernel the system has killed."""

DEATH_PAUSE = 0.01


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
        self._in_vain = 0
        self._in_a_row: dict[str, int] = {}
        self._dead: set[int] = set()

    def relieved(self) -> None:
        """Take note that there is room again."""
        self._in_vain = 0

    def killed(self) -> None:
        """Take note that the system was faster; where it kills all at once, nobody can."""
        dead = self._newly_dead()
        end = time.monotonic() + DEATH_LIMIT
        while not dead and time.monotonic() < end:
            time.sleep(DEATH_PAUSE)
            dead = self._newly_dead()
        self._dead.update(dead.values())
        for kernel in dead or (None,):
            self._tell(Killed(kernel))

    def _newly_dead(self) -> dict[str, int]:
        """Return the kernels that are dead without our doing, until Jupyter starts them anew."""
        kernels = self._kernels()
        self._dead &= set(kernels.values())
        return {
            kernel: pid
            for kernel, pid in kernels.items()
            if pid not in self._dead and read(pid) is None
        }

    def act(self, meter: Meter, reading: Reading) -> float:
        """End the kernel that holds most; return the seconds until the next look.

        Where something else holds most, no kernel is ended for it: its user would lose the work,
        and the memory would be full a moment later all the same.
        """
        kernels = dict(self._kernels())
        # what is left is for the one that grows, and goes while one looks who it is
        stands_still = nullcontext() if self._told_in_vain else held_still(kernels.values())
        with stands_still:
            found = self._trees(kernels, meter.processes())
            largest = max(found, key=lambda tree: tree.resident, default=None)
            if largest is None:
                return CROWDED_PAUSE
            if largest.kernel is None or largest.resident < WORTH * reading.limit:
                return self._look_on(largest, reading)
            # pages that its processes share were counted for each
            held = min(sum(own_memory(one.pid) for one in largest.processes), reading.held)
            ended = Ended(largest.kernel, held, reading, self._for_good(largest))
            self._dead.add(kernels[largest.kernel])
            if ended.for_good:
                # first, or the server might just start it again
                self._tell(ended)
            killed = kill(largest)
        if not ended.for_good:
            self._tell(ended)
        killed |= self._kill_late(largest, kernels)
        await_release(killed, meter, reading.held - held // 2)
        return 0.0

    @property
    def _told_in_vain(self) -> bool:
        return self._in_vain > 1

    def _look_on(self, largest: Tree, reading: Reading) -> float:
        """Tell once that the memory is full of what is not ended."""
        self._in_vain += 1
        if self._in_vain == 1:
            return SECOND_LOOK
        if self._in_vain == 2:
            self._tell(Crowded(largest, reading))
        return CROWDED_PAUSE

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
                late |= kill(each)
        return late

    def _for_good(self, tree: Tree) -> bool:
        """Tell whether the kernel fills the memory by itself each time that it is started."""
        kernel = tree.kernel or ""
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - tree.processes[0].started
        times = self._in_a_row.get(kernel, 0) + 1 if age < SOON else 0
        self._in_a_row[kernel] = times
        return times >= ENDS_IN_A_ROW
