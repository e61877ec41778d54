"""Which dashboards there are, and tickets for them. Pure."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = (
    ("Cluster status", "status"),
    ("Workers", "individual-workers"),
    ("Task stream", "individual-task-stream"),
    ("Progress", "individual-progress"),
    ("Task graph", "individual-graph"),
    ("Task groups", "individual-groups"),
    ("Group progress", "individual-group-progress"),
    ("Cluster memory", "individual-cluster-memory"),
    ("Memory per worker", "individual-workers-memory"),
    ("Memory by key", "individual-memory-by-key"),
    ("CPU over time", "individual-workers-cpu-timeseries"),
    ("Network over time", "individual-workers-network-timeseries"),
    ("Bandwidth", "individual-bandwidth-workers"),
    ("Compute time per key", "individual-compute-time-per-key"),
    ("Profile", "individual-profile"),
    ("Scheduler", "individual-scheduler-system"),
    ("Exceptions", "individual-exceptions"),
)
"""Title and page, most wanted first; pages of `distributed.dashboard`."""

LIFE = 24 * 3600.0
"""Seconds after its last use for which a ticket is good."""
MOST = 1000
"""Tickets at once; the oldest makes room."""


@dataclass
class _Ticket:
    cluster: str
    until: float


class Tickets:
    """Unguessable path elements that open the dashboards of one cluster.

    A sandboxed frame has no cookies, so something in the address has to say that its reader may see
    it. A ticket is good for reading one cluster's pages through this server, and for nothing else.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: dict[str, _Ticket] = {}

    def issue(self, cluster: str) -> str:
        """Return a ticket for a cluster: the one that it has, or a new one."""
        self._forget()
        for ticket, known in self._tickets.items():
            if known.cluster == cluster:
                known.until = self._clock() + LIFE
                return ticket
        while len(self._tickets) >= MOST:
            self._tickets.pop(next(iter(self._tickets)))
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = _Ticket(cluster, self._clock() + LIFE)
        return ticket

    def opens(self, ticket: str, cluster: str) -> bool:
        """Tell whether a ticket is good for a cluster; using it prolongs it."""
        self._forget()
        known = self._tickets.get(ticket)
        if known is None or known.cluster != cluster:
            return False
        known.until = self._clock() + LIFE
        return True

    def _forget(self) -> None:
        now = self._clock()
        for ticket in [ticket for ticket, known in self._tickets.items() if known.until < now]:
            del self._tickets[ticket]
