"""Profiles on a real hub: page, query, REST and PATCH pass the same policy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyterhub
import pytest

from af_hub.spawner.local.processes import start_mark
from testbed.hub_config import TOKEN
from testbed.profile_hub import environment_of

if TYPE_CHECKING:
    from testbed.profile_hub import ProfileHub

pytestmark = pytest.mark.asyncio(loop_scope="module")

HUB_6 = jupyterhub.version_info[0] >= 6


@pytest.mark.parametrize(
    ("user", "body", "status", "reason"),
    [
        ("eve", {"user_options": {"profile": "members"}}, 400, "unknown-profile"),
        ("bob", {"user_options": {"profile": "members"}}, 400, "unknown-profile"),
        ("bob", {"profile": "members"}, 400, "unknown-profile"),
        ("eve", {"user_options": {"profile": ["small"]}}, 400, "invalid-options"),
        ("eve", {"user_options": {"mem_limit": "64G"}}, 400, "invalid-options"),
        ("eve", {"user_options": {"profile": "choice", "ram": "64G"}}, 400, "not-offered"),
        ("eve", {"user_options": {"profile": "choice", "cpu": 1000}}, 400, "too-large"),
        ("alice", {"user_options": {"profile": "gpu"}}, 400, "gpu-missing"),
    ],
)
async def test_rest_start_is_refused_when_policy_says_no(
    profile_hub: ProfileHub, user: str, body: Any, status: int, reason: str
) -> None:
    answer = await profile_hub.api("POST", f"/users/{user}/server", body)
    assert (answer[0], answer[2]) == (status, reason)
    assert answer[1]["message"].endswith(".")


async def test_hub_lives_and_logs_no_traceback_when_many_starts_are_refused(
    profile_hub: ProfileHub,
) -> None:
    begun = len(profile_hub.log)
    for _ in range(5):
        await profile_hub.api("POST", "/users/eve/server", {"user_options": {"profile": "nope"}})
    async with profile_hub.browser("eve") as session:
        await (await session.get("/hub/spawn?opt-profile=nope")).read()
        form = {"profile": "nope"}
        url = f"/hub/spawn?_xsrf={profile_hub.xsrf(session)}"
        await (await session.post(url, data=form)).read()
    assert (await profile_hub.api("GET", ""))[0] == 200
    # what JupyterHub says from the second counted failure on; at the fifth it ends two seconds later
    log = profile_hub.log[begun:]
    assert "Traceback" not in log
    assert "consecutive spawn" not in log
    async with profile_hub.http.get(
        f"{profile_hub.url}/hub/metrics",
        headers={"Authorization": f"token {TOKEN}"},
    ) as answer:
        metrics = await answer.text()
    if HUB_6:
        assert 'reason="unknown-profile",status="failure"' in metrics


@pytest.mark.parametrize("body", ["[1]", "-1", '"small"', "true"])
async def test_hub_lives_when_options_are_no_object(profile_hub: ProfileHub, body: str) -> None:
    """JupyterHub 5 takes any JSON as options, and an error of which five stop it."""
    begun = len(profile_hub.log)
    text = body if not HUB_6 else f'{{"user_options": {body}}}'
    headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    url = f"{profile_hub.url}/hub/api/users/eve/server"
    for _ in range(5):
        async with profile_hub.http.post(url, data=text, headers=headers) as answer:
            assert answer.status == 400, await answer.text()
    log = profile_hub.log[begun:]
    assert "Traceback" not in log
    assert "consecutive spawn" not in log


async def test_malformed_options_are_counted_as_refusals_when_no_start_has_begun(
    profile_hub: ProfileHub,
) -> None:
    async def refused() -> float:
        async with profile_hub.http.get(
            f"{profile_hub.url}/hub/metrics",
            headers={"Authorization": f"token {TOKEN}"},
        ) as answer:
            lines = (await answer.text()).splitlines()
        wanted = 'af_refusals_total{reason="invalid-options",what="start"}'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))

    before = await refused()
    async with profile_hub.browser("eve") as session:
        await (await session.get("/hub/spawn?opt-profile=small&opt-profile=gpu")).read()
        assert await refused() == before + 1
        url = f"/hub/spawn?_xsrf={profile_hub.xsrf(session)}"
        await (await session.post(url, data={"profile": "small", "mem_limit": "64G"})).read()
    assert await refused() == before + 2


async def test_page_shows_only_what_the_user_may_start(profile_hub: ProfileHub) -> None:
    async with profile_hub.browser("alice") as session:
        mine = await (await session.get("/hub/spawn")).text()
    async with profile_hub.browser("eve") as session:
        hers = await (await session.get("/hub/spawn")).text()
    assert "For members" in mine
    assert "For members" not in hers
    assert "There is no No such device here." in hers
    assert "They are not isolated from each other" in hers
    assert "not enforced" in hers


@pytest.mark.parametrize("field", ["profile", "small.cpu", "evil"])
async def test_form_is_answered_with_a_sentence_when_it_is_forged(
    profile_hub: ProfileHub, field: str
) -> None:
    async with profile_hub.browser("bob") as session:
        url = f"/hub/spawn?_xsrf={profile_hub.xsrf(session)}"
        form = {"profile": "small", field: "members"}
        async with session.post(url, data=form) as answer:
            page = await answer.text()
            assert answer.status == 400
            assert answer.headers["AF-Refusal"] in {"unknown-profile", "invalid-options"}
    assert "spawn-error-msg" in page
    assert "Choose a profile" in page


async def test_query_is_refused_when_it_asks_for_a_hidden_profile(profile_hub: ProfileHub) -> None:
    async with (
        profile_hub.browser("bob") as session,
        session.get("/hub/spawn?opt-profile=members") as answer,
    ):
        assert answer.status == 400
        assert "There is no profile &#39;members&#39; for you." in await answer.text()


@pytest.mark.skipif(not HUB_6, reason="PATCH of a server came with JupyterHub 6")
async def test_start_is_refused_when_options_were_patched_in(profile_hub: ProfileHub) -> None:
    await profile_hub.api("POST", "/users/bob/server", {"user_options": {"profile": "nope"}})
    patch = {"user_options": {"profile": "members"}}
    assert (await profile_hub.api("PATCH", "/users/bob/servers/", patch))[0] == 200
    assert (await profile_hub.api("POST", "/users/bob/server"))[2] == "unknown-profile"
    async with profile_hub.browser("bob") as session:
        page = await (await session.get("/hub/spawn")).text()
    assert "no longer offered" in page


@pytest.mark.parametrize("path", ["/hub/login", "/hub/home", "/hub/no-such-page"])
async def test_pages_carry_the_facility_when_shown(profile_hub: ProfileHub, path: str) -> None:
    async with profile_hub.browser("eve") as session:
        page = await (await session.get(path)).text()
    assert "Profile hub" in page
    assert "Down on Monday &lt;b&gt;{user}&lt;/b&gt;" in page
    assert 'href="mailto:help@example.org"' in page


async def test_lab_description_is_refused_when_no_server_asks(profile_hub: ProfileHub) -> None:
    assert "extra_handlers" not in profile_hub.log
    assert (await profile_hub.api("GET", "/af/lab", token=""))[0] in {401, 403}
    assert (await profile_hub.api("GET", "/af/lab"))[0] == 403
    wanted = {"scopes": ["custom:af:token!user", "access:servers!server=eve/"], "note": "Server at"}
    status, made, _ = await profile_hub.api("POST", "/users/eve/tokens", {"note": wanted["note"]})
    assert status == 201
    assert (await profile_hub.api("GET", "/af/lab", token=made["token"]))[0] == 403


async def test_nothing_starts_when_no_profile_is_open_to_the_user(profile_hub: ProfileHub) -> None:
    for body in ({}, {"user_options": {"profile": "small"}}):
        assert (await profile_hub.api("POST", "/users/zoe/server", body))[2] in {
            "no-profile",
            "unknown-profile",
        }
    async with profile_hub.browser("zoe") as session:
        page = await (await session.get("/hub/spawn")).text()
    assert "No profile of this facility is open to your groups." in page


async def test_server_is_stopped_when_its_lifetime_is_over(profile_hub: ProfileHub) -> None:
    begun = int(time.time())
    body = {"user_options": {"profile": "short"}}
    assert (await profile_hub.api("POST", "/users/alice/server", body))[0] in {201, 202}
    server = await profile_hub.ready("alice")
    pid = server["state"]["pid"]
    given = environment_of(pid)
    _, view, _ = await profile_hub.api("GET", "/af/lab", token=given["JUPYTERHUB_API_TOKEN"])
    assert begun <= view["server"]["started_at"] <= time.time()
    assert view["server"]["expires_at"] == view["server"]["started_at"] + 5
    await profile_hub.gone("alice")
    assert time.time() >= view["server"]["expires_at"]
    assert start_mark(pid) is None
    assert not Path(given["BEARER_TOKEN_FILE"]).parent.exists()
    assert "alice ends by itself: the longest time of its profile, 5 s, was over" in (
        profile_hub.log
    )
