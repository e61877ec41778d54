"""When a cluster ends by itself, and when its owner is warned. Pure.

Times are seconds since the epoch, lengths are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WARN_BEFORE = 600.0
"""Longest warning; shorter limits warn for their last fifth."""

Why = Literal["idle", "lifetime"]

WARNINGS: dict[Why, str] = {
    "idle": "The cluster is idle and ends soon; any task keeps it.",
    "lifetime": "The cluster ends soon, its longest lifetime is reached: save what is in its memory.",
}
"""What the owner is told before the end; the time stands beside it."""


@dataclass(frozen=True, slots=True)
class End:
    """When and why a cluster will end.

    Parameters
    ----------
    at
        Time.
    why
        The limit that is reached first.
    limit
        Length of that limit.
    """

    at: float
    why: Why
    limit: float

    def over(self, now: float) -> bool:
        """Tell whether the time has come."""
        return now >= self.at

    def warning(self, now: float) -> str | None:
        """Return the warning if it is time for it."""
        return WARNINGS[self.why] if now >= self.at - min(WARN_BEFORE, self.limit / 5) else None

    @property
    def reason(self) -> str:
        """Say why it has ended."""
        if self.why == "idle":
            return f"The cluster had no work for {shown(self.limit)}."
        return f"The longest lifetime was reached: {shown(self.limit)}."


def end_of(
    created_at: float, idle_since: float | None, *, idle: float, longest: float
) -> End | None:
    """Tell when a cluster ends.

    Parameters
    ----------
    created_at
        Time.
    idle_since
        Time of the last work, as the cluster's scheduler tells; None while it works, or if nothing
        is known.
    idle, longest
        The type's limits; 0 means none.

    Returns
    -------
    End or None
        None if neither limit is there.
    """
    ends = []
    if longest:
        ends.append(End(created_at + longest, "lifetime", longest))
    if idle and idle_since is not None:
        ends.append(End(idle_since + idle, "idle", idle))
    return min(ends, key=lambda end: end.at, default=None)


def shown(seconds: float) -> str:
    """Write a length of time.

    Examples
    --------
    >>> shown(1800), shown(86400), shown(90), shown(7200)
    ('30 min', '24 h', '90 s', '2 h')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)} {unit}"
    return f"{seconds:g} s"


def failure_of(
    status: str, age: float, silent: float, limits: tuple[float, float], fails: int
) -> str:
    """Say why a cluster failed that nobody has given a reason for.

    Parameters
    ----------
    status
        ``starting`` or ``running``: how far it came.
    age, silent
        Since it was made; since its scheduler's last sign of life.
    limits
        After how long Gateway gives up on a start, and on a silent scheduler.
    fails
        Workers in a row that could not be started, if that was too many; else 0.
    """
    start, silence = limits
    if status == "starting":
        if age >= start:
            return f"The scheduler did not come up within {shown(start)}; its log may say why."
        return "The scheduler could not be started; its log may say why."
    if fails:
        return f"{fails} workers in a row could not be started; their logs may say why."
    if silent >= silence:
        return f"The scheduler was silent for {shown(silence)}."
    return "The scheduler does not answer."
