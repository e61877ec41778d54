"""What an open spawn page and the administrators' page are told, over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.spawner.policy.reasons import Reason
from testbed.pace import slowness
from testbed.profile_hub import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from testbed.profile_hub import ProfileHub

pytestmark = pytest.mark.asyncio(loop_scope="module")


def address(hub: ProfileHub, session: aiohttp.ClientSession, **query: str) -> str:
    """Return where the page asks, with the token that its script sends."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/hub/api/af/profiles?_xsrf={hub.xsrf(session)}{more}"


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """Read server-sent events as (name, data)."""
    name = "message"
    async for raw in stream.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event:"):
            name = line.partition(":")[2].strip()
        elif line.startswith("data:"):
            yield name, line.partition(":")[2].strip()
            name = "message"


def card(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in state["profiles"] if each["name"] == name)


async def test_page_is_told_what_its_user_may_start(profile_hub: ProfileHub) -> None:
    async with profile_hub.browser("eve") as session:
        answer = await session.get(address(profile_hub, session))
        state = await answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
    assert [each["name"] for each in state["profiles"]] == ["small", "choice", "gpu", "short"]
    assert card(state, "gpu")["blocked"] == "There is no No such device here."
    assert card(state, "choice")["choices"]["cpu"]["blocked"] == ["1000"]


async def test_others_pages_are_closed_to_users_and_to_labs(profile_hub: ProfileHub) -> None:
    async with profile_hub.browser("eve") as session:
        for query in ({"user": "alice"}, {"user": "nobody-of-this-name"}):
            async with session.get(address(profile_hub, session, **query)) as answer:
                # the same whether the user exists or not
                assert answer.status in {403, 404}
                assert "members" not in await answer.text()
        async with session.get(address(profile_hub, session, server="none")) as answer:
            assert answer.status == 404
    async with profile_hub.http.get(f"{profile_hub.url}/hub/api/af/profiles") as answer:
        assert answer.status == 403
    wanted = {"scopes": ["custom:af:token!user"], "note": "as a Lab has"}
    _, made, _ = await profile_hub.api("POST", "/users/eve/tokens", wanted)
    status, _, _ = await profile_hub.api("GET", "/af/profiles", token=made["token"])
    assert status == 403


async def test_administrator_asks_on_behalf(profile_hub: ProfileHub) -> None:
    status, state, _ = await profile_hub.api("GET", "/af/profiles?user=alice")
    assert status == 200
    assert "members" in [each["name"] for each in state["profiles"]]


async def test_open_page_is_told_when_somebody_starts_and_stops(profile_hub: ProfileHub) -> None:
    async with (
        profile_hub.browser("eve") as session,
        session.get(address(profile_hub, session, stream="1")) as stream,
    ):
        assert stream.headers["Content-Type"] == "text/event-stream"
        told = events(stream)
        assert in_use(await anext(told)) == "0 of 500"
        body = {"user_options": {"profile": "small"}}
        await profile_hub.api("POST", "/users/bob/server", body)
        begun = time.monotonic()
        assert in_use(await anext(told)) == "1 of 500"
        assert time.monotonic() - begun < 3 * slowness()
        await profile_hub.ready("bob")
        await profile_hub.api("DELETE", "/users/bob/server")
        assert in_use(await anext(told)) == "0 of 500"
    await profile_hub.gone("bob")


def in_use(event: tuple[str, str]) -> str:
    """Read how many servers run in all from what a page was told."""
    assert event[0] == "message"
    (everybody,) = json.loads(event[1])["usage"]
    return str(everybody["meters"][0]["text"])


async def test_twenty_first_page_of_one_user_is_refused(profile_hub: ProfileHub) -> None:
    async with profile_hub.browser("eve") as session, AsyncExitStack() as pages:
        for _ in range(20):
            url = address(profile_hub, session, stream="1")
            answer = await pages.enter_async_context(session.get(url))
            assert answer.status == 200
        async with session.get(address(profile_hub, session, stream="1")) as answer:
            assert answer.status == 429
        # the page then asks by itself
        async with session.get(address(profile_hub, session)) as answer:
            assert answer.status == 200
    async with profile_hub.browser("eve") as session, asyncio.timeout(30):
        while True:
            async with session.get(address(profile_hub, session, stream="1")) as answer:
                if answer.status == 200:
                    break


async def test_usage_is_for_administrators_only(profile_hub: ProfileHub) -> None:
    async with profile_hub.browser("eve") as session:
        async with session.get(f"/hub/api/af/usage?_xsrf={profile_hub.xsrf(session)}") as answer:
            assert answer.status == 403
        async with session.get("/hub/af/usage") as answer:
            assert answer.status == 403
        home = await (await session.get("/hub/home")).text()
        assert "af/usage" not in home
    async with profile_hub.http.get(
        f"{profile_hub.url}/hub/af/usage", allow_redirects=False
    ) as answer:
        assert answer.status == 302
    assert (await profile_hub.api("GET", "/af/usage", token=""))[0] == 403


async def test_every_reason_is_a_series_before_it_is_met(profile_hub: ProfileHub) -> None:
    async with profile_hub.http.get(
        f"{profile_hub.url}/hub/metrics", headers={"Authorization": f"token {TOKEN}"}
    ) as answer:
        metrics = await answer.text()
    for reason in Reason:
        assert f'af_refusals_total{{reason="{reason}",what="start"}}' in metrics
