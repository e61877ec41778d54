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
    """Remembers what was asked and delivered."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.fails: Exception | None = None
        self.lost: Exception | None = None
        self.numbers = count()
        self.wanted: list[float] = []
        self.delivered: list[str] = []
        self.came = asyncio.Event()

    async def fetch(self, user: str, audience: str, min_left: float) -> BrokeredToken:
        """Give the next token."""
        self.wanted.append(min_left)
        if self.fails is not None:
            raise self.fails
        value = f"{user}-{audience}-{next(self.numbers)}"
        return BrokeredToken(Secret(value), time.time() + self.life, self.life)

    async def deliver(self, cluster: str, token: Secret) -> None:
        """Take a token."""
        if self.lost is not None:
            raise self.lost
        self.delivered.append(f"{cluster}:{token.reveal()}")
        self.came.set()

    def relay(self) -> TokenRelay:
        """Return a relay that serves the cluster ``c`` of alice."""
        relay = TokenRelay(self.fetch, self.deliver)
        relay.start("c", "alice", "storage")
        return relay


async def _deliveries(cluster: Cluster, number: int) -> None:
    async with asyncio.timeout(5):
        while len(cluster.delivered) < number:
            cluster.came.clear()
            await cluster.came.wait()


async def test_tokens_are_renewed_at_half_life_when_time_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHORTEST_ROUND", 0.0)
    cluster = Cluster(life=0.4)
    relay = cluster.relay()
    relay.start("c", "alice", "storage")
    relay.reached("c")
    begin = time.monotonic()
    await _deliveries(cluster, 3)
    assert 0.25 < time.monotonic() - begin < 2
    assert cluster.delivered[:2] == ["c:alice-storage-0", "c:alice-storage-1"]
    # at half life the broker's last token is not what is wanted
    assert cluster.wanted[:2] == [0.0, pytest.approx(0.6 * 0.4)]
    state = relay.state("c")
    assert state is not None
    assert state.state == "valid"
    await relay.close()
    delivered = len(cluster.delivered)
    assert relay.state("c") is None
    await asyncio.sleep(0)
    assert len(cluster.delivered) == delivered


async def test_a_token_waits_when_its_scheduler_cannot_be_talked_to_yet() -> None:
    cluster = Cluster(life=100)
    relay = cluster.relay()
    await relay.first("c", 0.05)
    assert len(cluster.wanted) == 1
    state = relay.state("c")
    assert state is not None
    assert state.state == "waiting"
    assert cluster.delivered == []
    relay.reached("c")
    await relay.first("c", 5)
    assert cluster.delivered == ["c:alice-storage-0"]
    await relay.close()


@pytest.mark.parametrize("side", ["hub", "scheduler"])
@pytest.mark.parametrize(
    "error",
    [Refusal("login-over", "Log in again."), ComputeError("hub-unreachable", "Log in again.")],
)
async def test_the_reason_is_shown_and_it_goes_on_when_a_side_says_no(
    monkeypatch: pytest.MonkeyPatch, error: Exception, side: str
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)
    cluster = Cluster(life=100)
    if side == "hub":
        cluster.fails = error
    else:
        cluster.lost = error
    relay = cluster.relay()
    relay.reached("c")
    await relay.first("c", 5)
    state = relay.state("c")
    assert state is not None
    assert (state.state, state.message) == ("error", "Log in again.")
    cluster.fails = cluster.lost = None
    await _deliveries(cluster, 1)
    await asyncio.sleep(0)
    state = relay.state("c")
    assert state is not None
    assert (state.state, state.message) == ("valid", None)
    await relay.close()


async def test_waiting_ends_when_the_first_answer_takes_too_long() -> None:
    async def never(user: str, audience: str, min_left: float) -> BrokeredToken:
        await asyncio.Event().wait()
        raise AssertionError

    relay = TokenRelay(never, Cluster(1).deliver)
    relay.start("c", "alice", "storage")
    begin = time.monotonic()
    await relay.first("c", 0.05)
    assert time.monotonic() - begin < 1
    await relay.stop("c")
    await relay.first("c", 5)
