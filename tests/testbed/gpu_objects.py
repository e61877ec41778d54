"""Nodes and pods as the API server writes them."""

from __future__ import annotations

from typing import Any

GPU = "nvidia.com/gpu"
A100, T4 = "NVIDIA-A100-SXM4-40GB", "Tesla-T4"
TOLERATES = {"key": GPU, "operator": "Exists"}


def node(
    name: str = "n1",
    gpus: int = 8,
    *,
    product: str = A100,
    resource: str = GPU,
    ready: bool = True,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Write a node."""
    found = {"nvidia.com/gpu.product": product} if product else {}
    return {
        "metadata": {"name": name, "labels": {**found, **(labels or {})}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "64", "memory": "256Gi", resource: str(gpus)},
            "conditions": [
                {"type": "DiskPressure", "status": "False"},
                {"type": "Ready", "status": "True" if ready else "Unknown"},
            ],
        },
    }


def pod(
    gpus: int = 1,
    on: str | None = "n1",
    *,
    name: str = "p",
    namespace: str = "labs",
    mark: str = "",
    resource: str = GPU,
    phase: str = "Running",
    inits: list[dict[str, Any]] | None = None,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Write a pod."""
    where = {"nodeName": on} if on else {}
    annotations = {"analysis-facility/server": mark} if mark else {}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels or {},
            "annotations": annotations,
        },
        "spec": {
            **where,
            "containers": [container(gpus, resource)],
            "initContainers": inits or [],
            **spec,
        },
        "status": {"phase": phase},
    }


def container(gpus: int, resource: str = GPU, **more: Any) -> dict[str, Any]:
    """Write a container."""
    limits = {resource: str(gpus)} if gpus else {}
    return {"name": "c", "resources": {"limits": {"memory": "1Gi", **limits}}, **more}
