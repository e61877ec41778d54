"""A Lab that ends by itself: what it tells the hub and the page, and what counts as use."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from af_labextension import settings
from af_labextension.ends import rules
from testbed.lab_hub import LabHub, lab_config

if TYPE_CHECKING:
    from af_labextension.ends.service import EndsService
    from testbed.lab_server import LabServer, StartLab

LIMIT = 20.0


def hub_config(*limits: dict[str, Any], expires_at: float | None = None) -> dict[str, Any]:
    """Return what a hub tells of a server with limits."""
    config = lab_config()
    config["server"] |= {"limits": list(limits), "expires_at": expires_at}
    return config


def limit_of(why: str, length: float = LIMIT) -> dict[str, Any]:
    """Return one limit as the hub tells it."""
    return {"why": why, "limit": length, "lead": length / 2}


async def until(true: Any) -> None:
    """Wait until something has happened in another task."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - it gives no event
            await asyncio.sleep(0.02)


def service_of(lab: LabServer) -> EndsService:
    """Return the Lab's service."""
    found: EndsService = lab.app.web_app.settings[settings.ENDS]
    return found


async def ends_in(lab: LabServer) -> Any:
    """Return the part of the status that is about ends."""
    return json.loads((await lab.fetch("af/status")).body)["server"]["ends"]


async def say(lab: LabServer, body: Any) -> Any:
    """Send to ``af/ends``; return status and answer."""
    answer = await lab.client.fetch(
        f"{lab.url}af/ends",
        method="POST",
        body=json.dumps(body),
        headers={"Authorization": "token lab-access-token"},
        raise_error=False,
    )
    return answer.code, json.loads(answer.body)


async def test_hub_hears_nothing_when_the_server_has_no_limits(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab = await start_lab(lab_hub)
    await until(lambda: service_of(lab)._limits is not None)
    assert await service_of(lab).look() == 3600
    assert await ends_in(lab) == []
    assert lab_hub.reports == []


async def test_page_knows_the_end_of_the_lifetime_and_the_hub_hears_nothing(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    expires_at = time.time() + 100
    lab_hub.config = hub_config(limit_of("lifetime", 300), expires_at=expires_at)
    lab = await start_lab(lab_hub)
    await until(lambda: service_of(lab)._limits is not None)
    assert await ends_in(lab) == [{"at": expires_at, "why": "lifetime", "limit": 300, "lead": 150}]
    assert lab_hub.reports == []


async def test_hub_hears_of_use_and_the_page_when_it_ends(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = hub_config(limit_of("idle"))
    begun = time.time()
    lab = await start_lab(lab_hub)
    await until(lambda: lab_hub.reports)
    assert begun - 5 < lab_hub.reports[0]["active_at"] <= time.time()
    assert lab_hub.reports[0]["gpu_active_at"] is None
    (end,) = await ends_in(lab)
    assert end["at"] == pytest.approx(lab_hub.reports[0]["active_at"] + LIMIT, abs=1)
    # the hub's word counts: it ends a server later if it was away
    later = {**limit_of("idle"), "at": time.time() + 500}
    lab_hub.ends = [later]
    assert (await say(lab, {"what": "keep"}))[0] == 200
    assert (await ends_in(lab))[0]["at"] == later["at"]


async def test_hub_hears_at_once_when_the_user_keeps_the_server(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = hub_config(limit_of("gpu-idle", 1000), limit_of("idle", 1000))
    lab = await start_lab(lab_hub)
    await until(lambda: lab_hub.reports)
    before = len(lab_hub.reports)
    now = time.time()
    status, answer = await say(lab, {"what": "keep"})
    assert status == 200
    assert {end["why"] for end in answer["ends"]} == {"idle", "gpu-idle"}
    assert all(end["at"] >= now + 1000 for end in answer["ends"])
    assert len(lab_hub.reports) == before + 1
    assert lab_hub.reports[-1]["active_at"] >= now


async def test_user_can_keep_the_server_while_the_hub_is_away(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    # so long that the hub would hear nothing for a while, but for the wish to keep it
    length = 1000.0
    lab_hub.config = hub_config({**limit_of("idle", length), "lead": 5})
    lab = await start_lab(lab_hub)
    await until(lambda: lab_hub.reports)
    lab_hub.fault = 503
    now = time.time()
    status, answer = await say(lab, {"what": "keep"})
    assert status == 200
    assert answer["ends"][0]["at"] >= now + length
    # and the hub hears it when it is back
    lab_hub.fault = None
    await until(lambda: lab_hub.reports[-1]["active_at"] >= now)


async def test_limits_are_learned_when_the_hub_comes_back(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = hub_config(limit_of("idle"))
    lab_hub.fault = 503
    lab = await start_lab(lab_hub)
    assert await ends_in(lab) == []
    lab_hub.fault = None
    await service_of(lab).look()
    assert (await ends_in(lab))[0]["why"] == "idle"


@pytest.mark.parametrize("body", [None, [], {}, {"what": "more"}, {"what": ["keep"]}, "keep"])
async def test_request_is_refused_when_it_says_neither(
    lab_hub: LabHub, start_lab: StartLab, body: Any
) -> None:
    lab_hub.config = hub_config(limit_of("idle"))
    lab = await start_lab(lab_hub)
    assert (await say(lab, body))[0] == 400
    assert (await lab.fetch("af/ends", method="POST", anonymous=True)).code == 403


async def test_questions_of_an_open_page_are_no_use_and_a_users_requests_are(
    lab_hub: LabHub, start_lab: StartLab
) -> None:
    lab_hub.config = hub_config(limit_of("idle"))
    lab = await start_lab(lab_hub)
    await until(lambda: lab_hub.reports)
    service = service_of(lab)
    before = service.use().active_at
    for polled in ("api/kernels", "api/sessions", "api/kernelspecs", "api/contents", "af/status"):
        assert (await lab.fetch(polled)).code == 200
    assert service.use().active_at == before
    answer = await lab.client.fetch(
        f"{lab.url}api/contents/new.txt",
        method="PUT",
        body=json.dumps({"type": "file", "format": "text", "content": "x"}),
        headers={"Authorization": "token lab-access-token"},
    )
    assert answer.code == 201
    saved = service.use().active_at
    assert saved > before
    assert (await say(lab, {"what": "used"}))[0] == 200
    assert service.use().active_at > saved


async def test_server_is_in_use_while_a_cell_runs(lab_hub: LabHub, start_lab: StartLab) -> None:
    lab_hub.config = hub_config(limit_of("idle"))
    lab = await start_lab(lab_hub)
    kernels: Any = lab.app.kernel_manager
    kernel_id = await kernels.start_kernel()
    kernel = kernels.get_kernel(kernel_id)
    client = kernel.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        client.execute("import time\ntime.sleep(600)")
        await until(lambda: kernel.execution_state == "busy")
        service = service_of(lab)
        first = service.use().active_at
        assert service.use().active_at > first
        await kernel.interrupt_kernel()
        await until(lambda: kernel.execution_state == "idle")
        assert service.use().active_at == service.use().active_at
    finally:
        client.stop_channels()
        await kernels.shutdown_kernel(kernel_id, now=True)


def test_rows_that_cannot_be_read_are_left_out() -> None:
    good = {"why": "idle", "limit": 60, "lead": 30}
    moon = {"why": "moon", "limit": 1, "lead": 1, "at": 1}
    several: tuple[Any, ...] = (None, [], "x", moon, {"why": "idle"})
    for bad in several:
        assert rules.limits_from({"limits": [bad, good]}) == (rules.Limit("idle", 60, 30),)
        assert rules.told_ends({"ends": [bad, {**good, "at": 5}]}) == {"idle": 5}
    others: tuple[Any, ...] = (None, [], {}, {"limits": None, "ends": 7})
    for other in others:
        assert rules.limits_from(other) == ()
        assert rules.told_ends(other) == {}
