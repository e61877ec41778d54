"""Many users of a real hub when the identity provider comes back, over HTTP."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from testbed.clock_hub import get_all
from testbed.crowd import add_crowd, make_fresh
from testbed.herd import busiest_second
from testbed.iam_hub import start_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam_hub import Hub

SOAK = bool(os.environ.get("AF_SOAK"))
"""Whether this is the long form (``make soak``)."""

USERS = 1000 if SOAK else 200
AT_ONCE = 100
"""Requests that the hub has at a time; more would keep its loop busy for seconds."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Give a hub of its own."""
    started = start_hub(tmp_path, auth_refresh_age=1)  # each request looks at its login
    yield started
    started.stop()
    started.iam.stop()


async def test_load_is_ten_calls_a_second_and_nobody_is_logged_out_when_the_provider_comes_back(
    hub: Hub,
) -> None:
    hub.stop()
    crowd = add_crowd(hub, USERS)
    everybody = f"{hub.url}/hub/api/user"
    hub.iam.stop()
    hub.start()
    try:
        # of servers that ask who their visitor is: 403 would end a running notebook
        assert set(await get_all(everybody, crowd, at_once=AT_ONCE)) == {(200, "")}
    finally:
        hub.iam.start()
    hub.iam.forget_calls()
    deadline = time.monotonic() + 10 * USERS / 8
    while refreshes(hub) < (USERS if SOAK else 20):
        assert time.monotonic() < deadline
        assert set(await get_all(everybody, crowd, at_once=AT_ONCE)) == {(200, "")}
    moments = [call.time for call in hub.iam.calls("token")]
    assert len(moments) == refreshes(hub)
    assert {call.status for call in hub.iam.calls()} == {200}
    assert busiest_second(call.time for call in hub.iam.calls()) <= 10


async def test_everybody_gets_a_new_token_in_turn_when_each_came_once_after_a_restart(
    hub: Hub,
) -> None:
    hub.stop()
    count = 40  # more than may wait for a turn
    crowd = add_crowd(hub, count)
    hub.start()
    hub.iam.forget_calls()
    assert set(await get_all(f"{hub.url}/hub/api/user", crowd)) == {(200, "")}
    deadline = time.monotonic() + 60
    while refreshes(hub) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    moments = [call.time for call in hub.iam.calls("token")]
    assert len(moments) == count
    assert busiest_second(moments) <= 10


async def test_no_call_is_made_when_the_hub_restarts_while_tokens_are_good(hub: Hub) -> None:
    hub.stop()
    crowd = add_crowd(hub, 40)
    make_fresh(hub)
    hub.start()
    hub.iam.forget_calls()
    for _ in range(2):
        assert set(await get_all(f"{hub.url}/hub/api/user", crowd)) == {(200, "")}
    assert hub.iam.calls() == []


def refreshes(hub: Hub) -> int:
    return len(hub.iam.calls("token", grant="refresh_token"))
