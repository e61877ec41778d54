"""Two watches over all of the cluster, nodes and pods, that keep a `Pool` right.

The right to do so is optional (``gpuCounts`` of the hub's rights), and may come and go while the hub
runs: without it nothing is counted, and the cluster lets a server wait for its devices.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kubernetes_asyncio.client import ApiException

from af_hub.spawner.kube.follow import FAILURES, Follower, object_key
from af_hub.spawner.kube.gpus.count import read_claim, read_node

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from af_hub.spawner.kube.gpus.pool import Pool

ASK_AGAIN: Final = 300.0
"""Seconds until the hub asks again for what it may not read."""

_RUNNING: Final = "status.phase!=Succeeded,status.phase!=Failed"


class GpuWatch:
    """Watches nodes and pods from the first time that somebody asks.

    Parameters
    ----------
    api
        ``CoreV1Api`` of a Kubernetes client.
    pool
        What is kept right.
    log
        For what goes wrong.
    named
        Resources that the catalogue names; those of the usual makers are known without.
    """

    def __init__(
        self, api: Any, pool: Pool, log: logging.Logger, named: frozenset[str] = frozenset()
    ) -> None:
        self._pool = pool
        self._log = log
        self.denied = False
        """Whether the cluster has said that the hub may not read nodes or pods."""
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._followers = (
            Follower(api.list_node, _Nodes(pool, named), log=log, what="nodes", heeds_a_no=True),
            Follower(
                _running_pods(api),
                _Pods(pool, named),
                log=log,
                what="pods of all of the cluster",
                heeds_a_no=True,
            ),
        )

    async def ready(self, patience: float) -> bool:
        """Wait until nodes and pods are known, or it is known that the hub may not read them.

        Parameters
        ----------
        patience
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether they are known.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(patience):
                await self._known.wait()
        except TimeoutError:
            pass
        return self._pool.counted

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._count()
            except FAILURES as error:
                if not self.denied:
                    why = error.reason if isinstance(error, ApiException) else error
                    self._log.info("GPUs are not counted: nodes and pods cannot be read (%s)", why)
                self.denied = True
                self._tell()
                await asyncio.sleep(ASK_AGAIN)

    async def _count(self) -> None:
        """Count until the cluster says that the hub may not."""
        for follower in self._followers:
            await follower.read()
        if self.denied:
            self._log.info("GPUs are counted: nodes and pods can be read")
        self.denied, self._pool.counted = False, True
        self._tell()
        try:
            async with asyncio.TaskGroup() as group:
                for follower in self._followers:
                    group.create_task(follower.follow())
        except ExceptionGroup as refused:
            raise refused.exceptions[0] from None
        finally:
            # what is known grows old from here on
            self._pool.counted = False
            self._known.clear()

    def _tell(self) -> None:
        self._known.set()
        self._pool.serve()


def _running_pods(api: Any) -> Any:
    async def ask(**arguments: Any) -> Any:
        return await api.list_pod_for_all_namespaces(field_selector=_RUNNING, **arguments)

    return ask


class _Nodes:
    """Passes nodes on to the pool."""

    def __init__(self, pool: Pool, named: frozenset[str]) -> None:
        self._pool = pool
        self._named = named

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take all nodes as they are now."""
        self._pool.know_nodes(node for raw in objects if (node := read_node(raw, self._named)))
        self._pool.serve()

    def put(self, one: dict[str, Any]) -> None:
        """Take a node that is new or has changed."""
        self._pool.know_node(one["metadata"]["name"], read_node(one, self._named))
        self._pool.serve()

    def remove(self, one: dict[str, Any]) -> None:
        """Forget a node that is gone."""
        self._pool.know_node(one["metadata"]["name"], None)


class _Pods:
    """Passes pods on to the pool."""

    def __init__(self, pool: Pool, named: frozenset[str]) -> None:
        self._pool = pool
        self._named = named

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take all pods as they are now."""
        claims = ((object_key(raw), read_claim(raw, self._named)) for raw in objects)
        self._pool.know_pods({key: claim for key, claim in claims if claim})
        self._pool.serve()

    def put(self, one: dict[str, Any]) -> None:
        """Take a pod that is new or has changed."""
        self._pool.know_pod(object_key(one), read_claim(one, self._named))
        self._pool.serve()

    def remove(self, one: dict[str, Any]) -> None:
        """Forget a pod that is gone."""
        self._pool.know_pod(object_key(one), None)
        self._pool.serve()
