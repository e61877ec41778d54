"""When a server ends by itself, and from when on its user is warned. Pure.

Times are seconds since 1970 on the hub's clock, lengths are seconds; a limit of 0 is none.

An idle server is ended only while its Lab itself says that it is idle, and has said so for as long
as the warning lasts. A hub or a Lab that was away for a while costs nobody a server: it ends later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Why = Literal["lifetime", "idle", "gpu-idle"]

WHYS: tuple[Why, ...] = ("lifetime", "idle", "gpu-idle")
"""Every reason for which a server ends by itself."""

_WARN_BEFORE: dict[Why, float] = {"lifetime": 1800.0, "idle": 600.0, "gpu-idle": 600.0}
_PATIENCE = 150.0


@dataclass(frozen=True, slots=True)
class Limit:
    """One of a server's limits.

    Parameters
    ----------
    why
        What is limited.
    limit
        Its length.
    """

    why: Why
    limit: float

    @property
    def lead(self) -> float:
        """How long before the end the user is warned: at most half the limit."""
        return min(_WARN_BEFORE[self.why], self.limit / 2)

    @property
    def patience(self) -> float:
        """How long a Lab may be silent before its last word no longer counts.

        A Lab repeats itself within two fifths of that while an end is near, so one report may be
        lost.
        """
        return min(_PATIENCE, self.lead / 2)

    def as_json(self) -> dict[str, Any]:
        """Tell a Lab."""
        return {"why": self.why, "limit": self.limit, "lead": self.lead}


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a server.

    Parameters
    ----------
    started_at
        When it was started.
    lifetime
        How long it may run.
    idle
        How long it may be without activity.
    gpu_idle
        How long its devices may be without work; 0 if it has none.
    """

    started_at: float
    lifetime: float = 0
    idle: float = 0
    gpu_idle: float = 0

    def all(self) -> tuple[Limit, ...]:
        """List those that there are."""
        lengths: tuple[tuple[Why, float], ...] = (
            ("lifetime", self.lifetime),
            ("idle", self.idle),
            ("gpu-idle", self.gpu_idle),
        )
        return tuple(Limit(why, length) for why, length in lengths if length)


@dataclass(frozen=True, slots=True)
class Activity:
    """What a Lab has said about its use.

    Parameters
    ----------
    active_at
        Last activity.
    gpu_active_at
        Last work on its devices; None if it cannot tell.
    heard_at
        When it last said so.
    unbroken_since
        Since when it has said so without being silent for longer than `Limit.patience`.
    """

    active_at: float
    gpu_active_at: float | None
    heard_at: float
    unbroken_since: float

    def last(self, why: Why) -> float:
        """Give the last activity that counts for a limit."""
        if why == "gpu-idle" and self.gpu_active_at is not None:
            return self.gpu_active_at
        return self.active_at

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON, for the hub's database."""
        return {
            "active_at": self.active_at,
            "gpu_active_at": self.gpu_active_at,
            "heard_at": self.heard_at,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], now: float) -> Activity:
        """Read what `to_state` returned; this hub has heard nothing yet."""
        return cls(**state, unbroken_since=now)


@dataclass(frozen=True, slots=True)
class Report:
    """What a Lab says, in its own words.

    Parameters
    ----------
    active_at
        Last activity, on the Lab's clock.
    gpu_active_at
        Last work on its devices; None if it cannot tell.
    """

    active_at: float
    gpu_active_at: float | None


def heard(limits: Limits, before: Activity | None, report: Report, now: float) -> Activity:
    """Take a report: never from before the start nor from the future, and never backwards.

    Parameters
    ----------
    limits
        What ends the server.
    before
        What was known; None before the first report.
    report
        What it says.
    now
        The time.
    """

    def within(moment: float, known: float | None) -> float:
        return max(min(moment, now), limits.started_at, known or 0.0)

    gpu = report.gpu_active_at
    known = before.gpu_active_at if before else None
    patience = min(
        (each.patience for each in limits.all() if each.why != "lifetime"), default=_PATIENCE
    )
    unbroken = before is not None and now - before.heard_at <= patience
    return Activity(
        active_at=within(report.active_at, before.active_at if before else None),
        gpu_active_at=None if gpu is None else within(gpu, known),
        heard_at=now,
        unbroken_since=before.unbroken_since if before is not None and unbroken else now,
    )


@dataclass(frozen=True, slots=True)
class End:
    """When and why a server will end.

    Parameters
    ----------
    at
        Time.
    limit
        What is reached then.
    """

    at: float
    limit: Limit

    def over(self, now: float) -> bool:
        """Tell whether the time has come."""
        return now >= self.at

    def as_json(self) -> dict[str, Any]:
        """Tell a Lab."""
        return {"at": self.at, **self.limit.as_json()}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hub knows of a server's use without its Lab.

    Parameters
    ----------
    active_at
        Last activity by JupyterHub's own account, which comes from the proxy, too; None: none yet.
    lag
        How much later than it happened the hub may know of it.
    since
        Since when this hub looks after the server.
    """

    active_at: float | None
    lag: float
    since: float


def ends_of(limits: Limits, activity: Activity | None, seen: Seen, now: float) -> tuple[End, ...]:
    """Tell when each limit will be reached if nothing happens, the next one first.

    Parameters
    ----------
    limits
        What ends the server.
    activity
        What its Lab has said; None if it never did.
    seen
        What else is known.
    now
        The time.
    """
    ends = [_end_of(limit, limits, activity, seen, now) for limit in limits.all()]
    return tuple(sorted(ends, key=lambda end: end.at))


def _end_of(limit: Limit, limits: Limits, activity: Activity | None, seen: Seen, now: float) -> End:
    if limit.why == "lifetime":
        return End(limits.started_at + limit.limit, limit)
    if activity is not None and now - activity.heard_at <= limit.patience:
        last, told_since = activity.last(limit.why), activity.unbroken_since
    else:
        # JupyterHub knows of no devices, so they are taken for busy as long as the server is
        last = max(limits.started_at, seen.active_at or 0.0) + seen.lag
        last = max(last, activity.heard_at if activity else 0.0)
        # a hub that was away has missed as much
        told_since = seen.since + seen.lag
    return End(max(last + limit.limit, told_since + limit.lead), limit)
