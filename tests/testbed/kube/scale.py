"""Many nodes and pods that are none: KWOK plays their kubelet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed.kube.cluster import FAKE, GPU, PATIENCE

if TYPE_CHECKING:
    from testbed.kube.cluster import Cluster

LABEL: Final = "analysis-facility/fake"
"""Of fake nodes; real ones have it not."""


def fake_node(name: str, *, gpus: int = 0) -> dict[str, Any]:
    """Return a node that KWOK keeps alive; only pods of `on_fake_nodes` come to it."""
    capacity = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    if gpus:
        capacity[GPU] = str(gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {LABEL: "yes", "kubernetes.io/hostname": name},
            "annotations": {FAKE: "fake"},
        },
        "spec": {"taints": [{"key": LABEL, "value": "yes", "effect": "NoSchedule"}]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def on_fake_nodes() -> dict[str, Any]:
    """Return what a pod's specification needs to run there."""
    return {
        "nodeSelector": {LABEL: "yes"},
        "tolerations": [{"key": LABEL, "operator": "Exists", "effect": "NoSchedule"}],
    }


def add_fake_nodes(cluster: Cluster, number: int, *, gpus: int = 0) -> None:
    """Let the cluster have fake nodes more, and wait until they are ready."""
    cluster.add("kwok")
    cluster.apply(*(fake_node(f"fake-{each}", gpus=gpus) for each in range(number)))
    names = [f"node/fake-{each}" for each in range(number)]
    wait = ("--for=condition=Ready", f"--timeout={PATIENCE:.0f}s")
    cluster.kubectl("wait", *wait, *names, timeout=PATIENCE + 10)


def remove_fake_nodes(cluster: Cluster) -> None:
    """Remove them all."""
    cluster.kubectl("delete", "nodes", f"--selector={LABEL}", "--wait=true", timeout=PATIENCE)
