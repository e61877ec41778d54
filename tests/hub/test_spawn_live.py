"""What an open spawn page and the administrators' page are told, over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.spawner.policy.reasons import Reason
from testbed.hub_config import TOKEN
from testbed.pace import slowness
from testbed.profile_hub import running_hub
from testbed.spawn_stream import address, events

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from testbed.profile_hub import ProfileHub

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_open_page_is_told_what_its_own_user_sees(profile_hub: ProfileHub) -> None:
    """One answer is composed for all who see the same, and for nobody else."""

    async def first(session: aiohttp.ClientSession) -> Any:
        async with session.get(address(profile_hub, session, stream="1")) as stream:
            return await anext(events(stream))

    async with (
        profile_hub.browser("alice") as alice,
        profile_hub.browser("eve") as eve,
        profile_hub.browser("frank") as frank,
        # a page that stays open, so that answers are kept
        frank.get(address(profile_hub, frank, stream="1")) as stream,
    ):
        await anext(events(stream))
        assert "members" in (await first(alice))[1]
        assert "members" not in (await first(eve))[1]
        await profile_hub.api("POST", "/users/eve/server", {"user_options": {"profile": "small"}})
        await profile_hub.ready("eve")
        async with asyncio.timeout(30):
            while in_use(await first(frank)) != "1 of 500":
                pass
        # a page does not count the server that it is about
        assert in_use(await first(eve)) == "0 of 500"
        assert in_use(await first(frank)) == "1 of 500"
        await profile_hub.api("DELETE", "/users/eve/server")
    await profile_hub.gone("eve")


GATED = """
import asyncio
from pathlib import Path
from af_hub.spawner.profiled import ProfiledSpawner

page = ProfiledSpawner.page

async def gated(self, offered=None):
    found = await page(self, offered)
    if self.user.name == "alice":
        Path("composed").touch()
        while not Path("go").exists():
            await asyncio.sleep(0.02)
    return found

ProfiledSpawner.page = gated
"""
"""What composes a page for alice waits at its end; nobody else sees the same."""


async def test_open_page_is_told_when_something_changes_while_it_is_composed(
    tmp_path: Path,
) -> None:
    async with (
        running_hub(tmp_path, labs=False, more=GATED) as hub,
        hub.browser("frank") as frank,
        hub.browser("alice") as alice,
        frank.get(address(hub, frank, stream="1")) as other_stream,
        asyncio.timeout(60 * slowness()),
    ):
        other = events(other_stream)
        assert in_use(await anext(other)) == "0 of 500"
        asking = asyncio.create_task(alice.get(address(hub, alice, stream="1")))
        while not (tmp_path / "composed").exists():  # noqa: ASYNC110  another process makes it
            await asyncio.sleep(0.02)
        await hub.api("POST", "/users/bob/server", {"user_options": {"profile": "small"}})
        # the hub has noticed
        assert in_use(await anext(other)) == "1 of 500"
        (tmp_path / "go").touch()
        async with await asking as stream:
            told = events(stream)
            assert in_use(await anext(told)) == "0 of 500"
            assert in_use(await anext(told)) == "1 of 500"
        await hub.ready("bob")
        await hub.api("DELETE", "/users/bob/server")
        await hub.gone("bob")


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


async def test_every_reason_is_a_series_before_it_is_met(profile_hub: ProfileHub) -> None:
    async with profile_hub.http.get(
        f"{profile_hub.url}/hub/metrics", headers={"Authorization": f"token {TOKEN}"}
    ) as answer:
        metrics = await answer.text()
    for reason in Reason:
        assert f'af_refusals_total{{reason="{reason}",what="start"}}' in metrics
