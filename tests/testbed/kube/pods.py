"""Pods of the tests: manifests, and what is tried from inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.kube.cluster import Cluster


def probe_pod(
    cluster: Cluster,
    namespace: str,
    name: str,
    *command: str,
    labels: Mapping[str, str] | None = None,
    ports: Sequence[Mapping[str, Any]] = (),
    limits: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return the manifest of a pod that runs the tests' probe.

    Parameters
    ----------
    cluster
        Where it will run.
    namespace, name, labels
        Of the pod.
    command
        Arguments of the probe; without, it waits.
    ports, limits
        Of its container.
    spec
        More of the pod's specification.
    """
    container = {
        "name": "probe",
        "image": cluster.image("probe"),
        "imagePullPolicy": "Never",
        "args": list(command or ("wait",)),
        "ports": list(ports),
        "resources": {"limits": dict(limits or {})},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [container],
            **spec,
        },
    }


def wait_ready(cluster: Cluster, namespace: str, *names: str) -> None:
    """Wait until pods are ready."""
    targets = [f"pod/{name}" for name in names]
    condition = ("--for=condition=Ready", "--timeout=90s")
    cluster.kubectl("wait", "--namespace", namespace, *condition, *targets, timeout=100)


def address(cluster: Cluster, namespace: str, name: str) -> str:
    """Return a pod's address."""
    return str(cluster.get("pod", name, "--namespace", namespace)["status"]["podIP"])


def inside(cluster: Cluster, namespace: str, pod: str, *arguments: str) -> str:
    """Run the probe inside a pod and return what it printed."""
    command = ("exec", "--namespace", namespace, pod, "--", "/probe", *arguments)
    return cluster.kubectl(*command).strip()


def connects(
    cluster: Cluster, namespace: str, pod: str, host: str, port: int, *, protocol: str = "tcp"
) -> bool:
    """Tell whether a connection can be made from inside a pod."""
    said = inside(cluster, namespace, pod, "connect", protocol, host, str(port))
    assert said.split()[0] in {"open", "closed"}, said
    return said.startswith("open")
