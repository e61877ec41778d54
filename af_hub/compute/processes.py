"""The frame's lower half: what Dask Gateway wants started and stopped, handed to engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_gateway_server.backends.db_base import JobStatus
from traitlets import Instance

from af_hub.compute import launch
from af_hub.compute.backends import make_engines
from af_hub.compute.channel import EncryptedBackend
from af_hub.compute.relay import Broker, TokenRelay
from af_hub.compute.settings import GatewaySettings, read_secret
from af_hub.errors import ComputeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp import web
    from dask_gateway_server.backends.db_base import Cluster, Worker

    from af_hub.compute.backends.base import Engine, State
    from af_hub.compute.logs import Log
    from af_hub.compute.types import ClusterType

AWAY = "This kind of cluster cannot be had now; try another one."
"""What is said if a backend fails when it is asked."""
TOKEN_WAIT = 5.0
"""Seconds that the first workers wait for the user's token; then they start without it."""


class ClusterProcesses(EncryptedBackend):
    """Starts and stops by engine, with the user's token in place."""

    settings = Instance(
        GatewaySettings, help="The facility's cluster types, addresses and files of this gateway."
    ).tag(config=True)

    async def setup(self, app: web.Application) -> None:
        """Start; called by Dask Gateway before it listens."""
        self._hub_token = await asyncio.to_thread(read_secret, self.settings.hub_token_file)
        self.engines: dict[str, Engine] = make_engines(self.settings.folder)
        await super().setup(app)

    async def do_setup(self) -> None:
        """Make the relay; nothing waits before it is there."""
        broker = Broker(self.session, self.settings.hub_api_url, self._hub_token)
        self.relay = TokenRelay(broker.fetch, self.send_token)

    async def do_cleanup(self) -> None:
        """End what belongs to this process; clusters go on."""
        if hasattr(self, "relay"):
            await self.relay.close()

    # --- engines --------------------------------------------------------------

    def engine(self, cluster: Cluster) -> Engine:
        """Return what runs a cluster."""
        kind = self.settings.compute.find(cluster.config.cluster_type)
        # a type that was taken out of the file: its clusters still have to be ended
        return self.engines[kind.backend if kind and kind.backend in self.engines else "local"]

    async def problem(self, kind: ClusterType, image: str) -> str | None:
        """Tell why a type cannot be had now; None if it can. A backend that fails says no, too."""
        try:
            return await self.engines[kind.backend].problem(kind, image)
        except Exception:
            self.log.exception("The backend of type %s fails", kind.name)
            return AWAY

    async def logs(self, cluster: Cluster, lines: int) -> list[Log]:
        """Return the ends of a cluster's logs."""
        return await self.engine(cluster).logs(cluster.name, lines)

    def _facts(self, cluster: Cluster) -> launch.ClusterFacts:
        engine = self.engine(cluster)
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

    # --- what Dask Gateway calls ----------------------------------------------

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
        async for state in self.engine(cluster).start_cluster(cluster.name, what):
            yield {**cluster.state, **state}
        self._start_relay(cluster)

    async def do_stop_cluster(self, cluster: Cluster) -> None:
        """Stop the scheduler and remove what the cluster had."""
        await self.relay.stop(cluster.name)
        await self.engine(cluster).stop_cluster(cluster.name, cluster.state)

    async def do_check_clusters(self, clusters: list[Cluster]) -> list[bool]:
        """Tell which schedulers live."""
        return [(await self.engine(one).alive([one.state]))[0] for one in clusters]

    async def do_start_worker(self, worker: Worker) -> AsyncIterator[State]:
        """Start one worker, with the token in place if it comes soon."""
        cluster = worker.cluster
        await self.relay.first(cluster.name, TOKEN_WAIT)
        gpus = self._take_gpus(worker)
        # kept before it starts: nobody else may take them
        yield {"gpus": gpus}
        command = tuple(cluster.config.worker_cmd)
        if gpus:
            command = (*command, "--resources", f"GPU={len(gpus)}")
        what = launch.worker_launch(
            command,
            self._facts(cluster),
            name=worker.name,
            scheduler=cluster.scheduler_address,
            threads=cluster.config.worker_threads,
            memory=cluster.config.worker_memory,
            files=self._files(cluster),
        )
        # empty hides those of the machine from workers that have asked for none
        environment = {**what.environment, "CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        what = replace(what, environment=environment)
        async for state in self.engine(cluster).start_worker(cluster.name, worker.name, what):
            yield {**state, "gpus": gpus}

    async def do_stop_worker(self, worker: Worker) -> None:
        """Stop one worker."""
        await self.engine(worker.cluster).stop_worker(worker.cluster.name, worker.state)

    async def do_check_workers(self, workers: list[Worker]) -> list[bool]:
        """Tell which workers live."""
        return [(await self.engine(w.cluster).alive([w.state]))[0] for w in workers]

    # --- GPUs of this machine -------------------------------------------------

    def gpu_room(self, cluster: Cluster) -> int | None:
        """Tell how many more workers find GPUs; None if the cluster's workers have none."""
        wanted = cluster.config.get("worker_gpus") or 0
        if not wanted:
            return None
        waiting = sum(
            worker.cluster.config.get("worker_gpus") or 0
            for worker in self._living_workers()
            if "gpus" not in worker.state
        )
        return max(len(self._free_gpus(cluster)) - waiting, 0) // wanted

    def _free_gpus(self, cluster: Cluster) -> list[str]:
        kind = self.settings.compute.find(cluster.config.cluster_type)
        named = kind.local.gpus if kind is not None and kind.local is not None else ()
        taken = {device for one in self._living_workers() for device in one.state.get("gpus", ())}
        return [device for device in named if device not in taken]

    def _living_workers(self) -> Iterator[Worker]:
        for cluster in self.db.name_to_cluster.values():
            if cluster.status < JobStatus.STOPPED:
                for worker in cluster.workers.values():
                    if worker.status < JobStatus.STOPPED:
                        yield worker

    def _take_gpus(self, worker: Worker) -> list[str]:
        wanted = worker.cluster.config.get("worker_gpus") or 0
        free = self._free_gpus(worker.cluster)[:wanted] if wanted else []
        if len(free) < wanted:
            raise ComputeError("no-gpu", "No GPU is free.")
        return free
