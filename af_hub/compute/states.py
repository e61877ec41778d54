"""The frame's middle: what a cluster goes through, and what its scheduler may bring about.

Gateway calls these methods when it brings clusters nearer to what they shall be. Here quotas bite
where workers start, ends have reasons, and a scheduler is believed only as far as it must be.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.utils import timestamp

from af_hub.compute.audit import ClusterAudit
from af_hub.compute.database import forget_workers, write_ahead
from af_hub.compute.failures import Failures
from af_hub.compute.heartbeat import read_heartbeat
from af_hub.compute.ledger import Holding, Ledger
from af_hub.compute.life import End, end_of
from af_hub.compute.processes import ClusterProcesses
from af_hub.compute.quota import Amount
from af_hub.compute.start_pace import StartPace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web
    from dask_gateway_server.backends.db_base import Cluster, Worker

    from af_hub.compute.audit import Why
    from af_hub.compute.feed import Feed

NO_GPU = "All GPUs of this machine are in use; workers start when one is free."
"""Why workers are held although the quota has room."""
TOO_FAST = "Workers of this cluster end soon after they start; more start within a minute."
"""Likewise, when workers are started again and again."""


class ClusterStates(ClusterProcesses):
    """Moves clusters and workers from state to state, within their quotas."""

    feed: Feed

    async def setup(self, app: web.Application) -> None:
        """Start; called by Dask Gateway before it listens."""
        self.audit = ClusterAudit(self.log)
        self.failures = Failures(self)
        self.ledger = Ledger(self.settings.compute.quotas)
        self._idle_since: dict[str, float] = {}
        self._busy_at: dict[str, float] = {}
        self._held: dict[str, str] = {}
        self._pace = StartPace()
        await super().setup(app)

    async def do_setup(self) -> None:
        """Count what an earlier gateway has left."""
        # first and at once: Gateway's own loops wait for their turn already
        write_ahead(self.db.db)
        for cluster in self.db.name_to_cluster.values():
            if cluster.status < JobStatus.STOPPED:
                self.ledger.open(cluster.name, holding_of(cluster))
        await super().do_setup()

    def held(self, cluster: Cluster) -> str | None:
        """Say why fewer workers run than are wished for; None if they do not."""
        return self._held.get(cluster.name)

    def end_of(self, cluster: Cluster) -> End | None:
        """Return when the cluster ends by itself, as far as it is known."""
        return end_of(
            cluster.start_time / 1000,
            self._idle_since.get(cluster.name),
            idle=cluster.config.get("idle_limit") or 0,
            longest=cluster.config.get("max_lifetime") or 0,
        )

    # --- what schedulers say --------------------------------------------------

    async def on_cluster_heartbeat(self, cluster_name: str, msg: object) -> None:
        """Take a scheduler's heartbeat, as far as it makes sense.

        Raises
        ------
        PublicException
            It makes none.
        """
        cluster = self.db.get_cluster(cluster_name)
        if cluster is None:
            return
        running = [one.name for one in cluster.workers.values() if one.status == JobStatus.RUNNING]
        try:
            message, idle = read_heartbeat(msg, self.engine(cluster).believes, running)
        except ValueError as error:
            self.log.warning("cluster %s: heartbeat refused: %s", cluster_name, error)
            raise PublicException(str(error)) from error
        await super().on_cluster_heartbeat(cluster_name, message)
        self._note_idle(cluster, idle)
        self.changed(cluster)

    def _note_idle(self, cluster: Cluster, idle: float | None) -> None:
        """Note since when there is no work; waiting for workers is no idleness."""
        now, name = time.time(), cluster.name
        active = cluster.active_workers()
        waits = cluster.status != JobStatus.RUNNING or (
            name not in self._held
            and (
                len(active) < cluster.count or any(one.status < JobStatus.RUNNING for one in active)
            )
        )
        if waits or idle == 0:
            self._busy_at[name] = now
            self._idle_since.pop(name, None)
        elif idle is not None and name not in self._idle_since:
            self._idle_since[name] = max(now - idle, self._busy_at.get(name, 0))

    # --- states ---------------------------------------------------------------

    def changed(self, cluster: Cluster) -> None:
        """Tell whoever listens."""
        self.feed.changed(cluster.username, cluster.config.get("quota_group") or None)

    def end(self, cluster: Cluster, why: Why, reason: str) -> None:
        """End a cluster for a reason, unless it ends already."""
        if cluster.target == JobStatus.RUNNING:
            target = JobStatus.FAILED if why == "failed" else JobStatus.STOPPED
            state = {**cluster.state, "reason": reason, "why": why}
            self.db.update_cluster(cluster, target=target, state=state)
            self.log.info("Ending cluster %s: %s", cluster.name, reason)
            self.queue.put(cluster)
            self.changed(cluster)

    async def stop_cluster(self, cluster_name: str, failed: bool = False) -> None:
        """End a cluster because somebody asked for it, or because its scheduler is deaf."""
        cluster = self.db.get_cluster(cluster_name)
        if cluster is not None and failed:
            self.end(cluster, "failed", "The scheduler does not answer.")
        elif cluster is not None:
            self.end(cluster, "owner", "It was shut down by its owner.")

    async def reconcile_cluster(self, cluster: Cluster) -> None:
        """Bring a cluster nearer to what it shall be; Gateway calls it after each change."""
        if cluster.target == JobStatus.FAILED and not cluster.state.get("reason"):
            self.failures.give_reason(cluster)
        await super().reconcile_cluster(cluster)
        if cluster.status >= JobStatus.STOPPED and self.ledger.close(cluster.name):
            for noted in (self._idle_since, self._busy_at, self._held):
                noted.pop(cluster.name, None)
            self._pace.forget(cluster.name)
            seconds = (timestamp() - cluster.start_time) / 1000
            self.audit.was_ended(cluster, cluster.state.get("why", "failed"), seconds)
            self.try_held()
        self.changed(cluster)

    async def reconcile_worker(self, worker: Worker) -> None:
        """Bring a worker nearer to what it shall be; Gateway calls it after each change."""
        await super().reconcile_worker(worker)
        stopped = worker.status >= JobStatus.STOPPED
        if stopped and self.ledger.release(worker.cluster.name, worker.name):
            self.try_held()
        self.changed(worker.cluster)

    def try_held(self) -> None:
        """Look again at clusters whose workers wait for room."""
        for name in self._held:
            self.queue.put(self.db.get_cluster(name))

    def forget_workers(self, before: float) -> int:
        """Drop the records of workers that had stopped before a time, in seconds since the epoch.

        Gateway keeps them as long as their cluster, and looks through all at each heartbeat.

        Returns
        -------
        int
            How many.
        """
        gone = [
            worker
            for cluster in self.db.active_clusters()
            for worker in cluster.workers.values()
            if worker.status >= JobStatus.STOPPED and (worker.stop_time or 0) < before * 1000
        ]
        forget_workers(self.db.db, gone)
        return len(gone)

    async def _check_cluster_proxied(self, cluster: Cluster) -> None:
        # only the TLS route: the dashboard is served by us, to its owner (dask-gateway#570)
        if not cluster.added_to_proxies:
            await self.proxy.add_route(
                kind="SNI", sni=cluster.name, target=cluster.scheduler_address
            )
            cluster.added_to_proxies = True

    async def _check_cluster_scale(self, cluster: Cluster) -> None:
        # the count is its scheduler's wish and so its owner's; what is started counts
        if cluster.worker_start_failure_count >= self.worker_start_failure_limit:
            await super()._check_cluster_scale(cluster)
            return
        missing = max(cluster.count - len(cluster.active_workers()), 0)
        room, _ = self.ledger.grant(cluster.name, missing)
        gpus = self.gpu_room(cluster)
        paced = self._pace.room(cluster.name, cluster.count, time.monotonic())
        for _ in range(min(room, paced, room if gpus is None else gpus)):
            worker = self.db.create_worker(cluster)
            self.ledger.reserve(cluster.name, worker.name)
            self._pace.note(cluster.name, time.monotonic())
            self.queue.put(worker)
            missing -= 1
        self._held.pop(cluster.name, None)
        if missing:
            _, shortage = self.ledger.grant(cluster.name, missing)
            other = TOO_FAST if paced < room else NO_GPU
            self._held[cluster.name] = shortage.sentence if shortage else other

    async def _worker_to_stopped(self, worker: Worker) -> None:
        # Gateway says "stopped" even if that failed; then a worker would run that no quota counts.
        # What raises here is tried again.
        if worker.status > JobStatus.CREATED or worker.state:
            await self.do_stop_worker(worker)
        self.db.update_worker(worker, status=worker.target, stop_time=timestamp())

    async def _cluster_to_stopped(self, cluster: Cluster) -> None:
        # likewise, and what it said last may tell why it failed
        if cluster.target == JobStatus.FAILED:
            await self.failures.keep_logs(cluster)
        await self.do_stop_cluster(cluster)
        await self.proxy.remove_route(kind="SNI", sni=cluster.name)
        gone = {"status": JobStatus.STOPPED, "target": JobStatus.STOPPED}
        living = [one for one in cluster.workers.values() if one.status < JobStatus.STOPPED]
        self.db.update_workers([(one, gone) for one in living])
        self.db.update_cluster(cluster, status=cluster.target, stop_time=timestamp())
        cluster.ready.set()
        cluster.shutdown.set()


def worker_amount(config: Mapping[str, int]) -> Amount:
    """Read from the traits of a cluster what each of its workers takes."""
    cores, memory, gpus = (
        config.get(name) or 0 for name in ("worker_cores", "worker_memory", "worker_gpus")
    )
    return Amount(workers=1, cores=cores, memory=memory, gpus=gpus)


def holding_of(cluster: Cluster) -> Holding:
    """Read from Gateway's records what a cluster has."""
    living = {one.name for one in cluster.workers.values() if one.status < JobStatus.STOPPED}
    group = cluster.config.get("quota_group") or None
    return Holding(cluster.username, group, worker_amount(cluster.config), living)
