"""The relay of tokens to clusters."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from af_hub.compute import relay as module
from af_hub.compute.relay import BrokeredToken, TokenRelay
from af_hub.errors import ComputeError, Refusal
from af_hub.secret import Secret


class Cluster:
    """Remembers what was asked and written."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.fails: Exception | None = None
        self.numbers = count()
        self.written: list[str] = []
        self.came = asyncio.Event()

    async def fetch(self, user: str, audience: str) -> BrokeredToken:
        """Give the next token."""
        if self.fails is not None:
            raise self.fails
        value = f"{user}-{audience}-{next(self.numbers)}"
        return BrokeredToken(Secret(value), time.time() + self.life)

    async def write(self, cluster: str, name: str, content: bytes) -> None:
        """Take a file."""
        assert name == "bearer-token"
        self.written.append(f"{cluster}:{content.decode()}")
        self.came.set()


async def _writes(cluster: Cluster, number: int) -> None:
    async with asyncio.timeout(5):
        while len(cluster.written) < number:
            cluster.came.clear()
            await cluster.came.wait()


async def test_tokens_are_renewed_at_half_life_when_time_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHORTEST_ROUND", 0.0)
    cluster = Cluster(life=0.4)
    relay = TokenRelay(cluster.fetch, cluster.write)
    relay.start("c", "alice", "storage")
    relay.start("c", "alice", "storage")
    begin = time.monotonic()
    await _writes(cluster, 3)
    assert 0.25 < time.monotonic() - begin < 2
    assert cluster.written[:2] == ["c:alice-storage-0", "c:alice-storage-1"]
    state = relay.state("c")
    assert state is not None
    assert state.state == "valid"
    await relay.close()
    written = len(cluster.written)
    assert relay.state("c") is None
    await asyncio.sleep(0)
    assert len(cluster.written) == written


@pytest.mark.parametrize(
    "error",
    [Refusal("login-over", "Log in again."), ComputeError("hub-unreachable", "Log in again.")],
)
async def test_the_reason_is_shown_and_it_goes_on_when_the_hub_gives_none(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)
    cluster = Cluster(life=100)
    cluster.fails = error
    relay = TokenRelay(cluster.fetch, cluster.write)
    relay.start("c", "alice", "storage")
    await relay.first("c", 5)
    state = relay.state("c")
    assert state is not None
    assert (state.state, state.message) == ("error", "Log in again.")
    cluster.fails = None
    await _writes(cluster, 1)
    await relay.close()


async def test_waiting_ends_when_the_first_answer_takes_too_long() -> None:
    async def never(user: str, audience: str) -> BrokeredToken:
        await asyncio.Event().wait()
        raise AssertionError

    relay = TokenRelay(never, Cluster(1).write)
    relay.start("c", "alice", "storage")
    begin = time.monotonic()
    await relay.first("c", 0.05)
    assert time.monotonic() - begin < 1
    await relay.stop("c")
    await relay.first("c", 5)
