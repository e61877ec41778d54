"""Thousands of forged requests to a live hub: nothing outside policy starts, and the hub lives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from af_hub.spawner.policy.reasons import Reason
from testbed import option_fuzz as fuzz
from testbed.fuzzed_hub import CONFIG, FACILITY, GRANTED, USERS, WAYS, Fuzzed, as_plan
from testbed.hub_config import TOKEN
from testbed.profile_hub import running_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from testbed.profile_hub import ProfileHub

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = int(os.environ.get("AF_HUB_OPTION_SETS", "300"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(tmp_path_factory: Any) -> AsyncIterator[ProfileHub]:
    """Give a hub with a user for each set of groups, who starts nothing for real."""
    members = {
        group: {"users": [user for user, groups in USERS.items() if group in groups]}
        for group in fuzz.GROUPS
    }
    more = f"{CONFIG}\nc.JupyterHub.load_groups = {members!r}\n"
    folder = tmp_path_factory.mktemp("fuzzed-hub")
    async with running_hub(folder, labs=False, facility=FACILITY, more=more) as running:
        await running.api("POST", "/users", {"usernames": list(USERS)})
        yield running


async def metric(hub: ProfileHub, beginning: str) -> dict[str, float]:
    """Read the lines of a metric."""
    async with hub.http.get(
        f"{hub.url}/hub/metrics", headers={"Authorization": f"token {TOKEN}"}
    ) as answer:
        lines = (await answer.text()).splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(beginning))
    return {name: float(value) for name, _, value in found}


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_outside_policy_is_granted_when_requests_come_by_the_hundred(
    hub: ProfileHub, way: str
) -> None:
    fuzzed = Fuzzed(hub, USERS)
    log, granted = len(hub.log), len(fuzzed.granted())
    refusals = 'af_refusals_total{reason="'
    before = await metric(hub, refusals)
    await fuzzed.send(way, COUNT, seed=9)
    plans = fuzzed.granted()[granted:]
    assert plans
    for user, kept in plans:
        assert fuzz.breach(USERS[user], as_plan(kept)) is None, (user, kept)
    # the hub lives, and has answered everything itself
    assert (await hub.api("GET", ""))[0] == 200
    assert hub.process.runs
    assert not [status for status in fuzzed.statuses if status >= 500 or status < 400]
    said = hub.log[log:]
    assert "Traceback" not in said
    assert "consecutive spawn" not in said
    # every refusal has a reason of the list and is counted
    ours = {str(reason) for reason in Reason} | {GRANTED}
    assert set(fuzzed.reasons) <= ours | {""}, fuzzed.reasons
    assert 0 <= len(plans) - fuzzed.reasons[GRANTED] <= fuzzed.late
    # JupyterHub's own words for options that are no object, and for an option without a name
    assert set(fuzzed.nameless) <= {400, 422}, fuzzed.nameless
    nameless = fuzzed.reasons[""]
    assert nameless < COUNT / 10, fuzzed.reasons
    after = await metric(hub, refusals)
    counted = sum(after.values()) - sum(before.values())
    assert counted == sum(fuzzed.reasons.values()) - nameless + fuzzed.late


async def test_failures_have_a_reason_in_jupyterhubs_own_metric(hub: ProfileHub) -> None:
    await Fuzzed(hub, USERS).send("rest", 30, seed=9)
    spawns = await metric(hub, "jupyterhub_server_spawn_duration_seconds_count")
    ends = {name: number for name, number in spawns.items() if number}
    assert ends
    assert not [name for name in ends if 'status="error"' in name], ends
    if len(WAYS) == 4:
        assert all('status="failure"' in name for name in ends), ends
        assert not [name for name in ends if 'reason=""' in name], ends
