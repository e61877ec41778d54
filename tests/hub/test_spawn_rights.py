"""Who is told what may be started and who uses what: users, tokens, services, pages of others."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from testbed.hub_config import TOKEN
from testbed.profile_hub import STRANGER, running_hub
from testbed.spawn_stream import address, events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from testbed.profile_hub import ProfileHub

pytestmark = pytest.mark.asyncio(loop_scope="module")

HASTY = """
from af_hub.spawner.page import handlers
handlers._LONGEST, handlers._KEEPALIVE = 2.0, 0.5
"""

ELSEWHERE = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
"""What a browser says of a request by a page of another host below the same domain."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def administrator(profile_hub: ProfileHub) -> None:
    """Let the administrator log in, so that there is one."""
    async with profile_hub.browser("dora"):
        pass


async def test_others_pages_are_closed_to_users_and_to_labs(profile_hub: ProfileHub) -> None:
    answers = set()
    async with profile_hub.browser("eve") as session:
        for query in ({"user": "alice"}, {"user": "nobody-of-this-name"}):
            async with session.get(address(profile_hub, session, **query)) as answer:
                answers.add((answer.status, await answer.text()))
        # the same whether the user exists or not
        assert len(answers) == 1
        assert min(answers)[0] == 404
        async with session.get(address(profile_hub, session, server="none")) as answer:
            assert answer.status == 404
    async with profile_hub.http.get(f"{profile_hub.url}/hub/api/af/profiles") as answer:
        assert answer.status == 403
    for lab in ({"scopes": ["custom:af:token!user"]}, {"roles": ["server"]}):
        token = await token_of(profile_hub, "eve", **lab)
        status, _, _ = await profile_hub.api("GET", "/af/profiles", token=token)
        assert status == 403


async def token_of(hub: ProfileHub, user: str, **what: Any) -> str:
    """Make a token of a user with fewer rights than the user has."""
    status, made, _ = await hub.api("POST", f"/users/{user}/tokens", what)
    assert status == 201, made
    return str(made["token"])


@pytest.mark.parametrize(
    ("scope", "query", "expected"),
    [
        ("servers!user=alice", "user=alice", 200),
        ("servers!user=alice", "user=eve", 404),
        ("servers!user=alice", "user=dora", 404),
        ("servers!server=alice/", "user=alice", 200),
        ("servers!server=alice/other", "user=alice", 404),
        ("read:servers", "user=alice", 403),
        ("users", "user=alice", 403),
    ],
)
async def test_profiles_are_told_of_those_whose_servers_a_token_may_manage(
    profile_hub: ProfileHub, administrator: None, scope: str, query: str, expected: int
) -> None:
    token = await token_of(profile_hub, "dora", scopes=[scope])
    status, state, _ = await profile_hub.api("GET", f"/af/profiles?{query}", token=token)
    assert status == expected, state
    assert ("profiles" in state) is (expected == 200)
    status, _, _ = await profile_hub.api("GET", "/af/usage", token=token)
    assert status == 403


async def test_service_without_a_right_is_told_nothing(profile_hub: ProfileHub) -> None:
    for path in ("/af/profiles", "/af/profiles?user=eve", "/af/profiles?stream=1", "/af/usage"):
        status, _, _ = await profile_hub.api("GET", path, token=STRANGER)
        assert status == 403, path


async def test_page_of_another_origin_is_told_nothing(profile_hub: ProfileHub) -> None:
    """A Lab is one, where users have subdomains: cookies come along, the page's token does not."""
    async with profile_hub.browser("eve") as session:
        for path in ("profiles", "profiles?stream=1", "usage"):
            async with session.get(f"/hub/api/af/{path}", headers=ELSEWHERE) as answer:
                assert answer.status == 403, path


async def test_administrator_asks_on_behalf(profile_hub: ProfileHub) -> None:
    status, state, _ = await profile_hub.api("GET", "/af/profiles?user=alice")
    assert status == 200
    assert "members" in [each["name"] for each in state["profiles"]]


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


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["admin-ui"], 403),
        (["list:users"], 403),
        (["admin-ui", "list:users!user=dora"], 403),
        (["admin-ui", "list:users!group=/cms"], 403),
        (["admin-ui", "read:users!user", "admin:servers", "groups"], 403),
        (["admin-ui", "list:users"], 200),
    ],
)
async def test_usage_is_closed_to_a_token_that_may_not_see_everybody(
    profile_hub: ProfileHub, administrator: None, scopes: list[str], expected: int
) -> None:
    token = await token_of(profile_hub, "dora", scopes=scopes)
    assert (await profile_hub.api("GET", "/af/usage", token=token))[0] == expected


async def test_service_that_may_see_everybody_is_told_who_uses_what(
    profile_hub: ProfileHub,
) -> None:
    """It is no user, so it has no server of its own."""
    status, overview, _ = await profile_hub.api("GET", "/af/usage", token=TOKEN)
    assert status == 200, overview
    assert overview["totals"]


async def test_usage_is_closed_to_the_lab_of_an_administrator(
    profile_hub: ProfileHub, administrator: None
) -> None:
    token = await token_of(profile_hub, "dora", roles=["server"])
    assert (await profile_hub.api("GET", "/af/usage", token=token))[0] == 403
    # pages take no tokens at all: what a Lab's code knows opens none
    header = {"Authorization": f"token {await token_of(profile_hub, 'dora')}"}
    async with profile_hub.http.get(
        f"{profile_hub.url}/hub/af/usage", headers=header, allow_redirects=False
    ) as answer:
        assert answer.status == 302


async def test_pages_of_administrators_are_kept_by_nobody_and_framed_by_nobody(
    profile_hub: ProfileHub, administrator: None
) -> None:
    async with profile_hub.browser("dora") as session:
        async with session.get("/hub/af/usage") as answer:
            assert answer.status == 200
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        async with session.get(f"/hub/api/af/usage?_xsrf={profile_hub.xsrf(session)}") as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Content-Type"].startswith("application/json")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hasty_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProfileHub]:
    """Give a hub whose pages ask anew after two seconds."""
    root = tmp_path_factory.mktemp("hasty-hub")
    async with running_hub(root, labs=False, more=HASTY) as hub:
        yield hub


TELLING = """
from jupyterhub.handlers.login import LogoutHandler
from af_hub.logouts import TellsOfLogouts

class Telling(TellsOfLogouts, LogoutHandler):
    pass

routes = [*routes, (r"/logout", Telling)]
"""


async def names_told(told: AsyncIterator[tuple[str, str]]) -> list[str]:
    """Read which profiles a page is told of; wait until the page must ask anew."""
    names: list[str] = []
    async with asyncio.timeout(30):
        async for event, data in told:
            if event == "again":
                return names
            if event == "message":
                names = [each["name"] for each in json.loads(data)["profiles"]]
    raise AssertionError("the stream ended without a word")


async def log_out_beside_an_open_page(session: Any, url: str) -> None:
    """Log out of a browser; wait until its page must ask anew, and see it refused then."""
    async with session.get(url) as stream:
        told = events(stream)
        await anext(told)
        await (await session.get("/hub/logout")).read()
        await names_told(told)
    async with session.get(url) as answer:
        assert answer.status == 403


async def test_open_page_asks_anew_when_its_user_was_moved_or_logged_out(
    hasty_hub: ProfileHub,
) -> None:
    async with hasty_hub.browser("alice") as session:
        url = address(hasty_hub, session, stream="1")
        async with session.get(url) as stream:
            assert "members" in await names_told(events(stream))
        async with session.get(url) as stream:
            told = events(stream)
            await anext(told)
            group = {"users": ["alice"]}
            path = "/groups/%2Fcms%2Fuscms/users"
            status, answer, _ = await hasty_hub.api("DELETE", path, group)
            assert status == 200, answer
            await names_told(told)
        async with session.get(url) as stream:
            assert "members" not in await names_told(events(stream))
        await log_out_beside_an_open_page(session, url)


async def test_open_page_asks_anew_at_once_when_the_authenticator_tells_of_logouts(
    tmp_path: Path,
) -> None:
    async with (
        running_hub(tmp_path, labs=False, more=TELLING) as hub,
        hub.browser("alice") as session,
        hub.browser("eve") as other,
        other.get(address(hub, other, stream="1")) as others,
    ):
        told_others = events(others)
        await anext(told_others)
        # within seconds; it would be minutes
        await log_out_beside_an_open_page(session, address(hub, session, stream="1"))
        # nobody else is
        await hub.api("POST", "/users/bob/server", {"user_options": {"profile": "small"}})
        assert (await anext(told_others))[0] == "message"
        await hub.ready("bob")
        await hub.api("DELETE", "/users/bob/server")
        await hub.gone("bob")
