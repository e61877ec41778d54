"""The token file through a working day, second by second, beside a hub that has bad moments.

``AF_SHIFTS`` sets how many days of eight hours are gone through (``make soak``: 100).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from af_labextension.hub import HubAddress, HubClient
from af_labextension.secret import Secret
from af_labextension.tokens.bearer_file import BearerFile
from af_labextension.tokens.keeper import TokenKeeper
from af_labextension.tokens.provider import CachingTokenProvider
from testbed.lab_hub import SERVER_TOKEN, LabHub
from testbed.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tornado.web import RequestHandler

SHIFT = 8 * 3600.0
LIFE = 1200.0
"""Seconds that a token lives."""

LONGEST_TROUBLE = 120.0
"""Seconds. A tenth of a token's life: the file may not notice."""


@dataclass
class Day:
    """The hub of one shift: it issues tokens, and knows until when each is valid."""

    loop: VirtualTime
    path: Path
    rng: random.Random
    hub: LabHub = field(default_factory=LabHub)
    issued: dict[str, float] = field(default_factory=dict)
    slow: float = 0.0
    gone_through: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    worst: float = LIFE
    wrong: list[str] = field(default_factory=list)

    def clock(self) -> float:
        """Return the time of this world."""
        return 1e9 + self.loop.time()

    async def issue(self, handler: RequestHandler, what: str) -> None:
        """Answer as the hub does; a token counts from the moment when it is made."""
        await asyncio.sleep(self.slow)
        if what == "token" and self.hub.fault is None:
            made = f"token-{len(self.issued)}-{self.rng.getrandbits(4000):x}"
            self.issued[made] = self.clock() + LIFE
            self.hub.tokens = [made]
        await LabHub.answer(self.hub, handler, what)

    def look(self, until: float) -> None:
        """Judge the file for all moments until it can be another one."""
        self.looks += 1
        try:
            left = self.issued[self.path.read_text()] - 1e9 - until
        except (OSError, KeyError) as error:
            left = -1.0
            self.wrong.append(f"at {self.loop.time():.0f}: {error!r}")
        self.worst = min(self.worst, left)
        if left <= 0:
            self.wrong.append(f"at {until:.0f}: {left:.0f} s left")

    async def troubles(self) -> None:
        """Bring one trouble after the other."""
        kinds = [
            self.restart,
            self.fault(503),
            self.fault(b"<html>"),
            self.fault({"status": "503", "code": "iam-unavailable", "message": "Away."}),
            self.fault({"status": "403", "code": "session-over", "message": "Log in again."}),
            self.slower(8),
            self.slower(30),
        ]
        while True:
            await asyncio.sleep(self.rng.uniform(30, 600))
            # when a token is due, or the trouble is over before anybody asks; and shortly before
            # its end, when it has to be renewed already
            if newest := max(self.issued.values(), default=0.0):
                before_end = self.rng.choice([0.25 * LIFE, 0]) + 0.8 * LONGEST_TROUBLE
                await asyncio.sleep(max(0.0, newest - before_end - self.clock()))
            await self.rng.choice(kinds)(self.rng.uniform(0.5, 1) * LONGEST_TROUBLE)

    async def restart(self, seconds: float) -> None:
        """Stop the hub for a while."""
        self.gone_through["restart"] += 1
        await self.hub.stop()
        await asyncio.sleep(seconds)
        self.hub.hanging.clear()
        await self.hub.start()

    def fault(self, fault: int | bytes | dict[str, str]) -> Callable[[float], Awaitable[None]]:
        """Make a trouble in which every answer is this one."""

        async def happen(seconds: float) -> None:
            self.gone_through[str(fault)] += 1
            self.hub.fault = fault
            await asyncio.sleep(seconds)
            self.hub.fault = None

        return happen

    def slower(self, answer: float) -> Callable[[float], Awaitable[None]]:
        """Make a trouble in which every answer takes seconds."""

        async def happen(seconds: float) -> None:
            self.gone_through[f"{answer:.0f} s"] += 1
            self.slow = answer
            await asyncio.sleep(seconds)
            self.slow = 0.0

        return happen

    async def work(self) -> None:
        """Keep the file for a shift."""
        self.hub.life = LIFE
        self.hub.answer = self.issue  # type: ignore[method-assign]
        await self.hub.start()
        client = HubClient(
            HubAddress(self.hub.api_url + "/af", Secret(SERVER_TOKEN)), clock=self.clock
        )
        provider = CachingTokenProvider(client.token, clock=self.clock, rng=self.rng)

        async def audience() -> str:
            identity = (await client.lab_config())["identity"]
            return str(identity["audiences"][0]["name"])

        keeper = TokenKeeper(provider, BearerFile(self.path), audience, clock=self.clock)
        keeper.start()
        async with asyncio.timeout(60):
            while not self.path.exists():  # noqa: ASYNC110 - a file gives no event
                await asyncio.sleep(0.1)
        self.loop.watch(self.look)
        troubles = asyncio.create_task(self.troubles())
        await asyncio.sleep(SHIFT)
        self.loop.watch(lambda _: None)
        troubles.cancel()
        await asyncio.gather(troubles, return_exceptions=True)
        await keeper.stop()
        await provider.close()
        client.close()
        await self.hub.stop()


@pytest.mark.parametrize("number", range(int(os.environ.get("AF_SHIFTS", "1"))))
def test_the_file_is_valid_at_every_moment_of_a_shift_when_the_hub_has_bad_moments(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "run" / "bt"
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTime)
        day = Day(loop, path, random.Random(number))  # noqa: S311 - of the troubles
        runner.run(day.work())
    summary = json.dumps(day.gone_through)
    assert day.wrong == [], summary
    assert day.looks > SHIFT / 30
    assert day.gone_through.total() >= 15, summary
    assert len(day.gone_through) >= 4, summary
    # troubles came when a token was due: else the margin were never touched
    assert 0 < day.worst < 0.25 * LIFE
    # a slow hub makes tokens for questions that were given up
    assert SHIFT / LIFE < len(day.issued) < 6 * SHIFT / LIFE
    assert not path.exists()
