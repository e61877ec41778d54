"""Many ask at once for few devices: each is given once, the others are told so or wait their turn.

The pods are real ones of the cluster; `testbed.kube_hub` says what is not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from testbed.kube_hub import KubeHub, running_kube_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from testbed.kube.cluster import Cluster

MANY = 500
GPUS = 8


@pytest.fixture(scope="module")
def devices(kube: Cluster) -> Iterator[None]:
    """Let the node have eight GPUs, which are none."""
    kube.fake_gpus(GPUS)
    yield
    kube.fake_gpus(0)


@pytest.fixture
def eight(kube: Cluster, devices: None) -> None:
    """Have them all free: namespaces of earlier tests go away by themselves, and take a while."""
    labs = ("pods", "--all-namespaces", "--selector=component=singleuser-server")
    kube.until(lambda: not kube.get(*labs)["items"], "the end of other Labs")


@pytest.fixture
async def hub(
    kube: Cluster, kube_namespace: str, tmp_path: Path, eight: None
) -> AsyncIterator[KubeHub]:
    """Give a hub that refuses when nothing is free."""
    async with running_kube_hub(kube, kube_namespace, tmp_path) as running:
        yield running


async def ask_all(hub: KubeHub, users: list[str]) -> list[tuple[int, str]]:
    """Let everybody ask for one device at the same time."""
    return await asyncio.gather(*(hub.ask(user, profile="gpu", gpu=1) for user in users))


async def test_exactly_as_many_start_as_there_are_devices_when_all_ask_at_once(
    hub: KubeHub,
) -> None:
    users = [f"u{number}" for number in range(MANY)]
    await hub.add_users(users, "/cms")
    answers = await ask_all(hub, users)
    assert {status for status, _ in answers} <= {201, 202, 409}, hub.log[-3000:]
    ready = await hub.settled()
    assert len(await hub.pods()) == GPUS
    assert list(ready.values()) == [True] * GPUS
    refusals = await hub.refusals()
    assert refusals["gpu-busy"] == MANY - GPUS
    assert set(refusals) == {"gpu-busy", "success"}, refusals
    assert "Traceback" not in hub.log
    # the devices of a stopped one go to the next
    gone = next(iter(ready))
    await hub.api("DELETE", f"/users/{gone}/server")
    await hub.settled()
    other = next(user for user in users if user not in ready)
    status, _ = await hub.ask(other, profile="gpu", gpu=1)
    assert status in {201, 202}


async def test_nothing_is_given_twice_when_the_hub_is_killed_in_the_middle(hub: KubeHub) -> None:
    users = [f"u{number}" for number in range(100)]
    await hub.add_users(users, "/cms")
    asking = asyncio.gather(
        *(hub.ask(user, profile="gpu", gpu=1) for user in users), return_exceptions=True
    )
    await hub.first_pod()
    await hub.kill()
    await asking
    await hub.start()
    before = await hub.settled()
    await ask_all(hub, [user for user in users if user not in before])
    ready = await hub.settled()
    assert len(await hub.pods()) == GPUS
    assert list(ready.values()) == [True] * GPUS
    assert set(before) <= set(ready)


QUEUE = """
c.KubeSpawner.gpu_queue = True
c.KubeSpawner.gpu_queue_length = 20
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
"""


@pytest.fixture
async def queueing_hub(
    kube: Cluster, kube_namespace: str, tmp_path: Path, eight: None
) -> AsyncIterator[KubeHub]:
    """Give a hub that lets starts wait."""
    async with running_kube_hub(kube, kube_namespace, tmp_path, QUEUE) as running:
        yield running


async def test_group_that_holds_least_is_next_when_all_devices_are_taken(
    queueing_hub: KubeHub,
) -> None:
    """Eight and two waiting of /cms, then one of /atlas, who is told the first place."""
    hub = queueing_hub
    cms = [f"cms{number}" for number in range(10)]
    await hub.add_users(cms, "/cms")
    await hub.add_users(["atlas"], "/atlas")
    for user in cms[:8]:
        await hub.ask(user, profile="gpu", gpu=1)
    await hub.settled()
    for user in (*cms[8:], "atlas"):
        await hub.ask(user, profile="gpu", gpu=1)
    said = await hub.progress("atlas", "in line")
    assert "No free GPU: 8 of 8 in use, you are 1st in line." in said
    assert "you are 3rd in line" in await hub.progress(cms[9], "3rd")
    await hub.api("DELETE", f"/users/{cms[0]}/server")
    await hub.until_ready("atlas")
    assert "you are 1st in line" in await hub.progress(cms[8], "1st")
    pods = await hub.pods()
    assert "jupyter-atlas" in pods
    assert "jupyter-cms8" not in pods
    assert len(pods) == GPUS


async def test_queue_refuses_with_a_sentence_when_it_is_full_or_its_time_is_over(
    kube: Cluster, kube_namespace: str, tmp_path: Path, eight: None
) -> None:
    more = QUEUE.replace("= 20", "= 1") + "c.KubeSpawner.gpu_queue_timeout = 3\n"
    async with running_kube_hub(kube, kube_namespace, tmp_path, more) as hub:
        users = [f"u{number}" for number in range(4)]
        await hub.add_users(users, "/cms")
        for user in users[:2]:
            await hub.ask(user, profile="gpu", gpu=4)
        await hub.settled()
        await hub.ask(users[2], profile="gpu", gpu=1)
        assert "1st in line" in await hub.progress(users[2], "in line")
        await hub.ask(users[3], profile="gpu", gpu=1)
        said = await hub.progress(users[3], "failed")
        assert "All GPU are in use, and 1 starts wait" in said
        said = await hub.progress(users[2], "failed")
        assert "No GPU became free in 3 s" in said
        refusals = await hub.refusals()
        assert refusals["queue-full"] == refusals["gpu-waiting"] == 1


async def test_start_is_refused_when_no_node_has_as_many_devices(
    kube: Cluster, kube_namespace: str, tmp_path: Path, eight: None
) -> None:
    kube.fake_gpus(2)
    try:
        async with running_kube_hub(kube, kube_namespace, tmp_path) as hub:
            await hub.add_users(["alice"], "/cms")
            assert await hub.ask("alice", profile="gpu", gpu=4) == (400, "gpu-missing")
            assert await hub.pods() == []
    finally:
        kube.fake_gpus(GPUS)
