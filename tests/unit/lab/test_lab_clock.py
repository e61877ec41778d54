"""Lives of tokens when somebody sets the wall clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from af_labextension.clock import from_the_wall, on_the_wall, steady
from af_labextension.secret import Secret
from af_labextension.tokens.model import Token, TokenState, Wanted
from af_labextension.tokens.provider import CachingTokenProvider


@pytest.fixture(params=[-3600.0, 3600.0])
def jump(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Set the wall clock, as this process sees it."""
    seconds = float(request.param)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    return seconds


def test_steady_clock_goes_on_when_the_wall_clock_jumps(jump: float) -> None:
    assert time.time() - steady() == pytest.approx(jump, abs=60)
    assert on_the_wall(steady()) == pytest.approx(time.time(), abs=1)
    assert from_the_wall(on_the_wall(5e8)) == pytest.approx(5e8, abs=1)


def test_end_is_told_on_the_wall_clock_when_it_has_jumped(jump: float) -> None:
    assert jump
    told = TokenState("storage", "valid", steady() + 100).as_json()["expires_at"]
    assert told == pytest.approx(time.time() + 100, abs=1)


async def test_dead_token_is_replaced_when_the_wall_clock_is_set_back_during_its_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []

    async def fetch(wanted: Wanted) -> Token:
        given.append(wanted)
        now = steady()
        return Token(Secret(f"t{len(given)}"), wanted.audience, now, now + 0.2)

    provider = CachingTokenProvider(fetch)
    await provider.token("storage")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    await asyncio.sleep(0.25)
    assert (await provider.token("storage")).value.reveal() == "t2"
