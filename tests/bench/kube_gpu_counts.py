"""How old the count of free devices is: from a pod that the API server has taken to the count."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from kubernetes_asyncio import client, config

from af_hub.spawner.kube.gpus.count import Place
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.kube.gpus.watch import GpuWatch
from bench.figure import Figure
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.pods import probe_pod
from testbed.kube.settings import from_environment

if TYPE_CHECKING:
    from testbed.kube.cluster import Cluster

GPU = "nvidia.com/gpu"
PODS = 50


def measure() -> list[Figure]:
    """Make fifty pods that ask for a device, one after the other, in a namespace not the hub's."""
    with borrowed_cluster(from_environment()) as kube:
        namespace = f"counts-{secrets.token_hex(3)}"
        kube.add_namespace(namespace)
        kube.fake_gpus(PODS)
        try:
            seconds = sorted(asyncio.run(_ages(kube, namespace)))
        finally:
            kube.fake_gpus(0)
            kube.kubectl("delete", "namespace", namespace, timeout=120)
    return [
        Figure(
            "age of the count of free GPUs",
            (max(seconds),),
            "s",
            "≤ 1 s",
            lambda value: value <= 1,
            "peers 30 to 600 s",
            f"slowest of {PODS}; median {seconds[PODS // 2] * 1e3:.0f} ms",
        )
    ]


async def _ages(kube: Cluster, namespace: str) -> list[float]:
    configuration = client.Configuration()
    await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        pool, pods = Pool(), client.CoreV1Api(api)
        watch = GpuWatch(pods, pool, logging.getLogger(__name__))
        assert await watch.ready(10)
        place, ages = Place(GPU), []
        for number in range(PODS):
            wanted = pool.stock(place).free - 1
            pod: Any = probe_pod(
                kube, namespace, f"p{number}", limits={GPU: "1"}, schedulerName="nobody"
            )
            await pods.create_namespaced_pod(namespace, pod)
            begin = time.perf_counter()
            while pool.stock(place).free != wanted:  # noqa: ASYNC110  the pool tells nobody
                await asyncio.sleep(0.001)
            ages.append(time.perf_counter() - begin)
        await watch.close()
    return ages
