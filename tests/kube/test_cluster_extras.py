"""Parts on demand: metrics-server measures, KWOK plays many nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.kube.cluster import GPU
from testbed.kube.pods import probe_pod, wait_ready
from testbed.kube.scale import add_fake_nodes, on_fake_nodes, remove_fake_nodes
from testbed.kube.tools import Tools
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster


def require_extra(cluster: Cluster, name: str) -> None:
    """Skip where a part is not built: that takes minutes, and most tests do without."""
    if cluster.node is None:
        pytest.skip("KUBECONFIG names another cluster")
    missing = Tools(cluster.node.settings.bin).missing((name,))
    require("kube-extras", not missing, f"make kube-tools ARGS={name} builds it")


def test_what_a_pod_uses_is_measured(kube: Cluster, kube_namespace: str) -> None:
    require_extra(kube, "metrics")
    kube.add("metrics")
    kube.apply(probe_pod(kube, kube_namespace, "taker", "take", "50"))
    wait_ready(kube, kube_namespace, "taker")

    def megabytes() -> float:
        top = ("top", "pod", "taker", "--namespace", kube_namespace, "--no-headers")
        return float(kube.kubectl(*top).split()[2].removesuffix("Mi"))

    kube.until(lambda: megabytes() > 0, "nothing is measured")
    assert 50 <= megabytes() < 80


@pytest.fixture
def many_nodes(kube: Cluster) -> Iterator[int]:
    require_extra(kube, "kwok")
    add_fake_nodes(kube, 50, gpus=8)
    yield 50
    remove_fake_nodes(kube)


def test_hundreds_of_pods_run_when_nodes_and_pods_are_fake(
    kube: Cluster, kube_namespace: str, many_nodes: int
) -> None:
    pods = [
        probe_pod(kube, kube_namespace, f"many-{each}", limits={GPU: "1"}, **on_fake_nodes())
        for each in range(8 * many_nodes + 1)
    ]
    kube.apply(*pods)

    def phases() -> list[str]:
        found = kube.get("pods", "--namespace", kube_namespace)["items"]
        return [each["status"]["phase"] for each in found]

    kube.until(lambda: phases().count("Running") == 8 * many_nodes, "not all of them run")
    # there is a GPU less than pods
    assert phases().count("Pending") == 1
