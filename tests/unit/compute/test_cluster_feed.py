"""The stream of events: what is told when, and to whom no more."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from dask_gateway_server.models import User

from af_hub.compute import feed as module
from af_hub.compute.feed import Feed
from af_hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Gateway itself names what it keeps in aiohttp's requests by texts
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web:UserWarning")


class Hub:
    """Knows users, or has trouble."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.asked = 0

    async def authenticate(self, request: web.Request) -> User:
        """Answer as Gateway's authenticator does."""
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        name = request.query["user"]
        return User(name, groups={"/cms"} if name in {"alice", "bob"} else set())


class Place:
    """A feed on a server."""

    server: TestServer

    def __init__(self) -> None:
        self.hub = Hub()
        self.facts: dict[str, int] = {"alice": 0, "bob": 0, "carol": 0}
        self.feed = Feed(
            lambda user: {"clusters": self.facts[user.name]},
            lambda user: "/cms" if user.groups else None,
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve."""
        request["user"] = await self.hub.authenticate(request)
        try:
            return await self.feed.serve(request, self.hub)
        except Refusal as error:
            return web.json_response({"code": error.code}, status=error.status)

    @asynccontextmanager
    async def listen(self, user: str) -> AsyncIterator[aiohttp.StreamReader]:
        """Listen as a user."""
        async with aiohttp.ClientSession() as session:
            url = self.server.make_url("/").with_query(user=user)
            async with session.get(url) as answer:
                assert answer.content_type == "text/event-stream"
                yield answer.content


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application()
    app.router.add_get("/", place.answer)
    app.on_shutdown.append(place.feed.close)
    place.server = TestServer(app)
    await place.server.start_server()
    yield place
    async with asyncio.timeout(5):
        await place.server.close()


async def told(content: aiohttp.StreamReader) -> Any:
    """Return the next event's data, or a comment as text; None at the end."""
    async with asyncio.timeout(10):
        while line := await content.readline():
            if line.startswith(b"data: "):
                return json.loads(line[6:])
            if line.startswith(b":"):
                return line.decode().strip()
    return None


async def test_a_change_is_told_once_when_many_come_together(place: Place) -> None:
    async with place.listen("alice") as content:
        assert await told(content) == {"clusters": 0}
        for number in range(1, 20):
            place.facts["alice"] = number
            place.feed.changed("alice", None)
        assert await told(content) == {"clusters": 19}
        # what is the same is not told again
        place.feed.changed("alice", None)
        await asyncio.sleep(0.2)
        place.facts["alice"] = 20
        place.feed.changed("alice", None)
        assert await told(content) == {"clusters": 20}


async def test_the_group_hears_later_and_others_never(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OTHERS", 0.1)
    async with place.listen("bob") as bob, place.listen("carol") as carol:
        assert await told(bob) == await told(carol)
        place.facts["bob"] = place.facts["carol"] = 1
        place.feed.changed("alice", "/cms")
        assert await told(bob) == {"clusters": 1}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told(carol), 0.3)


async def test_silence_is_broken_by_comments(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMENT", 0.1)
    async with place.listen("alice") as content:
        await told(content)
        assert [await told(content) for _ in range(2)] == [": still here"] * 2


@pytest.mark.parametrize(
    ("trouble", "stays"),
    [
        (web.HTTPUnauthorized(), False),
        # Gateway's authenticator says so of a token that the hub does not know any more
        (web.HTTPInternalServerError(), False),
        (web.HTTPBadGateway(), True),
        (aiohttp.ClientConnectionError(), True),
    ],
)
async def test_who_may_not_look_any_more_is_out_but_not_because_the_hub_is_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, trouble: Exception, stays: bool
) -> None:
    async with place.listen("alice") as content:
        await told(content)
        monkeypatch.setattr(module, "ASK_AGAIN", 0)
        place.hub.trouble = trouble
        place.facts["alice"] = 1
        place.feed.changed("alice", None)
        assert await told(content) == ({"clusters": 1} if stays else None)


async def test_a_user_has_so_many_streams_and_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_STREAMS", 1)
    async with place.listen("alice") as content, aiohttp.ClientSession() as session:
        await told(content)
        url = place.server.make_url("/").with_query(user="alice")
        async with session.get(url) as answer:
            assert answer.status == 429
            assert (await answer.json())["code"] == "too-many-streams"
        async with place.listen("bob") as other:
            await told(other)
