"""When the server ends by itself, and when the hub has to hear from it. Pure.

Times are seconds since 1970, lengths are seconds. The limits, and how long before an end the user is
warned, come from the hub; nothing is guessed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LIFETIME, IDLE, GPU_IDLE = "lifetime", "idle", "gpu-idle"

COARSEST = 300.0
"""Longest time after which the hub hears that a server is in use."""

SELDOM = 60.0
"""Longest time between two reports while an end is near."""

LOOK_EVERY = 5.0
"""Longest time between two looks; they cost some microseconds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the server's limits.

    Parameters
    ----------
    why
        ``lifetime``, ``idle`` or ``gpu-idle``.
    limit
        Its length.
    lead
        How long before the end the user is warned.
    """

    why: str
    limit: float
    lead: float


@dataclass(frozen=True, slots=True)
class End:
    """When a limit will be reached if nothing happens.

    Parameters
    ----------
    at
        Time.
    limit
        Which.
    """

    at: float
    limit: Limit

    def as_json(self) -> dict[str, Any]:
        """Tell the front end."""
        limit = self.limit
        return {"at": self.at, "why": limit.why, "limit": limit.limit, "lead": limit.lead}


@dataclass(frozen=True, slots=True)
class Use:
    """When the server was used last.

    Parameters
    ----------
    active_at
        Last activity; work on the devices counts.
    gpu_active_at
        Last work on the devices; None if nobody can tell.
    """

    active_at: float
    gpu_active_at: float | None = None

    def last(self, why: str) -> float:
        """Give the last activity that counts for a limit."""
        if why == GPU_IDLE and self.gpu_active_at is not None:
            return self.gpu_active_at
        return self.active_at


def limits_from(server: object) -> tuple[Limit, ...]:
    """Read the part ``server`` of the hub's lab configuration; a hub that is older tells none."""
    return tuple(
        Limit(str(each["why"]), each["limit"], each["lead"])
        for each in _rows(server, "limits", ("limit", "lead"))
    )


def told_ends(answer: object) -> dict[str, float]:
    """Read the hub's answer to a report: by limit, when it will end the server."""
    return {str(each["why"]): each["at"] for each in _rows(answer, "ends", ("at",))}


def _rows(found: object, name: str, numbers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Take the rows of an answer that have what we need; a newer hub may tell of others."""
    rows = found.get(name) if isinstance(found, dict) else None
    return [
        row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
        and row.get("why") in {LIFETIME, IDLE, GPU_IDLE}
        and all(isinstance(row.get(number), int | float) for number in numbers)
    ]


def idle_limits(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """Take the limits that activity has a say in."""
    return tuple(limit for limit in limits if limit.why != LIFETIME)


def ends_of(
    limits: Iterable[Limit],
    use: Use,
    expires_at: float | None,
    not_before: Mapping[str, float],
) -> tuple[End, ...]:
    """Tell when each limit will be reached, the next one first.

    Parameters
    ----------
    limits
        The server's limits.
    use
        When it was used last.
    expires_at
        When its lifetime is over.
    not_before
        By limit, the time that the hub has told: it may end a server later than we would.
    """
    ends = []
    for limit in limits:
        at = expires_at if limit.why == LIFETIME else use.last(limit.why) + limit.limit
        if at is not None:
            ends.append(End(max(at, not_before.get(limit.why, 0.0)), limit))
    return tuple(sorted(ends, key=lambda end: end.at))


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the hub hears, by the limits.

    Parameters
    ----------
    limits
        Those that activity has a say in; at least one.
    """

    limits: tuple[Limit, ...]

    @property
    def look_every(self) -> float:
        """Seconds between two looks at the activity."""
        return min(LOOK_EVERY, min(limit.lead for limit in self.limits) / 10)

    @property
    def coarseness(self) -> float:
        """Seconds of activity of which the hub need not know yet."""
        return min(COARSEST, min(limit.limit for limit in self.limits) / 10)

    @property
    def repeat_every(self) -> float:
        """Seconds between two reports while an end is near; the hub wants twice as many."""
        return min(SELDOM, min(limit.lead for limit in self.limits) / 5)

    def due(self, use: Use, told: Use | None, told_at: float, now: float) -> bool:
        """Tell whether the hub should hear now.

        An idle server is silent until an end is near: then the hub ends it only if it says again and
        again that it is idle.

        Parameters
        ----------
        use
            When it was used last.
        told
            What the hub knows of that; None: nothing.
        told_at
            When it was told.
        now
            The time.
        """
        if told is None:
            return True
        news = max(use.last(limit.why) - told.last(limit.why) for limit in self.limits)
        if news >= self.coarseness:
            return True
        if news > 0 and self._near(told, now):
            return True
        return self._near(use, now) and now - told_at >= self.repeat_every

    def _near(self, use: Use, now: float) -> bool:
        """Tell whether the warning is due, or nearly: the hub must hear at its beginning."""
        return any(
            now >= use.last(limit.why) + limit.limit - limit.lead - 2 * self.look_every
            for limit in self.limits
        )
