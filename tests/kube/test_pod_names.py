"""What another user has in the cluster is left alone, though it has the name that one's own would have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from testbed.kube_hub import KubeHub, running_kube_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from testbed.kube.cluster import Cluster

OWNER = "hub.jupyter.org/username"
HOMES = """
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = "1M"
c.KubeSpawner.extra_pod_config = {"schedulerName": "nobody"}
"""


@pytest.fixture
async def hub(kube: Cluster, kube_namespace: str, tmp_path: Path) -> AsyncIterator[KubeHub]:
    """Give a hub whose Labs have homes; no node takes them."""
    async with running_kube_hub(kube, kube_namespace, tmp_path, HOMES) as running:
        yield running


def make(hub: KubeHub, kind: str, name: str, spec: dict[str, Any]) -> str:
    """Make what a hub made for carol, which wrote user names otherwise; return its uid."""
    labels = {"component": "singleuser-server"}
    metadata = {"name": name, "labels": labels, "annotations": {OWNER: "carol"}}
    body = {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}
    where = ("--namespace", hub.namespace)
    hub.kube.kubectl("create", *where, "-f", "-", input=json.dumps(body))
    return uid(hub, kind, name)


def uid(hub: KubeHub, kind: str, name: str) -> str:
    """Tell which one it is."""
    found = hub.kube.get(kind, name, "--namespace", hub.namespace)
    assert "deletionTimestamp" not in found["metadata"]
    return str(found["metadata"]["uid"])


async def test_pod_goes_on_when_another_user_would_have_one_of_its_name(hub: KubeHub) -> None:
    await hub.add_users(["alice"], "/cms")
    container = {
        "name": "notebook",
        "image": "none",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"containers": [container], "schedulerName": "nobody"}
    there = make(hub, "Pod", "jupyter-alice", spec)
    await hub.ask("alice", profile="small")
    await hub.until_gone("alice")
    assert (await hub.refusals()) == {"cluster-refused": 1}
    # JupyterHub stops what could not start, and asks now and then whether it runs
    assert uid(hub, "Pod", "jupyter-alice") == there
    assert "Traceback" not in hub.log


async def test_home_is_another_one_when_somebody_else_has_that_name(hub: KubeHub) -> None:
    await hub.add_users(["alice"], "/cms")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1M"}}}
    make(hub, "PersistentVolumeClaim", "home-alice", spec)
    await hub.ask("alice", profile="small")
    await hub.first_pod()
    pod = hub.kube.get("pod", "jupyter-alice", "--namespace", hub.namespace)
    (claim,) = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claim.startswith("home-alice---")
    found = hub.kube.get("persistentvolumeclaim", claim, "--namespace", hub.namespace)
    assert found["metadata"]["annotations"][OWNER] == "alice"
