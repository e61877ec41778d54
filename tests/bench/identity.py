"""Logins, sessions and tokens beside stock OAuthenticator; `identity_herd` is the thousand users.

Processor time is that of the hub's process; the two hubs take turns, so that both meet the same
machine, and the figure is their ratio. Calls of the identity provider are counted there.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from af_hub.iam.pace import spread
from bench.figure import Figure
from bench.identity_hubs import both, clocked, populate
from bench.identity_logins import AT_ONCE, log_in_all
from bench.identity_sessions import CALLS, HOURS, PAGES, session
from bench.identity_tokens import REQUESTS, answer_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.identity_hubs import Side
    from bench.identity_logins import Cost
    from bench.identity_sessions import Session

PEOPLE = 50
STARTS = 3
ROUNDS = 6

INTERVAL = 600.0
"""Seconds: the default of ``group_check_interval``."""


def measure() -> list[Figure]:
    """Measure what a login costs, then what follows it."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        root = Path(folder)
        with both(root) as sides:
            figures = [*logins(sides), *tokens(sides[0])]
        told = []
        for peer in (False, True):
            with clocked(root / f"clocked-{peer}", peer=peer) as hub:
                told.append(session(hub))
    return [*figures, *sessions(*told)]


def logins(sides: tuple[Side, Side]) -> list[Figure]:
    """Let the same people log in at both, in turn; first once after each of some starts."""
    names = [f"user{number:04}" for number in range(PEOPLE)]
    for side in sides:
        populate(side, names)
        log_in_all(side, names)  # from here on the hub knows them
    cold: list[list[Cost]] = [[], []]
    for _ in range(STARTS):
        for side, costs in zip(sides, cold, strict=True):
            side.restart()
            costs.append(log_in_all(side, names[:1]))
    for side in sides:
        log_in_all(side, names)  # warms up
    warm: list[list[Cost]] = [[], []]
    for _ in range(ROUNDS):
        for side, costs in zip(sides, warm, strict=True):
            costs.append(log_in_all(side, names))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        Figure(
            "login with full verification, processor time of stock's",
            _ratios([cost.cpu for cost in warm[0]], [cost.cpu for cost in warm[1]]),
            "%",
            "≤ 120 %",
            lambda value: value <= 120,
            f"stock {_median(cost.cpu for cost in warm[1])} ms",
            f"ours {_median(cost.cpu for cost in warm[0])} ms; {PEOPLE} people a run; {load}",
        ),
        Figure(
            f"logins, {AT_ONCE} at a time",
            tuple(cost.rate for cost in warm[0]),
            "/s",
            "",
            lambda _: True,
            f"stock {_median(cost.rate for cost in warm[1])} /s",
            "hub, identity provider and browsers share the cores",
        ),
        Figure(
            "first login after a start, processor time",
            tuple(cost.cpu for cost in cold[0]),
            "ms",
            "",
            lambda _: True,
            f"stock {_median(cost.cpu for cost in cold[1])} ms",
            "ours reads discovery and keys",
        ),
    ]


def tokens(ours: Side) -> list[Figure]:
    """Ask the token endpoint, and any other of JupyterHub's."""
    times = answer_times(ours)
    token, user = times["token"], times["user"]
    return [
        Figure(
            "token endpoint, warm, 50th percentile",
            token.median,
            "ms",
            "",
            lambda _: True,
            f"GET /hub/api/user {_median(user.median)} ms",
            f"processor time {_median(token.cpu)} ms, {_median(user.cpu)} ms",
        ),
        Figure(
            "token endpoint, warm, 99th percentile",
            token.slowest,
            "ms",
            "≤ 5 ms",
            lambda value: value <= 5,
            f"GET /hub/api/user {_median(user.slowest)} ms",
            f"{REQUESTS} requests a run; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        ),
    ]


def sessions(ours: Session, stock: Session) -> list[Figure]:
    """Say what sessions cost the identity provider."""
    expected = 3600 / (INTERVAL * spread("alice"))
    return [
        Figure(
            "calls of the identity provider per user-hour",
            tuple(map(float, ours.hourly[1:])),
            "",
            f"{expected:.1f}",
            lambda value: abs(value - expected) < 1,
            f"stock {_median(stock.hourly[1:])}",
            f"3600 s / group_check_interval; {HOURS} h, tokens of 1 h; stock: {_said(stock)}",
        ),
        Figure(
            "calls for a start",
            (float(ours.hourly[0] - ours.hourly[1]),),
            "",
            "1",
            lambda value: value == 1,
            f"stock {stock.hourly[0] - stock.hourly[1]}",
        ),
        Figure(
            f"refreshes when {PAGES + CALLS} requests come at expiry",
            (float(ours.refreshes),),
            "",
            "1",
            lambda value: value == 1,
            f"stock {stock.refreshes}, {stock.calls} calls",
        ),
        Figure(
            "of these, requests sent to a login or refused",
            (float(ours.turned_away),),
            "",
            "0",
            lambda value: value == 0,
            f"stock {stock.turned_away}",
        ),
    ]


def _said(told: Session) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(told.kinds.items()))


def _ratios(ours: Sequence[float], stock: Sequence[float]) -> tuple[float, ...]:
    return tuple(100 * mine / theirs for mine, theirs in zip(ours, stock, strict=True))


def _median(values: Iterable[float]) -> str:
    return f"{statistics.median(values):.3g}"
