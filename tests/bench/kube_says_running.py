"""Say of every pod in a namespace that it runs and is ready, as a kubelet would."""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubernetes_asyncio import client, config, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = "2026-01-01T00:00:00Z"


def status(container: str, address: str) -> dict[str, Any]:
    """Write the status of a pod whose container runs."""
    return {
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": NOW}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": container,
                    "image": "lab",
                    "imageID": "lab",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": NOW}},
                }
            ],
        }
    }


def addresses() -> Iterator[str]:
    """Give addresses that nobody has."""
    for left, right in itertools.product(range(256), range(1, 255)):
        yield f"198.18.{left}.{right}"


async def main(namespace: str) -> None:
    """Watch until somebody ends it."""
    await config.load_kube_config()
    free = addresses()
    async with client.ApiClient() as api, asyncio.TaskGroup() as group:
        pods = client.CoreV1Api(api)

        async def say(pod: client.V1Pod) -> None:
            body = status(pod.spec.containers[0].name, next(free))
            with suppress(client.ApiException):  # it may be gone already
                await pods.patch_namespaced_pod_status(pod.metadata.name, namespace, body)

        while True:
            with suppress(client.ApiException):  # the watch is too old, or the server was away
                async with watch.Watch().stream(pods.list_namespaced_pod, namespace) as stream:
                    async for event in stream:
                        if event["type"] == "ADDED" and event["object"].status.phase == "Pending":
                            group.create_task(say(event["object"]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
