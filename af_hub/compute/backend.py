"""The frame around all engines: Dask Gateway's database backend with the facility's rules.

Dask Gateway keeps clusters in its database and reconciles them. We add cluster types, creation with
a scale in one request, remembered scale, quotas, ends that are told before, and reasons. What runs
where stands in `af_hub.compute.processes`, what happens by itself in `af_hub.compute.states`, what
users ask for in `af_hub.compute.requests`; here it is put together and begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_gateway_server.backends.db_base import JobStatus

from af_hub.compute.feed import Feed
from af_hub.compute.keeper import Keeper
from af_hub.compute.requests import ClusterRequests
from af_hub.compute.routes import add_routes
from af_hub.compute.shown import snapshot

if TYPE_CHECKING:
    from aiohttp import web


class FacilityBackend(ClusterRequests):
    """Clusters of all engines, under the facility's rules."""

    async def setup(self, app: web.Application) -> None:
        """Start; called by Dask Gateway before it listens."""
        self.feed = Feed(
            lambda user: snapshot(self, user), lambda user: self.ledger.group_of(user.groups)
        )
        add_routes(app, self)
        await super().setup(app)

    async def do_setup(self) -> None:
        """Find the clusters of an earlier gateway again."""
        await super().do_setup()
        for cluster in self.db.active_clusters():
            if cluster.status in {JobStatus.SUBMITTED, JobStatus.RUNNING}:
                self._start_relay(cluster)
            if cluster.status == JobStatus.RUNNING:
                self.relay.reached(cluster.name)
                # before the first request: the proxy takes over the whole table at once
                await self._check_cluster_proxied(cluster)
        keeper = Keeper(self)
        self.task_pool.spawn(keeper.sweep_loop())
        self.task_pool.spawn(keeper.reconcile_loop())
