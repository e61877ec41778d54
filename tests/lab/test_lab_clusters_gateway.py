"""The gateway's clusters beside those of the user's server: one list, pushed to all tabs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from af_labextension.clusters import events
from testbed.lab_clusters import HERE, ask, hears, listed, make, tab, until
from testbed.lab_hub import lab_config
from testbed.small_gateway import QUOTA, TYPE, cluster

if TYPE_CHECKING:
    from testbed.lab_hub import LabHub
    from testbed.lab_server import LabServer, StartLab
    from testbed.small_gateway import SmallGateway

pytestmark = pytest.mark.usefixtures("no_leftovers")

IN_LAB = {
    "name": "in-lab",
    "title": "In this Lab",
    "site": "your own server",
    "description": "",
    "backend": "in-lab",
    "in_lab": {"factory": "dask.distributed:LocalCluster", "kwargs": {}},
    "lifetime": {"idle": 1800.0, "max": 86400.0},
    "options": {
        "type": "object",
        "properties": {
            "worker_cores": {"type": "integer", "default": 1, "minimum": 1, "maximum": 2},
            "worker_memory": {
                "type": "integer",
                "default": 300 * 2**20,
                "minimum": 200 * 2**20,
                "maximum": 2**30,
            },
            "scale": {
                "default": {"mode": "fixed", "workers": 1},
                "oneOf": [{"properties": {"workers": {"maximum": 2}}}],
            },
        },
    },
}
"""A type as the hub tells of it."""


@pytest_asyncio.fixture
async def lab(lab_hub: LabHub, small_gateway: SmallGateway, start_lab: StartLab) -> LabServer:
    """Start a Lab whose hub tells of a gateway and of a type inside the server."""
    compute = small_gateway.compute
    lab_hub.config = lab_config(compute={**compute, "types": [*compute["types"], IN_LAB]})
    return await start_lab(lab_hub, in_lab_types=[HERE])


async def test_types_of_all_places_are_offered_together(lab: LabServer) -> None:
    status, found = await ask(lab, "GET", "af/clusters/types")
    assert (status, found["available"], found["quotas"]) == (200, True, [QUOTA])
    by_name = {one["name"]: one for one in found["types"]}
    assert list(by_name) == ["farm", "in-lab", "here"]
    assert by_name["farm"] == TYPE
    assert by_name["in-lab"]["site"] == "your own server"
    keys = set(TYPE)
    for one in found["types"]:
        assert set(one) == keys  # no class, no arguments
        assert one["available"], one


async def test_other_types_work_when_the_gateway_is_down(
    lab: LabServer, small_gateway: SmallGateway
) -> None:
    small_gateway.tell(cluster(1))
    await small_gateway.stop()
    _, types = await ask(lab, "GET", "af/clusters/types")
    by_name = {one["name"]: one for one in types["types"]}
    assert (by_name["farm"]["available"], types["available"]) == (False, True)
    assert "does not answer" in by_name["farm"]["reason"]
    status, answer = await ask(lab, "POST", "af/clusters", {"type": "farm"})
    assert (status, answer["code"]) == (503, "gateway-unreachable")
    made = await make(lab, kind="in-lab")
    status, found = await ask(lab, "GET", "af/clusters")
    assert (status, [one["id"] for one in found["clusters"]]) == (200, [made])
    assert found["problem"]["code"] == "gateway-unreachable"
    async with tab(lab) as told:
        await hears(told, lambda one: one["problem"] and one["clusters"])
        await small_gateway.start()
        back = await hears(told, lambda one: one["problem"] is None)
        assert {one["id"] for one in back["clusters"]} == {made, cluster(1)["id"]}
    assert (await ask(lab, "DELETE", f"af/clusters/{made}"))[0] == 204
    await until(lambda: listed(lab), lambda found: len(found) == 1)


async def test_the_gateways_clusters_are_passed_on(
    lab: LabServer, small_gateway: SmallGateway
) -> None:
    _, made = await ask(lab, "POST", "af/clusters", {"type": "farm", "options": {}})
    assert (made["state"], made["backend"]) == ("pending", "gateway")
    route = f"af/clusters/{made['id']}"
    scale = {"mode": "fixed", "workers": 3}
    _, changed = await ask(lab, "PATCH", route, {"scale": scale})
    assert (changed["scale"], changed["backend"]) == (scale, "gateway")
    _, logs = await ask(lab, "GET", f"{route}/logs?lines=77")
    assert logs == {"logs": [{"name": "scheduler", "text": "77", "truncated": False}]}
    _, code = await ask(lab, "GET", f"{route}/code")
    assert "from dask_gateway import Gateway" in code["code"]
    options = {"worker_cores": 400}
    status, answer = await ask(lab, "POST", "af/clusters", {"type": "farm", "options": options})
    assert (status, answer["code"]) == (409, "quota")
    assert answer["message"] == "/cms: 380 of 400 cores in use; you can start 20."
    assert (await ask(lab, "DELETE", route))[0] == 204
    assert await listed(lab) == []
    status, answer = await ask(lab, "GET", route)
    assert (status, answer["code"]) == (404, "no-cluster")


async def test_all_tabs_are_told_over_one_connection(
    lab: LabServer, small_gateway: SmallGateway
) -> None:
    small_gateway.tell(cluster(1))
    assert small_gateway.opened == 0
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(lab)) for _ in range(5)]
        for told in tabs:
            first = await hears(told, lambda one: len(one["clusters"]) == 1)
            assert (first["quotas"], first["problem"]) == ([QUOTA], None)
            assert first["clusters"][0]["backend"] == "gateway"
        asked = len(small_gateway.requests)
        for number in range(2, 30):
            small_gateway.tell(*(cluster(each) for each in range(1, number)))
        last = [await hears(told, lambda one: len(one["clusters"]) == 28) for told in tabs]
        assert all(one == last[0] for one in last)
        assert (small_gateway.streams, small_gateway.opened) == (1, 1)
        # pushed: nobody asked in between
        assert len(small_gateway.requests) == asked
    await until(lambda: asyncio.sleep(0, small_gateway.streams), lambda open_: open_ == 0)


async def test_tabs_are_told_again_when_the_gateway_comes_back(
    lab: LabServer, small_gateway: SmallGateway
) -> None:
    small_gateway.tell(cluster(1))
    async with tab(lab) as told:
        await hears(told, lambda one: len(one["clusters"]) == 1)
        for number in range(3):
            await small_gateway.stop()
            # what is known stays to be seen
            await hears(told, lambda one: one["problem"] and len(one["clusters"]) == 1)
            await small_gateway.start()
            found = await hears(told, lambda one: one["problem"] is None)
            assert len(found["clusters"]) == 1, number


async def test_an_older_gateway_is_asked_while_somebody_listens(
    lab: LabServer, small_gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.app.web_app.settings["af_cluster_events"], "_old_gateway_pause", 0.1)
    small_gateway.old = True
    _, types = await ask(lab, "GET", "af/clusters/types")
    assert [one["available"] for one in types["types"]] == [True, True, True]
    async with tab(lab) as told:
        await hears(told, lambda one: one["clusters"] == [])
        small_gateway.tell(cluster(1))
        await hears(told, lambda one: len(one["clusters"]) == 1)
        await small_gateway.stop()
        await hears(told, lambda one: one["problem"])
        await small_gateway.start()
        small_gateway.old = False
        await hears(told, lambda one: one["problem"] is None)
        await until(lambda: asyncio.sleep(0, small_gateway.streams), lambda open_: open_ == 1)
    await until(lambda: asyncio.sleep(0, small_gateway.streams), lambda open_: open_ == 0)
    asked = len(small_gateway.requests)
    await asyncio.sleep(0.5)
    assert len(small_gateway.requests) == asked


async def test_clusters_are_told_at_once_when_the_gateway_hangs(
    lab: LabServer, small_gateway: SmallGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(small_gateway, "answer", hang)
    async with tab(lab) as told:
        found = await hears(told, bool)
        assert found["problem"]["code"] == "gateway-slow"


async def test_tabs_are_limited(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 2)
    async with tab(lab), tab(lab):
        status, answer = await ask(lab, "GET", "af/events")
        assert (status, answer["code"]) == (503, "too-many-tabs")
    async with tab(lab) as told:
        await hears(told, bool)
