"""Whoever opens something waits for a new token while the one at hand is surely over."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from af_labextension.readers import patience
from af_labextension.readers.bearer import Bearer, bearer_in
from af_labextension.readers.patience import Patience
from testbed.unsigned import unsigned_token

if TYPE_CHECKING:
    from pathlib import Path

LIFE = 100.0


class Clocks:
    """A token and two clocks."""

    def __init__(self) -> None:
        self.steady = 5000.0
        self.wall = 1_000_000.0
        self.bearer: Bearer | None = None
        self.patience = Patience(
            lambda: self.bearer, steady=lambda: self.steady, wall=lambda: self.wall
        )

    def write(self, number: int = 0, *, life: float = LIFE) -> None:
        """Put a token there now."""
        self.bearer = Bearer(unsigned_token(iat=number, exp=number + life), self.wall)

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self.steady += seconds
        self.wall += seconds

    def waits(self) -> bool:
        """Whether one would wait now."""
        return next(self.patience._pauses(), None) is not None


def test_nobody_waits_while_the_token_lives() -> None:
    clocks = Clocks()
    clocks.write()
    assert not clocks.waits()
    clocks.pass_by(LIFE - 2.1)
    assert not clocks.waits()
    clocks.pass_by(0.2)
    assert clocks.waits()
    clocks.write(1)
    assert not clocks.waits()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_nobody_waits_when_the_clock_was_set(jump: float) -> None:
    clocks = Clocks()
    clocks.write()
    assert not clocks.waits()
    clocks.wall += jump
    assert not clocks.waits()
    clocks.write(1)
    assert not clocks.waits()
    clocks.wall -= jump
    assert not clocks.waits()


def test_one_waits_when_the_token_was_old_at_first_sight() -> None:
    clocks = Clocks()
    clocks.write()
    clocks.pass_by(LIFE + 1)
    assert clocks.waits()


@pytest.mark.parametrize(
    "bearer",
    [
        None,
        Bearer(b"opaque", 0.0),
        # from the environment, which nobody renews
        Bearer(unsigned_token(iat=0, exp=1), None),
    ],
)
def test_nobody_waits_when_nothing_new_can_be_expected(bearer: Bearer | None) -> None:
    clocks = Clocks()
    clocks.bearer = bearer
    assert not clocks.waits()
    clocks.pass_by(10**6)
    assert not clocks.waits()


def test_one_waits_once_for_each_token_when_none_comes() -> None:
    clocks = Clocks()
    for number in range(2):
        clocks.write(number)
        clocks.pass_by(LIFE + 1)
        pauses = clocks.patience._pauses()
        while next(pauses, None) is not None:
            clocks.pass_by(1)
        assert not clocks.waits()


@pytest.mark.parametrize("way", ["blocking", "not blocking"])
def test_the_new_token_is_taken_as_soon_as_it_is_there(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_PAUSE", 0.01)
    file = tmp_path / "token"
    file.write_bytes(unsigned_token(iat=1, exp=1.1))
    new = unsigned_token(iat=2, exp=1000)
    waiting = Patience(lambda: bearer_in(file), wall=lambda: time.time() + 1)
    timer = threading.Timer(0.2, file.write_bytes, [new])
    timer.start()
    begun = time.monotonic()
    bearer = waiting.wait() if way == "blocking" else asyncio.run(waiting.ready())
    assert bearer is not None
    assert bearer.token == new
    assert 0.1 < time.monotonic() - begun < 10
    timer.join()
