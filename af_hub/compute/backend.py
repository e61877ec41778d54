"""The frame around all engines: Dask Gateway's database backend with the facility's rules.

Dask Gateway keeps clusters in its database and reconciles them. This class adds cluster types,
engines by type, creation with a scale in one request, remembered scale, end by age, the token
relay, and leaves the proxy's public dashboard route out (dask-gateway#570).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dask_gateway_server.backends.db_base import JobStatus
from dask_gateway_server.utils import timestamp
from traitlets import Instance

from af_hub.compute import launch
from af_hub.compute.backends.local import LocalEngine
from af_hub.compute.channel import EncryptedBackend
from af_hub.compute.config import FacilityClusterConfig, FacilityOptions
from af_hub.compute.messages import scale_in, scale_message
from af_hub.compute.options import resolve_scale
from af_hub.compute.relay import Broker, TokenRelay
from af_hub.compute.routes import add_routes
from af_hub.compute.settings import GatewaySettings, read_secret
from af_hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web
    from dask_gateway_server import models
    from dask_gateway_server.backends.db_base import Cluster, Worker

    from af_hub.compute.backends.base import Engine, State
    from af_hub.compute.options import Scale
    from af_hub.compute.relay import TokenState

SWEEP_PERIOD = 2.0
"""Seconds between looks at ages and at schedulers that died."""
TOKEN_WAIT = 5.0
"""Seconds that the first workers wait for the user's token; then they start without it."""


class FacilityBackend(EncryptedBackend):
    """Clusters of all engines, under the facility's rules."""

    settings = Instance(
        GatewaySettings, help="The facility's cluster types, addresses and files of this gateway."
    ).tag(config=True)
    cluster_config_class = FacilityClusterConfig

    async def setup(self, app: web.Application) -> None:
        """Start; called by Dask Gateway before it listens."""
        self._engines: dict[str, Engine] = {"local": LocalEngine(self.settings.folder / "clusters")}
        add_routes(app, self)
        await super().setup(app)

    async def do_setup(self) -> None:
        """Find the clusters of an earlier gateway again."""
        token = await asyncio.to_thread(read_secret, self.settings.hub_token_file)
        broker = Broker(self.session, self.settings.hub_api_url, token)
        self.relay = TokenRelay(broker.fetch, self.send_token)
        for cluster in self.db.active_clusters():
            if cluster.status in {JobStatus.SUBMITTED, JobStatus.RUNNING}:
                self._start_relay(cluster)
            if cluster.status == JobStatus.RUNNING:
                self.relay.reached(cluster.name)
                # before the first request: the proxy takes over the whole table at once
                await self._check_cluster_proxied(cluster)
        self.task_pool.spawn(self._sweep_loop())

    async def do_cleanup(self) -> None:
        """End what belongs to this process; clusters go on."""
        if hasattr(self, "relay"):
            await self.relay.close()

    # --- what users ask for ---------------------------------------------------

    async def get_cluster_options(self, user: models.User) -> FacilityOptions:
        """Return the options of one user."""
        return FacilityOptions(self.settings.compute, user)

    async def create(self, user: models.User, options: object, scale: object) -> Cluster:
        """Make a cluster that starts with `scale` workers.

        Parameters
        ----------
        user
            The owner.
        options, scale
            As they came; see `af_hub.compute.options`.

        Returns
        -------
        Cluster
            Pending.

        Raises
        ------
        Refusal
            The request is not allowed or makes no sense; the message names the field.
        """
        form = await self.get_cluster_options(user)
        chosen = form.parse_options(options)
        traits = form.get_configuration(chosen, user)
        kind = self.settings.compute.find(chosen["type"])
        if kind is None:
            raise Refusal("unknown-type", "type: no such kind of cluster.", status=422)
        traits["initial_scale"] = resolve_scale(kind, scale).as_json()
        config = self.cluster_config_class(parent=self, **traits)
        cluster = self.db.create_cluster(user.name, chosen, config.to_dict())
        self.log.info("Created cluster %s for user %s", cluster.name, user.name)
        self.queue.put(cluster)
        return cluster

    async def rescale(self, cluster: Cluster, requested: object) -> None:
        """Change the scale of a cluster.

        Raises
        ------
        Refusal
            ``unknown-option``, ``bad-option``, or ``cluster-ended``.
        """
        kind = self.settings.compute.find(cluster.config.cluster_type)
        if kind is None:
            raise Refusal(
                "unknown-type", "This kind of cluster is not offered any more.", status=409
            )
        scale = resolve_scale(kind, requested)
        if cluster.target != JobStatus.RUNNING:
            raise Refusal("cluster-ended", "The cluster is shutting down.", status=409)
        self._remember(cluster, scale)
        if cluster.status == JobStatus.RUNNING:
            await self._send_scale(cluster, scale)

    def scale_of(self, cluster: Cluster) -> dict[str, Any]:
        """Return the wanted scale of a cluster in the form of the REST API."""
        found = cluster.state.get("scale") or dict(cluster.config.get("initial_scale") or {})
        return found or {"mode": "fixed", "workers": cluster.count}

    def token_state(self, cluster: Cluster) -> TokenState | None:
        """Return how the cluster's token is; None if it gets none."""
        return self.relay.state(cluster.name)

    async def forward_message_to_scheduler(
        self, cluster: models.Cluster, msg: dict[str, Any]
    ) -> None:
        """Send a message of Gateway's own routes (notebooks scale by them), and remember it."""
        await super().forward_message_to_scheduler(cluster, msg)
        known = self.db.get_cluster(cluster.name)
        scale = scale_in(msg, known.config.get("cluster_max_workers") or 0)
        if scale is not None:
            self._remember(known, scale)

    def _remember(self, cluster: Cluster, scale: Scale) -> None:
        self.db.update_cluster(cluster, state={**cluster.state, "scale": scale.as_json()})

    async def _send_scale(self, cluster: Cluster, scale: Scale) -> None:
        await super().forward_message_to_scheduler(cluster.to_model(), scale_message(scale))

    # --- states ---------------------------------------------------------------

    async def _cluster_to_running(self, cluster: Cluster) -> None:
        await super()._cluster_to_running(cluster)
        self.relay.reached(cluster.name)
        wanted = self.scale_of(cluster)
        kind = self.settings.compute.find(cluster.config.cluster_type)
        if kind is not None and wanted != {"mode": "fixed", "workers": 0}:
            await self._send_scale(cluster, resolve_scale(kind, wanted))

    async def _check_cluster_proxied(self, cluster: Cluster) -> None:
        # only the TLS route: the dashboard is served by us, to its owner (dask-gateway#570)
        if not cluster.added_to_proxies:
            await self.proxy.add_route(
                kind="SNI", sni=cluster.name, target=cluster.scheduler_address
            )
            cluster.added_to_proxies = True

    async def _sweep_loop(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_PERIOD)
            await self._end_dead()
            self._end_old()

    async def _end_dead(self) -> None:
        running = [
            one
            for one in self.db.active_clusters()
            if one.status == JobStatus.RUNNING and one.target == JobStatus.RUNNING
        ]
        for cluster, ok in zip(running, await self.do_check_clusters(running), strict=True):
            if not ok:
                self._end(cluster, JobStatus.FAILED, "The scheduler ended unexpectedly.")

    def _end_old(self) -> None:
        for cluster in list(self.db.active_clusters()):
            limit = cluster.config.get("max_lifetime") or 0
            if limit and cluster.start_time + limit * 1000 < timestamp():
                self._end(cluster, JobStatus.STOPPED, "The longest lifetime was reached.")

    def _end(self, cluster: Cluster, target: JobStatus, reason: str) -> None:
        self.log.info("Ending cluster %s: %s", cluster.name, reason)
        self.db.update_cluster(cluster, target=target, state={**cluster.state, "reason": reason})
        self.queue.put(cluster)

    # --- engines --------------------------------------------------------------

    def _engine(self, cluster: Cluster) -> Engine:
        kind = self.settings.compute.find(cluster.config.cluster_type)
        # a type that was taken out of the file: its clusters still have to be ended
        return self._engines[kind.backend if kind is not None else "local"]

    def _facts(self, cluster: Cluster) -> launch.ClusterFacts:
        engine = self._engine(cluster)
        return launch.ClusterFacts(
            name=cluster.name,
            folder=engine.folder(cluster.name),
            api_url=self.api_url,
            host=engine.host,
            audience=cluster.config.token_audience,
            extra={**self.settings.environment, **cluster.config.environment},
        )

    @staticmethod
    def _files(cluster: Cluster) -> dict[str, bytes]:
        return {
            launch.CERTIFICATE_FILE: cluster.tls_cert,
            launch.KEY_FILE: cluster.tls_key,
            launch.GATEWAY_TOKEN_FILE: cluster.token.encode(),
        }

    def _start_relay(self, cluster: Cluster) -> None:
        if cluster.config.token_audience:
            self.relay.start(cluster.name, cluster.username, cluster.config.token_audience)

    async def do_start_cluster(self, cluster: Cluster) -> AsyncIterator[State]:
        """Start the scheduler."""
        what = launch.scheduler_launch(
            tuple(cluster.config.scheduler_cmd),
            self._facts(cluster),
            heartbeat=self.cluster_heartbeat_period,
            adaptive_period=cluster.config.adaptive_period,
            idle_timeout=cluster.config.idle_timeout,
            files=self._files(cluster),
        )
        async for state in self._engine(cluster).start_cluster(cluster.name, what):
            yield {**cluster.state, **state}
        self._start_relay(cluster)

    async def do_stop_cluster(self, cluster: Cluster) -> None:
        """Stop the scheduler and remove what the cluster had."""
        await self.relay.stop(cluster.name)
        await self._engine(cluster).stop_cluster(cluster.name, cluster.state)

    async def do_check_clusters(self, clusters: list[Cluster]) -> list[bool]:
        """Tell which schedulers live."""
        return [(await self._engine(one).alive([one.state]))[0] for one in clusters]

    async def do_start_worker(self, worker: Worker) -> AsyncIterator[State]:
        """Start one worker, with the token in place if it comes soon."""
        cluster = worker.cluster
        await self.relay.first(cluster.name, TOKEN_WAIT)
        what = launch.worker_launch(
            tuple(cluster.config.worker_cmd),
            self._facts(cluster),
            name=worker.name,
            scheduler=cluster.scheduler_address,
            threads=cluster.config.worker_threads,
            memory=cluster.config.worker_memory,
            files=self._files(cluster),
        )
        async for state in self._engine(cluster).start_worker(cluster.name, worker.name, what):
            yield state

    async def do_stop_worker(self, worker: Worker) -> None:
        """Stop one worker."""
        await self._engine(worker.cluster).stop_worker(worker.cluster.name, worker.state)

    async def do_check_workers(self, workers: list[Worker]) -> list[bool]:
        """Tell which workers live."""
        return [(await self._engine(w.cluster).alive([w.state]))[0] for w in workers]
