"""Devices of a real cluster are counted: nodes that close, pods of others, within a second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kubernetes_asyncio import client, config

from af_hub.spawner.kube.follow import Follower
from af_hub.spawner.kube.gpus.count import Place
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.kube.gpus.watch import GpuWatch
from testbed.kube.pods import probe_pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from testbed.kube.cluster import Cluster

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.5gb"
A100 = "NVIDIA A100-SXM4-40GB"
LABEL = "nvidia.com/gpu.product"
CHART = Path(__file__).parents[2] / "helm-values/charts/hub-rights/files"
STALE = 1.0
"""Seconds that a count may be old."""


@pytest.fixture(scope="module")
def devices(kube: Cluster) -> Iterator[None]:
    """Let the node have eight A100, and seven parts of others."""
    node = kube.node_name
    kube.fake_gpus(8)
    kube.fake_gpus(7, resource=MIG)
    kube.kubectl("label", "node", node, f"{LABEL}={A100.replace(' ', '-')}")
    yield
    kube.kubectl("label", "node", node, f"{LABEL}-")
    kube.fake_gpus(0, resource=MIG)
    kube.fake_gpus(0)


@contextlib.asynccontextmanager
async def watched(
    kube: Cluster, configuration: client.Configuration | None = None
) -> AsyncIterator[Pool]:
    """Give a pool that follows the cluster."""
    if configuration is None:
        configuration = client.Configuration()
        await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        pool = Pool()
        watch = GpuWatch(client.CoreV1Api(api), pool, logging.getLogger(__name__))
        await watch.ready(10)
        try:
            yield pool
        finally:
            await watch.close()


async def becomes(condition: Callable[[], bool], patience: float = 3 * STALE) -> float:
    """Wait for a condition; return the seconds."""
    begin = time.monotonic()
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  the pool tells nobody
            await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def kubectl(kube: Cluster, *arguments: str, **more: Any) -> None:
    await asyncio.to_thread(kube.kubectl, *arguments, **more)


async def test_count_follows_pods_and_nodes_within_a_second(
    kube: Cluster, kube_namespace: str, devices: None
) -> None:
    """A namespace that is none of the hub's, parts of devices, a closed node."""
    whole, part = Place(GPU, A100), Place(MIG, A100)
    async with watched(kube) as pool:
        assert (pool.stock(whole).total, pool.stock(part).total) == (8, 7)
        assert pool.models([whole], [A100]) is not None
        free = pool.stock(whole).free
        one = probe_pod(kube, kube_namespace, "two", limits={GPU: "2"})
        other = probe_pod(kube, kube_namespace, "parts", limits={MIG: "3"})
        await asyncio.to_thread(kube.apply, one, other)
        seen = await becomes(lambda: pool.stock(whole).free == free - 2)
        await becomes(lambda: pool.stock(part).free == 4)
        print(f"a new pod is counted {seen:.3f} s after kubectl has returned")
        # those of an earlier test may still be ending
        assert kube_namespace in {holder.owner for holder in pool.holders()}
        node = kube.node_name
        await kubectl(kube, "cordon", node)
        try:
            await becomes(lambda: pool.stock(whole).total == 0)
        finally:
            await kubectl(kube, "uncordon", node)
        await becomes(lambda: pool.stock(whole).total == 8)
        await kubectl(kube, "taint", "node", node, "reserved=cms:NoSchedule")
        try:
            await becomes(lambda: pool.stock(whole).total == 0)
        finally:
            await kubectl(kube, "taint", "node", node, "reserved-")
        await kubectl(kube, "delete", "pod", "two", "--namespace", kube_namespace)
        await becomes(lambda: pool.stock(whole).free == free)


async def test_pod_that_waits_is_counted_before_a_node_takes_it(
    kube: Cluster, kube_namespace: str, devices: None
) -> None:
    whole = Place(GPU)
    async with watched(kube) as pool:
        free = pool.stock(whole).free
        waits = probe_pod(kube, kube_namespace, "waits", limits={GPU: "3"}, schedulerName="nobody")
        await asyncio.to_thread(kube.apply, waits)
        await becomes(lambda: pool.stock(whole).free == free - 3)


async def as_account(kube: Cluster, namespace: str) -> client.Configuration:
    """Give the way in of a service account that may do nothing yet."""
    token = await asyncio.to_thread(
        kube.kubectl, "create", "token", "default", "--namespace", namespace
    )
    configuration = client.Configuration()
    await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    configuration.cert_file = configuration.key_file = None
    configuration.api_key = {"BearerToken": f"Bearer {token.strip()}"}
    return configuration


async def test_nothing_is_counted_when_the_hub_may_not_read_nodes(
    kube: Cluster, kube_namespace: str, devices: None
) -> None:
    """And nothing fails: the cluster lets servers wait."""
    async with watched(kube, await as_account(kube, kube_namespace)) as pool:
        assert not pool.counted
        assert pool.models([Place(GPU)]) is None
        assert pool.ask("a", "a", Place(GPU), 100, mark="a")


async def test_devices_are_counted_when_the_hub_has_the_rights_of_our_values(
    kube: Cluster, kube_namespace: str, devices: None
) -> None:
    role = yaml.safe_load((CHART / "gpu-counts.yaml").read_text())
    about = {"metadata": {"name": kube_namespace}}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": kube_namespace}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    binding = {"subjects": [account], "roleRef": {**group, "name": kube_namespace}}
    await asyncio.to_thread(
        kube.apply,
        {**kind, "kind": "ClusterRole", **about, "rules": role},
        {**kind, "kind": "ClusterRoleBinding", **about, **binding},
    )
    try:
        async with watched(kube, await as_account(kube, kube_namespace)) as pool:
            assert pool.stock(Place(GPU)).total == 8
    finally:
        for what in ("clusterrolebinding", "clusterrole"):
            await kubectl(kube, "delete", what, kube_namespace)


async def test_change_is_seen_when_the_server_has_forgotten_where_we_were(
    kube: Cluster, kube_namespace: str
) -> None:
    """A real 410: etcd's first version is long gone."""

    class Names:
        names: set[str] = set()

        def replace(self, objects: Any) -> None:
            self.names = {one["metadata"]["name"] for one in objects}

        def put(self, one: Any) -> None:
            self.names.add(one["metadata"]["name"])

        def remove(self, one: Any) -> None:
            self.names.discard(one["metadata"]["name"])

    configuration = client.Configuration()
    await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:

        async def request(**arguments: Any) -> Any:
            return await client.CoreV1Api(api).list_namespaced_config_map(
                kube_namespace, **arguments
            )

        names = Names()
        log = logging.getLogger(__name__)
        follower = Follower(request, names, log=log, what="maps")
        await follower.read()
        await kubectl(kube, "create", "configmap", "late", "--namespace", kube_namespace)
        follower._version = "1"
        task = asyncio.create_task(follower.follow())
        try:
            await becomes(lambda: "late" in names.names, 15)
            assert json.loads(follower._version) > 1
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
