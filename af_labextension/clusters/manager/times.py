"""When a cluster ends by itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SOON = 300.0
"""Seconds before the end from which on there is a warning."""


@dataclass(frozen=True, slots=True)
class End:
    """The next end.

    Parameters
    ----------
    at
        Seconds since the epoch.
    why
        Which limit.
    after
        The limit, in seconds.
    """

    at: float
    why: Literal["idle", "lifetime"]
    after: float

    @property
    def reason(self) -> str:
        """Say why it ended."""
        if self.why == "idle":
            return f"It ended by itself: it had nothing to do for {_period(self.after)}."
        return f"It ended by itself: clusters of this type live for {_period(self.after)}."

    def warning(self, now: float) -> str | None:
        """Say that it is about to end; None while that is far."""
        left = self.at - now
        if left > min(SOON, self.after / 2):
            return None
        what = "nothing to do" if self.why == "idle" else "its longest life"
        return f"It ends in less than {_period(max(left, 1.0))}: {what}."


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits, in seconds; 0 is none."""

    idle: float = 0.0
    max: float = 0.0

    def end(self, created: float, idle_since: float | None) -> End | None:
        """Return the next end; None if there is no limit."""
        ends = []
        if self.max > 0:
            ends.append(End(created + self.max, "lifetime", self.max))
        if self.idle > 0 and idle_since is not None:
            ends.append(End(idle_since + self.idle, "idle", self.idle))
        return min(ends, key=lambda one: one.at, default=None)


def _period(seconds: float) -> str:
    for size, name in ((3600.0, "hour"), (60.0, "minute"), (1.0, "second")):
        if seconds >= size or name == "second":
            # rounded up: what is left is less than what is said
            count = int(-(-seconds // size))
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return ""
