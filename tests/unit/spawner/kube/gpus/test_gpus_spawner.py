"""A start that asks for devices, as the spawner sees it: reserved, waited for, refused."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api

from af_hub.errors import Refusal
from af_hub.spawner.kube.gpus.count import Place, read_claim, read_node
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.kube.gpus.spawner import GpuKubeSpawner
from af_hub.spawner.kube.gpus.watch import GpuWatch
from testbed.gpu_objects import GPU, node, pod
from testbed.kube_spawner import spawner, written
from testbed.plans import SMALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from af_hub.spawner.kube.spawner import KubeSpawner
    from af_hub.spawner.policy.plan import Plan

PLAN = replace(
    SMALL,
    profile="gpu",
    title="GPU",
    gpu=2,
    groups=("/cms",),
)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Give the hub's pool: one node of four devices."""
    made, there = Pool(), read_node(node(gpus=4))
    assert there is not None
    made.know_nodes([there])
    made.know_pods({})
    made.counted = True
    monkeypatch.setattr(GpuKubeSpawner, "pool", made)
    return made


@pytest.fixture
async def mine(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> AsyncIterator[KubeSpawner]:
    """Give alice's spawner."""
    async with spawner(monkeypatch) as made:
        yield made


def hold(pool: Pool, number: int) -> None:
    """Let somebody else's pod hold devices."""
    pool.know_pod("other/one", read_claim(pod(number)) if number else None)
    pool.serve()


async def test_devices_are_reserved_when_they_are_free(mine: KubeSpawner, pool: Pool) -> None:
    await mine.admit(PLAN, "mark")
    assert pool.stock(Place(GPU)).free == 2
    mine.clear_state()
    assert pool.stock(Place(GPU)).free == 4


async def test_nothing_is_reserved_when_none_was_asked_for(mine: KubeSpawner, pool: Pool) -> None:
    await mine.admit(replace(PLAN, gpu=0), "mark")
    assert pool.stock(Place(GPU)).free == 4


@pytest.mark.parametrize(
    ("held", "plan", "told"),
    [
        (3, PLAN, "gpu-busy: 1 of 4 GPU free now. Try again later."),
        (0, replace(PLAN, gpu=8), "gpu-missing: No node here has more than 4 GPU."),
        (0, replace(PLAN, gpu_product="T4"), "gpu-missing: There is no T4 here."),
    ],
)
async def test_refusal_says_what_there_is(
    mine: KubeSpawner, pool: Pool, held: int, plan: Plan, told: str
) -> None:
    hold(pool, held)
    with pytest.raises(Refusal) as refusal:
        await mine.admit(plan, "mark")
    assert f"{refusal.value.reason}: {refusal.value.message}" == told
    assert pool.stock(Place(GPU)).free == 4 - held


@pytest.mark.parametrize(("denied", "granted"), [(False, False), (True, True)])
async def test_nothing_is_given_until_it_is_known_what_was_given_before(
    mine: KubeSpawner, pool: Pool, monkeypatch: pytest.MonkeyPatch, denied: bool, granted: bool
) -> None:
    """A hub that has just been restarted; without the right to count the cluster decides."""
    async with ApiClient() as client:
        watch = GpuWatch(CoreV1Api(client), pool, logging.getLogger(__name__))
    watch.denied, pool.counted = denied, False
    monkeypatch.setattr(GpuKubeSpawner, "watch", watch)
    (answer,) = await asyncio.gather(mine.admit(PLAN, "mark"), return_exceptions=True)
    assert (answer is None) == granted
    assert granted or "does not answer at the moment" in str(answer)


async def test_start_waits_with_its_place_when_there_is_a_queue(
    mine: KubeSpawner, pool: Pool
) -> None:
    mine.gpu_queue = True
    hold(pool, 4)
    waits = asyncio.create_task(mine.admit(PLAN, "mark"))
    await asyncio.sleep(0)
    assert mine.waits_for() == "No free GPU: 4 of 4 in use, you are 1st in line."
    hold(pool, 2)
    await waits
    assert mine.waits_for() is None
    assert pool.stock(Place(GPU)).free == 0


async def test_place_is_given_up_when_the_start_is_cancelled(mine: KubeSpawner, pool: Pool) -> None:
    mine.gpu_queue = True
    hold(pool, 4)
    waits = asyncio.create_task(mine.admit(PLAN, "mark"))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert pool.waiting == 0
    hold(pool, 0)
    assert pool.stock(Place(GPU)).free == 4


async def test_jupyterhub_waits_for_the_queue_and_the_pod_only_for_itself(
    mine: KubeSpawner, pool: Pool
) -> None:
    """Also in a second start of the same spawner, after one that was refused."""
    mine.gpu_queue, mine.start_timeout = True, 300
    for _ in range(2):
        hold(pool, 4)
        mine.gpu_queue_timeout = 1000
        await mine.run_pre_spawn_hook()
        assert mine.start_timeout == 1300
        mine.gpu_queue_timeout = 0.01
        with pytest.raises(Refusal, match=r"No GPU became free in .*\. Try again later\."):
            await mine.admit(PLAN, "mark")
    hold(pool, 0)
    mine.gpu_queue_timeout = 1000
    await mine.run_pre_spawn_hook()
    await mine.admit(PLAN, "mark")
    assert mine.start_timeout == 300


async def test_pod_carries_its_mark_and_tolerates_the_nodes_with_devices(
    mine: KubeSpawner, pool: Pool
) -> None:
    await mine.admit(PLAN, "mark")
    mine._apply(PLAN, frozenset(), "mark")
    await mine.load_user_options()
    manifest = await written(mine)
    assert manifest["metadata"]["annotations"]["analysis-facility/server"] == "mark"
    assert {"key": GPU, "operator": "Exists"} in manifest["spec"]["tolerations"]
    # what the pool reads is what the spawner writes
    claim = read_claim(manifest)
    assert claim is not None
    pool.know_pod("labs/jupyter-alice", claim)
    assert pool.stock(Place(GPU)).free == 2


async def test_devices_are_found_again_when_the_hub_restarts(
    mine: KubeSpawner, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mine.admit(PLAN, "mark")
    mine.record = mine._apply(PLAN, frozenset(), "mark")
    state = mine.get_state()
    fresh = Pool()
    fresh.counted = True
    monkeypatch.setattr(GpuKubeSpawner, "pool", fresh)
    mine.load_state(state)
    assert fresh._held() == []
    claim = read_claim(pod(2, mark="mark"))
    fresh.know_pod("labs/jupyter-alice", claim)
    assert fresh._held() == [("alice", "/cms", 2)]
