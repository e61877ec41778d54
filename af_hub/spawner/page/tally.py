"""How often starts were refused, by reason and hour. Pure."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HOUR = 3600.0
_HOURS = 24


@dataclass(frozen=True, slots=True)
class Refused:
    """How often one reason was given.

    Parameters
    ----------
    reason
        From the fixed list.
    hour, day
        In the last 60 minutes and 24 hours; both are right to a twelfth of an hour.
    total
        Since the hub started.
    """

    reason: str
    hour: int
    day: int
    total: int


class Tally:
    """Counts refusals; its size does not grow with their number.

    Parameters
    ----------
    clock
        Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._totals: Counter[str] = Counter()
        self._slots: deque[tuple[float, Counter[str]]] = deque()
        self.since = clock()

    def add(self, reason: str) -> None:
        """Count one."""
        now = self._clock()
        self._forget(now)
        begin = now - now % (_HOUR / 12)
        if not self._slots or self._slots[-1][0] != begin:
            self._slots.append((begin, Counter()))
        self._slots[-1][1][reason] += 1
        self._totals[reason] += 1

    def counts(self) -> tuple[Refused, ...]:
        """Return what was counted, the most frequent of the last day first."""
        now = self._clock()
        self._forget(now)
        hour: Counter[str] = Counter()
        day: Counter[str] = Counter()
        for begin, slot in self._slots:
            day.update(slot)
            if begin > now - _HOUR:
                hour.update(slot)
        found = (
            Refused(reason, hour[reason], day[reason], total)
            for reason, total in self._totals.items()
        )
        return tuple(sorted(found, key=lambda each: (-each.day, -each.total, each.reason)))

    def _forget(self, now: float) -> None:
        while self._slots and self._slots[0][0] <= now - _HOURS * _HOUR:
            self._slots.popleft()


TALLY = Tally()
"""That of this hub: one hub is one process."""
