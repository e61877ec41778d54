"""The test cluster is a real one: authorisation, DNS, limits, GPUs; and it survives outages."""

from __future__ import annotations

import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from testbed.kube.cluster import GPU, KubectlError
from testbed.kube.pods import connects, inside, probe_pod, wait_ready
from testbed.kube.tools import KUBERNETES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster

PROMISE = 10.0
"""Seconds after an outage in which everything is right again."""

LATEST = 3 * PROMISE
"""Seconds on a machine that others keep busy."""


def phase(cluster: Cluster, namespace: str, name: str) -> str:
    return str(cluster.get("pod", name, "--namespace", namespace)["status"].get("phase"))


def uid(cluster: Cluster, namespace: str, name: str) -> str:
    return str(cluster.get("pod", name, "--namespace", namespace)["metadata"]["uid"])


def as_user(cluster: Cluster, user: str, *arguments: str, group: str = "") -> str:
    groups = (f"--as-group={group}",) if group else ()
    return cluster.kubectl(*arguments, f"--as={user}", *groups)


def test_the_cluster_has_the_version_that_its_module_names(kube: Cluster) -> None:
    if kube.node is None:
        pytest.skip("KUBECONFIG names another cluster")
    version = json.loads(kube.kubectl("version", "--output=json"))["serverVersion"]
    assert version["gitVersion"] == KUBERNETES
    assert kube.get("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"] == KUBERNETES


def test_a_service_account_may_do_nothing_when_no_role_says_so(
    kube: Cluster, kube_namespace: str
) -> None:
    user = f"system:serviceaccount:{kube_namespace}:default"
    with pytest.raises(KubectlError, match="forbidden"):
        as_user(kube, user, "get", "pods", "--namespace", kube_namespace)
    kube.kubectl(
        *("create", "rolebinding", "view", "--clusterrole=view"),
        *(f"--serviceaccount={kube_namespace}:default", "--namespace", kube_namespace),
    )
    # the API server's own caches need a moment
    kube.until(
        lambda: as_user(kube, user, "get", "pods", "--namespace", kube_namespace, "-o", "json"),
        "the role does not help",
    )
    with pytest.raises(KubectlError, match="forbidden"):
        as_user(kube, user, "get", "pods", "--namespace", "kube-system")


def test_a_node_sees_no_secret_when_none_of_its_pods_has_it(
    kube: Cluster, kube_namespace: str
) -> None:
    where = ("--namespace", kube_namespace)
    kube.kubectl("create", "secret", "generic", "mine", "--from-literal=key=value", *where)
    node = f"system:node:{kube.node_name}"
    with pytest.raises(KubectlError, match="no relationship found"):
        as_user(kube, node, "get", "secret", "mine", *where, group="system:nodes")
    volume = {"name": "mine", "secret": {"secretName": "mine"}}
    kube.apply(probe_pod(kube, kube_namespace, "reader", volumes=[volume]))
    wait_ready(kube, kube_namespace, "reader")
    as_user(kube, node, "get", "secret", "mine", *where, group="system:nodes")


def test_nobody_is_let_in_without_a_certificate(kube: Cluster) -> None:
    where = "jsonpath={.clusters[0].cluster.server}"
    server = kube.kubectl("config", "view", "--minify", f"--output={where}")
    context = ssl._create_unverified_context()  # noqa: S323  nothing is sent
    for headers, status in (({}, 403), ({"Authorization": "Bearer abc"}, 401)):
        request = urllib.request.Request(f"{server}/api/v1/nodes", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, context=context, timeout=20)
        caught.value.close()
        assert caught.value.code == status


def test_a_pod_is_heard_and_entered(kube: Cluster, kube_namespace: str) -> None:
    kube.apply(probe_pod(kube, kube_namespace, "talker", "take", "1"))
    wait_ready(kube, kube_namespace, "talker")
    kube.until(
        lambda: "taken 1" in kube.kubectl("logs", "--namespace", kube_namespace, "talker"),
        "no line in the log",
    )
    assert "null" in inside(kube, kube_namespace, "talker", "devices").split()


def test_a_container_is_killed_when_it_takes_more_memory_than_its_limit(
    kube: Cluster, kube_namespace: str
) -> None:
    greedy = probe_pod(
        kube,
        *(kube_namespace, "greedy", "take", "200"),
        limits={"memory": "64Mi"},
        restartPolicy="Never",
    )
    kube.apply(greedy)

    def ended() -> dict[str, Any] | None:
        status = kube.get("pod", "greedy", "--namespace", kube_namespace)["status"]
        (container,) = status.get("containerStatuses") or [{"state": {}}]
        found: dict[str, Any] | None = container["state"].get("terminated")
        return found

    kube.until(ended, "it was not ended")
    end = ended()
    assert end
    assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137)


@pytest.fixture
def two_gpus(kube: Cluster) -> Iterator[None]:
    kube.fake_gpus(2)
    yield
    kube.fake_gpus(0)


def test_the_third_pod_waits_with_its_reason_when_there_are_two_gpus(
    kube: Cluster, kube_namespace: str, two_gpus: None
) -> None:
    for number in (1, 2):
        kube.apply(probe_pod(kube, kube_namespace, f"gpu-{number}", limits={GPU: "1"}))
    wait_ready(kube, kube_namespace, "gpu-1", "gpu-2")
    kube.apply(probe_pod(kube, kube_namespace, "gpu-3", limits={GPU: "1"}))

    def reason() -> str:
        status = kube.get("pod", "gpu-3", "--namespace", kube_namespace)["status"]
        messages = [each.get("message", "") for each in status.get("conditions", [])]
        return " ".join(messages)

    kube.until(lambda: f"Insufficient {GPU}" in reason(), "no reason is given")
    assert phase(kube, kube_namespace, "gpu-3") == "Pending"
    kube.kubectl("delete", "pod", "gpu-1", "--namespace", kube_namespace)
    wait_ready(kube, kube_namespace, "gpu-3")


def test_a_pod_runs_on_when_the_api_server_stands_still(kube: Cluster, kube_namespace: str) -> None:
    kube.apply(probe_pod(kube, kube_namespace, "steady", "serve", "8000/tcp"))
    wait_ready(kube, kube_namespace, "steady")
    before = uid(kube, kube_namespace, "steady")
    kube.pause("apiserver")
    try:
        with pytest.raises(KubectlError):
            kube.kubectl("get", "nodes", "--request-timeout=2s")
    finally:
        kube.resume("apiserver")
    began = time.monotonic()
    kube.apply(probe_pod(kube, kube_namespace, "after"))
    kube.until(lambda: phase(kube, kube_namespace, "after") == "Running", "no pod starts")
    assert time.monotonic() - began < LATEST
    assert uid(kube, kube_namespace, "steady") == before
    assert phase(kube, kube_namespace, "steady") == "Running"


@pytest.mark.faults
@pytest.mark.parametrize("part", ["apiserver", "etcd", "kubelet", "containerd", "proxy"])
def test_pods_run_and_start_again_when_a_part_was_killed(
    kube: Cluster, kube_namespace: str, part: str
) -> None:
    kube.apply(probe_pod(kube, kube_namespace, "steady", "serve", "8000/tcp"))
    wait_ready(kube, kube_namespace, "steady")
    before = uid(kube, kube_namespace, "steady")
    kube.kill(part)
    kube.start(part)
    began = time.monotonic()

    def applied() -> bool:
        kube.apply(probe_pod(kube, kube_namespace, "after"))
        return True

    kube.until(applied, "no request passes")
    kube.until(lambda: phase(kube, kube_namespace, "after") == "Running", "no pod starts")
    took = time.monotonic() - began
    status = kube.get("pod", "steady", "--namespace", kube_namespace)["status"]
    assert uid(kube, kube_namespace, "steady") == before
    assert status["containerStatuses"][0]["restartCount"] == 0
    assert connects(kube, kube_namespace, "after", status["podIP"], 8000)
    assert took < LATEST, f"{took:.1f} s"


@pytest.mark.faults
def test_a_namespace_takes_pods_at_once_when_its_account_comes_late(kube: Cluster) -> None:
    name = f"late-{secrets.token_hex(3)}"
    kube.pause("controller-manager")
    try:
        with ThreadPoolExecutor(1) as others:
            made = others.submit(kube.add_namespace, name)
            kube.until(lambda: kube.get("namespace", name), "there is no namespace")
            with pytest.raises(KubectlError, match="service account"):
                kube.apply(probe_pod(kube, name, "early"))
            assert not made.done()
            kube.resume("controller-manager")
            made.result()
        kube.apply(probe_pod(kube, name, "late"))
    finally:
        kube.resume("controller-manager")
        kube.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
