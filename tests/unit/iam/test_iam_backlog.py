"""Logins that wait for a turn: all get one, and none twice."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

from af_hub.errors import IAMUnavailable, SessionOver
from af_hub.iam.backlog import BUSY, SIDE_BY_SIDE, Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = [SimpleNamespace(name=f"user-{number}") for number in range(40)]


class Renewals:
    """Renews, and remembers how."""

    def __init__(self, fail: Callable[[str], Exception | None] = lambda _: None) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.most = 0
        self._fail = fail

    async def __call__(self, user: SimpleNamespace) -> None:
        """Renew a login, in a moment."""
        self.begun.append(user.name)
        self.most = max(self.most, len(self.begun) - len(self.done))
        await asyncio.sleep(0.01)
        self.done.append(user.name)
        if error := self._fail(user.name):
            raise error


async def all_of(backlog: Backlog) -> None:
    for user in USERS:
        backlog.add(user)
        backlog.add(user)
    assert len(backlog) == len(USERS)
    async with asyncio.timeout(20):
        while len(backlog):  # noqa: ASYNC110 - it has no event for that
            await asyncio.sleep(0.01)


async def test_some_are_renewed_side_by_side_in_the_order_in_which_they_came() -> None:
    renewals = Renewals()
    await all_of(Backlog(renewals))
    assert renewals.begun == [user.name for user in USERS]
    assert renewals.most == SIDE_BY_SIDE


async def test_the_others_are_renewed_when_one_call_was_lost() -> None:
    lost = {"user-3": IAMUnavailable("iam-unreachable", "a handshake took too long")}
    renewals = Renewals(lost.get)
    await all_of(Backlog(renewals))
    assert sorted(renewals.done) == sorted(user.name for user in USERS)


async def test_the_others_are_renewed_when_a_login_is_over_or_a_user_gone() -> None:
    trouble = {"user-3": SessionOver("login-over", "over"), "user-4": KeyError("user-4")}
    renewals = Renewals(trouble.get)
    await all_of(Backlog(renewals))
    assert sorted(renewals.done) == sorted(user.name for user in USERS)


async def test_who_found_no_turn_tries_again() -> None:
    busy = {"user-3": IAMUnavailable(BUSY, "many")}
    renewals = Renewals(lambda name: busy.pop(name, None))
    await all_of(Backlog(renewals))
    assert renewals.done.count("user-3") == 2
    assert len(renewals.done) == len(USERS) + 1
