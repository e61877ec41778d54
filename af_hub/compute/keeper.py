"""What the gateway looks after by itself: ends of clusters, dead schedulers, orphans both ways."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from dask_gateway_server.backends.db_base import JobStatus

from af_hub.compute.states import holding_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from af_hub.compute.states import ClusterStates

SWEEP_PERIOD = 2.0
"""Seconds between looks at ages and at schedulers that died."""
RECONCILE_PERIOD = 30.0
"""Seconds between comparisons of records with what runs."""
WORKERS_KEPT = 600.0
"""Seconds for which a worker that has stopped stays on record, for a late word of its scheduler."""


class Keeper:
    """Looks after the clusters of a backend.

    Parameters
    ----------
    backend
        Whose clusters.
    """

    def __init__(self, backend: ClusterStates) -> None:
        self._backend = backend

    async def sweep_loop(self) -> None:
        """End what died and what is over, every `SWEEP_PERIOD` seconds."""
        while True:
            await asyncio.sleep(SWEEP_PERIOD)
            await self._carefully(self._end_dead)
            await self._carefully(self._end_over)
            # some wait for nothing but time
            self._backend.try_held()

    async def reconcile_loop(self) -> None:
        """Compare the records with what runs, at once and every `RECONCILE_PERIOD` seconds."""
        while True:
            await self._carefully(self.reconcile)
            await asyncio.sleep(RECONCILE_PERIOD)

    async def _carefully(self, work: Callable[[], Awaitable[None]]) -> None:
        """Go on with the next round if an engine fails."""
        try:
            await work()
        except Exception:
            self._backend.log.exception("Looking after clusters failed; it is tried again")

    async def reconcile(self) -> None:
        """End what has no record, and the records of what is gone."""
        for engine in self._backend.engines.values():
            for line in await engine.end_unknown(self._known()):
                self._backend.log.warning("Ended what no record knows: %s", line)
        await self._end_lost_workers()
        self._backend.forget_workers(time.time() - WORKERS_KEPT)
        self._check_ledger()

    def _known(self) -> Mapping[str, list[dict[str, object]]]:
        """Collect the states of all processes that should be there, by cluster."""
        return {
            cluster.name: [
                cluster.state,
                *(one.state for one in cluster.workers.values() if one.status < JobStatus.STOPPED),
            ]
            for cluster in self._backend.db.name_to_cluster.values()
            if cluster.status < JobStatus.STOPPED
        }

    async def _end_lost_workers(self) -> None:
        """Find workers whose process is gone although their scheduler has said nothing."""
        backend = self._backend
        running = [
            worker
            for cluster in backend.db.active_clusters()
            for worker in cluster.workers.values()
            if worker.status == JobStatus.RUNNING and worker.target == JobStatus.RUNNING
        ]
        for worker, alive in zip(running, await backend.do_check_workers(running), strict=True):
            if not alive and worker.target == JobStatus.RUNNING:
                backend.log.warning("Worker %s is gone without a word", worker.name)
                backend.db.update_worker(worker, target=JobStatus.FAILED)
                backend.queue.put(worker)

    def _check_ledger(self) -> None:
        """Compare the ledger with the records that it is the sum of."""
        backend = self._backend
        for cluster in backend.db.name_to_cluster.values():
            counted = backend.ledger.workers(cluster.name)
            there = len(holding_of(cluster).workers) if cluster.status < JobStatus.STOPPED else 0
            if counted != there:
                backend.log.error(
                    "Cluster %s: %d workers counted, %d there", cluster.name, counted, there
                )
                backend.ledger.close(cluster.name)
                if cluster.status < JobStatus.STOPPED:
                    backend.ledger.open(cluster.name, holding_of(cluster))

    async def _end_dead(self) -> None:
        backend = self._backend
        running = [
            one
            for one in backend.db.active_clusters()
            if one.status == JobStatus.RUNNING and one.target == JobStatus.RUNNING
        ]
        for cluster, ok in zip(running, await backend.do_check_clusters(running), strict=True):
            if not ok:
                backend.end(cluster, "failed", "The scheduler ended unexpectedly.")

    async def _end_over(self) -> None:
        for cluster in list(self._backend.db.active_clusters()):
            end = self._backend.end_of(cluster)
            if end is not None and end.over(time.time()):
                self._backend.end(cluster, end.why, end.reason)
            # warnings come with time alone
            self._backend.changed(cluster)
