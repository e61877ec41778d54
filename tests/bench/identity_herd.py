"""A thousand users in front of a hub that has just started.

First all their tokens have expired: each of them shows a page, and again every few seconds, until
the identity provider has given everybody a new token or patience ends. Then the hub starts again
while all tokens are good and were confirmed just now, and everybody shows a page. Who got no new token
in the first part is given one without a call: their renewals, still due, are no calls of a restart.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.httpclient import HTTPError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from bench.figure import Figure
from bench.identity_hubs import both
from testbed.crowd import add_crowd, make_fresh
from testbed.herd import busiest_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from af_hub.iam.session import Login
    from bench.identity_hubs import Side

USERS = 1000

EVERY = 10.0
"""Seconds between two pages of a user."""

PATIENCE = 150.0
"""Seconds after which users stop asking."""

AT_ONCE = 100
"""Connections to the hub."""


@dataclass(frozen=True)
class Herd:
    """What came to the identity provider, and how users fared.

    Parameters
    ----------
    calls
        All calls.
    peak
        Most calls within a second.
    renewed
        Users with a new token.
    seconds
        From the first request to the last call.
    statuses
        How often the hub answered how; 599 is no answer.
    """

    calls: int
    peak: int
    renewed: int
    seconds: float
    statuses: Counter[int]


def measure() -> list[Figure]:
    """Let the peer's users come, then ours."""
    found: dict[str, tuple[Herd, Herd]] = {}
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, both(Path(folder)) as sides:
        for side in reversed(sides):
            side.hub.stop()
            state = {"state": peer_state} if side.name == "stock" else {}
            crowd = add_crowd(side.hub, USERS, browsers=True, **state)
            side.hub.start()
            expired = stampede(side, crowd, renew=USERS)
            side.hub.stop()
            if side.name == "ours":  # stock knows no end of a token; it has renewed all of them
                make_fresh(side.hub)
            side.hub.start()
            found[side.name] = expired, stampede(side, crowd, renew=0)
    return [
        *expired_figures(found["ours"][0], found["stock"][0]),
        *good_figures(found["ours"][1], found["stock"][1]),
    ]


def expired_figures(ours: Herd, stock: Herd) -> list[Figure]:
    """Say what came of users whose tokens had expired."""
    what = f"restart, {USERS:,} users with expired tokens"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        _figure(
            f"{what}: calls in the busiest second", ours.peak, stock.peak, "≤ 10", 10, note=load
        ),
        _figure(f"{what}: calls", ours.calls, stock.calls),
        _figure(
            f"{what}: with a new token within {PATIENCE:.0f} s",
            ours.renewed,
            stock.renewed,
            note=f"last call after {ours.seconds:.0f} s; stock {stock.seconds:.0f} s",
        ),
        _figure(
            f"{what}: pages that were a login or an error",
            _bad(ours),
            _bad(stock),
            "0",
            0,
            note=f"ours {_said(ours)}; stock {_said(stock)}",
        ),
    ]


def good_figures(ours: Herd, stock: Herd) -> list[Figure]:
    """Say what came of users whose tokens were good."""
    what = f"restart, {USERS:,} users with good tokens"
    return [
        _figure(f"{what}: calls", ours.calls, stock.calls, "0", 0, note="nothing is due"),
        _figure(
            f"{what}: until each has a page",
            round(ours.seconds, 1),
            round(stock.seconds, 1),
            unit="s",
            note=f"ours {_said(ours)}; stock {_said(stock)}",
        ),
    ]


def _figure(
    name: str,
    ours: float,
    stock: float,
    target: str = "",
    most: float = float("inf"),
    *,
    note: str = "",
    unit: str = "",
) -> Figure:
    return Figure(
        name,
        (float(ours),),
        unit,
        target,
        lambda value: value <= most,
        f"stock {stock:,} {unit}".strip(),
        note,
    )


def _bad(herd: Herd) -> int:
    return sum(count for status, count in herd.statuses.items() if status != 200)


def _said(herd: Herd) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(herd.statuses.items()))


def peer_state(login: Login) -> dict[str, Any]:
    """Return an auth_state as OAuthenticator writes it."""
    assert login.refresh_token is not None
    tokens = {
        "access_token": login.access_token.reveal(),
        "refresh_token": login.refresh_token.reveal(),
        "token_type": "Bearer",
        "scope": login.scope,
    }
    return {**tokens, "token_response": tokens, "oauth_user": {}}


def stampede(side: Side, crowd: Sequence[dict[str, str]], *, renew: int) -> Herd:
    """Let everybody come at once, and again, until `renew` refreshes have worked."""
    side.hub.iam.forget_calls()
    return asyncio.run(_Stampede(side, renew).run(crowd))


class _Stampede:
    def __init__(self, side: Side, renew: int) -> None:
        self._side = side
        self._renew = renew
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_clients=AT_ONCE)
        self._statuses: Counter[int] = Counter()
        self._begin = time.time()

    async def run(self, crowd: Sequence[dict[str, str]]) -> Herd:
        users = asyncio.gather(*map(self._user, crowd))
        if self._renew:
            await self._watch()
            users.cancel()
        await asyncio.gather(users, return_exceptions=True)
        ended = time.time()
        self._client.close()
        calls = self._side.hub.iam.calls()
        last = max((call.time for call in calls), default=ended) if self._renew else ended
        return Herd(
            calls=len(calls),
            peak=busiest_second(call.time for call in calls),
            renewed=self._renewed(),
            seconds=last - self._begin,
            statuses=self._statuses,
        )

    async def _user(self, headers: dict[str, str]) -> None:
        due = time.monotonic()
        while True:
            status = await self._page(headers)
            self._statuses[status] += 1
            if status == 302 or not self._renew:
                return
            due = max(due + EVERY, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _page(self, headers: dict[str, str]) -> int:
        try:
            answer = await self._client.fetch(
                f"{self._side.hub.url}/hub/home",
                headers=headers,
                follow_redirects=False,
                raise_error=False,
                connect_timeout=PATIENCE,  # includes the wait for a connection
                request_timeout=60,
            )
        except (HTTPError, OSError):
            return 599
        return answer.code

    async def _watch(self) -> None:
        while time.time() < self._begin + PATIENCE:
            if self._renewed() + self._statuses[302] >= self._renew:
                return
            await asyncio.sleep(1)

    def _renewed(self) -> int:
        calls = self._side.hub.iam.calls("token", grant="refresh_token")
        return sum(call.status == 200 for call in calls)
