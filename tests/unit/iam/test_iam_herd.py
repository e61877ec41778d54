"""A thousand users at once: the load on an identity provider that comes back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.iam.switches import Fault
from af_hub.errors import IAMUnavailable
from af_hub.iam.discovery import Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.session import Login, Sessions
from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
from af_hub.secret import Secret
from testbed.herd import busiest_second
from testbed.iam import IAM, start_iam
from testbed.logins import MemoryUser, expired_login

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = 1000


def restarted(iam: IAM) -> Sessions:
    """Return what a hub that has just started knows: nothing."""
    http = IAMHttp(str(iam.layout.ca_bundle))
    endpoint = TokenEndpoint(
        Issuer(iam.issuer, http),
        http,
        client_id="af-hub",
        secret=lambda: Secret(iam.secret),
        basic_auth=False,
    )

    async def accept(old: Login, answer: TokenAnswer) -> Login:
        return replace(old, access_token=answer.access_token, expires_at=answer.expires_at)

    async def apply(user: MemoryUser, login: Login) -> None:
        await user.save_auth_state(login.to_state())

    return Sessions(endpoint, accept=accept, apply=apply)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IAM, list[MemoryUser]]]:
    """Give an identity provider and users whose access tokens have all expired."""
    iam = start_iam(tmp_path_factory.mktemp("iam"))
    store = iam.people()
    bob = store.person(username="bob")
    assert bob is not None
    users = []
    with store.transaction():
        for number in range(USERS):
            token = f"refresh-{number}"
            login = expired_login(store, bob, iam.issuer, token)
            users.append(MemoryUser(f"user-{number}", login.to_state()))
    store.close()
    yield iam, users
    iam.stop()


async def ask_all(sessions: Sessions, users: list[MemoryUser]) -> list[str]:
    """Let a request of each user come at the same moment; returns what became of them."""

    async def one(user: MemoryUser) -> str:
        try:
            await sessions.ensure(user, margin=300, max_age=600)
        except IAMUnavailable as error:
            return error.code
        return "renewed"

    return await asyncio.gather(*map(one, users))


async def test_load_is_ten_calls_a_second_when_the_provider_comes_back_and_the_hub_restarted(
    crowd: tuple[IAM, list[MemoryUser]],
) -> None:
    iam, users = crowd
    iam.stop()
    try:
        started = time.monotonic()
        assert set(await ask_all(restarted(iam), users)) == {"iam-unreachable"}
        # the tries of one look for the addresses, not a queue of them
        assert time.monotonic() - started < 5
    finally:
        iam.start()
    iam.forget_calls()
    told = await ask_all(restarted(iam), users)
    assert set(told) == {"renewed", "iam-busy"}
    moments = [call.time for call in iam.calls("token")]
    assert len(moments) == told.count("renewed") >= 10
    assert busiest_second(moments) <= 10
    # who got no turn has lost nothing
    assert all((user.state or {}).get("refresh_token") for user in users)


async def test_no_second_sees_more_than_ten_calls_when_answers_are_slow_and_then_quick(
    crowd: tuple[IAM, list[MemoryUser]],
) -> None:
    iam, users = crowd
    sessions, late = restarted(iam), users[-40:]

    async def until_renewed(user: MemoryUser) -> None:
        while await ask_all(sessions, [user]) == ["iam-busy"]:  # noqa: ASYNC110 - as services do
            await asyncio.sleep(0.2)

    slow = Fault(at="token", kind="slow", seconds=1.3, times=12)
    with iam.switched(slow):
        iam.forget_calls()
        await asyncio.gather(*map(until_renewed, late))
    moments = [call.time for call in iam.calls()]
    assert len(moments) >= len(late)
    assert busiest_second(moments) <= 10
