"""Tokens and the provider that keeps them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.errors import NotAnswering, Refused
from af_labextension.secret import Secret
from af_labextension.tokens.model import Token, Wanted, token_from_answer
from af_labextension.tokens.provider import (
    MINIMUM_LEFT,
    RENEW_APART,
    SCOPED,
    CachingTokenProvider,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "eyJhbGciOiJ.planted.token"


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Source:
    """Gives numbered tokens, or fails as told."""

    def __init__(self, clock: Clock, life: float = 100.0) -> None:
        self.clock, self.life = clock, life
        self.calls = 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self, wanted: Wanted) -> Token:
        """Issue a token, or fail."""
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        now = self.clock()
        return Token(Secret(f"token-{self.calls}"), wanted.audience, now, now + self.life)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


def down() -> NotAnswering:
    return NotAnswering("hub-unreachable", "The hub does not answer now.")


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format])
def test_a_token_hides_its_value_when_it_is_shown(show: Callable[[object], str]) -> None:
    token = Token(Secret(VALUE), "storage", 0.0, 1.0)
    assert VALUE not in show(token)
    assert VALUE not in show(token.value)


def test_life_is_counted_on_our_clock_when_the_hub_has_another() -> None:
    answer = {"access_token": VALUE, "expires_in": 600, "expires_at": 5.0}
    token = token_from_answer(answer, "storage", 1000.0)
    assert (token.expires_at, token.renew_at()) == (1600.0, 1450.0)


def test_expires_at_serves_when_expires_in_is_missing() -> None:
    assert token_from_answer(
        {"access_token": VALUE, "expires_at": 1600}, "s", 1e3
    ).expires_at == pytest.approx(1600, abs=1)


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": "two words"},
        {"access_token": "line\nbreak"},
        {"access_token": ""},
        {"access_token": "a" * 70_000},
        {"expires_in": "600"},
        {"expires_in": True},
        {"expires_in": -1},
        {"expires_in": float("nan")},
        {"expires_in": 1e12},
    ],
)
def test_an_answer_is_refused_when_it_holds_no_token(change: dict[str, Any]) -> None:
    with pytest.raises(NotAnswering) as error:
        token_from_answer({"access_token": VALUE, "expires_in": 600, **change}, "storage", 0.0)
    assert error.value.code == "hub-garbage"
    assert VALUE not in error.value.detail


@given(st.dictionaries(st.text(max_size=15), st.one_of(st.none(), st.text(), st.floats())))
def test_any_answer_is_a_token_or_the_one_error(answer: dict[str, Any]) -> None:
    with pytest.raises(NotAnswering):
        token_from_answer(answer, "storage", 0.0)


async def test_one_request_serves_all_when_many_ask_at_once(clock: Clock, source: Source) -> None:
    source.gate = asyncio.Event()
    provider = CachingTokenProvider(source, clock=clock)
    asking = [asyncio.create_task(provider.token("storage")) for _ in range(50)]
    await asyncio.sleep(0)
    assert provider.state("storage").state == "refreshing"
    source.gate.set()
    assert len({token.value for token in await asyncio.gather(*asking)}) == 1
    assert source.calls == 1


async def test_the_request_lives_on_when_the_first_asker_leaves(
    clock: Clock, source: Source
) -> None:
    source.gate = asyncio.Event()
    provider = CachingTokenProvider(source, clock=clock)
    first = asyncio.create_task(provider.token("storage"))
    second = asyncio.create_task(provider.token("storage"))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert (await second).value == Secret("token-1")


async def test_audiences_are_kept_apart(clock: Clock, source: Source) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    assert (await provider.token("a")).audience == "a"
    assert (await provider.token("b")).audience == "b"
    await provider.token("a")
    assert source.calls == 2


async def test_a_token_is_renewed_in_its_last_third_and_not_before(
    clock: Clock, source: Source
) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    await provider.token("storage")
    assert clock.now + 70 <= provider.renew_at("storage") <= clock.now + 75
    clock.now += 69
    assert (await provider.token("storage")).value == Secret("token-1")
    clock.now += 7
    assert (await provider.token("storage")).value == Secret("token-2")


async def test_the_old_token_serves_on_when_the_hub_is_away(clock: Clock, source: Source) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    await provider.token("storage")
    source.error = down()
    clock.now += 76
    assert (await provider.token("storage")).value == Secret("token-1")
    state = provider.state("storage")
    assert (state.state, state.message) == ("valid", "The hub does not answer now.")
    clock.now += 24 - MINIMUM_LEFT + 1
    with pytest.raises(NotAnswering):
        await provider.token("storage")
    clock.now += 100
    assert provider.state("storage").state == "expired"


async def test_the_hub_is_left_in_peace_when_it_failed(clock: Clock, source: Source) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    source.error = down()
    for _ in range(20):
        with pytest.raises(NotAnswering):
            await provider.token("storage")
    assert source.calls == 1
    assert provider.state("storage").state == "error"
    pauses = []
    for _ in range(9):
        pauses.append(provider.renew_at("storage") - clock.now)
        clock.now = provider.renew_at("storage")
        with pytest.raises(NotAnswering):
            await provider.token("storage")
    assert pauses[:6] == sorted(pauses[:6])
    assert pauses[0] <= 1
    assert 50 < min(pauses[6:]) <= max(pauses) <= 60
    source.error = None
    clock.now = provider.renew_at("storage")
    await provider.token("storage")
    assert provider.state("storage").message is None


async def test_the_user_is_told_at_once_when_the_hub_says_no(clock: Clock, source: Source) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    await provider.token("storage")
    source.error = Refused("session-over", "Log in again.")
    clock.now += 76
    await provider.token("storage")
    assert provider.state("storage").state == "error"
    assert provider.state("storage").message == "Log in again."


async def test_another_token_is_fetched_when_a_service_refused_the_kept_one(
    clock: Clock, source: Source
) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    refused = await provider.token("storage")
    again = await asyncio.gather(*(provider.token("storage", refused=refused) for _ in range(5)))
    assert {token.value for token in again} == {Secret("token-2")}
    assert source.calls == 2
    # a late reader of the first token takes what is there
    assert (await provider.token("storage", refused=refused)).value == Secret("token-2")
    assert source.calls == 2


async def test_a_refused_token_is_not_given_again_when_the_hub_is_away(
    clock: Clock, source: Source
) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    refused = await provider.token("storage")
    source.error = down()
    with pytest.raises(NotAnswering):
        await provider.token("storage", refused=refused)


async def test_another_token_is_fetched_when_more_life_is_wanted(
    clock: Clock, source: Source
) -> None:
    source.life = 1000.0
    provider = CachingTokenProvider(source, clock=clock)
    await provider.token("storage")
    clock.now += 100.0
    assert (await provider.token("storage", min_left=900.0)).value.reveal() == "token-1"
    assert (await provider.token("storage", min_left=901.0)).value.reveal() == "token-2"
    # none lives longer: a token of a moment ago is what there is, and the hub is left in peace
    assert (await provider.token("storage", min_left=5000.0)).value.reveal() == "token-2"
    clock.now += RENEW_APART
    assert (await provider.token("storage", min_left=5000.0)).value.reveal() == "token-3"


async def test_parts_of_the_scope_are_kept_apart_when_they_are_asked_for(
    clock: Clock, source: Source
) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    whole = await provider.token("storage")
    part = await provider.token("storage", scope="storage.read:/b storage.read:/a")
    assert part != whole
    assert await provider.token("storage", scope=" storage.read:/a  storage.read:/b") == part
    assert await provider.token("storage") == whole
    assert source.calls == 2


async def test_few_parts_are_kept_when_very_many_are_asked_for(
    clock: Clock, source: Source
) -> None:
    provider = CachingTokenProvider(source, clock=clock)
    whole = await provider.token("storage")
    for number in range(3 * SCOPED):
        await provider.token("storage", scope=f"storage.read:/{number}")
    calls = source.calls
    await provider.token("storage", scope=f"storage.read:/{3 * SCOPED - 1}")
    assert await provider.token("storage") == whole
    assert source.calls == calls
    await provider.token("storage", scope="storage.read:/0")
    assert source.calls == calls + 1
