"""What a session costs the identity provider: an hour of work, and many requests at its expiry.

Both count calls, so the machine's load does not matter; the clock is moved (`testbed.clock_hub`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.clock_hub import get_all, headers_of

if TYPE_CHECKING:
    from testbed.clock_hub import ClockHub

HOURS = 4
STEP = 60.0
"""Seconds between two looks of the page and of the server at the hub."""

PAGES, CALLS = 20, 180
"""Requests that come together when the access token has expired."""


@dataclass(frozen=True)
class Session:
    """What one user's session has brought.

    Parameters
    ----------
    hourly
        Calls of the identity provider in each hour of work, of which the first has a start.
    kinds
        How many of these were what.
    refreshes
        Refresh calls for `PAGES` + `CALLS` requests at expiry.
    calls
        All calls for them.
    turned_away
        How many of these requests were sent to a login or refused.
    """

    hourly: tuple[int, ...]
    kinds: Counter[str]
    refreshes: int
    calls: int
    turned_away: int


def session(hub: ClockHub) -> Session:
    """Let alice work for `HOURS`, then let many requests come at the moment of expiry."""
    iam = hub.iam
    browser, _ = hub.log_in("alice")
    headers = headers_of(browser)
    hourly, kinds = [], Counter[str]()
    server = ""
    for hour in range(HOURS):
        iam.forget_calls()
        if hour == 0:
            server = hub.start_server(browser, "alice")
        for _ in range(int(3600 / STEP)):
            hub.later(STEP)
            assert browser.send(f"{hub.url}/hub/home").status == 200
            assert hub.user(server) == 200
        calls = iam.calls()
        hourly.append(len(calls))
        kinds.update(call.grant or call.at for call in calls)
    hub.later(iam.client.access_token_seconds)
    iam.forget_calls()
    answers = asyncio.run(_burst(hub, headers))
    return Session(
        hourly=tuple(hourly),
        kinds=kinds,
        refreshes=hub.refreshes(),
        calls=len(iam.calls()),
        turned_away=sum(status != 200 for status, _ in answers),
    )


async def _burst(hub: ClockHub, headers: dict[str, str]) -> list[tuple[int, str]]:
    pages, calls = await asyncio.gather(
        get_all(f"{hub.url}/hub/home", [headers] * PAGES),
        get_all(f"{hub.url}/hub/api/user", [headers] * CALLS),
    )
    return pages + calls
