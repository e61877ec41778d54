"""Why clusters failed, and what they said last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.utils import timestamp

from af_hub.compute.life import failure_of

if TYPE_CHECKING:
    from dask_gateway_server.backends.db_base import Cluster

    from af_hub.compute.logs import Log
    from af_hub.compute.processes import ClusterProcesses

LAST_LINES = 200
"""Lines of each log that are kept of a cluster that failed."""
MOST_KEPT = 50
"""Clusters whose last logs are kept, in memory."""


class Failures:
    """Finds reasons, and keeps the last logs.

    Parameters
    ----------
    backend
        Whose clusters.
    """

    def __init__(self, backend: ClusterProcesses) -> None:
        self._backend = backend
        self._last_logs: dict[str, list[Log]] = {}

    def give_reason(self, cluster: Cluster) -> None:
        """Say why a cluster failed that Gateway itself gave up on."""
        backend = self._backend
        now = timestamp()
        fails = cluster.worker_start_failure_count
        reason = failure_of(
            "starting" if cluster.status < JobStatus.RUNNING else "running",
            (now - cluster.start_time) / 1000,
            (now - (cluster.last_heartbeat or now)) / 1000,
            (backend.cluster_start_timeout, backend.cluster_heartbeat_timeout),
            fails if fails >= backend.worker_start_failure_limit else 0,
        )
        state = {**cluster.state, "reason": reason, "why": "failed"}
        backend.db.update_cluster(cluster, state=state)

    async def keep_logs(self, cluster: Cluster) -> None:
        """Keep what a failed cluster said last; its folder goes with it."""
        try:
            logs = await self._backend.logs(cluster, LAST_LINES)
        except Exception:
            self._backend.log.exception("The logs of cluster %s cannot be read", cluster.name)
            return
        self._last_logs[cluster.name] = logs
        while len(self._last_logs) > MOST_KEPT:
            self._last_logs.pop(next(iter(self._last_logs)))

    async def logs(self, cluster: Cluster, lines: int) -> list[Log]:
        """Return a cluster's logs, of one that has failed its last ones."""
        if cluster.status >= JobStatus.STOPPED:
            return self._last_logs.get(cluster.name, [])
        return await self._backend.logs(cluster, lines)
