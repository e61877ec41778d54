"""The API server away for longer than KubeSpawner bears, or silent: the hub is right soon after.

A program says of the pods that they run, since the kubelet comes back when it likes.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from testbed.kube_hub import KubeHub, running_kube_hub, says_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from testbed.kube.cluster import Cluster

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

PROMISE = 5.0
DEADLINE = 3 * PROMISE

OUTAGES = [30, 70] if os.environ.get("AF_SOAK") else [70]
"""Seconds; KubeSpawner gives up after 51. Half a minute is `test_pod_faults`' in the other case."""

STILL = 30
"""Seconds without a word; a watch is left after 7."""

NOBODY = 'c.KubeSpawner.extra_pod_config = {"schedulerName": "nobody"}'


@pytest.fixture
async def hub(kube: Cluster, kube_namespace: str, tmp_path: Path) -> AsyncIterator[KubeHub]:
    """Give a hub with two servers."""
    async with running_kube_hub(kube, kube_namespace, tmp_path, NOBODY) as running:
        await running.add_users(["alice", "bob", "carol"], "/cms")
        async with says_running(kube, kube_namespace):
            for user in ("alice", "carol"):
                await running.ask(user, profile="small")
                await running.until_ready(user)
        yield running


async def check(hub: KubeHub) -> None:
    """Start a server, and delete the pod of another."""
    begin = time.monotonic()
    async with says_running(hub.kube, hub.namespace):
        await hub.ask("bob", profile="small")
        await hub.until_ready("bob", DEADLINE)
        print(f"a start works {time.monotonic() - begin:.1f} s after")
    pod = ("pod", "jupyter-alice", "--namespace", hub.namespace)
    await asyncio.to_thread(
        hub.kube.kubectl, "delete", *pod, "--grace-period=0", "--force", "--wait=false"
    )
    begin = time.monotonic()
    await hub.until_gone("alice", DEADLINE)
    print(f"a deleted pod is seen after {time.monotonic() - begin:.1f} s")
    assert "carol" in await hub.servers()


@pytest.mark.parametrize("seconds", OUTAGES)
async def test_next_start_works_when_the_api_server_was_away(hub: KubeHub, seconds: int) -> None:
    hub.kube.kill("apiserver")
    await asyncio.sleep(seconds)
    # without an answer nobody is ended
    assert set(await hub.servers()) == {"alice", "carol"}
    hub.kube.start("apiserver")
    await asyncio.to_thread(
        hub.kube.until, lambda: hub.kube.get("nodes")["items"], "the API server"
    )
    await check(hub)


async def test_next_start_works_when_the_api_server_stood_still(hub: KubeHub) -> None:
    """Its connections stay open, and nothing comes."""
    hub.kube.pause("apiserver")
    try:
        await asyncio.sleep(STILL)
    finally:
        hub.kube.resume("apiserver")
    await check(hub)
