"""What pages that show a start cost the hub, in a namespace with many events."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from kubernetes_asyncio import client, config

from bench.figure import Figure
from bench.kube_hubs import ask_all, metered_hub
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.settings import from_environment

if TYPE_CHECKING:
    from testbed.kube.cluster import Cluster
    from testbed.kube_hub import KubeHub

EVENTS = int(os.environ.get("AF_EVENTS", "35000"))
VIEWERS = {"ours": 100, "plain": 20}
SECONDS = 30.0
TOGETHER = 50


def measure() -> list[Figure]:
    """Let 100 pages watch ours, and 20 plain KubeSpawner."""
    with borrowed_cluster(from_environment()) as kube:
        (core, memory), (plain_core, plain_memory) = (
            asyncio.run(_watched(kube, variant)) for variant in ("ours", "plain")
        )
    many = f"{EVENTS:,} events, {VIEWERS['ours']} pages that show a start"
    beside = f"plain with {VIEWERS['plain']}:"
    return [
        Figure(
            many,
            (100 * core,),
            "% of a core",
            "≤ 10 %",
            lambda value: value <= 10,
            f"{beside} {100 * plain_core:.0f} %",
            f"{SECONDS:.0f} s",
        ),
        Figure(
            "… memory that the events cost",
            (memory / 2**20,),
            "MiB",
            "≤ 10 MiB",
            lambda value: value <= 10,
            f"{beside} {plain_memory / 2**20:.0f} MiB",
            "resident, with the events less without",
        ),
    ]


async def _watched(kube: Cluster, variant: str) -> tuple[float, float]:
    """Return the part of a core, and the bytes that the events cost."""
    async with metered_hub(kube, variant, running=False) as (hub, meter):
        users = [f"u{number}" for number in range(VIEWERS[variant])]
        await hub.add_users(users, "/cms")
        await ask_all(hub, users, {"profile": "small"})
        pages = [asyncio.create_task(_look(hub, user)) for user in users]
        await asyncio.sleep(15)
        before = await meter.begin()
        await _make_events(kube, hub.namespace)
        # as long as plain KubeSpawner reads all of them anew
        await asyncio.sleep(45)
        begin = await meter.begin()
        await asyncio.sleep(SECONDS)
        end = meter.read()
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        return (end["cpu"] - begin["cpu"]) / SECONDS, end["memory"] - before["memory"]


async def _look(hub: KubeHub, user: str) -> None:
    """Read a progress page as long as it lasts."""
    await hub.progress(user, "no such word", 3600)


async def _make_events(kube: Cluster, namespace: str) -> None:
    """Let the namespace have events of pods that are long gone."""
    configuration = client.Configuration()
    await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    configuration.connection_pool_maxsize = TOGETHER
    places = asyncio.Semaphore(TOGETHER)
    async with client.ApiClient(configuration) as api:
        core = client.CoreV1Api(api)

        async def make(number: int) -> None:
            async with places:
                await core.create_namespaced_event(namespace, _event(namespace, number))

        await asyncio.gather(*(make(number) for number in range(EVENTS)))


def _event(namespace: str, number: int) -> Any:
    about = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": f"old-{number}"}
    return {
        "metadata": {"name": f"old-{number}", "namespace": namespace},
        "involvedObject": about,
        "reason": "Pulling",
        "message": 'Pulling image "registry.example.org/lab@sha256:0000"' + " " * 300,
        "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
