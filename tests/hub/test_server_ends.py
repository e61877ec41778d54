"""Servers of a real hub that end by themselves: why, when, who may have a say, who is told."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from testbed.hub_config import TOKEN
from testbed.profile_hub import ProfileHub, environment_of, running_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 4
"""Seconds; the warning is half of it."""

FACILITY = f"""
about: {{name: Ends}}
identity: {{issuer: https://iam.example.org/, client_id: hub, client_secret_env: HOME}}
profiles:
  - {{name: idle, title: Idle, ram: 512M, idle_timeout: {LIMIT}, denied_groups: [/none]}}
  - {{name: long, title: Long, ram: 512M, idle_timeout: 1h, denied_groups: [/none]}}
  - {{name: free, title: Free, ram: 512M, denied_groups: [/none]}}
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(tmp_path_factory: Any) -> AsyncIterator[ProfileHub]:
    """Start a hub that knows at once what JupyterHub knows, and keeps its audit in a file."""
    folder = tmp_path_factory.mktemp("ends-hub")
    more = f"""
import logging
c.LocalSpawner.activity_lag = 0
logging.getLogger("af_hub.audit").addHandler(logging.FileHandler({str(folder / "audit.log")!r}))
logging.getLogger("af_hub.audit").setLevel(logging.INFO)
"""
    async with running_hub(folder, labs=False, facility=FACILITY, more=more) as hub:
        yield hub


async def begin(hub: ProfileHub, user: str, profile: str) -> str:
    """Start a server; return its token."""
    body = {"user_options": {"profile": profile}}
    assert (await hub.api("POST", f"/users/{user}/server", body))[0] in {201, 202}
    server = await hub.ready(user)
    return environment_of(server["state"]["pid"])["JUPYTERHUB_API_TOKEN"]


async def report(
    hub: ProfileHub, token: str, active_at: float | None = None, gpu: float | None = None
) -> Any:
    """Say that a server is in use; return the answer."""
    active_at = time.time() if active_at is None else active_at
    body = {"active_at": active_at, "gpu_active_at": gpu}
    return (await hub.api("POST", "/af/activity", body, token=token))[:2]


async def stopped(hub: ProfileHub, user: str) -> float:
    """Wait until a server is gone; return when."""
    await hub.gone(user)
    return time.time()


async def idle_until_it_ends(hub: ProfileHub, user: str, token: str) -> float:
    """Say as a Lab does that nothing happens, until the server is gone; return when."""
    async with asyncio.timeout(60):
        while (await report(hub, token, 0.0))[0] == 200:  # noqa: ASYNC110 - it is the Lab's pace
            await asyncio.sleep(0.3)
    return await stopped(hub, user)


async def metric(hub: ProfileHub, why: str) -> float:
    """Return how many servers have ended."""
    headers = {"Authorization": f"token {TOKEN}"}
    async with hub.http.get(f"{hub.url}/hub/metrics", headers=headers) as answer:
        text = await answer.text()
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith(f'af_servers_ended_total{{why="{why}"')
    )
    return float(line.split()[-1])


async def test_silent_server_ends_by_jupyterhubs_account_when_nobody_uses_it(
    hub: ProfileHub,
) -> None:
    before = await metric(hub, "idle")
    await begin(hub, "alice", "idle")
    begun = time.time()
    at = await stopped(hub, "alice")
    assert LIMIT - 3 < at - begun < LIMIT + 8
    assert "alice ends by itself: no activity for 4 s" in hub.log
    written = (hub.root / "audit.log").read_text().splitlines()
    event = json.loads(written[-1].removeprefix("audit: server-ended "))
    assert event == {
        "username": "alice",
        "server": "",
        "profile": "idle",
        "why": "idle",
        "limit": LIMIT,
    }
    assert await metric(hub, "idle") == before + 1
    async with hub.browser("alice") as browser:
        for path in ("/hub/spawn", "/hub/user/alice/lab"):
            page = await (await browser.get(path)).text()
            assert 'data-af="ended"' in page, path
            assert "no activity for 4 s" in page
    # nobody else is told; no other test ends a server of hers
    async with hub.browser("zoe") as browser:
        page = await (await browser.get("/hub/spawn")).text()
    assert "af-card" in page
    assert 'data-af="ended"' not in page


async def test_user_is_told_until_the_next_start_when_the_hub_was_restarted(
    hub: ProfileHub,
) -> None:
    token = await begin(hub, "alice", "idle")
    await idle_until_it_ends(hub, "alice", token)
    await hub.stop()
    await hub.start()
    async with hub.browser("alice") as browser:
        assert "no activity for 4 s" in await (await browser.get("/hub/spawn")).text()
    await begin(hub, "alice", "free")
    await hub.api("DELETE", "/users/alice/server")
    await hub.gone("alice")
    async with hub.browser("alice") as browser:
        assert 'data-af="ended"' not in await (await browser.get("/hub/spawn")).text()


async def test_server_is_kept_as_long_as_it_reports_activity(hub: ProfileHub) -> None:
    token = await begin(hub, "bob", "idle")
    until = time.time() + 1.5 * LIMIT
    while time.time() < until:
        status, answer = await report(hub, token)
        assert status == 200
        (end,) = answer["ends"]
        assert (end["why"], end["limit"], end["lead"]) == ("idle", LIMIT, LIMIT / 2)
        assert abs(end["at"] - time.time() - LIMIT) < 1
        await asyncio.sleep(0.3)
    used_at = time.time() - 0.3
    assert await idle_until_it_ends(hub, "bob", token) >= used_at + LIMIT - 0.3


async def test_server_is_not_ended_when_its_lab_falls_silent(hub: ProfileHub) -> None:
    token = await begin(hub, "alice", "idle")
    begun = time.time()
    await asyncio.sleep(LIMIT / 2)
    # it has been idle from the beginning, but says so no more when its time comes
    assert (await report(hub, token, begun - 100))[0] == 200
    said_at = time.time()
    assert await stopped(hub, "alice") >= said_at + LIMIT


async def test_report_is_refused_when_it_is_not_a_servers_own(hub: ProfileHub) -> None:
    token = await begin(hub, "alice", "long")
    other = await begin(hub, "bob", "long")
    _, made, _ = await hub.api("POST", "/users/alice/tokens", {"note": "mine"})
    assert (await report(hub, made["token"]))[0] == 403
    assert (await report(hub, TOKEN))[0] == 403
    assert (await report(hub, ""))[0] in {401, 403}
    # a server speaks for itself only
    state = (await hub.ready("alice"))["state"]
    assert "af_activity" not in state
    assert (await report(hub, other))[0] == 200
    assert "af_activity" not in (await hub.ready("alice"))["state"]
    assert (await report(hub, token))[0] == 200
    assert "af_activity" in (await hub.ready("alice"))["state"]
    for user in ("alice", "bob"):
        await hub.api("DELETE", f"/users/{user}/server")
        await hub.gone(user)
    assert (await report(hub, token))[0] == 401


async def test_report_is_refused_when_it_cannot_be_meant(hub: ProfileHub) -> None:
    token = await begin(hub, "alice", "long")
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    url = f"{hub.url}/hub/api/af/activity"
    for raw in (b"", b"{}", b"[" * 500, b'{"active_at": "now", "gpu_active_at": null}'):
        async with hub.http.post(url, data=raw, headers=headers) as answer:
            assert answer.status == 400, raw
            assert "The report of activity cannot be read" in await answer.text()
    large = b'{"active_at": 1, "gpu_active_at": null}' + 4096 * b" "
    async with hub.http.post(url, data=large, headers=headers) as answer:
        assert answer.status == 400
    # from the future, and from before the start
    for moment, expected in ((2e12, 400), (time.time() + 9e6, 200), (5.0, 200)):
        status, told = await report(hub, token, moment)
        assert status == expected
    assert told["ends"][0]["at"] - time.time() <= 3600
    await hub.api("DELETE", "/users/alice/server")
    await hub.gone("alice")


async def test_view_tells_the_limits_and_a_server_without_limits_never_ends(
    hub: ProfileHub,
) -> None:
    token = await begin(hub, "alice", "free")
    assert (await report(hub, token))[1] == {"ends": []}
    _, view, _ = await hub.api("GET", "/af/lab", token=token)
    assert view["server"]["limits"] == []
    await hub.api("DELETE", "/users/alice/server")
    await hub.gone("alice")
    token = await begin(hub, "alice", "long")
    _, view, _ = await hub.api("GET", "/af/lab", token=token)
    assert view["server"]["limits"] == [{"why": "idle", "limit": 3600, "lead": 600}]
    await hub.api("DELETE", "/users/alice/server")
    await hub.gone("alice")


async def test_activity_is_known_and_the_warning_comes_first_when_the_hub_was_restarted(
    hub: ProfileHub,
) -> None:
    token = await begin(hub, "alice", "idle")
    assert (await report(hub, token))[0] == 200
    state = (await hub.ready("alice"))["state"]["af_activity"]
    await hub.stop()
    await asyncio.sleep(max(0.0, state["active_at"] + LIMIT - time.time()))
    await hub.start()
    up_at = time.time()
    assert (await hub.ready("alice"))["state"]["af_activity"] == state
    # idle for longer than its limit; the user is told now
    status, answer = await report(hub, token, state["active_at"])
    assert status == 200
    assert answer["ends"][0]["at"] >= up_at + LIMIT / 2 - 2
    assert await idle_until_it_ends(hub, "alice", token) >= up_at + LIMIT / 2 - 2
