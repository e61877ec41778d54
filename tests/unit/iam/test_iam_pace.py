"""Turns for calls to the identity provider: no herd, and no knocking while it is away."""

from __future__ import annotations

import asyncio
import time

import pytest

from af_hub.errors import IAMUnavailable, SessionOver
from af_hub.iam import pace as module
from af_hub.iam.pace import BURST, OUTAGE_FAILURES, OUTAGE_PAUSE, PATIENCE, Pace, places

AWAY = IAMUnavailable("iam-unreachable", "away")


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the module a clock of its own."""
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


async def outcome(pace: Pace) -> str:
    try:
        async with pace.turn():
            return "turn"
    except IAMUnavailable as error:
        return error.code


async def test_calls_are_ten_a_second_at_most_when_a_thousand_users_come_at_once() -> None:
    pace, turns = Pace(), list[float]()

    async def one() -> str:
        told = await outcome(pace)
        if told == "turn":
            turns.append(time.monotonic())
        return told

    told = await asyncio.gather(*(one() for _ in range(1000)))
    assert set(told) == {"turn", "iam-busy"}
    assert len(turns) >= 8 * PATIENCE
    for first in turns:
        assert sum(first <= turn < first + 0.95 for turn in turns) <= 10


async def test_nobody_waits_when_few_come() -> None:
    pace = Pace()
    started = time.monotonic()
    assert [await outcome(pace), await outcome(pace)] == ["turn", "turn"]
    assert time.monotonic() - started < 0.1


async def test_one_call_in_five_seconds_is_made_while_the_provider_is_away(clock: Clock) -> None:
    pace = Pace(1e6)
    for _ in range(OUTAGE_FAILURES):
        assert await outcome(pace) == "turn"
        pace.note(AWAY)
    for _ in range(3):
        assert [await outcome(pace) for _ in range(20)] == ["iam-unreachable"] * 20
        clock.ahead += OUTAGE_PAUSE
        assert [await outcome(pace) for _ in range(3)] == [
            "turn",
            "iam-unreachable",
            "iam-unreachable",
        ]
        pace.note(AWAY)
    pace.note(None)
    assert [await outcome(pace) for _ in range(20)] == ["turn"] * 20


async def test_single_failures_and_refusals_stop_nobody() -> None:
    pace = Pace(1e6)
    for error in (AWAY, AWAY, None, AWAY, AWAY, SessionOver("login-over", "over"), AWAY, AWAY):
        pace.note(error)
    assert await outcome(pace) == "turn"


async def test_turns_come_one_by_one_when_a_busy_loop_wakes_all_at_once() -> None:
    pace = Pace(rate=20)
    granted: list[float] = []

    async def call() -> None:
        async with pace.turn():
            granted.append(time.monotonic())

    calls = [asyncio.create_task(call()) for _ in range(12)]
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251 - the loop is held: by now all turns are over
    await asyncio.gather(*calls)
    window = 0.2
    most = max(sum(begin <= one < begin + window for one in granted) for begin in granted)
    # as many as the rate has in the window, those at once, and one on the border
    assert most <= 20 * window + BURST + 1


async def test_who_has_waited_longest_is_next() -> None:
    pace, order = Pace(rate=100), list[int]()

    async def call(number: int) -> None:
        async with pace.turn():
            order.append(number)

    await asyncio.gather(*map(call, range(30)))
    assert order == list(range(30))


async def hold(pace: Pace, begun: asyncio.Queue[None], gate: asyncio.Event) -> None:
    """Make a call that lasts until the gate opens."""
    async with pace.turn():
        begun.put_nowait(None)
        await gate.wait()


async def test_no_more_turns_are_given_than_calls_may_be_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    pace, begun, gate, most = Pace(rate=40), asyncio.Queue[None](), asyncio.Event(), places(40)
    calls = [asyncio.create_task(hold(pace, begun, gate)) for _ in range(most + 3)]
    for _ in range(most):
        await begun.get()
    await asyncio.sleep(0.3)
    assert begun.empty()
    calls[-1].cancel()  # who does not wait any more
    calls[0].cancel()  # who has a turn
    await begun.get()
    await asyncio.sleep(0.3)
    assert begun.empty()
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert begun.qsize() == 1


async def test_nobody_waits_long_for_a_turn_when_the_provider_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pace, begun, gate = Pace(rate=40), asyncio.Queue[None](), asyncio.Event()
    hanging = []
    for _ in range(places(40)):
        hanging.append(asyncio.create_task(hold(pace, begun, gate)))
        await begun.get()
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    assert await asyncio.gather(*(outcome(pace) for _ in range(5))) == ["iam-busy"] * 5
    gate.set()
    await asyncio.gather(*hanging)
    assert await outcome(pace) == "turn"
